package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"strconv"
	"sync"
	"time"
)

var errBodySizeLimit = errors.New("body size limit exceeded")

// newRequest returns the request that scrapes a target.
func newRequest(t *Target, accept, acceptEncoding, userAgent string) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodGet, t.url.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", acceptEncoding)
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(t.timeout.Seconds(), 'f', -1, 64))
	return req, nil
}

// fetch gets the body of a target into buf, which may be reallocated.
func (s *settings) fetch(ctx context.Context, buf []byte) (body []byte, contentType string, err error) {
	if s.requestErr != nil {
		return buf[:0], "", markAs(errRequest, s.requestErr)
	}
	ctx, cancel := context.WithTimeout(ctx, s.target.timeout)
	defer cancel()
	resp, err := s.client.Do(s.request.WithContext(ctx))
	if err != nil {
		return buf[:0], "", err
	}
	read := false
	defer func() {
		if !read {
			// Reading to the end lets the connection be used again.
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxDiscard))
		}
		_ = resp.Body.Close()
	}()
	if resp.StatusCode != http.StatusOK {
		return buf[:0], "", markAs(errStatus, fmt.Errorf("server returned HTTP status %s", resp.Status))
	}
	switch encoding := resp.Header.Get("Content-Encoding"); encoding {
	case gzipEncoding, zstdEncoding:
		body, err = s.readEncoded(ctx, buf[:0], resp, encoding)
	default:
		body, err = readAll(buf[:0], resp.Body, s.bodySizeLimit)
	}
	read = err == nil
	return body, resp.Header.Get("Content-Type"), err
}

// maxDiscard is how much of an unwanted body is read for the sake of the
// connection.
const maxDiscard = 256 << 10

// readAll appends what r has to buf. limit is a size in bytes that the body must
// stay below; 0 is no limit. The result has a byte of capacity to spare.
func readAll(buf []byte, r io.Reader, limit int64) ([]byte, error) {
	for {
		if cap(buf)-len(buf) < minRead {
			buf = growBody(buf)
		}
		n, err := r.Read(buf[len(buf) : cap(buf)-1])
		buf = buf[:len(buf)+n]
		if limit > 0 && int64(len(buf)) >= limit {
			return buf, errBodySizeLimit
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

const minRead = 512

// Bodies are kept in pools by size, so that the body of a small target does not
// hold a large buffer. Class c has buffers of at least minBody<<c bytes.
const (
	minBody     = 8 << 10
	bodyClasses = 16
)

var bodies [bodyClasses]sync.Pool

func bodyClass(size int) int {
	return min(bits.Len(uint(max(size, 1)-1)/minBody), bodyClasses-1)
}

// getBody returns an empty buffer with room for size bytes.
func getBody(size int) *[]byte {
	c := bodyClass(size)
	if b, ok := bodies[c].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, max(size, minBody<<c))
	return &b
}

// putBody gives a buffer back.
func putBody(b *[]byte) {
	if cap(*b) < minBody {
		return
	}
	c := bits.Len(uint(cap(*b))/minBody) - 1
	*b = (*b)[:0]
	bodies[min(c, bodyClasses-1)].Put(b)
}

// growBody moves a body to a buffer of twice the size.
func growBody(b []byte) []byte {
	grown := make([]byte, len(b), max(2*cap(b), minBody))
	copy(grown, b)
	return grown
}

// bodySizeSlack is added to the size of the last body for the next one.
const bodySizeSlack = minRead + 1

// since is the time since start, never negative.
func since(start time.Time) time.Duration { return max(0, time.Since(start)) }
