package scrape

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/storage"
)

// BenchmarkRecord takes recorded bodies from their bytes to the row, into a store
// that does nothing with it. Scraping is this, HTTP and the store.
func BenchmarkRecord(b *testing.B) {
	for _, name := range []string{"node", "etcd", "kubeapiserver"} {
		b.Run(name, func(b *testing.B) {
			bodies := recordedBodies(b, name)
			m := newMetrics()
			target := &Target{public: labels.FromStrings("instance", "a:1", "job", "test"), interval: time.Second, url: &url.URL{}}
			s := &settings{target: target, honorTimestamps: true, rules: &rules{Target: target.public, Scheme: model.UTF8Validation}}
			l := newLoop(newRecorder(nothing{}, m, "a"), m, slog.New(slog.DiscardHandler), s)
			record := func(i int) {
				l.record(context.Background(), s, scraped{
					start: time.Now(), t: int64(i), body: bodies[i%len(bodies)], contentType: plainType, size: 1,
				})
			}
			for i := range bodies {
				record(i)
			}
			require.NoError(b, target.LastError())
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				record(i)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(target.Records()[0].Samples), "ns/sample")
		})
	}
}

// recordedBodies returns the bodies of a recording of package parse.
func recordedBodies(b testing.TB, name string) (bodies [][]byte) {
	b.Helper()
	f, err := os.Open("parse/testdata/" + name + ".rec.zst")
	require.NoError(b, err)
	defer f.Close()
	z, err := zstd.NewReader(bufio.NewReader(f))
	require.NoError(b, err)
	defer z.Close()
	var head [12]byte
	for {
		if _, err := io.ReadFull(z, head[:]); err != nil {
			require.ErrorIs(b, err, io.EOF)
			return bodies
		}
		n := int(binary.BigEndian.Uint32(head[8:]))
		body := make([]byte, n, n+1)
		_, err := io.ReadFull(z, body)
		require.NoError(b, err)
		bodies = append(bodies, body)
	}
}

// nothing is a store that keeps nothing.
type nothing struct{}

func (nothing) OpenGroup(storage.GroupOptions) (storage.Group, error) {
	return &numbers{columns: map[string]storage.Column{}}, nil
}
func (nothing) Appender(context.Context) storage.Appender { return nil }

// numbers is a group that numbers its columns.
type numbers struct{ columns map[string]storage.Column }

func (n *numbers) AddColumn(ls labels.Labels) (storage.Column, error) {
	key := ls.String()
	c, ok := n.columns[key]
	if !ok {
		c = storage.Column(len(n.columns))
		n.columns[key] = c
	}
	return c, nil
}
func (*numbers) ReleaseColumn(storage.Column)                        {}
func (*numbers) SetMetadata(storage.Column, metadata.Metadata) error { return nil }
func (*numbers) AppendRow(*storage.Row) error                        { return nil }
func (*numbers) Close() error                                        { return nil }
