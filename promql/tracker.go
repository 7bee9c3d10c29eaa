package promql

import (
	"context"
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

// tracker bounds how many queries run at once, and lists them in a file, so that
// after a crash one can see what ran. Until there is a file it does neither. It
// is used by any number of goroutines.
type tracker struct {
	max    int
	logger *slog.Logger

	mu struct {
		sync.RWMutex
		file *os.File
		// free has the places that are free.
		free chan int
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
	free := make(chan int, t.max)
	for i := range t.max {
		free <- i
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.file, t.mu.free = file, free
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

// untracked is the place of a query that came before the file.
const untracked = -1

// insert takes a place, waiting for one until ctx is done. It is given back by
// remove.
func (t *tracker) insert(ctx context.Context, query string) (int, error) {
	t.mu.RLock()
	file, free := t.mu.file, t.mu.free
	t.mu.RUnlock()
	if file == nil {
		return untracked, nil
	}
	select {
	case place := <-free:
		t.write(file, place, entry(query, time.Now().Unix()))
		return place, nil
	case <-ctx.Done():
		return untracked, ctx.Err()
	}
}

// remove gives a place back.
func (t *tracker) remove(place int) {
	if place == untracked {
		return
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	t.write(t.mu.file, place, make([]byte, placeSize))
	t.mu.free <- place
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
