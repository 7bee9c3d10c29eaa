package exec

import (
	"runtime/debug"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gnomonhq/gnomon/storage"
)

// spreadable is an operator that computes each series by itself from one that a
// selector finds, so that several goroutines can do so beside each other.
type spreadable interface {
	operator
	// selected is the selector.
	selected() *selection
	// clone returns an operator that computes for another goroutine.
	clone() spreadable
	// compute fills s, which has room for the steps, from a series. It is empty if
	// there is no value.
	compute(s *series, found *foundSeries) (cost, error)
	// account adds a series to the statistics and to what the operator uses. It is
	// called in the order of the series.
	account(c *cost) error
	// absorb takes over what a clone noted. The clone is not used any more.
	absorb(clone spreadable)
	// finish is called when all series were computed.
	finish() error
}

// foundSeries is a series with its labels, which are asked for by one goroutine.
type foundSeries struct {
	storage.Series
	metric labels.Labels
}

// cost is what computing a series came to.
type cost struct {
	// total and fresh are the samples that the steps see, and those that a step is
	// the first to see; widest is the most at one step and last those at the last.
	total, fresh int64
	widest, last int
	// size is what the result counts as, and read the samples that were read.
	size, read int
}

// spread computes the series of an operator by several goroutines once it turns
// out to be worth it, and yields them in their order: sums are the same to the bit
// however many there are.
//
// The goroutine of the query looks up series and hands them out in jobs, a few of
// which are under way; it takes the results in the order of the jobs.
type spread struct {
	sc *scope
	op spreadable
	// found is the series that the query computes by itself.
	found foundSeries
	cost  cost
	// work is about what was computed so far, and series how many that were. After
	// so much goroutines compute.
	work, series, after int

	workers []spreadable
	jobs    chan *spreadJob // nil until goroutines compute
	done    sync.WaitGroup
	perJob  int // series
	// under are the jobs under way, in their order, and spare those that are done.
	under, spare []*spreadJob
	// current is the job whose results are being yielded, the next one is at.
	current *spreadJob
	at      int
	// searched says that there are no more series, and failed why there are no more.
	searched bool
	failed   error
	made     int // bytes
}

// spreadJob is a few series.
type spreadJob struct {
	found   []foundSeries
	results []spreadResult
	ready   chan struct{} // has room for one
	fault   *Fault
}

// Fault is a panic of a goroutine that computed series. The goroutine of the query
// panics with it in turn.
type Fault struct {
	Value any
	Stack []byte
}

type spreadResult struct {
	series series
	cost   cost
	err    error
}

// What is worth it, in about the samples and steps that take as long.
const (
	// seriesWork is the work of a series beside its samples and steps.
	seriesWork = 100
	// spreadAfter is the work that the query does by itself, about a millisecond:
	// waking other processors costs a tenth of that.
	spreadAfter = 150_000
	// jobWork is the work of a job, and maxPerJob how many series it has at most.
	jobWork, maxPerJob = 16_000, 64
)

// newSpread returns the operator itself if it cannot be spread.
func (sc *scope) newSpread(op spreadable) operator {
	if sc.opts.Workers < 2 || sc.counts.StepTrackingEnabled() {
		return op
	}
	after := sc.opts.SpreadAfter
	if after == 0 {
		after = spreadAfter
	}
	return &spread{sc: sc, op: op, after: after}
}

func (p *spread) usage() usage { return p.op.usage() }

func (p *spread) next(s *series) (bool, error) {
	if p.jobs == nil {
		return p.nextAlone(s)
	}
	for {
		if p.current != nil {
			if ok, err := p.yield(s); ok || err != nil {
				return ok, err
			}
			p.spare, p.current = append(p.spare, p.current), nil
		}
		p.handOut()
		if len(p.under) == 0 {
			return false, p.end()
		}
		p.current, p.at = p.under[0], 0
		p.under = p.under[1:]
		<-p.current.ready
		if fault := p.current.fault; fault != nil {
			panic(fault)
		}
	}
}

