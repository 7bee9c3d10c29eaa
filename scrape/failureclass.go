package scrape

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"

	"github.com/gnomonhq/gnomon/scrape/parse"
	"github.com/gnomonhq/gnomon/storage"
)

// FailureClass says what kind of failure a scrape met.
type FailureClass uint8

// The classes of failures.
const (
	NoFailure          FailureClass = iota
	FailureRequest                  // the request could not be made: a bad URL, a client that cannot be built
	FailureResolve                  // the host has no address
	FailureConnect                  // no connection, or it broke
	FailureTLS                      // the handshake failed: a certificate, a version
	FailureTimeout                  // scrape_timeout is over
	FailureStatus                   // an HTTP status other than 200
	FailureEncoding                 // the body is not compressed as it says
	FailureBodySize                 // body_size_limit
	FailureTargetLimit              // target_limit
	FailureSampleLimit              // sample_limit
	FailureBucketLimit              // native_histogram_bucket_limit
	FailureLabelLimit               // label_limit and its companions
	FailureParse                    // the body is not an exposition
	FailureStorage                  // the store takes nothing
)

// String returns the name that the HTTP API shows.
func (c FailureClass) String() string {
	return [...]string{
		"", "request", "resolve", "connect", "tls", "timeout", "status", "encoding", "body_size",
		"target_limit", "sample_limit", "bucket_limit", "label_limit", "parse", "storage",
	}[c]
}

// Errors that mark where a scrape failed, for its class. Their text is not shown.
var (
	errTargetLimit = errors.New("target limit")
	errStatus      = errors.New("status")
	errEncoding    = errors.New("encoding")
	errRequest     = errors.New("request")
)

// marked is an error with the text of one and the identity of a mark besides.
type marked struct {
	error
	mark error
}

func (e *marked) Unwrap() []error { return []error{e.error, e.mark} }

func markAs(mark, err error) error {
	if err == nil {
		return nil
	}
	return &marked{err, mark}
}

// fetchFailure returns the class of an error before the body was parsed.
func fetchFailure(err error) FailureClass {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		network     net.Error
	)
	switch {
	case err == nil:
		return NoFailure
	case errors.Is(err, errTargetLimit):
		return FailureTargetLimit
	case errors.Is(err, errRequest):
		return FailureRequest
	case errors.Is(err, errStatus):
		return FailureStatus
	case errors.Is(err, errBodySizeLimit):
		return FailureBodySize
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return FailureTimeout
	case errors.Is(err, errEncoding), errors.Is(err, errZstdNotAsked):
		return FailureEncoding
	case errors.As(err, &dns):
		return FailureResolve
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record), errors.As(err, &alert):
		return FailureTLS
	case errors.As(err, &network) && network.Timeout():
		return FailureTimeout
	default:
		return FailureConnect
	}
}

// bodyFailure returns the class of an error of parsing a body.
func bodyFailure(err error) FailureClass {
	switch {
	case err == nil:
		return NoFailure
	case errors.Is(err, parse.ErrSampleLimit):
		return FailureSampleLimit
	case errors.Is(err, parse.ErrBucketLimit):
		return FailureBucketLimit
	case errors.Is(err, errLabelLimit):
		return FailureLabelLimit
	case isStorageFailure(err):
		return FailureStorage
	default:
		return FailureParse
	}
}

func isStorageFailure(err error) bool {
	return errors.Is(err, storage.ErrNoSpace) || errors.Is(err, storage.ErrClosed) || errors.Is(err, errAddSeries)
}
