// Package config loads the configuration of the server: the whole Prometheus
// configuration file, with Gnomon's own settings as one additional top-level
// section named gnomon.
//
// # What it is
//
// [Load] reads a [Source] into a [Config]: the main file, the files named by
// scrape_config_files, and the list of rule files. The meaning of every
// Prometheus setting is upstream's own, because upstream's package decodes and
// validates it; relative paths resolve against the folder of the file they
// stand in, and variables expand in global.external_labels only.
//
// Upstream decodes strictly and does not know our section, so [Load] cuts the
// section out of the text first, replacing it by blanks, so that every line
// and column of the rest stays where it was.
//
// # Errors
//
// A configuration that does not load yields an [*Error] whose [Fault] values
// name file, line and field:
//
//	prometheus.yml:14: scrape_configs[2].scrape_timeout (job "node"): scrape timeout greater than scrape interval …
//
// Many of upstream's messages carry no position. The position is then found
// by experiment: parts of the document are left out as long as the same
// message comes back, and what remains is to blame. That holds for any
// message, including those of discovery mechanisms this package never heard
// of, and of future versions.
//
// # Reload
//
// [Compare] says by how much two configurations differ, job by job, so that a
// reload touches only what changed. [Watcher] polls a source and calls back
// when what it would load has changed.
//
// # What it is not
//
// It does not parse rule files (alerting does, it knows the expressions), does
// not link discovery mechanisms (discovery does, by registering them with
// upstream's registry before anything is loaded) and does not apply anything.
//
// # Concurrency
//
// All functions may be called from several goroutines. A [Config] is
// read-only once returned and may be shared.
package config
