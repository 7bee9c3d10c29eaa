package promql

// Origin says what asked a query, for the query log and the list of running
// queries. The zero value is unknown.
type Origin struct {
	// ClientIP, Method and Path are those of an HTTP request.
	ClientIP, Method, Path string
	// RuleFile and RuleGroup name a rule group.
	RuleFile, RuleGroup string
}
