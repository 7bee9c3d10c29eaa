package promql

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// activeQueriesFile is the list of running queries: a "[", then a place of
	// placeSize bytes for each query that may run at once. A place that is taken
	// has a JSON object, zeros and a comma at its end, a free one zeros only.
	// Without the zeros, and with "]" for the last comma, the file is a JSON array.
	activeQueriesFile = "queries.active"
	placeSize         = 1000
)

// tracker lists the running queries in a file, so that after a crash one can see
// what ran. Until there is a file it does nothing. It is used by any number of
// goroutines.
type tracker struct {
	max    int // places
	logger *slog.Logger

	mu struct {
		sync.RWMutex
		file *os.File
	}
}

// activeQuery is a query in the file.
type activeQuery struct {
	Query     string `json:"query"`
	Timestamp int64  `json:"timestamp_sec"`
}

// open makes the file in dir, after saying what the one that was there lists.
func (t *tracker) open(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("open the list of running queries: %w", err)
	}
	path := filepath.Join(dir, activeQueriesFile)
	t.logUnfinished(path)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o666)
	if err != nil {
		return fmt.Errorf("open the list of running queries: %w", err)
	}
	// The whole file is written at once, so that a full disk shows up now.
	empty := make([]byte, 1+t.max*placeSize)
	empty[0] = '['
	if _, err := file.Write(empty); err != nil {
		return errors.Join(fmt.Errorf("write the list of running queries %s: %w", path, err), file.Close())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.file = file
	return nil
}

// logUnfinished says which queries a file lists.
func (t *tracker) logUnfinished(path string) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.logger.Error("the list of queries that ran before cannot be read", "file", path, "err", err)
		return
	}
	list := strings.ReplaceAll(string(data), "\x00", "")
	if list = strings.TrimSuffix(list, ","); len(list) > 1 {
		t.logger.Info("these queries ran when the process before ended", "queries", list+"]")
	}
}

// insert lists a query at a place, which is its own until it is removed.
func (t *tracker) insert(place int, query string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.mu.file != nil {
		t.write(t.mu.file, place, entry(query, time.Now().Unix()))
	}
}

// remove takes a query out of the list.
func (t *tracker) remove(place int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.mu.file != nil {
		t.write(t.mu.file, place, make([]byte, placeSize))
	}
}

// write fills a place. That it fails does not matter to the query.
func (t *tracker) write(file *os.File, place int, data []byte) {
	if _, err := file.WriteAt(data, 1+int64(place)*placeSize); err != nil && !errors.Is(err, os.ErrClosed) {
		t.logger.Warn("the list of running queries cannot be written", "file", file.Name(), "err", err)
	}
}

// entry is the content of a place. A query that is too long is cut.
func entry(query string, now int64) []byte {
	out := make([]byte, placeSize)
	out[placeSize-1] = ','
	for {
		data, err := json.Marshal(activeQuery{query, now})
		if err == nil && len(data) < placeSize {
			copy(out, data)
			return out
		}
		over := max(1, (len(data)-placeSize)/6) // a byte takes up to six in JSON
		query = strings.ToValidUTF8(query[:max(0, len(query)-over)], "")
	}
}

// close ends the list.
func (t *tracker) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.file == nil {
		return nil
	}
	return t.mu.file.Close()
}
