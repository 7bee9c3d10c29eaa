package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// room is a folder and what its packages may import of this module, beside
// themselves, packages below the same room, storage and internal/*.
type room struct {
	folder string
	// imports are folders; one that ends in /... includes what is below.
	imports []string
	// alone forbids even storage and internal/*.
	alone bool
}

// rooms is the import table of the architecture, from left to right of the data
// flow. The longest folder that fits counts.
var rooms = []room{
	{folder: "storage", alone: true},
	{folder: "storage/storagetest", imports: []string{"storage"}, alone: true},

	{folder: "discovery"},
	{folder: "scrape"},
	// The functions know neither plans nor operators, and the engine knows all.
	{folder: "promql/functions"},
	{folder: "promql/plan"},
	{folder: "promql/exec", imports: []string{"promql/functions", "promql/plan"}},
	{folder: "promql", imports: []string{"promql/..."}},
	{folder: "alerting"},
	{folder: "web"},
	{folder: "config", alone: true},

	// Inside of the database each room sees those before it only.
	{folder: "tsdb/encoding"},
	{folder: "tsdb/wal", imports: []string{"tsdb/encoding"}},
	{folder: "tsdb/index"},
	{folder: "tsdb/batch", imports: []string{"tsdb/encoding"}},
	{folder: "tsdb/block", imports: []string{"tsdb/encoding", "tsdb/index", "tsdb/batch"}},
	{folder: "tsdb/scan", imports: []string{"tsdb/encoding", "tsdb/index", "tsdb/batch", "tsdb/block"}},
	{folder: "tsdb/head", imports: []string{"tsdb/encoding", "tsdb/wal", "tsdb/index", "tsdb/batch", "tsdb/block"}},
	{folder: "tsdb/compact", imports: []string{"tsdb/encoding", "tsdb/index", "tsdb/batch", "tsdb/block", "tsdb/scan"}},
	{folder: "tsdb/rollup", imports: []string{"tsdb/encoding", "tsdb/index", "tsdb/batch", "tsdb/block", "tsdb/scan", "tsdb/compact"}},
	{folder: "tsdb", imports: []string{"tsdb/..."}},
	// Looks into data folders for people; nothing of the database needs it.
	{folder: "tsdb/inspect", imports: []string{"tsdb", "tsdb/wal", "tsdb/index", "tsdb/batch", "tsdb/block", "tsdb/scan"}},

	// Reads and writes the data folder of a Prometheus, beside the data flow.
	{folder: "takeover", imports: []string{"tsdb", "tsdb/batch", "tsdb/block", "tsdb/compact", "tsdb/inspect"}},

	{folder: "internal", imports: []string{"internal/..."}, alone: true},
	{folder: "cmd", imports: []string{"..."}},
}

// forbidden are packages that no file outside of tests imports, with the
// reason, and the files that are the exception, or folders of them with a slash
// at the end.
var forbidden = []struct {
	pkg, reason string
	except      []string
}{
	{upstream + "tsdb", ourEngine, []string{"takeover/"}},
	{upstream + "tsdb/index", ourEngine, []string{"takeover/"}},
	{upstream + "tsdb/record", ourEngine, []string{"takeover/"}},
	{upstream + "tsdb/tombstones", ourEngine, []string{"takeover/"}},
	{upstream + "tsdb/wlog", ourEngine, []string{"takeover/"}},
	{upstream + "scrape", "our scraper is scrape/", nil},
	{upstream + "rules", "our rule evaluation is alerting/", nil},
	{upstream + "web", "our server is web/", nil},
	{upstream + "web/api/v1", "our API is web/api", nil},
	{upstream + "promql", "our query engine is promql/; upstream's is an oracle for tests", nil},
	{upstream + "promql/promqltest", "it is an oracle for tests", nil},
	{upstream + "plugins", "120 MB of discovery mechanisms, linked in one file", []string{"discovery/plugins/plugins.go"}},
}

const (
	upstream  = "github.com/prometheus/prometheus/"
	ourEngine = "our storage engine is tsdb/; only takeover/ reads and writes the files of upstream's"
)

// roomOf returns the room that folder belongs to.
func roomOf(folder string) (room, bool) {
	var best room
	for _, r := range rooms {
		if (folder == r.folder || strings.HasPrefix(folder, r.folder+"/")) && len(r.folder) > len(best.folder) {
			best = r
		}
	}
	return best, best.folder != ""
}

// allows reports whether a package in the room may import folder.
func (r room) allows(folder string) bool {
	within := func(base string) bool { return folder == base || strings.HasPrefix(folder, base+"/") }
	if within(r.folder) {
		inner, _ := roomOf(folder)
		return inner.folder == r.folder || slices.ContainsFunc(r.imports, func(i string) bool { return i == r.folder+"/..." })
	}
	if !r.alone && (folder == "storage" || within("internal")) {
		return true
	}
	return slices.ContainsFunc(r.imports, func(i string) bool {
		if base, deep := strings.CutSuffix(i, "..."); deep {
			return strings.HasPrefix(folder+"/", base)
		}
		return folder == i
	})
}

// excepted reports whether a file is one of the files, or below one of the
// folders, of a list.
func excepted(list []string, path string) bool {
	return slices.ContainsFunc(list, func(e string) bool {
		return e == path || strings.HasSuffix(e, "/") && strings.HasPrefix(path, e)
	})
}

// importFaults returns a line for each import that the policy forbids. Tests
// may import what they like.
func importFaults(files []*sourceFile) []string {
	var faults []string
	for _, f := range files {
		if f.test {
			continue
		}
		r, known := roomOf(f.folder)
		if !known {
			faults = append(faults, fmt.Sprintf("%s: the folder %s is not in the table of internal/archtest/imports.go", f.path, f.folder))
			continue
		}
		for _, p := range f.imports() {
			if folder, ours := strings.CutPrefix(p, modulePath+"/"); ours && !r.allows(folder) {
				faults = append(faults, fmt.Sprintf("%s: room %s may not import %s", f.path, r.folder, folder))
			}
			for _, ban := range forbidden {
				if p == ban.pkg && !excepted(ban.except, f.path) {
					faults = append(faults, fmt.Sprintf("%s: imports %s: %s", f.path, p, ban.reason))
				}
			}
		}
	}
	return faults
}
