package alerting

import "context"

// Origin says which rule a query is made for, so that a query log and
// admission control can tell.
type Origin struct {
	// File and Group name the rule group.
	File, Group string
	// Rule is the name of the alert or of the recorded series.
	Rule string
	// Alerting is true for an alerting rule, false for a recording rule.
	Alerting bool
}

type originKey struct{}

// WithOrigin returns a context whose queries are made for o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the origin of a query's context, and false if it was not
// made for a rule.
func OriginOf(ctx context.Context) (Origin, bool) {
	o, ok := ctx.Value(originKey{}).(Origin)
	return o, ok
}
