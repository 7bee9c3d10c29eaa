// Command thanos measures Thanos's query engine over Prometheus's database. The
// command in the folder above builds and starts it: they cannot be one program, as
// Thanos's engine does not compile with the Prometheus that we use.
//
//	thanos measure JOB
//
// JOB is the job as JSON; the values come to the standard output as JSON.
package main
