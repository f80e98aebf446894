//go:build unix && !solaris && !illumos && !aix

package main

import (
	"os"
	"syscall"
)

// lockFolder waits for the lock of a folder, and returns a function that releases it. The kernel also releases it when the process ends.
func lockFolder(path string) (unlock func(), err error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		folder.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { folder.Close() }, nil
}
