package exec

import "sync"

// pointMemory is where the points of a result are, in pieces that are used again
// once the result is closed.
type pointMemory struct {
	pieces [][]FloatPoint
	free   []FloatPoint
}

// pieceOfPoints is the length of a piece. Longer ones are not kept.
const pieceOfPoints = 4096

var pieces = sync.Pool{New: func() any { return new([pieceOfPoints]FloatPoint) }}

// take returns room for n points.
func (m *pointMemory) take(n int) []FloatPoint {
	if n > pieceOfPoints/4 && n > len(m.free) {
		return make([]FloatPoint, 0, n)
	}
	if n > len(m.free) {
		m.free = pieces.Get().(*[pieceOfPoints]FloatPoint)[:]
		m.pieces = append(m.pieces, m.free)
	}
	room := m.free[:0:n]
	m.free = m.free[n:]
	return room
}

// release gives the memory back.
func (m *pointMemory) release() {
	for _, p := range m.pieces {
		pieces.Put((*[pieceOfPoints]FloatPoint)(p))
	}
	m.pieces, m.free = nil, nil
}

// Close gives the memory of the points back. Nothing of the result may be used
// afterwards. It is called once.
func (r *Result) Close() { r.memory.release() }
