package takeover

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// The layout of a chunk in a file of chunks_head, which upstream documents:
// series, first and last time, 8 bytes each, big-endian; encoding; a uvarint
// length; the data, which begins with two bytes of the number of samples; a
// checksum of all that.
const (
	headChunkHeader   = 3*8 + 1
	headChunkChecksum = 4
	// headFileHeader is how long the header of a file is; it begins with
	// chunks.MagicHeadChunks.
	headFileHeader = chunks.HeadChunkFileHeaderSize
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// headChunks are the files of chunks of the head. The logs have what is in them
// as well, unless a part of the logs is lost.
type headChunks struct{ files []string }

// headChunk is a chunk of one of them. data is valid until it is gone past.
type headChunk struct {
	ref        chunks.HeadSeriesRef
	mint, maxt int64
	outOfOrder bool
	encoding   chunkenc.Encoding
	samples    int
	// weight is how many floats with their times take the room of a sample.
	weight uint64
	data   []byte
}

// listHeadChunks lists the files. upstream's own reader is not used: it repairs
// them.
func listHeadChunks(dir string) (*headChunks, error) {
	entries, err := os.ReadDir(filepath.Join(dir, promHead))
	if errors.Is(err, fs.ErrNotExist) {
		return &headChunks{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list chunks of the head: %w", err)
	}
	numbers := map[int]string{}
	var order []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && !e.IsDir() {
			numbers[n] = filepath.Join(dir, promHead, e.Name())
			order = append(order, n)
		}
	}
	slices.Sort(order)
	h := &headChunks{}
	for _, n := range order {
		h.files = append(h.files, numbers[n])
	}
	return h, nil
}

// read hands every whole chunk to each. A damage costs the rest of its file.
func (h *headChunks) read(ctx context.Context, each func(c *headChunk), damaged func(*logDamage)) error {
	for _, file := range h.files {
		off, err := readHeadFile(ctx, file, each)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			damaged(&logDamage{file: file, offset: off, err: err, redundant: true})
		}
	}
	return nil
}

// readHeadFile returns where it stopped, and why if that is not the end.
func readHeadFile(ctx context.Context, file string, each func(c *headChunk)) (off int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	return scanHeadChunks(ctx, f, info.Size(), each)
}

// scanHeadChunks reads the content of a file.
func scanHeadChunks(ctx context.Context, f io.Reader, size int64, each func(c *headChunk)) (off int64, err error) {
	r := bufio.NewReaderSize(f, 1<<20)
	header := make([]byte, headFileHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, fmt.Errorf("header: %w", err)
	}
	if m := binary.BigEndian.Uint32(header); m != chunks.MagicHeadChunks {
		return 0, fmt.Errorf("not a file of chunks of the head: it begins with %#x, not with %#x", m, chunks.MagicHeadChunks)
	}
	var c headChunk
	var buf bytes.Buffer
	for off = headFileHeader; ctx.Err() == nil; {
		n, err := c.read(r, &buf, size-off)
		if n == 0 || err != nil {
			return off, err
		}
		off += n
		each(&c)
	}
	return off, ctx.Err()
}

// read reads the next chunk, of which there are at most left bytes, and returns
// its length; 0 at the end of the file, which zeros may come before.
func (c *headChunk) read(r *bufio.Reader, buf *bytes.Buffer, left int64) (int64, error) {
	if left < headChunkHeader {
		rest, err := io.ReadAll(r)
		if len(bytes.Trim(rest, "\x00")) > 0 {
			err = errors.Join(err, fmt.Errorf("%d bytes are too few for a chunk", len(rest)))
		}
		return 0, err
	}
	peek := min(left, headChunkHeader+binary.MaxVarintLen32)
	head, err := r.Peek(int(peek))
	if err != nil {
		return 0, err
	}
	if len(bytes.Trim(head[:headChunkHeader-1], "\x00")) == 0 {
		return 0, nil
	}
	length, n := binary.Uvarint(head[headChunkHeader:])
	if n <= 0 || length < 2 || int64(length) > left-headChunkHeader-int64(n)-headChunkChecksum {
		return 0, fmt.Errorf("chunk of %d bytes, %d are left of the file", length, left)
	}
	total := headChunkHeader + int64(n) + int64(length) + headChunkChecksum
	buf.Reset()
	if _, err := io.CopyN(buf, r, total); err != nil {
		return 0, err
	}
	b := buf.Bytes()
	body, sum := b[:len(b)-headChunkChecksum], binary.BigEndian.Uint32(b[len(b)-headChunkChecksum:])
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return 0, fmt.Errorf("checksum of a chunk is %08x, want %08x", got, sum)
	}
	encoding := body[headChunkHeader-1]
	data := body[len(body)-int(length):]
	*c = headChunk{
		ref:        chunks.HeadSeriesRef(binary.BigEndian.Uint64(body)),
		mint:       int64(binary.BigEndian.Uint64(body[8:])),
		maxt:       int64(binary.BigEndian.Uint64(body[16:])),
		outOfOrder: encoding&chunks.OutOfOrderMask != 0,
		encoding:   chunkenc.Encoding(encoding &^ chunks.OutOfOrderMask),
		samples:    int(binary.BigEndian.Uint16(data)),
		weight:     1,
		data:       data,
	}
	if c.encoding != chunkenc.EncXOR && c.encoding != chunkenc.EncXOR2 {
		c.weight = histogramWeight(int(length) / max(c.samples, 1))
	}
	if c.mint > c.maxt {
		return 0, fmt.Errorf("chunk from %d to %d", c.mint, c.maxt)
	}
	return total, nil
}

// decode appends the samples of the chunk.
func (c *headChunk) decode(to *samples) (err error) {
	defer guard(&err)
	chunk, err := chunkenc.FromData(c.encoding, c.data)
	if err != nil {
		return err
	}
	return to.read(chunk.Iterator(nil))
}
