package kubernetes

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/version"
	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"k8s.io/client-go/dynamic"
	appsv1 "k8s.io/client-go/kubernetes/typed/apps/v1"
	batchv1 "k8s.io/client-go/kubernetes/typed/batch/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryv1 "k8s.io/client-go/kubernetes/typed/discovery/v1"
	networkingv1 "k8s.io/client-go/kubernetes/typed/networking/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ownNamespaceFile is where a pod finds the name of its namespace. Tests change it.
var ownNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// api are the clients of the groups that are read. The set of all clients is not used: a
// binary that holds it holds every group.
type api struct {
	core       corev1.CoreV1Interface
	apps       appsv1.AppsV1Interface
	batch      batchv1.BatchV1Interface
	discovery  discoveryv1.DiscoveryV1Interface
	networking networkingv1.NetworkingV1Interface
	dynamic    dynamic.Interface
}

// connection is what tells clusters apart: configurations with equal ones share watches.
type connection struct {
	apiServer      string
	kubeConfigFile string
	// kubeConfig is the content of the file, so that a job that is added after it was
	// changed does not get the old one.
	kubeConfig string
	http       config.HTTPClientConfig
}

// connectionOf reads the part of a configuration that says where the API server is.
func connectionOf(c *upstream.SDConfig) (connection, error) {
	to := connection{http: c.HTTPClientConfig}
	if c.APIServer.URL != nil {
		to.apiServer = c.APIServer.String()
	}
	if c.KubeConfig != "" {
		content, err := os.ReadFile(c.KubeConfig)
		if err != nil {
			return connection{}, fmt.Errorf("kubeconfig_file: %w", err)
		}
		to.kubeConfigFile, to.kubeConfig = c.KubeConfig, string(content)
	}
	return to, nil
}

func (c connection) equal(other connection) bool { return reflect.DeepEqual(c, other) }

// restConfig makes client-go's configuration, as upstream does.
func (c connection) restConfig() (*rest.Config, error) {
	var (
		to  *rest.Config
		err error
	)
	switch {
	case c.kubeConfigFile != "":
		// By its name, since it may name further files relative to its folder.
		if to, err = clientcmd.BuildConfigFromFlags("", c.kubeConfigFile); err != nil {
			return nil, fmt.Errorf("kubeconfig_file: %w", err)
		}
	case c.apiServer == "":
		if to, err = rest.InClusterConfig(); err != nil {
			return nil, fmt.Errorf("neither api_server nor kubeconfig_file is set, and this is not a pod with a service account: %w", err)
		}
	default:
		transport, err := config.NewRoundTripperFromConfig(c.http, "kubernetes_sd")
		if err != nil {
			return nil, err
		}
		to = &rest.Config{Host: c.apiServer, Transport: transport}
	}
	to.UserAgent = "Gnomon/" + version.Version
	to.ContentType = "application/vnd.kubernetes.protobuf"
	// Without a limit on our side: all jobs share the client, and the server has a queue
	// for each of its users. With client-go's five requests a second, a hundred namespaces
	// would take minutes to be listed.
	to.QPS = -1
	return to, nil
}

// connect makes the clients. It opens no connection.
func (c connection) connect() (*api, string, error) {
	to, err := c.restConfig()
	if err != nil {
		return nil, "", err
	}
	transport, err := rest.HTTPClientFor(to)
	if err != nil {
		return nil, "", err
	}
	a := &api{}
	var errs [6]error
	a.core, errs[0] = corev1.NewForConfigAndClient(to, transport)
	a.apps, errs[1] = appsv1.NewForConfigAndClient(to, transport)
	a.batch, errs[2] = batchv1.NewForConfigAndClient(to, transport)
	a.discovery, errs[3] = discoveryv1.NewForConfigAndClient(to, transport)
	a.networking, errs[4] = networkingv1.NewForConfigAndClient(to, transport)
	a.dynamic, errs[5] = dynamic.NewForConfigAndClient(to, transport)
	return a, to.Host, errors.Join(errs[:]...)
}

// namespacesOf returns the namespaces that a configuration selects; the empty one stands
// for all.
func namespacesOf(c *upstream.SDConfig) ([]string, error) {
	names := map[string]bool{}
	var out []string
	add := func(name string) {
		if !names[name] {
			names[name] = true
			out = append(out, name)
		}
	}
	for _, name := range c.NamespaceDiscovery.Names {
		add(name)
	}
	if c.NamespaceDiscovery.IncludeOwnNamespace {
		own, err := os.ReadFile(ownNamespaceFile)
		if err != nil {
			return nil, fmt.Errorf("own_namespace: %w", err)
		}
		name := strings.TrimSpace(string(own))
		if name == "" {
			return nil, fmt.Errorf("own_namespace: %s is empty", ownNamespaceFile)
		}
		add(name)
	}
	if len(out) == 0 {
		add("")
	}
	return out, nil
}

// cluster is an API server with the watches and feeds of it that are in use. Its fields are
// used under the mechanism's lock.
type cluster struct {
	connection connection
	api        *api
	// server is the address without credentials, for metrics and messages.
	server  string
	watches map[watchKey]*watch
	feeds   map[feedKey]*feed
	clients int
}

func (c *cluster) idle() bool { return len(c.watches) == 0 && len(c.feeds) == 0 && c.clients == 0 }
