package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/config"

	"github.com/gnomonhq/gnomon/discovery/etcd/registration"
)

// Name is the first argument of a command line that is for this package.
const Name = "etcd"

// program is the name of the program in usage and errors.
const program = "gnomon"

// register is the command that keeps targets in etcd.
type register struct {
	opts         registration.Options
	passwordFile string
	useTLS       bool
	tls          config.TLSConfig
}

func newRegister(app *kingpin.Application) *register {
	r := &register{opts: registration.Options{Labels: map[string]string{}}}
	cmd := app.Command("register", "Register targets under a key in etcd, for as long as this command runs. "+
		"The key is written under a lease: it is removed at exit, and disappears by itself if the command dies.")
	cmd.Flag("endpoint", "Client address or URL of a member of the cluster. Repeatable.").Default("127.0.0.1:2379").StringsVar(&r.opts.Endpoints)
	cmd.Flag("key", "Key to write, such as /services/api/web-1. Each instance needs its own.").Required().StringVar(&r.opts.Key)
	cmd.Flag("label", "Label of all targets, as name=value. Repeatable.").StringMapVar(&r.opts.Labels)
	cmd.Flag("ttl", "Time after which the targets disappear if this command dies, in whole seconds.").Default("15s").DurationVar(&r.opts.TTL)
	cmd.Flag("timeout", "Limit of each request.").Default("5s").DurationVar(&r.opts.Timeout)
	cmd.Flag("username", "User to log in as.").StringVar(&r.opts.Username)
	cmd.Flag("password-file", "File with the user's password, read at each login.").StringVar(&r.passwordFile)
	cmd.Flag("tls", "Use TLS for addresses without https://.").BoolVar(&r.useTLS)
	cmd.Flag("tls.ca-file", "Certificates of the authorities to trust. Turns TLS on.").StringVar(&r.tls.CAFile)
	cmd.Flag("tls.cert-file", "Certificate to show to etcd. Turns TLS on.").StringVar(&r.tls.CertFile)
	cmd.Flag("tls.key-file", "Key of the certificate.").StringVar(&r.tls.KeyFile)
	cmd.Flag("tls.server-name", "Name to expect in etcd's certificate. Turns TLS on.").StringVar(&r.tls.ServerName)
	cmd.Arg("target", "Addresses to register, as host:port.").Required().StringsVar(&r.opts.Targets)
	return r
}

// run registers until ctx ends. Logs go to out.
func (r *register) run(ctx context.Context, out io.Writer) error {
	r.opts.Logger = slog.New(slog.NewTextHandler(out, nil))
	if (r.opts.Username == "") != (r.passwordFile == "") {
		return errors.New("--username and --password-file go together")
	}
	if r.opts.Username != "" {
		r.opts.Login = r.login
	}
	if r.useTLS || r.tls != (config.TLSConfig{}) {
		t, err := tlsConfig(ctx, &r.tls)
		if err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		r.opts.TLS = t
	}
	return registration.Run(ctx, r.opts)
}

func tlsConfig(ctx context.Context, c *config.TLSConfig) (*tls.Config, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return config.NewTLSConfigWithContext(ctx, c)
}

func (r *register) login() (username, password string, err error) {
	b, err := os.ReadFile(r.passwordFile)
	if err != nil {
		return "", "", fmt.Errorf("password file: %w", err)
	}
	if password = strings.TrimSpace(string(b)); password == "" {
		return "", "", fmt.Errorf("password file %s is empty", r.passwordFile)
	}
	return r.opts.Username, password, nil
}

func newApplication(out io.Writer, terminate func(int)) (*kingpin.Application, *register) {
	app := kingpin.New(program+" "+Name, "Register targets in etcd, where etcd_sd_configs finds them.").
		UsageWriter(out).ErrorWriter(out).Terminate(terminate)
	app.HelpFlag.Short('h')
	return app, newRegister(app)
}

// Execute runs the command that the arguments behind Name say, until an interrupt or a
// termination signal ends it. What it has to say goes to out, errors to errs. It returns
// the exit code: 0 after an orderly end, 1 after a failure, 2 for a command line that
// makes no sense.
func Execute(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, args, out, errs)
}

func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	informed := false
	var app *kingpin.Application
	app, r := newApplication(out, func(int) {
		informed = true
		app.UsageWriter(io.Discard) // kingpin goes on, and would say it again
	})
	_, err := app.Parse(args)
	switch {
	case informed:
		return 0
	case err != nil:
		fmt.Fprintf(errs, "%s: %v\nTry '%s --help'.\n", app.Name, err, app.Name)
		return 2
	}
	if err := r.run(ctx, out); err != nil {
		fmt.Fprintf(errs, "%s: %v\n", program, err)
		return 1
	}
	return 0
}
