package template

import (
	"fmt"
	"math"

	"github.com/prometheus/common/helpers/templates"
)

// The unit prefixes, from the one nearest to 1 outwards.
var (
	metricUp   = []string{"k", "M", "G", "T", "P", "E", "Z", "Y"}
	metricDown = []string{"m", "u", "n", "p", "f", "a", "z", "y"}
	binaryUp   = []string{"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"}
)

// humanize formats a number to four digits with a metric prefix.
func humanize(i any) (string, error) {
	v, err := templates.ConvertToFloat(i)
	switch {
	case err != nil:
		return "", err
	case v == 0 || isSpecial(v):
		return fmt.Sprintf("%.4g", v), nil
	case math.Abs(v) >= 1:
		return scaleDown(v, 1000, metricUp), nil
	}
	prefix := ""
	for _, p := range metricDown {
		if math.Abs(v) >= 1 {
			break
		}
		prefix = p
		v *= 1000
	}
	return fmt.Sprintf("%.4g%s", v, prefix), nil
}

// humanize1024 formats a number to four digits with a binary prefix.
func humanize1024(i any) (string, error) {
	v, err := templates.ConvertToFloat(i)
	switch {
	case err != nil:
		return "", err
	case math.Abs(v) <= 1 || isSpecial(v):
		return fmt.Sprintf("%.4g", v), nil
	}
	return scaleDown(v, 1024, binaryUp), nil
}

// humanizePercentage formats a ratio as a percentage of four digits.
func humanizePercentage(i any) (string, error) {
	v, err := templates.ConvertToFloat(i)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%.4g%%", v*100), nil
}

// scaleDown divides v by base until it is less than base or the prefixes end.
func scaleDown(v, base float64, prefixes []string) string {
	prefix := ""
	for _, p := range prefixes {
		if math.Abs(v) < base {
			break
		}
		prefix = p
		v /= base
	}
	return fmt.Sprintf("%.4g%s", v, prefix)
}

func isSpecial(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
