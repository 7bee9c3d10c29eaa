package encoding

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func checkTimes(t *testing.T, times []int64) []byte {
	t.Helper()
	encoded := AppendTimes(nil, times)
	got, rest, err := DecodeTimes([]int64{9}, append(encoded[:len(encoded):len(encoded)], 0xee))
	require.NoError(t, err)
	require.Equal(t, []byte{0xee}, rest)
	require.Equal(t, append([]int64{9}, times...), got)
	return encoded
}

func TestTimesRoundTrip(t *testing.T) {
	for name, times := range timelines() {
		t.Run(name, func(t *testing.T) {
			checkTimes(t, times)
			for n := range min(len(times), 131) {
				checkTimes(t, times[:n])
			}
		})
	}
}

func TestTimesSizes(t *testing.T) {
	all := timelines()
	require.LessOrEqual(t, len(AppendTimes(nil, all["regular"])), 13)
	require.LessOrEqual(t, len(AppendTimes(nil, all["constant"])), 9)
	require.LessOrEqual(t, len(AppendTimes(nil, all["one gap"])), 28)
	require.LessOrEqual(t, len(AppendTimes(nil, all["restarts"])), 28)
	require.LessOrEqual(t, len(AppendTimes(nil, all["jitter"])), 480*4/8+20)
}

func TestTimesErrors(t *testing.T) {
	for name, times := range timelines() {
		encoded := AppendTimes(nil, times)
		for n := range encoded {
			_, _, err := DecodeTimes(nil, encoded[:n:n])
			require.ErrorIs(t, err, ErrCorrupt, "%s cut at %d", name, n)
		}
	}
	_, _, err := DecodeTimes(nil, []byte{kindConstantDecimal | columnRows, 0x81, 0x80, 0x04, 0})
	require.ErrorIs(t, err, ErrCorrupt)
}
