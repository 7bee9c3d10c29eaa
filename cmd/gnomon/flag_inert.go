package main

import (
	"fmt"

	"github.com/alecthomas/kingpin/v2"
)

// inertFlag is a flag of Prometheus that is accepted, checked and shown, and
// changes nothing.
type inertFlag struct {
	name, help string
	kind       valueKind
	// value is the default, "" for none.
	value  string
	hidden bool
	// missing says why the flag changes nothing.
	missing string
}

// valueKind says which values a flag accepts.
type valueKind int

const (
	text valueKind = iota
	boolean
	integer
	span
	size
	compression
	writeMessages
)

// Reasons that several flags share.
const (
	noAgent        = "there is no agent mode"
	noOwnEncoding  = "the storage engine has its own block and log formats, which have no such parameter"
	noRemoteRead   = "the remote read endpoint is not built yet"
	noConsoles     = "console templates are not built yet"
	alwaysOverlaps = "overlapping blocks are always compacted"
)

// writeMessageNames are the messages of remote write.
var writeMessageNames = []string{"prometheus.WriteRequest", "io.prometheus.write.v2.Request"}

// inertFlags are all flags without effect.
var inertFlags = []inertFlag{
	{name: "web.user-assets", help: "Folder of static files to serve under /user.", missing: "static files of the user are not served yet"},
	{name: "web.enable-remote-write-receiver", help: "Accept samples by remote write.", kind: boolean, value: "false", missing: "the remote write receiver is not built yet"},
	{name: "web.remote-write-receiver.accepted-protobuf-messages", help: "Messages to accept by remote write. Can be repeated.", kind: writeMessages, missing: "the remote write receiver is not built yet"},
	{name: "web.enable-otlp-receiver", help: "Accept samples by OTLP.", kind: boolean, value: "false", missing: "the OTLP receiver is not built yet"},
	{name: "web.console.templates", help: "Folder of console templates.", value: "consoles", missing: noConsoles},
	{name: "web.console.libraries", help: "Folder of libraries for console templates.", value: "console_libraries", missing: noConsoles},
	{name: "web.search.max-limit", help: "Largest limit a request to the search API may ask for.", kind: integer, value: "10000", missing: "the search API is not built yet"},

	{name: "storage.tsdb.max-block-chunk-segment-size", help: "Largest size of a file of chunks.", kind: size, hidden: true, missing: noOwnEncoding},
	{name: "storage.tsdb.allow-overlapping-compaction", help: "Compact blocks that overlap.", kind: boolean, value: "true", hidden: true, missing: alwaysOverlaps},
	{name: "storage.tsdb.wal-compression-type", help: "Compression of the write-ahead log.", kind: compression, value: "snappy", hidden: true, missing: noOwnEncoding},
	{name: "storage.tsdb.head-chunks-write-queue-size", help: "Length of the queue of chunks to be written.", kind: integer, value: "0", missing: noOwnEncoding},
	{name: "storage.tsdb.samples-per-chunk", help: "Samples in a chunk.", kind: integer, value: "120", hidden: true, missing: noOwnEncoding},
	{name: "storage.tsdb.delayed-compaction.max-percent", help: "Largest random delay of compaction.", kind: integer, value: "10", hidden: true, missing: "compaction is not delayed"},
	{name: "storage.tsdb.delay-compact-file.path", help: "File that lists the blocks an uploader has taken.", missing: "compaction does not wait for uploaders of Prometheus blocks"},
	{name: "storage.tsdb.block-reload-interval", help: "Time between two looks for new blocks.", kind: span, value: "1m", hidden: true, missing: "blocks are looked for once a minute"},

	{name: "storage.agent.path", help: "Folder of the data in agent mode.", value: "data-agent/", missing: noAgent},
	{name: "storage.agent.wal-segment-size", help: "Size of a segment of the log in agent mode.", kind: size, hidden: true, missing: noAgent},
	{name: "storage.agent.wal-compression", help: "Compress the log in agent mode.", kind: boolean, value: "true", missing: noAgent},
	{name: "storage.agent.wal-compression-type", help: "Compression of the log in agent mode.", kind: compression, value: "snappy", hidden: true, missing: noAgent},
	{name: "storage.agent.wal-truncate-frequency", help: "Time between two truncations of the log in agent mode.", kind: span, hidden: true, missing: noAgent},
	{name: "storage.agent.retention.min-time", help: "Smallest age at which samples are dropped in agent mode.", kind: span, value: "5m", missing: noAgent},
	{name: "storage.agent.retention.max-time", help: "Largest age of samples in agent mode.", kind: span, value: "4h", missing: noAgent},
	{name: "storage.agent.checkpoint-from-in-memory-series", help: "Make checkpoints from memory in agent mode.", kind: boolean, value: "false", missing: noAgent},
	{name: "storage.agent.checkpoint-batch-size", help: "Entries written at once by a checkpoint in agent mode.", kind: integer, value: "1000", missing: noAgent},
	{name: "storage.agent.no-lockfile", help: "Do not lock the folder of the data in agent mode.", kind: boolean, value: "false", missing: noAgent},

	{name: "storage.remote.flush-deadline", help: "Time to send waiting samples by remote write before the server stops.", kind: span, value: "1m", missing: "remote write is not built yet"},
	{name: "storage.remote.read-sample-limit", help: "Largest number of samples in an answer to remote read.", kind: integer, value: "50000000", missing: noRemoteRead},
	{name: "storage.remote.read-concurrent-limit", help: "Largest number of remote reads at once.", kind: integer, value: "10", missing: noRemoteRead},
	{name: "storage.remote.read-max-bytes-in-frame", help: "Largest frame of an answer to remote read.", kind: integer, value: "1048576", missing: noRemoteRead},
}

// registerInert declares the flags without effect. Their values are checked
// as Prometheus does.
func registerInert(app *kingpin.Application) {
	for _, f := range inertFlags {
		clause := app.Flag(f.name, f.help+" No effect yet: "+f.missing+".")
		if f.value != "" {
			clause.Default(f.value)
		}
		if f.hidden {
			clause.Hidden()
		}
		switch f.kind {
		case text:
			clause.String()
		case boolean:
			clause.Bool()
		case integer:
			clause.Int()
		case span:
			clause.SetValue(new(durationValue))
		case size:
			clause.Bytes()
		case compression:
			clause.Enum("snappy", "zstd")
		case writeMessages:
			clause.Default(writeMessageNames...).Enums(writeMessageNames...)
		}
	}
}

// inertWarnings says for each given flag without effect what is missing.
func inertWarnings(given map[string]bool) []string {
	var warnings []string
	for _, f := range inertFlags {
		if given[f.name] {
			warnings = append(warnings, fmt.Sprintf("--%s has no effect: %s", f.name, f.missing))
		}
	}
	return warnings
}
