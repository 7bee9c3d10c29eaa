package etcd

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandLine(t *testing.T) {
	run := func(args ...string) (int, string) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var out, errs strings.Builder
		code := execute(ended, args, &out, &errs)
		return code, out.String() + errs.String()
	}
	code, text := run("--help")
	require.Equal(t, 0, code)
	require.Contains(t, text, "register --key=KEY")

	for want, args := range map[string][]string{
		"required flag(s) '--key' not provided":   {"register", "a:1"},
		"required argument 'target' not provided": {"register", "--key=/s/a"},
		"expected command but got \"nonsense\"":   {"nonsense"},
		"expected KEY=VALUE got 'x'":              {"register", "--key=/s/a", "--label=x", "a:1"},
		"--username and --password-file go":       {"register", "--key=/s/a", "--username=u", "a:1"},
		"unable to read CA cert":                  {"register", "--key=/s/a", "--tls.ca-file=/none", "a:1"},
		"the time to live is 1s; it has to be":    {"register", "--key=/s/a", "--ttl=1s", "a:1"},
	} {
		code, text := run(args...)
		require.NotZero(t, code)
		require.Contains(t, text, want)
	}
	code, text = run("register", "--key=/s/a", "--label=env=prod", "a:1", "b:2")
	require.Equal(t, 0, code, text)
}

func TestPasswordFile(t *testing.T) {
	_, r := newApplication(io.Discard, nil)
	r.opts.Username, r.passwordFile = "u", filepath.Join(t.TempDir(), "password")
	_, _, err := r.login()
	require.ErrorContains(t, err, "password file: open")
	require.NoError(t, os.WriteFile(r.passwordFile, []byte("\n"), 0o600))
	_, _, err = r.login()
	require.ErrorContains(t, err, "is empty")
	require.NoError(t, os.WriteFile(r.passwordFile, []byte("secret\n"), 0o600))
	u, p, err := r.login()
	require.NoError(t, err)
	require.Equal(t, []string{"u", "secret"}, []string{u, p})
}

// The how-to names every flag.
func TestFlagsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../../documentation/how-to/etcd-discovery.md")
	require.NoError(t, err)
	app, _ := newApplication(io.Discard, nil)
	for _, f := range app.GetCommand("register").Model().Flags {
		require.Contains(t, string(b), "`--"+f.Name+"`")
	}
}
