package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCurrent holds the committed file against what is generated.
func TestCurrent(t *testing.T) {
	got, err := generate()
	require.NoError(t, err)
	want, err := os.ReadFile("../pack_generated.go")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go generate ./tsdb/encoding")
}
