package wal_test

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/internal/vfs"
	"github.com/gnomonhq/gnomon/storage"
	"github.com/gnomonhq/gnomon/tsdb/wal"
)

// A group is defined, two rows are written, and the log is replayed.
func Example() {
	fsys := vfs.NewMem()
	w, err := wal.Open(fsys, "data/wal", wal.Options{Sync: wal.SyncAlways})
	if err != nil {
		panic(err)
	}
	enc := wal.NewRowEncoder(1)
	b := w.Begin()
	b.Group(wal.Group{ID: 1, Origin: "node/host-1:9100"})
	b.Columns(1, []wal.Column{{Number: 0, Series: 10, Labels: labels.FromStrings("__name__", "up")}})
	b.Row(enc, &storage.Row{T: 1000, Values: []float64{1}})
	b.Row(enc, &storage.Row{T: 2000, Values: []float64{0}})
	if _, err := b.Commit(); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}

	r, err := wal.OpenReader(fsys, "data/wal", wal.ReaderOptions{
		OnDamage: func(d wal.Damage) { fmt.Println(d) },
	})
	if err != nil {
		panic(err)
	}
	dec := wal.NewRowDecoder()
	for r.Next() {
		switch rec := r.Record(); rec.Type {
		case wal.TypeColumns:
			columns, err := wal.DecodeColumns(rec.Payload)
			fmt.Println("group", columns.Group, columns.Strings, err)
		case wal.TypeRow:
			group, row, err := dec.Decode(rec.Payload)
			fmt.Println("group", group, "at", row.T, row.Values, err)
		}
	}
	// Output:
	// group 1 [__name__ up] <nil>
	// group 1 at 1000 [1] <nil>
	// group 1 at 2000 [0] <nil>
}
