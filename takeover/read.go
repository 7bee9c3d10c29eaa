package takeover

import (
	"context"

	"github.com/gnomonhq/gnomon/storage"
)

// batchReader reads iterators, reusing its memory.
type batchReader struct {
	ctx context.Context
	b   storage.Batch
}

// each hands every batch of an iterator to f.
func (r *batchReader) each(it storage.BatchIterator, f func(b *storage.Batch)) error {
	for it.Next(&r.b) {
		f(&r.b)
	}
	if err := it.Err(); err != nil {
		return err
	}
	return r.ctx.Err()
}
