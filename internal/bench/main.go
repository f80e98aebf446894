// Command bench measures the given program against yardsticks, side by side, and writes the results in the form of docs/benchmarks.md. It
// measures the program through its commands and its HTTP API.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == yardstickCommand {
		return runYardstick(ctx, args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	sizeName := flags.String("size", "medium", "small, medium or full")
	only := flags.String("only", "", "the sections to run, with commas between them; all where absent")
	program := flags.String("program", "bin/harmont-billing", "the program to measure")
	data := flags.String("data", "/var/tmp/harmont-billing-bench", "where databases are kept for the next time")
	report := flags.String("report", "", "the file to write the report to; standard output where absent")
	if err := flags.Parse(args); err != nil {
		return err
	}
	size, ok := sizes[*sizeName]
	if !ok {
		return fmt.Errorf("there is no size %q", *sizeName)
	}
	chosen, err := chooseSections(*only)
	if err != nil {
		return err
	}
	text, err := measure(ctx, size, chosen, *program, *data)
	if err != nil {
		return err
	}
	if *report == "" {
		_, err = io.WriteString(os.Stdout, text)
		return err
	}
	return os.WriteFile(*report, []byte(text), 0o644)
}

// size says how much is measured, and for how long.
type size struct {
	name            string
	smallOrgLeases  int           // leases of the organization that the large one is compared with
	largeOrgLeases  int           // leases of the large organization
	breakdownLeases int           // leases in the window of a breakdown
	writtenLeases   int           // leases that a run writes
	rounds          int           // how often each side runs
	loadTime        time.Duration // how long a run under load takes
	callsTime       time.Duration // how long a run of single calls takes
	verifyFilled    bool          // whether a database is verified after it was filled
}

var sizes = map[string]size{
	"small": {
		name: "small", smallOrgLeases: 1_000, largeOrgLeases: 10_000, breakdownLeases: 10_000, writtenLeases: 3_000,
		rounds: 2, loadTime: 500 * time.Millisecond, callsTime: 100 * time.Millisecond, verifyFilled: true,
	},
	"medium": {
		name: "medium", smallOrgLeases: 10_000, largeOrgLeases: 1_000_000, breakdownLeases: 1_000_000, writtenLeases: 50_000,
		rounds: 5, loadTime: 2 * time.Second, callsTime: 500 * time.Millisecond,
	},
	"full": {
		name: "full", smallOrgLeases: 10_000, largeOrgLeases: 10_000_000, breakdownLeases: 1_000_000, writtenLeases: 100_000,
		rounds: 7, loadTime: 5 * time.Second, callsTime: 2 * time.Second,
	},
}

// bench is one run of the benchmarks.
type bench struct {
	size       size
	program    string
	dataFolder string // the folder of databases that are kept
	workFolder string // a folder that is removed at the end
	generator  generator
	stores     []databases
	rows       []row
}

// section is a part of the run that can be chosen.
type section struct {
	name string
	run  func(*bench, context.Context, databases) error
}

var sections = []section{
	{"balance", (*bench).measureBalance},
	{"reads", (*bench).measureReads},
	{"breakdown", (*bench).measureBreakdown},
	{"writes", (*bench).measureWrites},
	{"single", (*bench).measureSingleWrites},
	{"import", (*bench).measureImport},
	{"naive", (*bench).measureNaive},
	{"footprint", (*bench).measureFootprint},
}

func chooseSections(only string) ([]section, error) {
	if only == "" {
		return sections, nil
	}
	var chosen []section
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(sections, func(s section) bool { return s.name == name })
		if i < 0 {
			var names []string
			for _, s := range sections {
				names = append(names, s.name)
			}
			return nil, fmt.Errorf("there is no section %q; there are %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, sections[i])
	}
	return chosen, nil
}

// measure runs the sections on each store and returns the report.
func measure(ctx context.Context, size size, chosen []section, program, data string) (text string, err error) {
	b := &bench{size: size, dataFolder: data, generator: findGenerator()}
	if b.program, err = filepath.Abs(program); err != nil {
		return "", err
	}
	if _, err := exec.LookPath(b.program); err != nil {
		return "", fmt.Errorf("%w; run make build", err)
	}
	// The operating system's user of PostgreSQL must be able to enter the folder.
	if err := os.MkdirAll(data, 0o755); err != nil {
		return "", err
	}
	if b.workFolder, err = os.MkdirTemp(data, "run-"); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.workFolder)) }()
	machine, err := describeMachine(ctx, data)
	if err != nil {
		return "", err
	}
	b.stores = []databases{sqliteFiles{data}}
	cluster, err := pgtest.Keep(filepath.Join(data, "postgres"))
	switch {
	case err == nil:
		defer cluster.Close()
		postgres := postgresCluster{cluster}
		if machine.PostgreSQL, err = postgres.version(ctx); err != nil {
			return "", err
		}
		b.stores = append(b.stores, postgres)
	case os.Getenv("TEST_POSTGRES_REQUIRED") != "":
		return "", err
	default:
		b.logf("NOT MEASURED ON POSTGRESQL: %v", err)
	}
	began := time.Now()
	for _, store := range b.stores {
		if err := b.makeEmpty(ctx, store, emptyDatabase); err != nil {
			return "", err
		}
	}
	for _, section := range chosen {
		for _, store := range b.stores {
			b.logf("%s, %s (%s since the start)", section.name, store.name(), time.Since(began).Round(time.Second))
			if err := section.run(b, ctx, store); err != nil {
				return "", fmt.Errorf("%s, %s: %w", section.name, store.name(), err)
			}
		}
	}
	for _, store := range b.stores {
		if err := store.remove(ctx, scratchDatabase); err != nil {
			return "", err
		}
	}
	return b.report(machine, time.Since(began))
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// add adds a row to the report and logs it.
func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	b.logf("  %s: %s", r.label, r.summary())
}
