package api

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	fastgzip "github.com/klauspost/compress/gzip"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return string(b)
}

func TestCompression(t *testing.T) {
	large := strings.Repeat("0123456789", 20_000)
	h := Compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/error":
			http.Error(w, "broken", http.StatusTeapot)
		default:
			for i := 0; i < len(large); i += 1000 {
				_, err := io.WriteString(w, large[i:i+1000])
				require.NoError(t, err)
			}
		}
	}))
	get := func(path, accept string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, "Accept-Encoding", w.Header().Get("Vary"))
		return w.Result()
	}
	for accept, encoding := range map[string]string{
		"": "", "gzip": "gzip", "deflate": "deflate", "br, gzip;q=0.5, deflate": "gzip", " deflate ,gzip": "deflate",
		"gzip;q=0, deflate": "deflate", "gzip; q = 0.0": "", "identity": "", "GZIP": "", "gzip;q=x": "gzip",
	} {
		for range 3 { // writers are reused
			res := get("/", accept)
			require.Equal(t, encoding, res.Header.Get("Content-Encoding"), accept)
			var body io.Reader = res.Body
			var err error
			switch encoding {
			case "gzip":
				body, err = gzip.NewReader(res.Body)
			case "deflate":
				body, err = zlib.NewReader(res.Body)
			}
			require.NoError(t, err)
			b, err := io.ReadAll(body)
			require.NoError(t, err)
			require.True(t, string(b) == large)
			require.Equal(t, "text/plain; charset=utf-8", res.Header.Get("Content-Type"))
		}
	}
	res := get("/none", "gzip")
	require.Empty(t, res.Header.Get("Content-Encoding"))
	require.Empty(t, bodyOf(t, res))

	res = get("/error", "gzip")
	require.Equal(t, http.StatusTeapot, res.StatusCode)
	unzipped, err := gzip.NewReader(res.Body)
	require.NoError(t, err)
	b, err := io.ReadAll(unzipped)
	require.NoError(t, err)
	require.Equal(t, "broken\n", string(b))
}

// TestCompressionOfPanic: a body that a panic cut short must not end like a
// complete one.
func TestCompressionOfPanic(t *testing.T) {
	h := Compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, "half of it")
		require.NoError(t, err)
		panic("broken")
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	require.PanicsWithValue(t, "broken", func() { h.ServeHTTP(w, r) })
	unzipped, err := gzip.NewReader(w.Body)
	if err == nil {
		_, err = io.ReadAll(unzipped)
	}
	require.Error(t, err)
}

// BenchmarkGzipLevels compresses a range result of noisy counters.
func BenchmarkGzipLevels(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var m []Series
	for i := range 100 {
		s := Series{Metric: labels.FromStrings("__name__", "node_cpu_seconds_total", "instance", fmt.Sprintf("host-%d:9100", i), "mode", "idle")}
		v := rng.Float64() * 1e6
		for j := range 1000 {
			v += rng.Float64() * 15
			s.Floats = append(s.Floats, FloatPoint{T: 1600000000000 + int64(j)*15000, F: math.Round(v*100) / 100})
		}
		m = append(m, s)
	}
	text := []byte(encodeResult(&Result{Type: parser.ValueTypeMatrix, Matrix: m}))
	for _, level := range []int{fastgzip.BestSpeed, fastgzip.DefaultCompression} {
		b.Run(fmt.Sprintf("level=%d", level), func(b *testing.B) {
			var out bytes.Buffer
			w, err := fastgzip.NewWriterLevel(&out, level)
			require.NoError(b, err)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				out.Reset()
				w.Reset(&out)
				_, err := w.Write(text)
				require.NoError(b, err)
				require.NoError(b, w.Close())
			}
			b.ReportMetric(float64(out.Len())/float64(len(text)), "ratio")
		})
	}
}
