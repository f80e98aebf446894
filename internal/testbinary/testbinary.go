// Package testbinary gives tests the real program.
package testbinary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
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
