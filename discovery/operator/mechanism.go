package operator

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v2"
	corev1 "k8s.io/api/core/v1"
)

// mechanisms adds the discovery of a ScrapeConfig. Each mechanism is written in the form
// of a configuration file, where it works if it is linked.
func (o *object) mechanisms(s *section, c *monitoringv1alpha1.ScrapeConfigSpec) {
	mechanism(o, s, "static_configs", "spec.staticConfigs", c.StaticConfigs, o.static)
	mechanism(o, s, "file_sd_configs", "spec.fileSDConfigs", c.FileSDConfigs, o.file)
	mechanism(o, s, "http_sd_configs", "spec.httpSDConfigs", c.HTTPSDConfigs, o.http)
	mechanism(o, s, "kubernetes_sd_configs", "spec.kubernetesSDConfigs", c.KubernetesSDConfigs, o.kubernetesSD)
	mechanism(o, s, "consul_sd_configs", "spec.consulSDConfigs", c.ConsulSDConfigs, o.consul)
	mechanism(o, s, "dns_sd_configs", "spec.dnsSDConfigs", c.DNSSDConfigs, o.dns)
	mechanism(o, s, "ec2_sd_configs", "spec.ec2SDConfigs", c.EC2SDConfigs, o.ec2)
	mechanism(o, s, "azure_sd_configs", "spec.azureSDConfigs", c.AzureSDConfigs, o.azure)
	mechanism(o, s, "gce_sd_configs", "spec.gceSDConfigs", c.GCESDConfigs, o.gce)
	mechanism(o, s, "openstack_sd_configs", "spec.openstackSDConfigs", c.OpenStackSDConfigs, o.openStack)
	mechanism(o, s, "digitalocean_sd_configs", "spec.digitalOceanSDConfigs", c.DigitalOceanSDConfigs, o.digitalOcean)
	mechanism(o, s, "kuma_sd_configs", "spec.kumaSDConfigs", c.KumaSDConfigs, o.kuma)
	mechanism(o, s, "eureka_sd_configs", "spec.eurekaSDConfigs", c.EurekaSDConfigs, o.eureka)
	mechanism(o, s, "docker_sd_configs", "spec.dockerSDConfigs", c.DockerSDConfigs, o.docker)
	mechanism(o, s, "linode_sd_configs", "spec.linodeSDConfigs", c.LinodeSDConfigs, o.linode)
	mechanism(o, s, "hetzner_sd_configs", "spec.hetznerSDConfigs", c.HetznerSDConfigs, o.hetzner)
	mechanism(o, s, "nomad_sd_configs", "spec.nomadSDConfigs", c.NomadSDConfigs, o.nomad)
	mechanism(o, s, "dockerswarm_sd_configs", "spec.dockerSwarmSDConfigs", c.DockerSwarmSDConfigs, o.dockerSwarm)
	mechanism(o, s, "puppetdb_sd_configs", "spec.puppetDBSDConfigs", c.PuppetDBSDConfigs, o.puppetDB)
	mechanism(o, s, "lightsail_sd_configs", "spec.lightSailSDConfigs", c.LightSailSDConfigs, o.lightsail)
	mechanism(o, s, "ovhcloud_sd_configs", "spec.ovhcloudSDConfigs", c.OVHCloudSDConfigs, o.ovhCloud)
	mechanism(o, s, "scaleway_sd_configs", "spec.scalewaySDConfigs", c.ScalewaySDConfigs, o.scaleway)
	mechanism(o, s, "ionos_sd_configs", "spec.ionosSDConfigs", c.IonosSDConfigs, o.ionos)
}

// mechanism adds the configurations of one mechanism, each written by write. Each is
// read by itself, so that a fault names it.
func mechanism[T any](o *object, s *section, key, path string, configs []T, write func(s *section, path string, c *T)) {
	if len(configs) == 0 {
		return
	}
	written := make([]section, len(configs))
	for i := range configs {
		at := fmt.Sprintf("%s[%d]", path, i)
		write(&written[i], at, &configs[i])
		o.checkMechanism(at, key, written[i])
	}
	s.set(key, written)
}

// checkMechanism reads the configuration of a mechanism as that of a job that has
// nothing else.
func (o *object) checkMechanism(path, key string, written section) {
	if !o.sound() {
		return // A value that is missing is a fault already.
	}
	// With relabelling a target may be anything, as it may in the job itself.
	var r relabelings
	r.set("job", "")
	content, err := yaml.Marshal(section{
		{Key: "job_name", Value: "mechanism"}, {Key: "relabel_configs", Value: r.section()}, {Key: key, Value: []section{written}},
	})
	if err == nil {
		err = yaml.UnmarshalStrict(content, &config.ScrapeConfig{})
	}
	if err != nil {
		o.fault(path, withoutLines(err))
	}
}

// sdClient adds how a mechanism's server is talked to, which scrape classes do not
// change.
func (o *object) sdClient(s *section, path string, c client) { o.client(s, path, c, noClass) }

// keyOf adds the value of a key of a Secret, if there is one.
func (o *object) keyOf(s *section, key, path string, selector *corev1.SecretKeySelector) {
	if selector != nil {
		s.set(key, o.secret(path, o.meta.Namespace, *selector))
	}
}

// keyPair adds an access key and its secret. One without the other is left out, and the
// mechanism looks for credentials itself.
func (o *object) keyPair(s *section, path string, access, secret *corev1.SecretKeySelector) {
	var pair section
	o.keyOf(&pair, "access_key", path+".accessKey", access)
	o.keyOf(&pair, "secret_key", path+".secretKey", secret)
	if len(pair) == 2 {
		*s = append(*s, pair...)
	}
}

// filters adds filters by name, in the order of the names.
func filters(s *section, filters []monitoringv1alpha1.Filter) {
	ordered := slices.SortedStableFunc(slices.Values(filters), func(a, b monitoringv1alpha1.Filter) int { return cmp.Compare(a.Name, b.Name) })
	written := make([]section, len(ordered))
	for i, f := range ordered {
		written[i] = section{{Key: "name", Value: f.Name}, {Key: "values", Value: f.Values}}
	}
	list(s, "filters", written)
}

// lowered adds what objects write in camel case and configuration files in lower case.
func lowered[T ~string](s *section, key string, value T) {
	s.text(key, strings.ToLower(string(value)))
}

// checkURL checks that a text is a URL with a scheme and a host.
func (o *object) checkURL(path, text string) {
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "" || u.Host == "") {
		err = errors.New("must have a scheme and a host")
	}
	if err != nil {
		o.fault(path, fmt.Errorf("%q: %w", text, err))
	}
}
