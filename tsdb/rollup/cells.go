package rollup

import (
	"github.com/gnomonhq/gnomon/storage"
)

// cells collects what comes in ascending order of time in a bucket per cell.
type cells struct {
	list []interval
	at   int // the cell that the last thing fell into, or the next one
	out  []storage.Bucket
}

func (c *cells) reset(list []interval) { c.list, c.at, c.out = list, 0, c.out[:0] }

// bucket returns the bucket of the cell that t lies in, nil if there is none.
func (c *cells) bucket(t int64) *storage.Bucket {
	for c.at < len(c.list) && c.list[c.at].hi < t {
		c.at++
	}
	if c.at == len(c.list) || t <= c.list[c.at].lo {
		return nil
	}
	end := c.list[c.at].hi
	if n := len(c.out); n == 0 || c.out[n-1].T != end {
		c.out = append(c.out, storage.Bucket{T: end})
	}
	return &c.out[len(c.out)-1]
}

// merge adds a bucket, which lies in one cell or in none.
func (c *cells) merge(b *storage.Bucket) {
	if to := c.bucket(b.T); to != nil {
		to.Merge(b)
	}
}

// addBatch adds samples.
func (c *cells) addBatch(b *storage.Batch) {
	for i, t := range b.Times {
		to := c.bucket(t)
		switch {
		case to == nil:
		case b.Kind == storage.KindFloat:
			to.Add(t, b.Values[i])
		case !staleHistogram(b, i):
			to.Histograms++
		}
	}
}

// finish returns the buckets that have samples: staleness markers leave some
// without.
func (c *cells) finish() []storage.Bucket {
	n := 0
	for i := range c.out {
		if !c.out[i].Empty() {
			c.out[n] = c.out[i]
			n++
		}
	}
	return c.out[:n]
}
