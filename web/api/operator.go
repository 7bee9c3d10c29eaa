package api

import (
	"net/http"
)

// OperatorObject is an object of the Prometheus Operator and what became of it.
type OperatorObject struct {
	Kind, Namespace, Name string
	// Jobs are the names of the jobs that it makes, RuleFile is that of its rules.
	Jobs     []string
	RuleFile string
	// Reason and Message say why it was rejected; both are empty if it was not.
	Reason, Message string
}

// operatorObjects serves /status/operator, which Prometheus does not have.
func (a *API) operatorObjects(*http.Request) (response, error) {
	if a.opts.OperatorObjects == nil {
		return response{}, unavailable("operator")
	}
	objects := a.opts.OperatorObjects()
	return response{data: func(e *encoder) {
		e.raw(`{"objects":[`)
		for i := range objects {
			e.comma(i)
			e.operatorObject(&objects[i])
			e.spill()
		}
		e.raw(`]}`)
	}}, nil
}

func (e *encoder) operatorObject(o *OperatorObject) {
	e.raw(`{"kind":`)
	e.str(o.Kind)
	e.raw(`,"namespace":`)
	e.str(o.Namespace)
	e.raw(`,"name":`)
	e.str(o.Name)
	e.raw(`,"accepted":`)
	e.boolean(o.Reason == "")
	e.raw(`,"reason":`)
	e.str(o.Reason)
	e.raw(`,"message":`)
	e.str(o.Message)
	e.raw(`,"jobs":`)
	e.strs(o.Jobs)
	e.raw(`,"ruleFile":`)
	e.str(o.RuleFile)
	e.rawByte('}')
}
