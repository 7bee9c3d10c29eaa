package functions

// all are the functions by name.
var all = map[string]*Function{}
