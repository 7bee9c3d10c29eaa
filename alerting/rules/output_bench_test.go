package rules

import (
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/alerting"
	"github.com/gnomonhq/gnomon/storage"
)

// nullStore takes rows and forgets them, so that what is measured is ours.
type nullStore struct{ storage.Writer }

type nullGroup struct {
	storage.Group
	columns storage.Column
	free    []storage.Column
}

func (nullStore) OpenGroup(storage.GroupOptions) (storage.Group, error) { return &nullGroup{}, nil }

func (g *nullGroup) AddColumn(labels.Labels) (storage.Column, error) {
	if n := len(g.free); n > 0 {
		c := g.free[n-1]
		g.free = g.free[:n-1]
		return c, nil
	}
	g.columns++
	return g.columns - 1, nil
}

func (g *nullGroup) ReleaseColumn(c storage.Column) { g.free = append(g.free, c) }
func (g *nullGroup) AppendRow(*storage.Row) error   { return nil }

// BenchmarkOutput measures turning a result into a row.
func BenchmarkOutput(b *testing.B) {
	for _, churn := range []int{0, 10} {
		b.Run(fmt.Sprintf("series=1000/churn=%d%%", churn), func(b *testing.B) {
			const series = 1000
			vector := make(alerting.Vector, series)
			for i := range vector {
				vector[i] = alerting.Sample{Labels: labels.FromStrings("__name__", "job:requests:rate5m", "i", fmt.Sprint(i)), V: 1}
			}
			// The labels come and go between two sets of names.
			fresh := make([]labels.Labels, 2*series*churn/100)
			for i := range fresh {
				fresh[i] = labels.FromStrings("__name__", "job:requests:rate5m", "i", fmt.Sprint("fresh", i))
			}
			o := &output{store: nullStore{}}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				for i := range len(fresh) / 2 {
					vector[i].Labels = fresh[i+n%2*len(fresh)/2]
				}
				_, err := o.append(int64(n), vector)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/series, "ns/sample")
		})
	}
}
