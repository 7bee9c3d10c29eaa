// Package registration keeps scrape targets in etcd for as long as a program runs, where
// etcd_sd_configs finds them.
//
// The key is written under a lease that is kept alive. It is gone when Run ends, or
// within the lease's time to live if the program or its machine dies. If the lease or the
// key is lost while the program lives (etcd was away for too long, someone deleted it),
// it is registered again.
//
// The package is for programs that have no other way of being found. It depends on
// etcd's client and nothing else of this module.
package registration
