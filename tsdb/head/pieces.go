package head

import "fmt"

// pieceSizes says where pieces of data begin and end that lie one after the
// other: by their sizes, and where each sizeBlock-th one begins.
type pieceSizes struct {
	sizes  []uint16
	begins []uint32
	end    uint32
}

// sizeBlock is how many sizes are summed up at most to find a piece.
const sizeBlock = 32

func makePieceSizes(pieces int) pieceSizes {
	return pieceSizes{sizes: make([]uint16, 0, pieces), begins: make([]uint32, 0, (pieces+sizeBlock-1)/sizeBlock)}
}

// add adds a piece that ends at end. The floats of a column of a segment, which
// has maxSegmentRows at most, take less than 64 KiB.
func (p *pieceSizes) add(end int) {
	size := end - int(p.end)
	if size>>16 != 0 {
		panic(fmt.Sprintf("head: encoded column of %d bytes", size))
	}
	if len(p.sizes)%sizeBlock == 0 {
		p.begins = append(p.begins, p.end)
	}
	p.sizes = append(p.sizes, uint16(size))
	p.end = uint32(end)
}

// of returns where a piece begins and ends.
func (p *pieceSizes) of(piece int) (from, to uint32) {
	block := piece / sizeBlock
	from = p.begins[block]
	for _, size := range p.sizes[block*sizeBlock : piece] {
		from += uint32(size)
	}
	return from, from + uint32(p.sizes[piece])
}
