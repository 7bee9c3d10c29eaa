package takeover

import (
	"fmt"
	"io"
	"time"
)

// report writes lines about the progress: one for each part when it is done, and
// one every few seconds while it is not.
type report struct {
	out      io.Writer
	now      func() time.Time
	interval time.Duration

	parts   []part
	at      int
	total   uint64 // samples of all parts, about
	before  uint64 // of the parts that are done
	current uint64 // of the part at hand
	read    uint64 // samples that were read, exactly
	started time.Time
	spoke   time.Time
	ticks   int
}

func newReport(opts ImportOptions, parts []part) *report {
	r := &report{out: opts.Out, now: opts.Now, interval: opts.ReportInterval, parts: parts, started: opts.Now()}
	for i := range parts {
		r.total += parts[i].samples
	}
	return r
}

func (r *report) begin(source, target string, present int) {
	fmt.Fprintf(r.out, "importing %s into %s: %d parts, about %d samples; %d parts are there already\n", source, target, len(r.parts), r.total, present)
}

// part goes to part i.
func (r *report) part(i int) {
	r.before += r.current
	if i > 0 {
		r.before += r.parts[i-1].samples - min(r.parts[i-1].samples, r.current)
	}
	r.at, r.current, r.spoke = i, 0, r.now()
}

// progress says how many samples of the part were read. It is called for each
// series, and looks at the clock now and then.
func (r *report) progress(samples uint64) {
	r.current = samples
	if r.ticks++; r.ticks%256 != 0 || r.now().Sub(r.spoke) < r.interval {
		return
	}
	r.spoke = r.now()
	fmt.Fprintf(r.out, "%s: %d samples so far%s\n", r.prefix(), samples, r.pace())
}

// done says that the part became a block of so many bytes.
func (r *report) done(d *Digest, bytes int64) {
	r.current = d.Samples
	r.read += d.Samples
	what := "read back and the same"
	if bytes == 0 {
		what = "nothing to write"
	}
	fmt.Fprintf(r.out, "%s: %s: %s, %d bytes%s\n", r.prefix(), d, what, bytes, r.pace())
}

func (r *report) prefix() string {
	return fmt.Sprintf("%d of %d, %s", r.at+1, len(r.parts), r.parts[r.at].name)
}

// pace is the speed and what is left at it.
func (r *report) pace() string {
	elapsed := r.now().Sub(r.started)
	done := r.before + r.current
	if elapsed <= 0 || done == 0 {
		return ""
	}
	left := time.Duration(float64(elapsed) / float64(done) * float64(r.total-min(r.total, done)))
	return fmt.Sprintf(", %.0f samples/s, %s left", float64(done)/elapsed.Seconds(), left.Round(time.Second))
}

func (r *report) end(s *Summary) {
	fmt.Fprintf(r.out, "%d parts imported, %d series and %d samples in them, in %s; %d parts were there already; %d damaged\n",
		s.Imported, s.Series, s.Samples, r.now().Sub(r.started).Round(time.Millisecond), s.Present, len(s.Damages))
}

// formatTime is a time in milliseconds for people.
func formatTime(t int64) string { return time.UnixMilli(t).UTC().Format("2006-01-02T15:04:05.000Z") }
