package parse

import (
	"fmt"
	"sync"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"
)

// TestFamiliesAreReadWhileTheyChange is for the race detector.
func TestFamiliesAreReadWhileTheyChange(t *testing.T) {
	r := newReader()
	opts := &Options{Admit: admitAll}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				f := r.layout.Families()
				for _, family := range f.List() {
					if m, ok := f.Get(family.Name); ok && m.Help == "" {
						t.Error("a family without its help")
						return
					}
				}
				_ = f.Size() + f.Len()
			}
		})
	}
	for i := range 200 {
		body := fmt.Sprintf("# HELP a%d help\n# TYPE a%[1]d counter\na%[1]d 1\n# HELP b help %[2]d\nb 1\n", i%50, i)
		_, err := r.read([]byte(body), plainText, opts)
		require.NoError(t, err)
	}
	close(done)
	readers.Wait()
}

func TestFamilyHasSeries(t *testing.T) {
	for _, c := range []struct {
		family, typ, series string
		want                bool
	}{
		{"a", "counter", "a", true}, {"a", "counter", "a_total", true}, {"a_total", "counter", "a_total", true},
		{"a", "counter", "a_sum", false}, {"a", "histogram", "a_sum", true}, {"a", "histogram", "a_bucket", true},
		{"a", "gaugehistogram", "a_gcount", true}, {"a", "summary", "a_bucket", false}, {"a", "info", "a_info", true},
		{"a", "gauge", "ab", false}, {"ab", "gauge", "a", false}, {"a", "unknown", "a", true},
	} {
		f := Family{Name: c.family, Metadata: metadata.Metadata{Type: model.MetricType(c.typ)}}
		require.Equal(t, c.want, f.hasSeries(c.series), "%+v", c)
	}
}
