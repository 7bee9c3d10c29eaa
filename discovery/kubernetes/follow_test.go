package kubernetes

import (
	"slices"
	"testing"

	upstream "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
)

func TestObjectsAreFollowed(t *testing.T) {
	t.Parallel()
	secret := func(namespace, name string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "somebody"}},
		}}
	}
	w := newWorld(t)
	w.dynamic = dynamicfake.NewSimpleDynamicClient(scheme.Scheme, secret("a", "one"), secret("a", "two"), secret("b", "three"))
	client, err := w.mechanism.Connect(&upstream.SDConfig{})
	require.NoError(t, err)
	events := make(chan string, 100)
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { events <- "add " + o.(metav1.Object).GetName() },
		DeleteFunc: func(o any) { events <- "delete " + o.(metav1.Object).GetName() },
	}
	secrets := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	first := client.Follow(Query{Resource: secrets, Namespace: "a"}, handler)
	second := client.Follow(Query{Resource: secrets, Namespace: "a"}, cache.ResourceEventHandlerFuncs{})
	got := []string{<-events, <-events}
	slices.Sort(got)
	require.Equal(t, []string{"add one", "add two"}, got)
	require.Eventually(t, first.Synced, waitFor, tick)
	require.Len(t, first.List(), 2)
	require.Empty(t, first.List()[0].GetManagedFields())
	require.Len(t, w.mechanism.Sources(), 1, "one watch for both")
	require.Equal(t, "secrets", w.mechanism.Sources()[0].Resource)

	require.NoError(t, w.dynamic.Resource(secrets).Namespace("a").Delete(t.Context(), "one", metav1.DeleteOptions{}))
	require.Equal(t, "delete one", <-events)
	require.NoError(t, first.Err())
	first.Close()
	first.Close()
	require.Len(t, w.mechanism.Sources(), 1, "the other goes on")
	second.Close()
	require.Empty(t, w.mechanism.Sources())
	require.Len(t, w.mechanism.clusters, 1, "the client is open")
	client.Close()
	require.Empty(t, w.mechanism.clusters)
}
