package harness

import "syscall"

// diesWithTest makes the kernel kill the program if the test binary goes away without
// cleaning up, as it does on a timeout.
func diesWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
