//go:build !linux || no_machine

package machine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAbsent(t *testing.T) {
	require.False(t, Available)
	m, err := New(Options{})
	require.ErrorIs(t, err, ErrNotBuiltIn)
	require.Nil(t, m)
}
