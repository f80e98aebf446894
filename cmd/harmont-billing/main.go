// Command harmont-billing serves the billing API, looks after its database, and reads from a server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the program immediately
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// The exit statuses.
const (
	exitOK      = 0
	exitFailure = 1 // the work failed
	exitUsage   = 2 // the command was not understood; nothing was done
)

// run runs one command line and returns the exit status. The commands serve and demo also change settings of the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	began := false
	root := newRoot(stdout, stderr, func() { began = true })
	root.SetArgs(args)
	root.SetIn(stdin)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	status := exitFailure
	if _, wrong := errors.AsType[*usageError](err); wrong || !began {
		status = exitUsage
	}
	_, _ = fmt.Fprintf(stderr, "harmont-billing: %s\n", message(err))
	if status == exitUsage {
		_, _ = fmt.Fprintf(stderr, "Try '%s --help'.\n", command.CommandPath())
	}
	return status
}

// message returns the text of an error for a person. It may quote a server, so unprintable characters are replaced.
func message(err error) string {
	lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(err.Error(), "harmont-billing: ")), "\n")
	for i, line := range lines {
		lines[i] = printable(strings.ReplaceAll(line, "\t", "  "))
	}
	return strings.Join(lines, "\n")
}

// usageError is a mistake in the command line that only the command itself could find.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }
