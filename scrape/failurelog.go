package scrape

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/common/promslog"
)

// failureLog is the file that a job's failed scrapes are logged to, one JSON
// object a line.
type failureLog struct {
	file *os.File
	log  *slog.Logger
}

// openFailureLog opens the file for appending; it is made if it does not exist.
func openFailureLog(path string) (*failureLog, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("scrape failure log: %w", err)
	}
	format := promslog.NewFormat()
	if err := format.Set("json"); err != nil {
		return nil, fmt.Errorf("scrape failure log %s: %w", path, err)
	}
	return &failureLog{file: f, log: promslog.New(&promslog.Config{Format: format, Writer: f})}, nil
}

// of returns the logger for a target of a job. A nil log has none.
func (l *failureLog) of(job string, t *Target) *slog.Logger {
	if l == nil {
		return nil
	}
	return l.log.With("job_name", job, "target", t.String())
}

// close closes the file. What is logged afterwards is lost.
func (l *failureLog) close() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("scrape failure log: %w", err)
	}
	return nil
}
