package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gnomonhq/gnomon/e2e/harness"
)

// writeAccount writes what a kubelet puts into a pod: a token of the service account, and what
// the API server's certificate is checked with.
func writeAccount(t *testing.T, k *harness.Kubernetes, dir, namespace, name string) {
	t.Helper()
	token, err := k.Client(t).CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	ca, err := os.ReadFile(k.File("ca.crt"))
	require.NoError(t, err)
	harness.WriteFile(t, filepath.Join(dir, "token"), token.Status.Token)
	harness.WriteFile(t, filepath.Join(dir, "ca.crt"), string(ca))
}

// accountClient returns a client that has what writeAccount wrote.
func accountClient(t *testing.T, k *harness.Kubernetes, dir string) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: k.URL, BearerTokenFile: filepath.Join(dir, "token"), QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(dir, "ca.crt")},
	})
	require.NoError(t, err)
	return client
}

// verbs are all verbs of all resources of an API server, by what the tests call them, such as
// "list apps/deployments".
func verbs(t *testing.T, client kubernetes.Interface) map[string]authorizationv1.ResourceAttributes {
	t.Helper()
	_, lists, err := client.Discovery().ServerGroupsAndResources()
	require.NoError(t, err)
	all := make(map[string]authorizationv1.ResourceAttributes)
	for _, list := range lists {
		group, version, found := strings.Cut(list.GroupVersion, "/")
		if !found {
			group, version = "", list.GroupVersion
		}
		for _, resource := range list.APIResources {
			name, subresource, _ := strings.Cut(resource.Name, "/")
			for _, verb := range resource.Verbs {
				all[verb+" "+group+"/"+resource.Name] = authorizationv1.ResourceAttributes{
					Group: group, Version: version, Resource: name, Subresource: subresource, Verb: verb,
				}
			}
		}
	}
	return all
}

// may reports whether the user of a client may do something.
func may(t *testing.T, client kubernetes.Interface, attributes authorizationv1.ResourceAttributes) bool {
	t.Helper()
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// readable are the resources that the account of the manifests may read.
var readable = []string{
	"/endpoints", "/namespaces", "/nodes", "/pods", "/services", "apps/replicasets", "batch/jobs",
	"discovery.k8s.io/endpointslices", "networking.k8s.io/ingresses",
}

// deploymentPermissions asks the API server about every verb of every resource that it has:
// what the account may do beyond what an account may that nobody gave a role.
func deploymentPermissions(t *testing.T, d *deployment) {
	d.c.account("gnomon", "nobody")
	dir := t.TempDir()
	writeAccount(t, d.k, dir, "gnomon", "nobody")
	nobody, client := accountClient(t, d.k, dir), accountClient(t, d.k, d.account)
	all := verbs(t, d.c.client)
	require.Greater(t, len(all), 300)
	require.Contains(t, all, "create /pods/exec")
	var allowed []string
	for what, attributes := range all {
		if may(t, client, attributes) && !may(t, nobody, attributes) {
			allowed = append(allowed, what)
		}
	}
	var want []string
	for _, resource := range readable {
		want = append(want, "get "+resource, "list "+resource, "watch "+resource)
	}
	require.ElementsMatch(t, want, allowed)

	// What the API server does not list: the way into kubelets, and ways to become another.
	require.True(t, may(t, client, authorizationv1.ResourceAttributes{Verb: "get", Resource: "nodes", Subresource: "metrics"}))
	for _, refused := range []authorizationv1.ResourceAttributes{
		{Verb: "get", Resource: "nodes", Subresource: "proxy"},
		{Verb: "get", Resource: "nodes", Subresource: "log"},
		{Verb: "create", Resource: "nodes", Subresource: "metrics"},
		{Verb: "impersonate", Resource: "users"},
		{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "bind", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "list", Resource: "secrets", Namespace: "gnomon"},
		{Verb: "get", Resource: "configmaps", Namespace: "gnomon", Name: "gnomon"},
	} {
		require.False(t, may(t, client, refused), "%+v", refused)
	}
	_, err := client.CoreV1().Secrets("gnomon").List(t.Context(), metav1.ListOptions{})
	require.ErrorContains(t, err, "forbidden")
}
