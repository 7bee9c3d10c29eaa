package main

import (
	// Links the discovery mechanisms; build tags leave them out.
	_ "github.com/gnomonhq/gnomon/discovery/plugins"
)
