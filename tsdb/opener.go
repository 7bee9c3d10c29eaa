package tsdb

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/gnomonhq/gnomon/storage"
)

// tenantsDir has the folders of tenants.
const tenantsDir = "tenants"

var tenantName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,149}$`)

// Opener opens the databases of tenants below a folder. It implements
// storage.Opener. Opening a tenant that is open fails: its folder is locked.
type Opener struct {
	dir  string
	opts Options
}

// NewOpener returns an opener of databases below dir. The tenant without a name
// has dir itself, others dir/tenants/<name>. Metrics are those of the tenant
// without a name: the same metric with and without a label for the tenant cannot
// be in one registry.
func NewOpener(dir string, opts Options) *Opener { return &Opener{dir: dir, opts: opts} }

// OpenStore opens the database of a tenant.
func (o *Opener) OpenStore(ctx context.Context, tenant storage.Tenant) (storage.Store, error) {
	dir, opts := o.dir, o.opts
	if tenant != "" {
		if !tenantName.MatchString(string(tenant)) {
			return nil, fmt.Errorf("tenant %q: a name has up to 150 letters, digits, '_', '-' and '.', and begins with a letter or digit", tenant)
		}
		dir = filepath.Join(dir, tenantsDir, string(tenant))
		opts.Registerer = nil
	}
	return Open(ctx, dir, opts)
}
