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
	"time"
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

// patience is how long a server may take until it listens.
const patience = 3 * time.Minute

// Server is a server that runs as a process of its own.
type Server struct {
	*exec.Cmd
	URL      string
	DebugURL string // of its profiles, if it was told to serve them

	Exited chan struct{} // closed once the process has ended

	mu       sync.Mutex
	failures []string // the latest lines of its log above the level info
}

// Serve starts the command serve of a program with the arguments, and waits until the server listens. The server is killed when the test
// ends.
func Serve(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	return Start(t, exec.Command(program, append([]string{"serve"}, args...)...)) //nolint:noctx // Kill ends it
}

// Start is Serve for any command that becomes a server.
func Start(t testing.TB, cmd *exec.Cmd) *Server {
	t.Helper()
	s := &Server{Cmd: cmd, Exited: make(chan struct{})}
	stderr, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	listens := make(chan struct{})
	go s.read(stderr, listens)
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the last failures in the log of the server:\n%s", strings.Join(s.failures, "\n"))
		}
	})
	select {
	case <-listens:
	case <-s.Exited:
		t.Fatalf("the server ended: %s\n%s", s.ProcessState, strings.Join(s.failures, "\n"))
	case <-time.After(patience):
		t.Fatalf("the server does not serve after %s", patience)
	}
	return s
}

// read follows the log of the process to its end.
func (s *Server) read(stderr io.Reader, listens chan<- struct{}) {
	defer close(s.Exited)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if _, rest, ok := strings.Cut(line, ` msg="serving profiles" address=`); ok {
			s.DebugURL = rest
		}
		if _, rest, ok := strings.Cut(line, " msg=serving address="); ok && s.URL == "" {
			s.URL, _, _ = strings.Cut(rest, " ")
			close(listens)
		}
		if strings.Contains(line, " level=INFO ") {
			continue
		}
		s.mu.Lock()
		if s.failures = append(s.failures, line); len(s.failures) > 20 {
			s.failures = s.failures[1:]
		}
		s.mu.Unlock()
	}
	_ = s.Wait() // it was killed, or its log tells why it ended
}

// Kill ends the server as a crash does, and waits for its end.
func (s *Server) Kill() {
	_ = s.Process.Kill() // it may have ended
	<-s.Exited
}
