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

// callbackLog collects the calls of OnAccepted and OnRejected.
type callbackLog struct {
	mu       sync.Mutex
	accepted map[client.UUID]client.RecordedLease // by the lease's handle
	rejected map[client.UUID]error
	order    []client.UUID
	repeated []client.UUID
}

func (o *callbackLog) options(options client.RecorderOptions) client.RecorderOptions {
	o.accepted, o.rejected = map[client.UUID]client.RecordedLease{}, map[client.UUID]error{}
	options.OnAccepted = func(lease client.Lease, result client.RecordedLease) {
		o.add(lease, func(id client.UUID) { o.accepted[id] = result })
	}
	options.OnRejected = func(lease client.Lease, err error) { o.add(lease, func(id client.UUID) { o.rejected[id] = err }) }
	return options
}

func (o *callbackLog) add(lease client.Lease, add func(client.UUID)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := *lease.LeaseID
	if slices.Contains(o.order, id) {
		o.repeated = append(o.repeated, id)
	}
	o.order = append(o.order, id)
	add(id)
}

func (o *callbackLog) wantCounts(t *testing.T, accepted, rejected int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.accepted) != accepted || len(o.rejected) != rejected || len(o.repeated) > 0 {
		t.Errorf("%d accepted, want %d; %d rejected, want %d; %d given back twice", len(o.accepted), accepted, len(o.rejected), rejected, len(o.repeated))
	}
}

func newLease(i int) client.Lease {
	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
	return client.Lease{LeaseID: new(uuid.New()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start.Add(5 * time.Minute))}
}

func newRecorder(t *testing.T, c *client.Client, options client.RecorderOptions, opts ...client.Option) *client.Recorder {
	t.Helper()
	r, err := client.NewRecorder(c, "acme", options, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustRecord(t *testing.T, r *client.Recorder, leases ...client.Lease) {
	t.Helper()
	for _, lease := range leases {
		if err := r.Record(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
}

func mustClose(t *testing.T, r *client.Recorder) {
	t.Helper()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Many goroutines record, few requests are sent, and the ledger has each lease once.
func TestRecorder(t *testing.T) {
	t.Parallel()
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	var o callbackLog
	requests := 0
	r := newRecorder(t, c, o.options(client.RecorderOptions{Interval: time.Hour}), countRequests(&requests, nil))
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
	mustClose(t, r)
	o.wantCounts(t, workers*each, 0)
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
	mustClose(t, r)
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
	var o callbackLog
	r := newRecorder(t, c, o.options(client.RecorderOptions{Interval: time.Hour}))
	var sent []client.UUID
	for i := range 1000 {
		lease := newLease(i)
		if b, ok := invalidLeases[i]; ok {
			lease = b.lease
		}
		sent = append(sent, *lease.LeaseID)
		mustRecord(t, r, lease)
	}
	mustClose(t, r)
	o.wantCounts(t, 997, 3)
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
	r := newRecorder(t, c, client.RecorderOptions{
		Interval:   time.Hour,
		OnAccepted: func(_ client.Lease, result client.RecordedLease) { statuses = append(statuses, result.Status) },
		OnRejected: func(_ client.Lease, err error) { t.Error(err) },
	})
	finished := newLease(0)
	running := finished
	running.FinishedAt = nil
	mustRecord(t, r, running, finished, finished)
	mustClose(t, r)
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
	var o callbackLog
	progress := make(chan struct{}, leases)
	options := o.options(client.RecorderOptions{BatchSize: 10, Interval: time.Millisecond, Buffer: 20})
	note := options.OnAccepted
	options.OnAccepted = func(lease client.Lease, result client.RecordedLease) {
		note(lease, result)
		progress <- struct{}{}
	}
	r := newRecorder(t, c, options)
	sent := map[client.UUID]bool{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range leases {
			lease := newLease(i)
			sent[*lease.LeaseID] = true
			mustRecord(t, r, lease)
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
	mustClose(t, r)
	o.wantCounts(t, len(sent), 0)
	billed := map[string]int{}
	for tx, err := range c.Transactions(t.Context(), "acme") {
		if err != nil {
			t.Fatal(err)
		}
		// VM lease ID started …
		billed[strings.Fields(*tx.Description)[2]]++
	}
	for id := range o.accepted {
		if !sent[id] || billed[id.String()] != 1 {
			t.Errorf("the lease %s was billed %d times", id, billed[id.String()])
		}
	}
	if len(billed) != len(sent) {
		t.Errorf("%d leases were billed, %d were sent", len(billed), len(sent))
	}
}
