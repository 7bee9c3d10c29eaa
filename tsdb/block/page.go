package block

import "github.com/gnomonhq/gnomon/tsdb/encoding"

// pageHeads is what the directory has of a page.
type pageHeads struct {
	number uint32
	// size is the length of the payload of its float columns, with which the page begins.
	size   uint32
	floats *encoding.Page
}

// open reads the heads of so many float columns.
func (p *pageHeads) open(heads []byte, columns int) bool {
	var err error
	p.floats, err = encoding.OpenPage(heads)
	return err == nil && p.floats.Columns() == columns && p.floats.PayloadSize() == int(p.size)
}
