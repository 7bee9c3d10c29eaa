package config

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"time"

	promcommon "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// defaultRetention holds where neither the file nor the options give one.
const defaultRetention = model.Duration(15 * 24 * time.Hour)

// Config is a loaded, valid configuration. It is read-only.
type Config struct {
	// Prometheus is everything upstream knows, validated, with paths resolved.
	// Its ScrapeConfigs are those of the main file only, and it would read
	// scrape_config_files anew: use ScrapeConfigs of this struct instead.
	Prometheus *promconfig.Config
	// Gnomon is our own section.
	Gnomon Section
	// ScrapeConfigs are the jobs of the main file followed by those of
	// scrape_config_files, with global values filled in. Job names are unique.
	ScrapeConfigs []*promconfig.ScrapeConfig
	// RuleFiles are the existing files that match rule_files, each once, in
	// the order of the patterns. Their content is not checked here.
	RuleFiles []string
	// Files are all files the configuration consists of, each once per kind.
	Files []File
	// Checksum identifies the content of Files; equal to what [Checksum]
	// returned for the same source at the time of loading.
	Checksum string
	// Path is the main file, "" if the fallback of the source was used.
	Path string
}

// Options are the values that command-line flags lend to a configuration which
// leaves them out, and the logger. The zero value is usable.
type Options struct {
	// Logger receives warnings about the content, such as an unset variable in
	// an external label. Nil discards them.
	Logger *slog.Logger
	// Retention holds if there is no storage.tsdb.retention section. The zero
	// value means 15 days and no limit by size.
	Retention promconfig.TSDBRetentionConfig
	// LogLevel holds if there is no runtime.log_level. "" means info.
	LogLevel string
	// ExtraScrapeMetrics is the default of extra_scrape_metrics.
	ExtraScrapeMetrics bool
}

// withDefaults returns o with the documented defaults filled in.
func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Retention == (promconfig.TSDBRetentionConfig{}) {
		o.Retention.Time = defaultRetention
	}
	return o
}

// Load reads and validates the configuration of src. An invalid one yields an
// [*Error]; a main file that cannot be read yields the error of the operating
// system, wrapped.
func Load(src Source, opts Options) (*Config, error) {
	return load(src, diskFiles(), opts)
}

// Parse validates content as if it were the main file at path, which need not
// exist. Files that content refers to are read.
func Parse(content []byte, path string, opts Options) (*Config, error) {
	disk := diskFiles()
	f := files{glob: disk.glob, read: func(p string) ([]byte, error) {
		if p == path {
			return content, nil
		}
		return disk.read(p)
	}}
	return load(Source{Path: path}, f, opts)
}

// load is Load over any file system.
func load(src Source, f files, opts Options) (*Config, error) {
	opts = opts.withDefaults()
	f = f.remembering()
	content, name, builtIn, err := src.open(f)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	doc := parseDocument(name, content)
	section, err := doc.cutSection()
	if err != nil {
		return nil, err
	}
	c := &Config{Path: src.Path}
	if builtIn {
		c.Path = ""
	}
	if c.Gnomon, err = parseSection(name, section); err != nil {
		return nil, err
	}
	if c.Prometheus, err = decodeMain(doc, opts.Logger); err != nil {
		return nil, err
	}
	applyOptions(c.Prometheus, doc, opts)
	c.Prometheus.SetDirectory(filepath.Dir(src.Path))
	c.Gnomon.Operator.KubeConfigFile = promcommon.JoinDir(filepath.Dir(src.Path), c.Gnomon.Operator.KubeConfigFile)
	if c.ScrapeConfigs, err = allScrapeConfigs(c.Prometheus, doc, f); err != nil {
		return nil, err
	}
	if len(c.Gnomon.Scrape.Limits) > 0 {
		if err := c.Gnomon.validateScrape(parseDocument(name, section), c.ScrapeConfigs); err != nil {
			return nil, err
		}
	}
	if c.RuleFiles, err = expandRuleFiles(c.Prometheus.RuleFiles, doc, f); err != nil {
		return nil, err
	}
	c.Files, c.Checksum = snapshot(src, content, builtIn, f)
	return c, nil
}

// decodeMain decodes the main document with upstream's package and, if that
// refuses it, finds out where the fault lies.
func decodeMain(doc *document, logger *slog.Logger) (*promconfig.Config, error) {
	c, err := decodeUpstream(doc.text, logger)
	if err == nil {
		return c, nil
	}
	quiet := slog.New(slog.DiscardHandler)
	return nil, doc.faults(err, func(text []byte) error {
		_, err := decodeUpstream(text, quiet)
		return err
	})
}

// decodeUpstream calls upstream's loader. A panic in there is an error here:
// the text comes from the user, and a reload must not end the server.
func decodeUpstream(text []byte, logger *slog.Logger) (c *promconfig.Config, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, fmt.Errorf("decoding panicked: %v", r)
		}
	}()
	return promconfig.Load(string(text), logger)
}

// present says which settings with a default from Options the file gives.
type present struct {
	Global struct {
		ExtraScrapeMetrics *bool `yaml:"extra_scrape_metrics"`
	} `yaml:"global"`
	Runtime struct {
		LogLevel *string `yaml:"log_level"`
	} `yaml:"runtime"`
	Storage struct {
		TSDB struct {
			Retention *map[string]any `yaml:"retention"`
		} `yaml:"tsdb"`
	} `yaml:"storage"`
}

// applyOptions fills in the values of opts where the document leaves them out.
// Upstream does this by assigning to package variables; here every load has
// its own defaults.
func applyOptions(c *promconfig.Config, doc *document, opts Options) {
	var p present
	// The document was accepted by the stricter decoder already. What the
	// lenient one cannot read counts as left out.
	_ = yaml.Unmarshal(doc.text, &p)
	if p.Storage.TSDB.Retention == nil {
		*c.StorageConfig.TSDBConfig.Retention = opts.Retention
	}
	if p.Runtime.LogLevel == nil && opts.LogLevel != "" {
		c.Runtime.LogLevel = promconfig.LogLevel(opts.LogLevel)
	}
	if p.Global.ExtraScrapeMetrics == nil && opts.ExtraScrapeMetrics {
		// Jobs that inherit the global value point to the same variable.
		inherited, extra := c.GlobalConfig.ExtraScrapeMetrics, true
		c.GlobalConfig.ExtraScrapeMetrics = &extra
		for _, job := range c.ScrapeConfigs {
			if job.ExtraScrapeMetrics == inherited {
				job.ExtraScrapeMetrics = &extra
			}
		}
	}
}

// String returns the configuration as YAML with secrets hidden, as the status
// API shows it.
func (c *Config) String() string {
	text := c.Prometheus.String()
	if reflect.ValueOf(c.Gnomon).IsZero() {
		return text
	}
	own, err := yaml.Marshal(map[string]Section{sectionKey: c.Gnomon})
	if err != nil {
		return text + fmt.Sprintf("# section %s: %v\n", sectionKey, err)
	}
	return text + string(own)
}
