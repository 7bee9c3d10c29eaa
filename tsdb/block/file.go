package block

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/gnomonhq/gnomon/internal/vfs"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Constants of the files; they never change.
const (
	fileHeader      = 16
	indexMagic      = "GIDX"
	dataMagic       = "GDAT"
	tombstonesMagic = "GTMB"
	fileVersion     = 1
)

func readDir(fsys vfs.FS, dir string) ([]vfs.Entry, error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

func appendFileHeader(dst []byte, magic string) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, fileVersion)
	return append(dst, make([]byte, fileHeader-(len(dst)-start))...)
}

// checkFileHeader checks the first bytes of a file.
func checkFileHeader(data []byte, magic, file string) error {
	at := part{file, 0}
	if len(data) < fileHeader {
		return at.corrupt("file of %d bytes is too short", len(data))
	}
	if string(data[:4]) != magic {
		return &CorruptionError{File: file, Reason: "magic", Want: magic, Got: fmt.Sprintf("%q", data[:4])}
	}
	if data[4] != fileVersion {
		return fmt.Errorf("%s: version %d, this program reads %d", file, data[4], fileVersion)
	}
	for i, b := range data[5:fileHeader] {
		if b != 0 {
			return part{file, int64(5 + i)}.corrupt("reserved byte of the header is %#02x, want 0", b)
		}
	}
	return nil
}

// syncBytes is how much is written before it is made durable. Many dirty pages at once would
// make the log's syncs wait.
const syncBytes = 16 << 20

// fileWriter writes a file front to back and knows how far it is.
type fileWriter struct {
	file   vfs.File
	buf    *bufio.Writer
	off    int64
	synced int64 // Offset of the last sync.
}

func newFileWriter(fsys vfs.FS, name, magic string) (*fileWriter, error) {
	f, err := fsys.Create(name)
	if err != nil {
		return nil, err
	}
	w := &fileWriter{file: f, buf: bufio.NewWriterSize(f, 256<<10)}
	if err := w.write(appendFileHeader(nil, magic)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

func (w *fileWriter) write(p []byte) error {
	n, err := w.buf.Write(p)
	w.off += int64(n)
	if err != nil || w.off-w.synced < syncBytes {
		return err
	}
	w.synced = w.off
	if err := w.buf.Flush(); err != nil {
		return err
	}
	return w.file.Sync()
}

// finish makes the file durable and closes it.
func (w *fileWriter) finish() error {
	err := w.buf.Flush()
	if err == nil {
		err = w.file.Sync()
	}
	return errors.Join(err, w.file.Close())
}

// byteReader decodes numbers from bytes; after the first error it gives zeroes.
type byteReader struct {
	b   []byte
	bad bool
}

func (r *byteReader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // Most are.
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	return r.longUvarint()
}

func (r *byteReader) longUvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// uint32 reads a uvarint that must fit.
func (r *byteReader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.bad = true
		return 0
	}
	return uint32(v)
}

func (r *byteReader) svarint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *byteReader) byte() byte {
	b := r.bytes(1)
	if r.bad {
		return 0
	}
	return b[0]
}

// bytes reads n bytes, which share memory with the source.
func (r *byteReader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *byteReader) uint64() uint64 {
	b := r.bytes(8)
	if r.bad {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// count reads the number of things that take at least size bytes each.
func (r *byteReader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(n)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendSvarint(dst []byte, n int64) []byte {
	return binary.AppendUvarint(dst, uint64(n)<<1^uint64(n>>63))
}
