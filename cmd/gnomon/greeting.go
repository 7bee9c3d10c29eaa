package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/prometheus/common/version"
)

// greet says on the terminal what is watched, where the data is and which
// address to open. The log has everything else.
func (s *server) greet() {
	c := s.reloader.current.Load()
	jobs := make([]string, 0, 6)
	for i, job := range c.ScrapeConfigs {
		if i == 4 && len(c.ScrapeConfigs) > 5 {
			jobs = append(jobs, fmt.Sprintf("and %d more jobs", len(c.ScrapeConfigs)-i))
			break
		}
		jobs = append(jobs, job.JobName)
	}
	if own := c.Gnomon.Operator; own.Enabled() {
		jobs = append(jobs, fmt.Sprintf("objects of the Prometheus %s/%s", own.Namespace, own.Name))
	}
	watched := "nothing: no scrape_configs"
	if len(jobs) > 0 {
		watched = strings.Join(jobs, ", ")
	}
	from := c.Path
	if from == "" {
		watched = "this server (job gnomon)"
		if s.machine != nil {
			watched += " and this machine (job node)"
		}
		from = fmt.Sprintf("built in; write %s to watch more", s.opts.config.file)
	}
	data, err := filepath.Abs(s.opts.storage.path)
	if err != nil {
		data = s.opts.storage.path
	}
	name := appName
	if version.Version != "" {
		name += " " + version.Version
	}
	// A terminal that has gone away is no reason to stop.
	_, _ = fmt.Fprintf(s.terminal, "%s is up\n  watches  %s\n  config   %s\n  data     %s\n  open     %s\n",
		name, watched, from, data, s.web.ExternalURL())
}
