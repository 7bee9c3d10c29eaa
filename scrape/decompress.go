package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encodings of a body.
const (
	gzipEncoding = "gzip"
	zstdEncoding = "zstd"
)

// maxZstdWindow is how far back in the plain body a zstd body may refer, in bytes:
// what the decoder keeps of it. It is what the specification asks decoders to
// support, and encoders not to exceed.
const maxZstdWindow = 8 << 20

var errZstdNotAsked = errors.New("the target sent a zstd-compressed body without being asked to: enable_compression is off")

// decompressor decodes one body at a time. It keeps its windows: 40 KB for gzip,
// and for zstd up to maxZstdWindow, as much as the bodies asked for so far.
type decompressor struct {
	gzip *gzip.Reader
	zstd *zstd.Decoder
}

// decompressors are as many as there are processors. A body is decoded after all
// of it has arrived, so that a target that sends slowly holds none of them, and
// their windows are bounded however many scrapes run.
var decompressors = make(chan *decompressor, runtime.GOMAXPROCS(0))

func init() {
	for range cap(decompressors) {
		decompressors <- &decompressor{}
	}
}

// maxTrustedLength is how much room is made at once for what a target says that it
// is about to send, in bytes.
const maxTrustedLength = 1 << 20

// compressedLimit is the greatest size of a compressed body that is read if the
// plain one must stay below limit; 0 is no limit. What does not compress gets a
// little longer.
func compressedLimit(limit int64) int64 {
	if limit <= 0 {
		return 0
	}
	return limit + limit/64 + minBody
}

// readEncoded appends the plain body of a response to buf, as readAll does.
func (s *settings) readEncoded(ctx context.Context, buf []byte, resp *http.Response, encoding string) ([]byte, error) {
	if encoding == zstdEncoding && !s.compression {
		return buf, errZstdNotAsked
	}
	compressed := getBody(int(min(max(resp.ContentLength, 0), maxTrustedLength)) + bodySizeSlack)
	defer putBody(compressed)
	var err error
	if *compressed, err = readAll(*compressed, resp.Body, compressedLimit(s.bodySizeLimit)); err != nil {
		return buf, err
	}
	select {
	case d := <-decompressors:
		defer func() { decompressors <- d }()
		return d.decode(ctx, buf, *compressed, encoding, s.bodySizeLimit)
	case <-ctx.Done():
		return buf, ctx.Err()
	}
}

// decode appends the plain body to buf, as readAll does.
func (d *decompressor) decode(ctx context.Context, buf, compressed []byte, encoding string, limit int64) ([]byte, error) {
	source := &source{ctx: ctx, rest: compressed}
	r, err := d.open(source, encoding)
	if err == nil {
		buf, err = readAll(buf, r, limit)
	}
	if source.rest = nil; d.zstd != nil {
		_ = d.zstd.Reset(nil) // It never fails.
	}
	switch {
	case err == nil, errors.Is(err, errBodySizeLimit):
		return buf, err
	case ctx.Err() != nil:
		return buf, ctx.Err()
	default:
		return buf, markAs(errEncoding, fmt.Errorf("%s body: %w", encoding, err))
	}
}

// open returns a reader of the plain body.
func (d *decompressor) open(source *source, encoding string) (r io.Reader, err error) {
	if encoding == gzipEncoding {
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		return d.gzip, d.gzip.Reset(source)
	}
	if d.zstd == nil {
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			return nil, err
		}
	}
	return d.zstd, d.zstd.Reset(source)
}

// source reads a compressed body until the scrape ends.
type source struct {
	ctx  context.Context
	rest []byte
}

// sourceStep is how much is read before the context is looked at again.
const sourceStep = 4 << 10

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), sourceStep)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
