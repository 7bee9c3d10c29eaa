package operator

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	kyaml "sigs.k8s.io/yaml"

	"github.com/gnomonhq/gnomon/alerting/rules"
)

// corpus is one case of testdata/corpus.
type corpus struct {
	options    Options
	objects    Objects
	namespaces Namespaces
	values     map[Reference]string
}

// errMissing is what lookups of the tests return.
var errMissing = errors.New("not found")

func (c *corpus) lookup(r Reference) (string, error) {
	v, ok := c.values[r]
	if !ok {
		return "", errMissing
	}
	return v, nil
}

// checkRules reads a rule file as the server does.
func checkRules(path string, content []byte) error {
	_, err := rules.Reader{}.Parse(path, content)
	return err
}

// generate returns the results of the case.
func (c *corpus) generate(t testing.TB) []Result {
	g, err := New(c.options)
	require.NoError(t, err)
	return g.Generate(c.objects, c.namespaces, c.lookup)
}

// corpusCases returns the names of the cases.
func corpusCases(t testing.TB) []string {
	paths, err := filepath.Glob("testdata/corpus/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".yaml"))
	}
	return names
}

func readCorpus(t testing.TB, name string) *corpus {
	content, err := os.ReadFile(filepath.Join("testdata/corpus", name+".yaml"))
	require.NoError(t, err)
	return parseCorpus(t, string(content))
}

// parseCorpus reads the objects of a stream of documents.
func parseCorpus(t testing.TB, text string) *corpus {
	c := &corpus{namespaces: Namespaces{}, values: map[Reference]string{}}
	c.addAll(t, text)
	return c
}

// addAll adds the objects of a stream of documents.
func (c *corpus) addAll(t testing.TB, text string) {
	stream := documents.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := stream.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		if len(bytes.TrimSpace(document)) > 0 {
			require.NoError(t, c.add(document), string(document))
		}
	}
}

func (c *corpus) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := kyaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "Prometheus":
		return c.addPrometheus(document)
	case "ServiceMonitor":
		return appendTo(&c.objects.ServiceMonitors, document)
	case "PodMonitor":
		return appendTo(&c.objects.PodMonitors, document)
	case "Probe":
		return appendTo(&c.objects.Probes, document)
	case "PrometheusRule":
		return appendTo(&c.objects.PrometheusRules, document)
	case "ScrapeConfig":
		return appendTo(&c.objects.ScrapeConfigs, document)
	case "Namespace":
		var n corev1.Namespace
		err := kyaml.UnmarshalStrict(document, &n)
		c.namespaces[n.Name] = n.Labels
		return err
	case "Secret":
		var s corev1.Secret
		err := kyaml.UnmarshalStrict(document, &s)
		for k, v := range s.StringData {
			c.values[Reference{ReferenceSecret, s.Namespace, s.Name, k}] = v
		}
		return err
	case "ConfigMap":
		var m corev1.ConfigMap
		err := kyaml.UnmarshalStrict(document, &m)
		for k, v := range m.Data {
			c.values[Reference{ReferenceConfigMap, m.Namespace, m.Name, k}] = v
		}
		return err
	}
	return fmt.Errorf("kind %q", kind.Kind)
}

func (c *corpus) addPrometheus(document []byte) error {
	var p monitoringv1.Prometheus
	if err := kyaml.UnmarshalStrict(document, &p); err != nil {
		return err
	}
	shard, err := strconv.Atoi(p.Annotations["corpus/shard"])
	c.options = Options{
		Namespace: p.Namespace, Name: p.Name, Spec: p.Spec,
		Shard: shard, Replica: p.Annotations["corpus/replica"], CheckRules: checkRules,
	}
	return err
}

func appendTo[T any](list *[]*T, document []byte) error {
	o := new(T)
	err := kyaml.UnmarshalStrict(document, o)
	*list = append(*list, o)
	return err
}

// corpusCertificate is the certificate of the corpus, which signs itself.
const corpusCertificate = `-----BEGIN CERTIFICATE-----
MIIBejCCAR+gAwIBAgIUZzh8o0EvfJUNiu/ukHLdJ2CB0gEwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGY29ycHVzMCAXDTI2MTEyNzExMDk0NloYDzIxMjYxMTAzMTEw
OTQ2WjARMQ8wDQYDVQQDDAZjb3JwdXMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQIVteCCTP8VJ3Gn0SRHfiplo11C2yLNiFngbWkCAm3AiwLV2zcoGhjJ2JsS2+/
3El9otWL2gafzMQNWNxFTUL9o1MwUTAdBgNVHQ4EFgQUH4YZiSaBdS8xZPQwpiZU
BAJHkBcwHwYDVR0jBBgwFoAUH4YZiSaBdS8xZPQwpiZUBAJHkBcwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAoIUCf3BW2MD3vMuLEq+Iqa6VqvhC
6LLSZo5QqsEoyX4CIQCSUhiWUMUgeKsncxFlnYTfCjoogRR4v2zHVstFbicPag==
-----END CERTIFICATE-----
`
