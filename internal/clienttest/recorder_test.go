package clienttest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/server"
)

// outcomes has the reports of a recorder about its leases, in their order.
type outcomes struct {
	order    []client.UUID
	rejected map[client.UUID]error
}

// record makes a recorder for acme that reports to the outcomes, which may be read once it is closed.
func (o *outcomes) record(t *testing.T, c *client.Client, options client.RecorderOptions, opts ...client.Option) *client.Recorder {
	t.Helper()
	o.rejected = map[client.UUID]error{}
	accepted := options.OnAccepted
	options.OnAccepted = func(lease client.Lease, result client.RecordedLease) {
		o.order = append(o.order, *lease.LeaseID)
		if accepted != nil {
			accepted(lease, result)
		}
	}
	options.OnRejected = func(lease client.Lease, err error) {
		o.order = append(o.order, *lease.LeaseID)
		o.rejected[*lease.LeaseID] = err
	}
	r, err := client.NewRecorder(c, "acme", options, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want checks that so many leases were accepted and rejected, each reported once.
func (o *outcomes) want(t *testing.T, accepted, rejected int) {
	t.Helper()
	reported := map[client.UUID]bool{}
	for _, id := range o.order {
		reported[id] = true
	}
	if len(reported) != len(o.order) || len(o.order) != accepted+rejected || len(o.rejected) != rejected {
		t.Errorf("%d reports of %d leases, %d rejected; want %d accepted and %d rejected", len(o.order), len(reported), len(o.rejected), accepted, rejected)
	}
}

func newLease(i int) client.Lease {
	start := time.Date(2026, 6, 6, 10, 0, i, 0, time.UTC)
	return client.Lease{LeaseID: new(uuid.New()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start.Add(5 * time.Minute))}
}

func closeRecorder(t *testing.T, r *client.Recorder) {
	t.Helper()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Many goroutines record, few requests are sent, and the ledger has each lease once.
func TestRecorder(t *testing.T) {
	t.Parallel()
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	var o outcomes
	requests := 0
	r := o.record(t, c, client.RecorderOptions{Interval: time.Hour}, countRequests(&requests, nil))
	const workers, each = 10, 250
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range each {
				if err := r.Record(t.Context(), newLease(worker*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closeRecorder(t, r)
	o.want(t, workers*each, 0)
	if requests != 3 { // 1 000, 1 000 and the rest by Close
		t.Errorf("%d requests", requests)
	}
	entries := 0
	for tx, err := range c.Transactions(t.Context(), "acme") {
		if err != nil || tx.AmountCents != -12 {
			t.Fatal(tx, err)
		}
		entries++
	}
	if entries != workers*each {
		t.Errorf("%d entries", entries)
	}
	if err := r.Record(t.Context(), newLease(0)); !errors.Is(err, client.ErrRecorderClosed) {
		t.Errorf("got %v", err)
	}
	closeRecorder(t, r)
}

// A few bad leases among a thousand do not keep the others from being recorded.
func TestRecorderSplits(t *testing.T) {
	t.Parallel()
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	billed := newLease(0)
	if _, err := c.RecordLeases(t.Context(), "acme", []client.Lease{billed}); err != nil {
		t.Fatal(err)
	}
	billed.CPUCount++
	invalid := newLease(1)
	invalid.FinishedAt = new(invalid.StartedAt.Add(-time.Hour))
	unencodable := newLease(2)
	unencodable.FinishedAt = new(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))
	invalidLeases := map[int]struct {
		lease client.Lease
		is    func(error) bool
	}{
		17:  {billed, func(err error) bool { return errors.Is(err, client.ErrLeaseConflict) }},
		18:  {invalid, func(err error) bool { return errors.Is(err, client.ErrLeaseInvalid) }},
		999: {unencodable, func(err error) bool { return strings.Contains(err.Error(), "year") }},
	}
	var o outcomes
	r := o.record(t, c, client.RecorderOptions{Interval: time.Hour})
	var sent []client.UUID
	for i := range 1000 {
		lease := newLease(i)
		if b, ok := invalidLeases[i]; ok {
			lease = b.lease
		}
		sent = append(sent, *lease.LeaseID)
		if err := r.Record(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
	closeRecorder(t, r)
	o.want(t, 997, 3)
	for _, b := range invalidLeases {
		if err := o.rejected[*b.lease.LeaseID]; err == nil || !b.is(err) {
			t.Errorf("rejected with %v", err)
		}
	}
	if !slices.Equal(o.order, sent) {
		t.Error("the leases were not recorded in order")
	}
}

// A job's lease that is reported as it starts and as it finishes is billed, though both reports share a request.
func TestRecorderKeepsTheOrderOfOneLease(t *testing.T) {
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	var statuses []client.LeaseStatus
	r, err := client.NewRecorder(c, "acme", client.RecorderOptions{
		Interval:   time.Hour,
		OnAccepted: func(_ client.Lease, result client.RecordedLease) { statuses = append(statuses, result.Status) },
		OnRejected: func(_ client.Lease, err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	finished := newLease(0)
	running := finished
	running.FinishedAt = nil
	for _, lease := range []client.Lease{running, finished, finished} {
		if err := r.Record(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
	closeRecorder(t, r)
	if want := []client.LeaseStatus{client.LeaseStatusRunning, client.LeaseStatusBilled, client.LeaseStatusDuplicate}; !slices.Equal(statuses, want) {
		t.Errorf("got %v", statuses)
	}
}

func TestMain(m *testing.M) {
	status := m.Run()
	testbinary.Remove()
	os.RemoveAll(examples)
	os.Exit(status)
}

// Every lease that a recorder reports as accepted is billed once, and no lease twice, although the server is killed repeatedly.
func TestRecorderOutlivesTheServer(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + filepath.Join(t.TempDir(), "billing.db")
	path, err := testbinary.Path()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(path, append(args, "--database", database)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("org", "create", "acme")
	token := run("token", "create", "--name", "scheduler", "--role", "write", "--org", "acme")
	p := testbinary.Serve(t, path, "--database", database, "--listen", "127.0.0.1:0")
	listen := strings.TrimPrefix(p.URL, "http://")
	c := newClient(t, p.URL, client.WithToken(token), client.WithTimeout(time.Minute))

	const leases, kills = 2000, 4
	var o outcomes
	progress := make(chan struct{}, leases)
	r := o.record(t, c, client.RecorderOptions{
		BatchSize: 10, Interval: time.Millisecond, Buffer: 20,
		OnAccepted: func(client.Lease, client.RecordedLease) { progress <- struct{}{} },
	})
	sent := map[client.UUID]bool{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range leases {
			lease := newLease(i)
			sent[*lease.LeaseID] = true
			if err := r.Record(t.Context(), lease); err != nil {
				t.Error(err)
			}
		}
	})
	for range kills {
		for range leases / (kills + 1) {
			<-progress
		}
		p.Kill() // with leases waiting and on their way
		p = testbinary.Serve(t, path, "--database", database, "--listen", listen)
	}
	wg.Wait()
	closeRecorder(t, r)
	o.want(t, len(sent), 0)
	billed := map[string]int{}
	for tx, err := range c.Transactions(t.Context(), "acme") {
		if err != nil {
			t.Fatal(err)
		}
		// VM lease ID started …
		billed[strings.Fields(*tx.Description)[2]]++
	}
	for _, id := range o.order {
		if !sent[id] || billed[id.String()] != 1 {
			t.Errorf("the lease %s was billed %d times", id, billed[id.String()])
		}
	}
	if len(billed) != len(sent) {
		t.Errorf("%d leases were billed, %d were sent", len(billed), len(sent))
	}
}
