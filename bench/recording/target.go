package recording

import (
	"fmt"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// stride is how many frames the instances of a kind are apart, so that their values differ.
const stride = 37

// Target is one instance of a recorded exporter: the series of its recording with labels of its
// own, and the recording's rows from its own frame on.
type Target struct {
	Recording     *Recording
	Job, Instance string

	offset int
	// extra are labels that a series gets, in this order, until it has labels of them.
	extra  []labels.Label
	labels int
}

// Targets returns instances targets of each recording. Each series has the labels of the
// exposition, job and instance, and then as many labels of a deployment as it takes to have
// labelCount labels.
func Targets(list []*Recording, instances, labelCount int) []*Target {
	var targets []*Target
	for n := range instances {
		for _, r := range list {
			t := &Target{
				Recording: r, Job: r.Kind, Instance: fmt.Sprintf("%s-%d.example.com:9100", r.Kind, n),
				offset: n * stride % r.Frames(), labels: labelCount,
			}
			t.extra = []labels.Label{
				{Name: "k8s_pod", Value: fmt.Sprintf("%s-%d-%08x", r.Kind, n, uint32(n)*2654435761)},
				{Name: "k8s_node", Value: fmt.Sprintf("node-%d", n/8)},
				{Name: "k8s_namespace", Value: "monitoring-" + r.Kind},
				{Name: "k8s_container", Value: r.Kind},
				{Name: "cluster", Value: "production-eu-1"},
				{Name: "region", Value: "eu-central-1"},
				{Name: "team", Value: "platform"},
				{Name: "tier", Value: "infrastructure"},
			}
			targets = append(targets, t)
		}
	}
	return targets
}

// Columns returns the number of series.
func (t *Target) Columns() int { return len(t.Recording.Series) }

// builders is scratch memory of Labels, so that what measures an engine's memory does not measure
// what making labels leaves behind.
var builders = sync.Pool{New: func() any { return labels.NewBuilder(labels.EmptyLabels()) }}

// Labels makes the labels of a column anew: what keeps them pays for them.
func (t *Target) Labels(c int) labels.Labels {
	b := builders.Get().(*labels.Builder)
	defer builders.Put(b)
	b.Reset(t.Recording.Series[c])
	b.Set(model.JobLabel, t.Job)
	b.Set(model.InstanceLabel, t.Instance)
	n := 0
	b.Range(func(labels.Label) { n++ })
	for _, l := range t.extra {
		if n >= t.labels {
			break
		}
		b.Set(l.Name, l.Value)
		n++
	}
	return b.Labels()
}

// Row fills values and presence of the target's i-th row; the caller sets the time. The slices
// are the recording's: they are only read.
func (t *Target) Row(i int, row *storage.Row) {
	t.Recording.row(t.offset+i, i == 0, row)
}

// Samples returns the number of samples of the target's first n rows.
func (t *Target) Samples(n int) int { return t.Recording.Samples(t.offset, n) }
