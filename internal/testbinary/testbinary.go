// Package testbinary gives tests the real program.
package testbinary

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// env names a program that was built from this tree, so that not every package links it for its tests.
const env = "TEST_BINARY"

// Flags are the arguments of go build for the program, without -o. Flags and Environ are the same as in make build, so that both share
// the cache of the compiler.
var (
	Flags   = []string{"-trimpath"}
	Environ = []string{"CGO_ENABLED=0"}
)

var built struct {
	sync.Once
	folder string
	path   string
	err    error
}

// Path returns the path of the program, which the first call builds unless TEST_BINARY names one. TestMain must call
// Remove after the tests.
func Path() (string, error) {
	built.Do(func() {
		if built.path = os.Getenv(env); built.path != "" {
			_, built.err = os.Stat(built.path)
			return
		}
		if built.folder, built.err = os.MkdirTemp("", "harmont-billing-binary-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.folder, "harmont-billing")
		args := append(append([]string{"build"}, Flags...), "-o", built.path, "github.com/harmont-dev/harmont-billing/cmd/harmont-billing")
		cmd := exec.Command("go", args...) //nolint:noctx // the tests of a package need it, and end with it
		cmd.Env = append(os.Environ(), Environ...)
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	return built.path, built.err
}

// Remove removes the program that Path has built.
func Remove() {
	if built.folder != "" {
		_ = os.RemoveAll(built.folder) // a leftover in the system's temporary folder
	}
}

// Server is a server that runs as a process of its own.
type Server struct {
	*exec.Cmd
	URL string
}

// Serve starts the command serve of a program with the arguments, and waits until the server listens. The server is killed when the test
// ends.
func Serve(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	s := &Server{Cmd: exec.Command(program, append([]string{"serve"}, args...)...)} //nolint:noctx // Kill ends it
	stderr, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	lines := bufio.NewScanner(stderr)
	var log []string
	for lines.Scan() {
		log = append(log, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), " msg=serving address="); ok {
			s.URL, _, _ = strings.Cut(rest, " ")
			go io.Copy(io.Discard, stderr) //nolint:errcheck // Kill ends it
			return s
		}
	}
	t.Fatalf("the server ended:\n%s", strings.Join(log, "\n"))
	return nil
}

// Kill ends the server as a crash does.
func (s *Server) Kill() {
	_ = s.Process.Kill() // it may have ended
	_ = s.Wait()
}
