package parse

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// media is the decision which parser is for a content type. Targets hardly ever
// change theirs, so it is kept.
type media struct {
	contentType string
	fallback    string
	known       bool
	positional  bool
	// binary says that the body is protobuf.
	binary bool
	err    error
}

func (m *media) choose(contentType string, opts *Options) error {
	if m.known && m.contentType == contentType && m.fallback == opts.Fallback {
		return m.err
	}
	p, err := textparse.New(nil, contentType, labels.NewSymbolTable(), opts.textparse())
	*m = media{contentType: contentType, fallback: opts.Fallback, known: true}
	if p == nil {
		m.err = err
		return err
	}
	switch p.(type) {
	case *textparse.PromParser:
		m.positional = !opts.TypeAndUnitLabels
	case *textparse.ProtobufParser:
		m.binary = true
	}
	return nil
}

func (o *Options) textparse() textparse.ParserOptions {
	return textparse.ParserOptions{
		EnableTypeAndUnitLabels:                 o.TypeAndUnitLabels,
		IgnoreNativeHistograms:                  !o.NativeHistograms,
		ConvertClassicHistogramsToNHCB:          o.ClassicToNHCB,
		KeepClassicOnClassicAndNativeHistograms: o.KeepClassic,
		OpenMetricsSkipSTSeries:                 o.StartTimestamps,
		EnableOpenMetrics2:                      o.OpenMetrics2,
		FallbackContentType:                     o.Fallback,
	}
}
