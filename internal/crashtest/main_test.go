// Package crashtest kills, doubles and starves the program, and looks whether every write that was acknowledged is there,
// once. It runs the real binary and speaks to it as any client does.
package crashtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

const (
	// roundsEnv sets how many times each test injects its fault.
	roundsEnv = "SOAK_ROUNDS"
	// seedEnv sets the seed of the random choices, to repeat an earlier run. The timing still differs between runs.
	seedEnv = "SOAK_SEED"
)

// patience is how long anything may take that a test waits for, however slow the machine is.
const patience = 3 * time.Minute

// program is the file of the program under test.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests check how much memory the servers use, so the servers run with the default setting of the garbage collector.
	os.Unsetenv("GOGC")
	var err error
	if program, err = testbinary.Path(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := pgtest.Main(m)
	testbinary.Remove()
	os.Exit(status)
}

// onEachStore runs the test on a new database of each kind.
func onEachStore(t *testing.T, test func(t *testing.T, database string)) {
	t.Run("SQLite", func(t *testing.T) { test(t, "sqlite:"+filepath.Join(t.TempDir(), "billing.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, pgtest.Database(t)) })
}

func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// inParts runs the test for all rounds in parts of at most 20 rounds, each part on a new database. Every round reads and
// checks the whole ledger, so one database for all rounds would make each round slower than the one before.
func inParts(t *testing.T, test func(t *testing.T, rounds int)) {
	const part = 20
	rounds := uint64(testlong.Pick(1, 10))
	for done, all := 0, int(fromEnv(t, roundsEnv, rounds)); done < all && !t.Failed(); done += part {
		end := min(done+part, all)
		t.Run(fmt.Sprintf("rounds %d to %d", done+1, end), func(t *testing.T) { test(t, end-done) })
	}
}

// newRandom makes the source of a test's choices.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := fromEnv(t, seedEnv, rand.Uint64())
	t.Logf("%s=%d", seedEnv, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// run runs one command of the program and returns its output.
func run(t *testing.T, args ...string) string {
	t.Helper()
	return runWith(t, "", args...)
}

// runWith is run with a standard input.
func runWith(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			stderr = exit.Stderr
		}
		t.Fatalf("harmont-billing %s: %v\n%s%s", strings.Join(args, " "), err, stderr, out)
	}
	return string(out)
}

// prepare makes the organizations, and a token that may do everything in them.
func prepare(t *testing.T, database string, orgs []string) (token string) {
	t.Helper()
	args := []string{"token", "create", "--database", database, "--name", "crashtest", "--role", "admin"}
	var records strings.Builder
	for _, org := range orgs {
		fmt.Fprintf(&records, `{"type":"organization","slug":%q,"name":%[1]q}`+"\n", org)
		args = append(args, "--org", org)
	}
	runWith(t, records.String(), "import", "-", "--database", database) // one start of the program for all of them
	return strings.TrimSpace(run(t, args...))
}

// verify has the program check the books of all organizations, whether a server runs or not.
func verify(t *testing.T, database string, orgs []string) {
	t.Helper()
	out := run(t, "verify", "--database", database)
	if found := strings.Count(out, " ok "); found != len(orgs) {
		t.Fatalf("verify found %d of %d organizations in order:\n%s", found, len(orgs), out)
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if t.Failed() {
			t.FailNow()
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}
