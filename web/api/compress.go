package api

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// compressor is what gzip and zlib writers have in common.
type compressor interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// The writers are pooled, since each has some hundred kilobytes of tables. They
// use the fastest level: it takes about half the time of the default and leaves
// a range result 7 % larger, see BenchmarkGzipLevels, and the processor is what
// a monitoring server is short of.
var (
	gzipWriters = sync.Pool{New: func() any {
		w, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		return w
	}}
	zlibWriters = sync.Pool{New: func() any {
		w, err := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		return w
	}}
)

// Compressed returns h with its responses compressed by gzip or deflate for the
// clients that ask for it.
func Compressed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		encoding, pool := acceptedEncoding(r.Header.Get("Accept-Encoding"))
		if pool == nil {
			h.ServeHTTP(w, r)
			return
		}
		cw := &compressedWriter{ResponseWriter: w, encoding: encoding, pool: pool}
		defer cw.close()
		h.ServeHTTP(cw, r)
	})
}

// acceptedEncoding returns the first encoding of the header that we have, and
// nil if there is none.
func acceptedEncoding(header string) (string, *sync.Pool) {
	for clause := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(clause, ";")
		if refused(params) {
			continue
		}
		switch strings.TrimSpace(name) {
		case "gzip":
			return "gzip", &gzipWriters
		case "deflate":
			return "deflate", &zlibWriters
		}
	}
	return "", nil
}

// refused reports whether the parameters of an encoding give it the weight 0.
func refused(params string) bool {
	name, value, _ := strings.Cut(params, "=")
	if strings.TrimSpace(name) != "q" {
		return false
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q == 0
}

// compressedWriter compresses the body of a response. A response without a body
// is left as it is.
type compressedWriter struct {
	http.ResponseWriter
	encoding string
	pool     *sync.Pool
	// c is nil until the first byte is written.
	c compressor
	// started is whether the header has been written.
	started bool
}

// WriteHeader announces the encoding unless there will be no body.
func (w *compressedWriter) WriteHeader(status int) {
	if !w.started {
		w.started = true
		if status != http.StatusNoContent && status != http.StatusNotModified {
			w.Header().Del("Content-Length")
			w.Header().Set("Content-Encoding", w.encoding)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write compresses p.
func (w *compressedWriter) Write(p []byte) (int, error) {
	if !w.started {
		if w.Header().Get("Content-Type") == "" {
			// net/http would look at the compressed bytes.
			w.Header().Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.c == nil {
		w.c = w.pool.Get().(compressor)
		w.c.Reset(w.ResponseWriter)
	}
	return w.c.Write(p)
}

// Unwrap lets http.ResponseController reach the writer underneath.
func (w *compressedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// close ends the body. A panic passes through it: the body then ends early,
// and so it must not look complete.
func (w *compressedWriter) close() {
	if w.c == nil {
		return
	}
	if r := recover(); r != nil {
		panic(r)
	}
	// The error is that of the connection, which the handler has seen or the
	// client does not care about any more.
	_ = w.c.Close()
	w.c.Reset(io.Discard)
	w.pool.Put(w.c)
}