// nextAlone computes a series, and begins to spread the rest when there was much
// to do.
func (p *spread) nextAlone(s *series) (bool, error) {
	for {
		found, err := p.op.selected().series()
		if err != nil {
			return false, err
		}
		if found == nil {
			return false, p.op.finish()
		}
		p.found = foundSeries{found, found.Labels()}
		c, err := p.op.compute(s, &p.found)
		if err == nil {
			p.cost = c
			err = p.op.account(&p.cost)
		}
		if err != nil {
			return false, err
		}
		p.series++
		if p.work += seriesWork + c.read + p.sc.n; p.work > p.after {
			p.begin()
		}
		if !s.empty() {
			return true, nil
		}
		if p.jobs != nil {
			return p.next(s)
		}
	}
}

// begin starts the goroutines. They end with the query at the latest.
func (p *spread) begin() {
	p.perJob = max(1, min(jobWork/max(1, p.work/p.series), maxPerJob))
	n := p.sc.opts.Workers
	p.jobs = make(chan *spreadJob, 2*n)
	p.sc.atEnd(p.stop)
	for range n {
		w := p.op.clone()
		p.workers = append(p.workers, w)
		p.done.Go(func() {
			for job := range p.jobs {
				p.run(w, job)
				job.ready <- struct{}{}
			}
		})
	}
}

// run computes a job.
func (p *spread) run(w spreadable, job *spreadJob) {
	defer func() {
		if fault := recover(); fault != nil {
			job.fault = &Fault{fault, debug.Stack()}
		}
	}()
	for i := range job.found {
		r := &job.results[i]
		r.series.reset(p.sc.n)
		if r.err = p.sc.interrupted(); r.err == nil {
			r.cost, r.err = w.compute(&r.series, &job.found[i])
		}
		if r.err != nil {
			return
		}
	}
}

// handOut looks up series until as many jobs are under way as may.
func (p *spread) handOut() {
	for !p.searched && len(p.under) < cap(p.jobs) {
		job := p.job()
		for len(job.found) < p.perJob {
			found, err := p.op.selected().series()
			if found == nil {
				p.searched, p.failed = true, err
				break
			}
			job.found = append(job.found, foundSeries{found, found.Labels()})
		}
		if len(job.found) == 0 {
			return
		}
		p.under = append(p.under, job)
		p.jobs <- job
	}
}

// job returns an empty job.
func (p *spread) job() *spreadJob {
	if n := len(p.spare); n > 0 {
		job := p.spare[n-1]
		p.spare = p.spare[:n-1]
		clear(job.found)
		job.found = job.found[:0]
		return job
	}
	job := &spreadJob{
		found: make([]foundSeries, 0, p.perJob), results: make([]spreadResult, p.perJob), ready: make(chan struct{}, 1),
	}
	memory := slab{n: p.sc.n, made: p.perJob}
	for i := range job.results {
		job.results[i].series = *memory.next()
	}
	bytes := p.perJob * (seriesOverhead + 9*p.sc.n)
	p.made += bytes
	if err := p.sc.memory.take(bytes); err != nil && p.failed == nil {
		p.searched, p.failed = true, err
	}
	return job
}

// yield fills s with the next result of the job at hand that has a value.
func (p *spread) yield(s *series) (bool, error) {
	for p.at < len(p.current.found) {
		r := &p.current.results[p.at]
		p.at++
		if r.err != nil {
			return false, r.err
		}
		if err := p.op.account(&r.cost); err != nil {
			return false, err
		}
		if !r.series.empty() {
			r.series.handOut(s)
			return true, nil
		}
	}
	return false, nil
}

// end takes over what the goroutines noted.
func (p *spread) end() error {
	p.stop()
	if p.failed != nil {
		return p.failed
	}
	return p.op.finish()
}

// stop waits until the goroutines have ended.
func (p *spread) stop() {
	if p.workers == nil {
		return
	}
	close(p.jobs)
	p.done.Wait()
	for _, w := range p.workers {
		p.op.absorb(w)
	}
	p.workers = nil
	p.sc.memory.give(p.made)
	p.made = 0
}
