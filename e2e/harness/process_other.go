//go:build !linux

package harness

import "syscall"

// diesWithTest asks for nothing: only Linux can tie a program's life to its parent's.
func diesWithTest() *syscall.SysProcAttr { return nil }
