// Package etcd has the commands of the program for etcd: registering targets where
// etcd_sd_configs finds them.
//
// They are an application of their own beside that of the server, so that a command
// cannot change what a flag of the server means. The package only wires: package
// discovery/etcd/registration does the work.
package etcd
