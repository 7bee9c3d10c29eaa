//go:build !remove_all_sd || enable_etcd_sd

package plugins

import (
	// Registers etcd_sd_configs.
	_ "github.com/gnomonhq/gnomon/discovery/etcd"
)
