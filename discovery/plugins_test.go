package discovery_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// linked returns the mechanisms that package plugins links under the given build tags.
// It asks the go command instead of importing the package, which would cost every test
// run the link of a binary of 120 MB.
func linked(t *testing.T, tags string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, "./plugins")
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())

	var names []string
	for pkg := range strings.FieldsSeq(string(out)) {
		for _, prefix := range []string{
			"github.com/prometheus/prometheus/discovery/",
			"github.com/gnomonhq/gnomon/discovery/",
		} {
			// refresh and targetgroup are no mechanisms, nor are the parts of one.
			name, ok := strings.CutPrefix(pkg, prefix)
			if ok && !strings.Contains(name, "/") && !slices.Contains([]string{"plugins", "refresh", "targetgroup"}, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names) // ours and upstream's of one name
}

func TestBuildTagsSelectMechanisms(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string][]string{
		"": {
			"aws", "azure", "consul", "digitalocean", "dns", "etcd", "eureka", "file", "gce",
			"hetzner", "http", "ionos", "kubernetes", "linode", "marathon", "moby", "nomad",
			"oci", "openstack", "outscale", "ovhcloud", "puppetdb", "scaleway", "stackit",
			"triton", "uyuni", "vultr", "xds", "zookeeper",
		},
		"remove_all_sd":                              {"file", "http"},
		"remove_all_sd,enable_etcd_sd":               {"etcd", "file", "http"},
		"remove_all_sd,enable_dns_sd,enable_moby_sd": {"dns", "file", "http", "moby"},
	} {
		t.Run("tags="+tags, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, linked(t, tags))
		})
	}
}

func TestPackageItselfLinksNoMechanism(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "github.com/prometheus/prometheus/discovery\n")
	for _, forbidden := range []string{"/discovery/plugins", "/discovery/etcd", "prometheus/discovery/file"} {
		require.NotContains(t, string(out), forbidden)
	}
}
