// Package yield lets a long computation make room for whoever is waiting.
//
// Go takes a processor away from a goroutine after ten milliseconds. Work in the
// background that computes for longer than that, on a machine of which all
// processors are busy, makes everybody who waits for a connection, a timer or a
// lock wait as long. It therefore offers its processor more often.
package yield

import (
	"runtime"
	"runtime/metrics"
)

// Offer offers the processor of a goroutine to others. The zero value is ready; it is
// used by one goroutine.
type Offer struct{ running [1]metrics.Sample }

// Make lets others run if no processor is free for them. Where one is free they run
// anyway, and to yield would wake it up for nothing: a fifth of the processor time
// of a compaction that yields every hundred microseconds. It costs a tenth of a
// microsecond if it is not taken.
func (o *Offer) Make() {
	if o.running[0].Name == "" {
		o.running[0].Name = "/sched/goroutines/running:goroutines"
	}
	metrics.Read(o.running[:])
	if v := o.running[0].Value; v.Kind() != metrics.KindUint64 || v.Uint64() >= uint64(runtime.GOMAXPROCS(0)) {
		runtime.Gosched()
	}
}
