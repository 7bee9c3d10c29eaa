package parse

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/textparse"
)

// entries takes the entries of one of Prometheus's parsers. The bytes that such
// a parser has for a series are the line of the layout.
type entries struct {
	l         *Layout
	s         *Scrape
	opts      *Options
	p         textparse.Parser
	prev      uint32 // line of the sample before
	family    uint32
	announced bool // the family is new or has changed
	key       []byte
	labels    labels.Labels // of the sample at hand, if its line may need them
	exemplars []exemplar.Exemplar
}

// entryKey begins the hashed bytes of an entry, so that none is a line of the
// text format.
const entryKey = '\n'

// parseEntries reads a body that is not parsed by position.
func (l *Layout) parseEntries(s *Scrape, body []byte, contentType string, opts *Options) (err error) {
	defer func() {
		// A target must not be able to stop the server through a parser that is
		// not ours.
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser of %s panicked after sample %d: %v", l.media.contentType, s.Total, p)
		}
	}()
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), opts.textparse())
	if p == nil {
		return err
	}
	x := entries{l: l, s: s, opts: opts, p: p}
	for {
		entry, err := p.Next()
		if err == nil {
			err = x.take(entry)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && l.media.binary:
			return fmt.Errorf("sample %d: %w", s.Total+1, err)
		case err != nil:
			return err
		}
	}
}

func (x *entries) take(entry textparse.Entry) error {
	switch entry {
	case textparse.EntryType:
		name, typ := x.p.Type()
		x.announce(name, func(m *metadata.Metadata) { m.Type = typ })
	case textparse.EntryHelp:
		name, help := x.p.Help()
		x.announce(name, func(m *metadata.Metadata) {
			if m.Help != string(help) {
				m.Help = string(help)
			}
		})
	case textparse.EntryUnit:
		name, unit := x.p.Unit()
		x.announce(name, func(m *metadata.Metadata) {
			if m.Unit != string(unit) {
				m.Unit = string(unit)
			}
		})
	case textparse.EntrySeries, textparse.EntryHistogram:
		return x.sample(entry == textparse.EntryHistogram)
	}
	return nil
}

func (x *entries) announce(name []byte, change func(*metadata.Metadata)) {
	family, news := x.l.families.set(name, x.l.scrapes, change)
	x.announced = news || x.announced && family == x.family
	x.family = family
}

func (x *entries) sample(isHistogram bool) error {
	var (
		smp    sample
		series []byte
		t      *int64
	)
	if isHistogram {
		if series, t, smp.h, smp.fh = x.p.Histogram(); smp.h == nil && smp.fh == nil {
			return fmt.Errorf("series %q is announced as a histogram and has none", series)
		}
	} else {
		series, t, smp.value = x.p.Series()
	}
	if t != nil && x.opts.HonorTimestamps {
		smp.t, smp.timed = *t, true
	}
	x.key = append(append(x.key[:0], entryKey), series...)
	smp.hash, smp.size = maphash.Bytes(x.l.seed, x.key), 0
	// The parser of OpenMetrics forgets the labels when it looks ahead for the
	// start timestamp.
	known := x.l.index.find(x.l.lines, smp.hash)
	adopts := known != start && (x.announced || x.l.mayAdopt(known, x.family))
	if known == start || x.l.lines[known].column == markSide || smp.timed || adopts {
		x.p.Labels(&x.labels)
	}
	if x.opts.StartTimestamps {
		smp.start = x.p.StartTimestamp()
	}
	smp.exemplars = x.readExemplars(isHistogram)
	id, isNew, err := x.s.take(x.l, x.opts, &smp, x)
	if id != start {
		if !x.s.again {
			x.prev = x.l.link(x.prev, id, isNew)
		}
		if adopts {
			x.s.adopt(x.l, x.opts, id, x)
		}
	}
	return err
}

// readExemplars returns the exemplars of the sample. Those of native histograms
// need a timestamp to be told apart; without one they are left out, as
// Prometheus does.
func (x *entries) readExemplars(isHistogram bool) []exemplar.Exemplar {
	x.exemplars = x.exemplars[:0]
	for {
		var e exemplar.Exemplar
		if !x.p.Exemplar(&e) {
			break
		}
		if e.HasTs || !isHistogram {
			x.exemplars = append(x.exemplars, e)
		}
	}
	slices.SortFunc(x.exemplars, exemplar.Compare)
	return x.exemplars
}

// exposedLabels implements labeler.
func (x *entries) exposedLabels() labels.Labels { return x.labels }

func (x *entries) familyID() uint32 { return x.family }

// Labels finds the labels of samples with timestamps by reading the body once
// more, for series that the store has forgotten. It calls found for each of the
// samples whose index in s.Timed is in missing.
func (l *Layout) Labels(s *Scrape, body []byte, contentType string, opts *Options, missing []int, found func(i int, ls labels.Labels)) error {
	p, err := textparse.New(bytes.Clone(body), contentType, labels.NewSymbolTable(), opts.textparse())
	if p == nil {
		return err
	}
	byOrdinal := make(map[int]int, len(missing))
	for _, i := range missing {
		byOrdinal[s.Timed[i].ordinal] = i
	}
	for ordinal := 0; len(byOrdinal) > 0; {
		entry, err := p.Next()
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries && entry != textparse.EntryHistogram {
			continue
		}
		ordinal++
		i, ok := byOrdinal[ordinal]
		if !ok {
			continue
		}
		delete(byOrdinal, ordinal)
		var ls labels.Labels
		p.Labels(&ls)
		if ls, err = opts.Admit(ls); err != nil {
			return err
		}
		found(i, ls)
	}
	return nil
}
