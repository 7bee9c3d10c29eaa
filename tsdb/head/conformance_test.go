package head

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/storage/storagetest"
)

// headStore is a head alone as a store.
type headStore struct {
	*Head
	fs vfs.FS
}

func (s headStore) Querier(mint, maxt int64) (storage.Querier, error) {
	if err := s.running(); err != nil {
		return nil, err
	}
	defer s.done()
	return s.Head.Querier(mint, maxt, minTime), nil
}

func openHead(t testing.TB, fsys vfs.FS, window int64) *Head {
	t.Helper()
	h, err := Open(Options{FS: fsys, Dir: "wal", Settings: Settings{Window: window, MaxExemplars: 1000}})
	require.NoError(t, err)
	return h
}

func harness() storagetest.Harness {
	return storagetest.Harness{
		Open: func(t testing.TB, outOfOrder int64) storage.Store {
			fsys := vfs.NewMem()
			return headStore{openHead(t, fsys, outOfOrder), fsys}
		},
		Reopen: func(t testing.TB, s storage.Store) storage.Store {
			hs := s.(headStore)
			if err := s.Close(); err != nil {
				require.ErrorIs(t, err, storage.ErrClosed)
			}
			return headStore{openHead(t, hs.fs, hs.window()), hs.fs}
		},
	}
}

func TestConformance(t *testing.T) { storagetest.Run(t, harness()) }

func TestAgreesWithModel(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { storagetest.RunRandom(t, harness(), seed, 400) })
	}
}
