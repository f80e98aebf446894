package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startStopTimeout is how long a server may take to start or to stop.
const startStopTimeout = 2 * time.Minute

// process is a running server.
type process struct {
	cmd     *exec.Cmd
	address string
	log     string // the file of its log
	exited  chan struct{}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// serve starts the program on a database and waits until it listens. It logs no line for each request, as the yardsticks do
// not.
func (b *bench) serve(ctx context.Context, database string, args ...string) (*process, error) {
	return b.start(ctx, b.program, func(address string) []string {
		return append([]string{"serve", "--database", database, "--listen", address, "--log-level", "warn"}, args...)
	})
}

// startYardstick starts a server to compare with: this program itself, as another process.
func (b *bench) startYardstick(ctx context.Context, kind string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.start(ctx, self, func(address string) []string { return append([]string{yardstickCommand, kind, address}, args...) })
}

func (b *bench) start(ctx context.Context, program string, args func(address string) []string) (*process, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{address: listener.Addr().String(), exited: make(chan struct{})}
	if err := listener.Close(); err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(b.workFolder, filepath.Base(program)+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.log = log.Name()
	p.cmd = exec.CommandContext(ctx, program, args(p.address)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // its log tells why it ended
		close(p.exited)
	}()
	if err := p.waitUntilListening(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// waitUntilListening waits until the process listens. It asks often, since the time to start is measured with it.
func (p *process) waitUntilListening(ctx context.Context) error {
	for end := time.Now().Add(startStopTimeout); time.Now().Before(end); {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address); err == nil {
			return conn.Close()
		}
		select {
		case <-p.exited:
			text, _ := os.ReadFile(p.log)
			return fmt.Errorf("%s ended: %s", p.cmd, bytes.TrimSpace(text))
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen after %s", p.cmd, startStopTimeout)
}

// stop ends the process as an operator would.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(startStopTimeout):
		return errors.Join(fmt.Errorf("%s does not stop", p.cmd), p.cmd.Process.Kill())
	}
}

// run runs one command of the program and returns its output.
func (b *bench) run(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("harmont-billing %s: %w: %s%s", args[0], err, exit.Stderr, out)
	}
	return strings.TrimSpace(string(out)), err
}

// newToken makes a token that may do everything in both organizations.
func (b *bench) newToken(ctx context.Context, database string) (string, error) {
	return b.run(ctx, "", "token", "create", "--database", database, "--name", "bench", "--role", "admin", "--org", smallOrg, "--org", largeOrg)
}

// verify has the program recompute the books.
func (b *bench) verify(ctx context.Context, database string) error {
	_, err := b.run(ctx, "", "verify", "--database", database)
	return err
}
