//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package client

import (
	"errors"
	"io"
	"os"
)

func lockFile(string) (io.Closer, error) {
	return nil, errors.New("a spool needs locks of files, which this system does not have")
}

func lockOpened(*os.File) error { return nil }

func syncFolder(string) error { return nil }
