package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
)

// organizationTransport is a leaseTransport for requests at the same time. It answers organizations that are down with 503.
type organizationTransport struct {
	mu   sync.Mutex
	down map[string]bool
	got  map[string][]client.UUID
	all  leaseTransport
}

func (o *organizationTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	org := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if o.down[org] || o.down["*"] {
		return answersStatus(503)(r)
	}
	before := len(o.all.ids)
	resp, err := o.all.RoundTrip(r)
	if o.got == nil {
		o.got = map[string][]client.UUID{}
	}
	o.got[org] = append(o.got[org], o.all.ids[before:]...)
	return resp, err
}

func (o *organizationTransport) client(t *testing.T) *client.Client {
	return newClient(t, "http://billing.invalid", client.WithHTTPClient(&http.Client{Transport: o}))
}

// A lease of no organization, or of a context that has ended, is not taken, and leaves no room taken and no line in the spool.
func TestRecordForRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	var accepting organizationTransport
	r, err := client.NewSharedRecorder(accepting.client(t), client.RecorderOptions{
		Spool: path, OnRejected: func(_ client.Lease, err error) { t.Error("a lease was taken:", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, org := range []string{"", ".", ".."} {
		if err := r.RecordFor(t.Context(), org, newLease(0)); err == nil || !strings.Contains(err.Error(), "slug") {
			t.Errorf("%q: got %v", org, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.RecordFor(ended, "acme", newLease(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if stats := r.Stats(); stats.Taken != 0 || stats.SpoolBytes != 0 {
		t.Fatalf("got %+v", stats) // and Close could wait for ever
	}
	mustClose(t, r)
	if err := r.RecordFor(t.Context(), "acme", newLease(0)); !errors.Is(err, client.ErrRecorderClosed) {
		t.Errorf("after Close: got %v", err)
	}
}

// An organization that fails holds up no other, and the callbacks know the organizations.
func TestSharedRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := organizationTransport{down: map[string]bool{"globex": true}}
		accepted := map[string]int{}
		var failures []string
		r, err := client.NewSharedRecorder(o.client(t), client.RecorderOptions{
			OnOrganizationAccepted: func(org string, _ client.Lease, _ client.RecordedLease) { accepted[org]++ },
			OnOrganizationRejected: func(org string, _ client.Lease, err error) { t.Error(org, err) },
			OnError: func(org string, err error) {
				if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.Status != 503 {
					t.Error(err)
				}
				failures = append(failures, org)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Record(t.Context(), newLease(0)); err == nil || !strings.Contains(err.Error(), "RecordFor") {
			t.Errorf("a lease of no organization: got %v", err)
		}
		sent := map[string][]client.UUID{}
		for i := range 300 {
			org := []string{"acme", "globex", "initech"}[i%3]
			lease := newLease(i)
			sent[org] = append(sent[org], *lease.LeaseID)
			if err := r.RecordFor(t.Context(), org, lease); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if accepted["acme"] != 100 || accepted["initech"] != 100 || accepted["globex"] != 0 {
			t.Errorf("got %v", accepted)
		}
		stats := r.Stats()
		if stats.Taken != 300 || stats.Accepted != 200 || stats.Waiting != 100 || stats.OldestWait != time.Minute || stats.Failures == 0 ||
			stats.Failures != int64(len(failures)) || !errors.Is(stats.LastError, client.ErrUnavailable) && stats.LastError == nil {
			t.Errorf("got %+v", stats)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "100 leases") {
			t.Errorf("got %v", err)
		}
		o.mu.Lock()
		delete(o.down, "globex")
		o.mu.Unlock()
		mustClose(t, r)
		if slices.ContainsFunc(failures, func(org string) bool { return org != "globex" }) {
			t.Errorf("got %v", failures)
		}
		for org, ids := range sent {
			if !slices.Equal(o.got[org], ids) {
				t.Errorf("the leases of %s are not in order, each once", org)
			}
		}
		if stats := r.Stats(); stats.Waiting != 0 || stats.OldestWait != 0 || stats.Accepted != 300 {
			t.Errorf("got %+v", stats)
		}
	})
}

func TestRecorderFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l leaseTransport
		var o callbackLog
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{Interval: time.Hour, BatchSize: 2}))
		if err := r.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		for range 2 {
			mustRecord(t, r, newLease(0), newLease(1), newLease(2))
			start := time.Now()
			if err := r.Flush(t.Context()); err != nil || time.Since(start) != 0 {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		}
		o.wantCounts(t, 6, 0)
		mustClose(t, r)
		if fmt.Sprint(l.batches) != "[2 1 2 1]" {
			t.Errorf("batches %v", l.batches)
		}
	})
}

// WithMaxRetries of the recorder ends its attempts. That of the client is for single calls.
func TestRecorderMaxRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		l := leaseTransport{nextFailure: func() http.RoundTripper { requests++; return answersStatus(503) }}
		var o callbackLog
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{}), client.WithMaxRetries(4))
		mustRecord(t, r, newLease(0), newLease(1))
		mustClose(t, r)
		o.wantCounts(t, 0, 2)
		if requests != 5 {
			t.Errorf("%d requests", requests)
		}
		for _, err := range o.rejected {
			if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.Status != 503 {
				t.Error(err)
			}
		}
	})
}

