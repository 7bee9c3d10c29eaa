// Package alerting is the vocabulary shared by the rooms of rule evaluation:
// what a query of a rule returns ([Vector], [Sample]), how a rule asks for one
// ([QueryFunc]) and how a query knows which rule asked ([Origin]). It holds no
// behaviour.
//
// The rooms below it, in the order in which data flows:
//
//   - rules reads rule files, evaluates groups of recording and alerting rules
//     on their interval and writes the results into storage;
//   - state is the alert state machine and the restoration after a restart, as
//     functions of state, input and time, without clock, lock or I/O;
//   - template expands the labels and annotations of alerts;
//   - notify delivers alerts to Alertmanagers.
//
// What it is not: a query engine. Queries are asked for through [QueryFunc], so
// that neither Gnomon's engine nor upstream's is linked here.
//
// # Own and borrowed
//
// Upstream's model/rulefmt and template packages link upstream's whole PromQL
// engine, and template registers counters in the global registry while it is
// initialised. The rule file reader and the templates are therefore ours; they
// accept the same input and give the same output, which tests hold against
// upstream's. The sender, upstream's notifier, links neither the engine nor
// the database and is borrowed.
package alerting
