package alerting

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOriginOf(t *testing.T) {
	_, ok := OriginOf(t.Context())
	require.False(t, ok)
	want := Origin{File: "f.yml", Group: "g", Rule: "Down", Alerting: true}
	got, ok := OriginOf(WithOrigin(t.Context(), want))
	require.True(t, ok)
	require.Equal(t, want, got)
}
