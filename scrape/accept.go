package scrape

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
)

// acceptHeader returns the Accept header for the protocols, the most wanted one
// first. Each has a weight, and at the end anything else is taken too.
func acceptHeader(protocols []config.ScrapeProtocol, escaping model.EscapingScheme) string {
	weight := len(config.ScrapeProtocolsHeaders) + 1
	var values []string
	for _, protocol := range protocols {
		value := config.ScrapeProtocolsHeaders[protocol]
		// The older text formats have no escaping.
		if protocol == config.PrometheusText1_0_0 || protocol == config.OpenMetricsText1_0_0 {
			value += ";" + model.EscapingKey + "=" + escaping.String()
		}
		values = append(values, fmt.Sprintf("%s;q=0.%d", value, weight))
		weight--
	}
	return strings.Join(append(values, fmt.Sprintf("*/*;q=0.%d", weight)), ",")
}

// acceptEncodingHeader returns the Accept-Encoding header. zstd comes first: at the
// same size it takes less of both processors than gzip.
func acceptEncodingHeader(compression bool) string {
	if !compression {
		return "identity"
	}
	return zstdEncoding + "," + gzipEncoding
}
