package etcd

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/discovery"
	"github.com/stretchr/testify/require"
)

func TestMetricsOfEqualLabelsAreOne(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := newMetrics(reg, discovery.NewRefreshMetrics(reg))
	require.NoError(t, m.Register())
	require.Error(t, m.Register(), "one set of collectors is all there is")
	require.NoError(t, m.Register(), "a failed registration leaves nothing behind")

	a, b, c := &gauges{config: "job", prefix: "/s/"}, &gauges{config: "job", prefix: "/s/"}, &gauges{config: "job", prefix: "/t/"}
	for i, g := range []*gauges{a, b, c} {
		m.begin(g)
		g.up.Store(g != b)
		g.keys.Store(int64(10 + i))
		g.badKeys.Store(int64(i))
		g.refusedKeys.Store(int64(2 * i))
		g.revision.Store(int64(100 + i))
		g.updated.Store(time.Unix(int64(1000+i), 0).UnixNano())
	}
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP gnomon_sd_etcd_bad_keys Keys whose present value was refused.
# TYPE gnomon_sd_etcd_bad_keys gauge
gnomon_sd_etcd_bad_keys{config="job",prefix="/s/"} 1
gnomon_sd_etcd_bad_keys{config="job",prefix="/t/"} 2
# HELP gnomon_sd_etcd_keys Keys that are known.
# TYPE gnomon_sd_etcd_keys gauge
gnomon_sd_etcd_keys{config="job",prefix="/s/"} 21
gnomon_sd_etcd_keys{config="job",prefix="/t/"} 12
# HELP gnomon_sd_etcd_last_update_timestamp_seconds When keys were last read or changed.
# TYPE gnomon_sd_etcd_last_update_timestamp_seconds gauge
gnomon_sd_etcd_last_update_timestamp_seconds{config="job",prefix="/s/"} 1000
gnomon_sd_etcd_last_update_timestamp_seconds{config="job",prefix="/t/"} 1002
# HELP gnomon_sd_etcd_refused_keys Keys that were refused since the last list because of max_keys.
# TYPE gnomon_sd_etcd_refused_keys gauge
gnomon_sd_etcd_refused_keys{config="job",prefix="/s/"} 2
gnomon_sd_etcd_refused_keys{config="job",prefix="/t/"} 4
# HELP gnomon_sd_etcd_revision Revision of etcd that the targets reflect.
# TYPE gnomon_sd_etcd_revision gauge
gnomon_sd_etcd_revision{config="job",prefix="/s/"} 101
gnomon_sd_etcd_revision{config="job",prefix="/t/"} 102
# HELP gnomon_sd_etcd_up Whether changes in etcd are being followed (1) or etcd is out of reach (0).
# TYPE gnomon_sd_etcd_up gauge
gnomon_sd_etcd_up{config="job",prefix="/s/"} 0
gnomon_sd_etcd_up{config="job",prefix="/t/"} 1
`), "gnomon_sd_etcd_bad_keys", "gnomon_sd_etcd_keys", "gnomon_sd_etcd_last_update_timestamp_seconds",
		"gnomon_sd_etcd_refused_keys", "gnomon_sd_etcd_revision", "gnomon_sd_etcd_up"))

	// The successor of a discovery shows its own figures once the former has ended.
	m.end(a)
	require.Equal(t, 0.0, m.upOf("job", "/s/"))
	m.end(b)
	m.begin(a)
	require.Equal(t, 1.0, m.upOf("job", "/s/"))
}

func (m *metrics) upOf(config, prefix string) float64 {
	return (*gaugeCollector)(m).figures()[[2]string{config, prefix}].up
}

func TestJitterIsBounded(t *testing.T) {
	for range 1000 {
		require.GreaterOrEqual(t, jitter(time.Second), time.Second/2)
		require.LessOrEqual(t, jitter(time.Second), time.Second)
	}
	require.LessOrEqual(t, jitter(1), time.Duration(1))
}

func TestNewRefusesForeignMetrics(t *testing.T) {
	_, err := baseConfig("a:1").NewDiscoverer(discovery.DiscovererOptions{Metrics: &discovery.NoopDiscovererMetrics{}})
	require.ErrorContains(t, err, "not those of etcd discovery")
}
