package exec

import (
	"github.com/prometheus/common/model"

	"github.com/gnomonhq/gnomon/promql/functions"
	"github.com/gnomonhq/gnomon/promql/plan"
)

// smoothed is a selector without a range with the modifier smoothed: what lies
// between the samples before and after each step.
type smoothed struct {
	sc  *scope
	src *windowSource
	w   functions.Windows
	// args get the annotations.
	args  functions.Args
	notes functions.Annotations
	at    rangeSamples
	hists histogramSizes
	used  usage
}

func (sc *scope) newSmoothed(n *plan.Selector) *smoothed {
	o := &smoothed{sc: sc}
	o.args = functions.Args{Modifier: functions.Smoothed, Pos: n.Pos, Annotations: &o.notes}
	o.w = sc.windows(n.At, functions.NewWindows(sc.origin(n.At), sc.step, sc.n, 0, n.Offset))
	o.src = sc.newWindowSource(&plan.Window{Selector: n}, &o.w, false)
	return o
}

// usage has the samples around the steps, not those of the result: Prometheus
// counts those of the last step of each series until the end.
func (o *smoothed) usage() usage { return o.used }

// count adds the samples of a series.
func (o *smoothed) count() error {
	widest, last := o.at.look.widest, o.at.look.last()
	if o.at.histLook != nil {
		o.hists.of(&o.at, o.sc.n)
		widest, last = o.hists.widest, o.hists.last
	}
	o.used.peak = max(o.used.peak, o.used.held+widest)
	o.used.held += last
	return o.sc.check(o.used)
}

func (o *smoothed) next(s *series) (bool, error) {
	for {
		ok, err := o.src.next(&o.at)
		if err != nil {
			return false, err
		}
		if !ok {
			o.sc.done(&o.notes)
			return false, nil
		}
		if err := o.count(); err != nil {
			return false, err
		}
		s.reset(o.sc.n)
		o.args.Metric = o.at.metric.Get(model.MetricNameLabel)
		for step := range o.sc.n {
			w, any := o.at.window(step)
			if !any {
				continue
			}
			w.At(&o.w, step)
			f, h, ok := functions.Smooth(&w, &o.args)
			switch {
			case !ok:
			case h != nil:
				s.setHist(step, o.sc.n, h)
			default:
				s.Floats[step] = f
				s.Valid.Set(step)
			}
		}
		if !s.empty() {
			s.metric = o.at.metric
			return true, nil
		}
	}
}

// window returns what a step sees, and whether that is anything.
func (at *rangeSamples) window(step int) (functions.Window, bool) {
	lo, hi := at.look.lo[step], at.look.hi[step]
	w := functions.Window{FloatSamples: functions.FloatSamples{Times: at.floats.Times[lo:hi], Values: at.floats.Values[lo:hi]}}
	if at.floats.Starts != nil {
		w.Starts = at.floats.Starts[lo:hi]
	}
	any := lo < hi
	if at.histLook != nil {
		lo, hi := at.histLook.lo[step], at.histLook.hi[step]
		w.HistTimes, w.Hists = at.histTimes[lo:hi], at.hists[lo:hi]
		if at.histStarts != nil {
			w.HistStarts = at.histStarts[lo:hi]
		}
		any = any || lo < hi
	}
	return w, any
}
