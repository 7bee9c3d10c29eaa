package operator

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGenerateIsPure: the same input has the same output whatever its order, and the
// input stays as it is.
func TestGenerateIsPure(t *testing.T) {
	for _, name := range corpusCases(t) {
		t.Run(name, func(t *testing.T) {
			c, untouched := readCorpus(t, name), readCorpus(t, name)
			first := c.generate(t)
			require.NotEmpty(t, first)
			random := rand.New(rand.NewPCG(1, 2))
			shuffle(random, c.objects.ServiceMonitors)
			shuffle(random, c.objects.PodMonitors)
			shuffle(random, c.objects.Probes)
			shuffle(random, c.objects.ScrapeConfigs)
			shuffle(random, c.objects.PrometheusRules)
			require.Equal(t, first, c.generate(t))
			require.ElementsMatch(t, untouched.objects.ServiceMonitors, c.objects.ServiceMonitors)
			require.ElementsMatch(t, untouched.objects.PodMonitors, c.objects.PodMonitors)
			require.ElementsMatch(t, untouched.objects.Probes, c.objects.Probes)
			require.ElementsMatch(t, untouched.objects.ScrapeConfigs, c.objects.ScrapeConfigs)
			require.ElementsMatch(t, untouched.objects.PrometheusRules, c.objects.PrometheusRules)
		})
	}
}

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// TestJobsAreBounded: an object with more endpoints than allowed makes no jobs.
func TestJobsAreBounded(t *testing.T) {
	c := readCorpus(t, "servicemonitor")
	c.options.MaxJobs = 5
	for _, r := range c.generate(t) {
		if r.Name == "most" {
			require.Empty(t, r.Jobs)
			require.Equal(t, &Rejection{ReasonInvalid, "spec.endpoints: there are 6, more than 5"}, r.Rejection)
		} else {
			require.Nil(t, r.Rejection)
		}
	}
}
