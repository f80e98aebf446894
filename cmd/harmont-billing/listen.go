package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// socketMode lets the user and the group of the server connect, such as a proxy that is in that group.
const socketMode = 0o660

// listeners returns the sockets that systemd has opened for this process, or else one on the address, HOST:PORT or unix:PATH.
func listeners(ctx context.Context, address string) ([]net.Listener, error) {
	given, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("the sockets of systemd: %w", err)
	}
	for i, listener := range given {
		if listener == nil {
			return nil, fmt.Errorf("the sockets of systemd: number %d is no stream socket that listens", i+1)
		}
	}
	if len(given) > 0 {
		return given, nil
	}
	listener, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	return []net.Listener{listener}, nil
}

// listen opens a socket on HOST:PORT or unix:PATH.
func listen(ctx context.Context, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(ctx, path)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// listenUnix makes a socket file, and replaces one that no process listens on, as a killed server leaves it behind.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	path = filepath.Clean(path)
	if path[0] == '@' { // which would be no file
		path = "./" + path
	}
	unlock, err := lockFolder(filepath.Dir(path)) // so that of two servers that start at once, none removes the socket of the other
	if err != nil {
		return nil, err
	}
	defer unlock()
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
		listener, err = new(net.ListenConfig).Listen(ctx, "unix", path)
	}
	switch {
	case errors.Is(err, syscall.EINVAL):
		return nil, fmt.Errorf("the path of a socket may have about 100 bytes, and %s has %d: %w", path, len(path), err)
	case err != nil:
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// removeStale removes a socket file that no process listens on. It fails for one that is in use, and for any other file.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("another process listens on %s", path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// urlOf writes the address of a listener for people: a URL, or unix:PATH.
func urlOf(listener net.Listener, path string) string {
	address := listener.Addr()
	if address.Network() == "unix" {
		return "unix:" + address.String()
	}
	return "http://" + address.String() + path
}