// What one recorder has taken, the next one records: after a crash, and after a Close that gave up.
func TestRecorderSpool(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	o := organizationTransport{down: map[string]bool{"*": true}}
	c := o.client(t)
	start := func(log *callbackLog) *client.Recorder {
		t.Helper()
		r, err := client.NewSharedRecorder(c, log.options(client.RecorderOptions{Spool: path, Interval: time.Millisecond}))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var first, second, third callbackLog
	r := start(&first)
	var ids []client.UUID
	for i := range 10 {
		lease := newLease(i)
		ids = append(ids, *lease.LeaseID)
		if err := r.RecordFor(t.Context(), []string{"acme", "globex"}[i%2], lease); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.NewSharedRecorder(c, client.RecorderOptions{Spool: path, OnRejected: func(client.Lease, error) {}}); !errors.Is(err, client.ErrSpoolInUse) {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ended); !errors.Is(err, client.ErrRecorderClosed) {
		t.Errorf("got %v", err)
	}
	first.wantCounts(t, 0, 10)

	o.mu.Lock()
	o.down = nil
	o.mu.Unlock()
	r = start(&second)
	if stats := r.Stats(); stats.Recovered != 10 || stats.Taken != 10 {
		t.Errorf("got %+v", stats)
	}
	mustClose(t, r)
	second.wantCounts(t, 10, 0)
	for i, org := range []string{"acme", "globex"} {
		if want := []client.UUID{ids[i], ids[i+2], ids[i+4], ids[i+6], ids[i+8]}; !slices.Equal(o.got[org], want) {
			t.Errorf("%s has %v, want %v", org, o.got[org], want)
		}
	}
	r = start(&third)
	if stats := r.Stats(); stats.Recovered != 0 || stats.SpoolBytes != 0 {
		t.Errorf("got %+v", stats)
	}
	mustClose(t, r)
}

// After a callback that has ended its goroutine, as FailNow of a test does, nothing hangs, and no lease is lost unnoticed.
func TestRecorderCallbackEndsGoroutine(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"OnAccepted": 200, "OnRejected": 422, "OnError": 503} {
		path := filepath.Join(t.TempDir(), "spool")
		synctest.Test(t, func(t *testing.T) {
			var l organizationTransport
			if status != 200 {
				l.all.nextFailure = func() http.RoundTripper { return errorAnswer(status, client.CodeLeaseInvalid) }
			}
			calls := 0
			end := func() { calls++; runtime.Goexit() }
			r, err := client.NewSharedRecorder(l.client(t), client.RecorderOptions{
				Spool:      path,
				OnAccepted: func(client.Lease, client.RecordedLease) { end() },
				OnRejected: func(client.Lease, error) { end() },
				OnError:    func(string, error) { end() },
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, org := range []string{"acme", "acme", "globex"} {
				if err := r.RecordFor(t.Context(), org, newLease(i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Flush(t.Context()); !errors.Is(err, client.ErrRecorderClosed) || !strings.Contains(err.Error(), "3 leases") {
				t.Errorf("%s: Flush: %v", name, err)
			}
			if err := r.RecordFor(t.Context(), "acme", newLease(3)); !errors.Is(err, client.ErrRecorderClosed) {
				t.Errorf("%s: Record: %v", name, err)
			}
			for range 2 {
				if err := r.Close(t.Context()); !errors.Is(err, client.ErrRecorderClosed) || !strings.Contains(err.Error(), "3 leases") {
					t.Errorf("%s: Close: %v", name, err)
				}
			}
			if stats := r.Stats(); stats.Waiting != 3 || calls != 1 {
				t.Errorf("%s: %d calls, %+v", name, calls, stats)
			}

			l.all.nextFailure = nil
			var next callbackLog
			r, err = client.NewSharedRecorder(l.client(t), next.options(client.RecorderOptions{Spool: path}))
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, r)
			next.wantCounts(t, 3, 0)
		})
	}
}

// Organizations without leases take next to no memory, and a recorder for each takes little.
func TestRecorderMemory(t *testing.T) {
	const organizations, limit = 1000, 20 << 20
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc + stats.StackInuse)
	}
	keep := func(client.Lease, error) {}
	var o organizationTransport
	c := o.client(t)
	before := heap()
	shared, err := client.NewSharedRecorder(c, client.RecorderOptions{OnRejected: keep, Interval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	recorders := []*client.Recorder{shared}
	for i := range organizations {
		if err := shared.RecordFor(t.Context(), fmt.Sprint("org-", i), client.Lease{LeaseID: new(uuid.New()), CPUCount: 1}); err != nil {
			t.Fatal(err)
		}
		recorders = append(recorders, newRecorder(t, c, client.RecorderOptions{OnRejected: keep}))
	}
	if err := shared.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	o.all, o.got = leaseTransport{}, nil
	o.mu.Unlock()
	if used := heap() - before; used > limit {
		t.Errorf("%d bytes", used)
	} else {
		t.Logf("%d kB", used>>10)
	}
	for _, r := range recorders {
		mustClose(t, r)
	}
}
