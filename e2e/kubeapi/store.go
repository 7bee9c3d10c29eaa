package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

const (
	// segmentSize is that of each of the two files of etcd's log that are laid out at once,
	// 64 MiB each by default.
	segmentSize = 4 << 20
	// storeWithin bounds the start of etcd.
	storeWithin = 30 * time.Second
)

// startEtcd starts etcd in this process. Its clients come by a unix socket in dir, and it
// does not force writes to the disk: they outlive the process, not a loss of power. It
// returns the address and what stops it.
func startEtcd(dir string) (string, func(), error) {
	wal.SegmentSizeBytes = segmentSize
	socket := filepath.Join(dir, "etcd.sock")
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return "", nil, err
	}
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.LogLevel = "error"
	config.LogOutputs = []string{"stderr"}
	config.UnsafeNoFsync = true
	clients, peers := url.URL{Scheme: "unix", Path: socket}, url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config.ListenClientUrls = []url.URL{clients}
	// Nobody asks for it, and a unix socket is none.
	config.AdvertiseClientUrls = []url.URL{peers}
	config.ListenPeerUrls = []url.URL{peers}
	config.AdvertisePeerUrls = []url.URL{peers}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return "", nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
	case err = <-etcd.Err():
	case <-time.After(storeWithin):
		err = fmt.Errorf("not ready after %s", storeWithin)
	}
	if err != nil {
		etcd.Close()
		return "", nil, err
	}
	return clients.String(), etcd.Close, nil
}
