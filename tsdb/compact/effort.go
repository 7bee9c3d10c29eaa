package compact

import "github.com/gnomonhq/gnomon/tsdb/block"

// effort is how hard samples are compressed. Longer chunks and larger pages are
// smaller, and make reading a part of a series, or one series, dearer.
type effort struct {
	chunkRows int
	options   block.WriterOptions
}

// effortAt returns the effort for a block of a level: the older samples are, the
// less they are read.
func effortAt(level int) effort {
	switch {
	case level <= 1:
		return effort{480, block.WriterOptions{PageBytes: 32 << 10, FrameSeries: 256}}
	case level == 2:
		return effort{480, block.WriterOptions{PageBytes: 64 << 10, FrameSeries: 512}}
	default:
		return effort{960, block.WriterOptions{PageBytes: 128 << 10, FrameSeries: 1024}}
	}
}
