//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package client

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFile makes a file and holds its lock until it is closed, or the process ends.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockOpened(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockOpened holds the lock of a file until it is closed.
func lockOpened(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrSpoolInUse
	}
	return err
}

// syncFolder writes to disk which files a folder has.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
