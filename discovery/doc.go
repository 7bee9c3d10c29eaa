// Package discovery finds targets: it turns the service discovery sections of a
// configuration into sets of target groups and keeps them up to date.
//
// A [Manager] runs any number of upstream's mechanisms
// (github.com/prometheus/prometheus/discovery) and brings what they find into one
// channel. It runs under the caller's context and waits for every mechanism that it
// started before [Manager.Run] returns.
//
// What a change costs does not depend on the number of groups and jobs: mechanisms with
// equal configurations run once, their groups are kept once and shared by all jobs, and
// what did not change is delivered as the same slices and groups as before. A change is
// delivered within half a second, later only if the receiver does not keep up.
//
// # Structure
//
//   - provider runs one mechanism and reads its updates into its groupTable.
//   - targetSet joins the groups of the providers of one job.
//   - pacer decides when to deliver. It and groupTable are pure.
//   - Manager plans which providers run, and delivers.
//
// It is not a mechanism itself. Our own mechanisms live in packages below this one
// (etcd), upstream's are linked by the package plugins.
//
// # Use
//
// A server runs two managers, one for scrape targets and one for Alertmanagers.
// They share one [Metrics], because each mechanism has a single set of collectors:
//
//	metrics, err := discovery.NewMetrics(registerer)
//	scrape, err := discovery.New(discovery.Options{Name: "scrape", Metrics: metrics, …})
//	notify, err := discovery.New(discovery.Options{Name: "notify", Metrics: metrics, …})
//	err = scrape.ApplyConfig(map[string]discovery.Configs{"job": configs})
//	go scrape.Run(ctx)
//	for sets := range scrape.SyncCh() { … }
//
// # Mechanisms and build tags
//
// A mechanism exists if its package is linked, because each registers its
// configuration section from an init function. This package links none, so that its
// importers and tests stay small; only cmd/gnomon imports plugins, which links all of
// them and makes the binary about 120 MB. Upstream's build tags leave them out:
//
//	go build ./cmd/gnomon                                             everything
//	go build -tags remove_all_sd ./cmd/gnomon                         static, file and http only
//	go build -tags remove_all_sd,enable_etcd_sd,enable_dns_sd ./cmd/gnomon
//
// remove_all_sd removes every mechanism but those three, and enable_<name>_sd brings
// one back. The names are aws, azure, consul, digitalocean, dns, etcd, eureka, gce,
// hetzner, ionos, kubernetes, linode, marathon, moby, nomad, oci, openstack,
// outscale, ovhcloud, puppetdb, scaleway, stackit, triton, uyuni, vultr, xds and
// zookeeper. A configuration that names a mechanism that is not linked is refused as
// an unknown field.
//
// # Concurrency
//
// All methods of [Manager] are safe for concurrent use. SyncCh has one consumer; the
// maps and groups it delivers are shared with the manager and must not be modified.
package discovery
