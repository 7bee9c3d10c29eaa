// Command gnomon is the monitoring server: one binary that discovers targets,
// scrapes them, keeps the samples and answers PromQL to dashboards, an HTTP API
// and alert rules.
//
// It takes Prometheus's command line and configuration file unchanged. Without
// either it watches itself and the machine it runs on.
//
// This package only wires: it turns flags and configuration into the options of
// the rooms, starts and stops them, and holds no logic of its own.
package main
