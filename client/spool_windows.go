package client

import (
	"errors"
	"io"
	"os"
	"syscall"
)

const errSharingViolation = syscall.Errno(32)

// lockFile makes a file that nobody else can open until it is closed, or the process ends.
func lockFile(path string) (io.Closer, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const noSharing = 0
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, noSharing, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharingViolation) {
		return nil, ErrSpoolInUse
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// lockOpened does nothing, since a lock would keep other programs from reading the file.
func lockOpened(*os.File) error { return nil }

// syncFolder does nothing: Windows writes the names of files to disk itself.
func syncFolder(string) error { return nil }
