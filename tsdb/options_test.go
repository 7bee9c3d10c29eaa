package tsdb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompressionOfTheLogIsAnOption(t *testing.T) {
	require.False(t, (&DB{}).walOptions().Uncompressed)
	require.True(t, (&DB{opts: Options{WALUncompressed: true}}).walOptions().Uncompressed)
}
