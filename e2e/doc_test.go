// Package e2e tests the server as its users have it: the real binary, its flags, files,
// signals and HTTP, beside a real etcd, a real Alertmanager and a real node exporter. Each
// file holds one promise to the user.
//
// Run it by make e2e, which builds the server, or by go test -count=1 ./..., which builds
// it too; GNOMON_BINARY=path tests another binary.
package e2e
