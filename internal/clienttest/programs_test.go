package clienttest

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/server"
)

// examples is the folder that buildExamples has made.
var examples string

// buildExamples builds the programs of client/examples, once for all tests.
var buildExamples = sync.OnceValue(func() (err error) {
	if examples, err = os.MkdirTemp("", "harmont-billing-examples"); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", examples, "./client/examples/...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
})

// example makes a command of one of the programs.
func example(t *testing.T, url, token, name string, args ...string) *exec.Cmd {
	t.Helper()
	if err := buildExamples(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(examples, name), args...)
	cmd.Env = append(os.Environ(), "HARMONT_API_URL="+url, "HARMONT_TOKEN="+token)
	return cmd
}

func outputOf(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// The costs of pipelines include leases that have no build, no job and no pipeline.
func TestPipelineCosts(t *testing.T) {
	t.Parallel()
	b := newBilling(t, "acme")
	token, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: server.RoleWrite, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, b.url, client.WithToken(token))
	start := client.LastMonth(time.UTC).From.Add(10 * 24 * time.Hour)
	finished := func(lease client.Lease) client.Lease {
		lease.CPUCount, lease.MemoryGB, lease.DiskGB, lease.StartedAt, lease.FinishedAt = 2, 4, 20, start, new(start.Add(5*time.Minute))
		return lease
	}
	named, unnamed := uuid.New(), uuid.New()
	if _, err := c.RecordLeases(t.Context(), "acme", []client.Lease{
		finished(client.Lease{}),
		finished(client.Lease{JobID: new(uuid.New())}),
		finished(client.Lease{JobID: new(uuid.New()), BuildID: new(uuid.New())}),
		finished(client.Lease{JobID: new(uuid.New()), BuildID: new(uuid.New()), PipelineID: &named, PipelineName: new("Deploy")}),
		finished(client.Lease{BuildID: new(uuid.New()), PipelineID: &named, PipelineName: new("Deploy")}),
		finished(client.Lease{BuildID: new(uuid.New()), PipelineID: &unnamed}),
		{CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start}, // runs
	}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%10s  (no pipeline)\n%10s  Deploy\n%10s  %s\n", "$0.36", "$0.24", "$0.12", unnamed)
	if got := outputOf(t, example(t, b.url, token, "pipelinecost", "acme")); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The program with OpenTelemetry builds and passes its test, where its modules have been downloaded.
func TestTracedProgram(t *testing.T) {
	testlong.Only(t, "OpenTelemetry is compiled")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./...")
	cmd.Dir = "../../testdata/otelhttp"
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-trimpath", "GOWORK=off", "CGO_ENABLED=0")
	switch out, err := cmd.CombinedOutput(); {
	case err != nil && strings.Contains(string(out), "GOPROXY=off"):
		t.Skip("run 'go mod download' in testdata/otelhttp first")
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

// A file of a ledger that was cut anywhere is continued with each entry once.
func TestLedgerCSV(t *testing.T) {
	t.Parallel()
	b := newBilling(t, "acme")
	token, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: server.RoleAdmin, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, b.url, client.WithToken(token))
	path := filepath.Join(t.TempDir(), "ledger.csv")
	var want []string
	credit := func(description *string) {
		t.Helper()
		posted, err := c.PostCredit(t.Context(), "acme", "", client.PostCreditRequest{AmountCents: int64(len(want) + 1), Source: client.CreditSourceRefund, Description: description})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, posted.ID.String())
	}
	check := func() {
		t.Helper()
		outputOf(t, example(t, b.url, token, "ledgercsv", "acme", path))
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		records, err := csv.NewReader(f).ReadAll()
		if err != nil || len(records) != len(want) {
			t.Fatalf("%d records, want %d: %v", len(records), len(want), err)
		}
		for i, record := range records {
			if record[4] != want[i] || record[1] != strconv.Itoa(i+1) {
				t.Errorf("record %d is %q, want %s", i, record, want[i])
			}
		}
	}
	check()
	credit(nil)
	credit(new("two\nlines, and \"quotes\""))
	credit(new("three"))
	check()
	if _, err := c.RecordLeases(t.Context(), "acme", []client.Lease{newLease(0)}); err != nil { // of no build, job or pipeline
		t.Fatal(err)
	}
	for tx, err := range c.Transactions(t.Context(), "acme") {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, tx.ID.String())
		break
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want = want[:3]
	for _, size := range []int{1, 50, len(text) - 1, len(text) - 40, len(text) - 90, len(text) - 150} {
		if err := os.Truncate(path, int64(size)); err != nil {
			t.Fatal(err)
		}
		out := outputOf(t, example(t, b.url, token, "ledgercsv", "acme", path))
		got, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(got), string(text)) || strings.Count(string(got), "vm_lease_debit") != 1 {
			t.Errorf("continued from byte %d: %v %s\n%s", size, err, out, got)
		}
	}
	if err := os.WriteFile(path, []byte("notes\nof mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := example(t, b.url, token, "ledgercsv", "acme", path).CombinedOutput(); err == nil {
		t.Errorf("another file is taken: %s", out)
	}
}

// A scheduler that is killed while the server is down loses no lease that its recorder has taken, and none is billed twice.
func TestSchedulerKilled(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	database, spool := "sqlite:"+filepath.Join(folder, "billing.db"), filepath.Join(folder, "spool")
	path, err := testbinary.Path()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(outputOf(t, exec.Command(path, append(args, "--database", database)...)))
	}
	run("org", "create", "acme")
	run("org", "create", "globex")
	token := run("token", "create", "--name", "scheduler", "--role", "write", "--org", "acme", "--org", "globex")
	p := testbinary.Serve(t, path, "--database", database, "--listen", "127.0.0.1:0")
	listen := strings.TrimPrefix(p.URL, "http://")

	const each = 40
	rounds := testlong.Pick(2, 20)
	orgs := []string{"acme", "globex"}
	sent, accepted := map[string]string{}, map[string]bool{}
	for round := range rounds {
		cmd := example(t, p.URL, token, "scheduler", spool)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = io.Discard
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		report := func(org, id string) {
			sent[id] = org
			fmt.Fprintln(in, org, id) // fails if the scheduler has been killed
		}
		safe := bufio.NewScanner(out)
		for i := range each {
			report(orgs[i%2], uuid.NewString())
			if i == each/2 {
				p.Kill() // with leases on their way
			}
			if !safe.Scan() {
				t.Fatal("the scheduler has ended")
			}
			accepted[safe.Text()] = true
		}
		for range 20 { // the recorder may be killed before it takes them
			report(orgs[round%2], uuid.NewString())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for safe.Scan() {
			accepted[safe.Text()] = true
		}
		cmd.Wait() // fails, since it was killed
		in.Close()
		p = testbinary.Serve(t, path, "--database", database, "--listen", listen)
	}
	outputOf(t, example(t, p.URL, token, "scheduler", spool)) // sends the leases in the spool, and ends
	if left, err := os.Stat(spool); err != nil || left.Size() != 0 {
		t.Errorf("the spool has %d bytes: %v", left.Size(), err)
	}

	c := newClient(t, p.URL, client.WithToken(token))
	billed := map[string]int{}
	for _, org := range orgs {
		entries := 0
		for tx, err := range c.Transactions(t.Context(), org) {
			if err != nil || tx.AmountCents != -12 {
				t.Fatal(tx, err)
			}
			entries++
		}
		for lease, err := range c.Leases(t.Context(), org, client.LeaseFilter{State: client.LeaseStateBilled}) {
			if err != nil {
				t.Fatal(err)
			}
			entries--
			id := lease.JobID.String()
			if billed[id]++; sent[id] != org {
				t.Errorf("the job %s of %s was billed to %s", id, sent[id], org)
			}
		}
		if entries != 0 {
			t.Errorf("%s has %d entries too many", org, entries)
		}
	}
	if len(accepted) < rounds*each {
		t.Errorf("%d leases were accepted", len(accepted))
	}
	for id := range accepted {
		if billed[id] != 1 {
			t.Errorf("the lease of the job %s was billed %d times", id, billed[id])
		}
	}
}
