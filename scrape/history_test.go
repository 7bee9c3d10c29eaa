package scrape

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/gnomonhq/gnomon/scrape/parse"
	"github.com/gnomonhq/gnomon/storage"
)

func TestHistoryKeepsTheLastScrapes(t *testing.T) {
	var h history
	_, ok := h.latest()
	require.False(t, ok)
	require.Empty(t, h.list())
	record := func(i int) Record {
		r := Record{
			Start: time.UnixMilli(int64(i) * 15_000), Duration: time.Duration(i) * time.Millisecond, Bytes: i,
			Scraped: 3 * i, Samples: 2 * i, Added: i,
		}
		if i%7 == 3 {
			r.Class, r.Err = FailureStatus, keptError(fmt.Sprint("status ", i%3))
		}
		return r
	}
	for i := range 10 * keptRecords {
		h.add(record(i))
		list := h.list()
		require.Len(t, list, min(i+1, keptRecords))
		for j := range list {
			require.Equal(t, record(i-len(list)+1+j), list[j])
		}
		last, ok := h.latest()
		require.True(t, ok)
		require.Equal(t, record(i), last)
	}
}

// TestHistoryIsBounded has a target that fails in a different way each time, and
// whose errors are long.
func TestHistoryIsBounded(t *testing.T) {
	require.EqualValues(t, 32, unsafe.Sizeof(packedRecord{}))
	var h history
	const more = 70_000 // more than there are numbers of texts
	for i := range more {
		h.add(Record{Bytes: math.MaxInt, Scraped: math.MaxInt, Duration: math.MaxInt64, Class: FailureParse, Err: fmt.Errorf("%d %s", i, strings.Repeat("ä", 1<<10))})
	}
	h.add(Record{Class: FailureBodySize, Bytes: -1, Err: errBodySizeLimit})
	size := cap(h.ring)*int(unsafe.Sizeof(packedRecord{})) + cap(h.texts)*int(unsafe.Sizeof("")) + cap(h.numbers)*2
	for _, text := range h.texts {
		size += len(text)
		require.True(t, utf8.ValidString(text))
	}
	require.LessOrEqual(t, size, 2048+keptTexts*(maxKeptBytes+16+2))

	list := h.list()
	require.Len(t, list, keptRecords)
	require.Equal(t, -1, list[keptRecords-1].Bytes)
	require.Same(t, errBodySizeLimit, list[keptRecords-1].Err, "the last error is whole")
	for i, r := range list[:keptRecords-1] {
		number := more - keptRecords + 1 + i
		require.EqualValues(t, math.MaxInt32, r.Bytes)
		require.EqualValues(t, math.MaxUint32, r.Scraped)
		require.Equal(t, FailureParse, r.Class)
		if number < more-keptTexts+1 {
			require.EqualError(t, r.Err, "the text is not kept any more; the failure was of class parse")
			continue
		}
		require.LessOrEqual(t, len(r.Err.Error()), maxKeptBytes)
		require.True(t, strings.HasPrefix(r.Err.Error(), fmt.Sprint(number, " ä")), r.Err)
		require.True(t, strings.HasSuffix(r.Err.Error(), "…"))
	}
}

func TestFailureClasses(t *testing.T) {
	for want, errs := range map[FailureClass][]error{
		NoFailure:          {nil},
		FailureRequest:     {markAs(errRequest, errors.New("x"))},
		FailureResolve:     {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}},
		FailureConnect:     {&net.OpError{Op: "dial", Err: errors.New("refused")}, errors.New("x")},
		FailureTLS:         {x509.UnknownAuthorityError{}, &tls.CertificateVerificationError{Err: errors.New("x")}, tls.RecordHeaderError{}, tls.AlertError(42)},
		FailureTimeout:     {context.DeadlineExceeded, &net.DNSError{Err: "x", IsTimeout: true, UnwrapErr: context.DeadlineExceeded}},
		FailureStatus:      {markAs(errStatus, errors.New("x"))},
		FailureEncoding:    {markAs(errEncoding, errors.New("x")), errZstdNotAsked},
		FailureBodySize:    {errBodySizeLimit},
		FailureTargetLimit: {markAs(errTargetLimit, errors.New("x"))},
	} {
		for _, err := range errs {
			require.Equal(t, want, fetchFailure(err), "%v", err)
			if err != nil {
				require.Equal(t, want, fetchFailure(fmt.Errorf("get: %w", err)), "%v", err)
			}
		}
	}
	for want, err := range map[FailureClass]error{
		NoFailure:          nil,
		FailureSampleLimit: parse.ErrSampleLimit,
		FailureBucketLimit: parse.ErrBucketLimit,
		FailureLabelLimit:  labelLimitError("x"),
		FailureStorage:     storage.ErrNoSpace,
		FailureParse:       errors.New("line 1: x"),
	} {
		require.Equal(t, want, bodyFailure(err))
	}
	names := map[string]bool{}
	for c := NoFailure; c <= FailureStorage; c++ {
		require.False(t, names[c.String()], "class %d has a name of its own", c)
		names[c.String()] = true
	}
}
