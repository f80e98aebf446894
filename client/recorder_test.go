package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
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

// leaseTransport is a transport that accepts leases, unless nextFailure returns a failure.
type leaseTransport struct {
	batches     []int
	ids         []client.UUID
	nextFailure func() http.RoundTripper
}

func (l *leaseTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.nextFailure != nil {
		if failure := l.nextFailure(); failure != nil {
			return failure.RoundTrip(r)
		}
	}
	var body struct {
		Leases []client.Lease `json:"leases"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	l.batches = append(l.batches, len(body.Leases))
	var results []string
	for _, lease := range body.Leases {
		l.ids = append(l.ids, *lease.LeaseID)
		results = append(results, fmt.Sprintf(`{"lease_id":%q,"status":"billed","amount_cents":-1}`, lease.LeaseID))
	}
	return answers(200, `{"data":[`+strings.Join(results, ",")+`]}`)(r)
}

func (l *leaseTransport) client(t *testing.T) *client.Client {
	return newClient(t, "http://billing.invalid", client.WithHTTPClient(&http.Client{Transport: l}))
}

// The bubble of synctest fails when a goroutine is left, so these tests are about that, too.

func TestRecorderBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l leaseTransport
		var o callbackLog
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{BatchSize: 3, Interval: 10 * time.Second}))
		for i := range 7 {
			mustRecord(t, r, newLease(i))
		}
		synctest.Wait()
		o.wantCounts(t, 6, 0) // by size, immediately
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		o.wantCounts(t, 6, 0)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		o.wantCounts(t, 7, 0) // by the interval
		mustRecord(t, r, newLease(7))
		start := time.Now()
		mustClose(t, r) // by Close, immediately
		o.wantCounts(t, 8, 0)
		if fmt.Sprint(l.batches) != "[3 3 1 1]" || time.Since(start) != 0 {
			t.Errorf("batches %v; Close took %s", l.batches, time.Since(start))
		}
	})
}

func TestRecorderGivesIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l leaseTransport
		var o callbackLog
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{}))
		mustRecord(t, r, client.Lease{}, client.Lease{})
		mustClose(t, r)
		o.wantCounts(t, 2, 0)
		if len(l.ids) != 2 || l.ids[0] == l.ids[1] || l.ids[0] == (client.UUID{}) {
			t.Errorf("ids %v", l.ids)
		}
	})
}

// The recorder sends a lease as it was when Record took it.
func TestRecorderCopiesLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l leaseTransport
		var sent []client.Lease
		c := newClient(t, "http://billing.invalid", client.WithHTTPClient(&http.Client{Transport: &l}))
		r := newRecorder(t, c, client.RecorderOptions{
			OnRejected: func(_ client.Lease, err error) { t.Error(err) },
			OnAccepted: func(lease client.Lease, _ client.RecordedLease) { sent = append(sent, lease) },
		})
		lease := newLease(0)
		fields := reflect.ValueOf(&lease).Elem()
		for _, field := range fields.Fields() {
			if field.Kind() == reflect.Pointer && field.IsNil() {
				field.Set(reflect.New(field.Type().Elem()))
			}
		}
		lease.Labels = client.Labels{"gpu": "l4"}
		want, err := json.Marshal(lease)
		if err != nil {
			t.Fatal(err)
		}
		mustRecord(t, r, lease)
		lease.Labels["gpu"] = "h100"
		*lease.LeaseID, *lease.JobID, *lease.BuildID, *lease.BuildExternalID, *lease.PipelineID = uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()
		*lease.JobName, *lease.StepKey, *lease.VMHandle, *lease.PipelineName, *lease.PipelineSlug, *lease.Author = "a", "b", "c", "d", "e", "f"
		*lease.BuildNumber, *lease.DurationSeconds, *lease.FinishedAt = 9, 9, time.Now()
		mustClose(t, r)
		if got, err := json.Marshal(sent[0]); string(got) != string(want) || err != nil {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	})
}

// The recorder waits for the end of every temporary failure, and the leases stay in order.
func TestRecorderOutlastsFailures(t *testing.T) {
	t.Parallel()
	failures := []http.RoundTripper{
		failsWith(errRefused), answersStatus(503), answersStatus(429, "Retry-After", "30"), answersStatus(500), answersStatus(502), breaksOffAfter(`{"data":`), answers(200, `{}`),
		answersStatus(200, "Content-Type", "text/html"), waitForContext{},
	}
	synctest.Test(t, func(t *testing.T) {
		n := 0
		l := leaseTransport{nextFailure: func() http.RoundTripper {
			if n++; n > 100 {
				return nil
			}
			return failures[n%len(failures)]
		}}
		var o callbackLog
		tokens := 0
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{}), client.WithTokenSource(func(context.Context) (string, error) {
			if tokens++; tokens < 3 {
				return "", errors.New("the vault is sealed")
			}
			return testToken, nil
		}))
		var sent []client.UUID
		for i := range 5000 {
			lease := newLease(i)
			sent = append(sent, *lease.LeaseID)
			mustRecord(t, r, lease)
		}
		mustClose(t, r)
		o.wantCounts(t, 5000, 0)
		if !slices.Equal(l.ids, sent) {
			t.Error("the leases were not recorded in order, each once")
		}
	})
}

// errorAnswer answers like the billing server with an error.
func errorAnswer(status int, code client.Code) http.RoundTripper {
	return answers(status, fmt.Sprintf(`{"error":{"type":"x","code":%q,"message":"no","doc_url":"","request_id":""}}`, code))
}

func TestRecorderRejectsWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]client.Code{
		400: client.CodeBadRequest, 409: client.CodeLeaseConflict, 413: client.CodeBodyTooLarge, 422: client.CodeLeaseInvalid,
	} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			l := leaseTransport{nextFailure: func() http.RoundTripper { requests++; return errorAnswer(status, code) }}
			var o callbackLog
			r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{}))
			for i := range 4 {
				mustRecord(t, r, newLease(i))
			}
			mustClose(t, r)
			o.wantCounts(t, 0, 4)
			for _, err := range o.rejected {
				if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.Code != code {
					t.Fatal(err)
				}
			}
			if requests != 7 { // of 4 leases, of 2 and of 1
				t.Errorf("%d requests", requests)
			}
		})
	}
}

// An answer that does not say that leases are wrong rejects none, and leaves the spool as it is.
func TestRecorderKeepsLeasesAfterOtherAnswers(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]http.RoundTripper{
		"unauthorized": errorAnswer(401, client.CodeUnauthorized), "forbidden": errorAnswer(403, client.CodeForbidden),
		"organization_not_found": errorAnswer(404, client.CodeOrganizationNotFound), "route_not_found": errorAnswer(404, client.CodeRouteNotFound),
		"method_not_allowed": errorAnswer(405, client.CodeMethodNotAllowed), "unsupported_media_type": errorAnswer(415, client.CodeUnsupportedMediaType),
		"redirect": answersStatus(302, "Location", "/login"), "foreign 400": answersStatus(400), "foreign 401": answersStatus(401),
		"foreign 403": answersStatus(403), "foreign 404": answersStatus(404), "foreign 405": answersStatus(405), "foreign 409": answersStatus(409),
		"foreign 413": answersStatus(413), "foreign 418": answersStatus(418), "foreign 422": answersStatus(422),
	} {
		path := filepath.Join(t.TempDir(), "spool")
		synctest.Test(t, func(t *testing.T) {
			var succeeds atomic.Bool
			l := leaseTransport{nextFailure: func() http.RoundTripper {
				if succeeds.Load() {
					return nil
				}
				return failure
			}}
			var first, second callbackLog
			failures := 0
			options := first.options(client.RecorderOptions{Spool: path, OnError: func(string, error) { failures++ }})
			r := newRecorder(t, l.client(t), options)
			mustRecord(t, r, newLease(0), newLease(1))
			time.Sleep(time.Minute)
			synctest.Wait()
			first.wantCounts(t, 0, 0)
			if stats := r.Stats(); stats.Waiting != 2 || failures < 5 || stats.Failures != int64(failures) {
				t.Errorf("%s: %d failures, %+v", name, failures, stats)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := r.Close(ended); !errors.Is(err, client.ErrRecorderClosed) {
				t.Errorf("%s: got %v", name, err)
			}

			r = newRecorder(t, l.client(t), second.options(client.RecorderOptions{Spool: path}))
			time.Sleep(time.Minute)
			succeeds.Store(true)
			mustClose(t, r)
			second.wantCounts(t, 2, 0)
		})
	}
}

// A request that is too large for a proxy is sent in parts.
func TestRecorderSplitsWhatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leaseTransport{}
		c := newClient(t, "http://billing.invalid", client.WithHTTPClient(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.ContentLength > 1000 {
				return answersStatus(413)(r)
			}
			return l.RoundTrip(r)
		})}))
		var o callbackLog
		r := newRecorder(t, c, o.options(client.RecorderOptions{}))
		for i := range 16 {
			mustRecord(t, r, newLease(i))
		}
		mustClose(t, r)
		o.wantCounts(t, 16, 0)
	})
}

func TestRecorderFull(t *testing.T) {
	down := func() http.RoundTripper { return waitForContext{} }
	fill := func(t *testing.T, r *client.Recorder) {
		t.Helper()
		mustRecord(t, r, newLease(0)) // the batch under way
		synctest.Wait()
		mustRecord(t, r, newLease(1), newLease(2))
	}
	closed := func(t *testing.T, r *client.Recorder, rejected int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := r.Close(ctx)
		if !errors.Is(err, client.ErrRecorderClosed) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprint(rejected, " leases")) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("it took %s", took)
		}
	}
	options := client.RecorderOptions{BatchSize: 1, Buffer: 2}
	t.Run("drops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := leaseTransport{nextFailure: down}
			var o callbackLog
			options := o.options(options)
			options.DropWhenFull = true
			r := newRecorder(t, l.client(t), options)
			fill(t, r)
			if err := r.Record(t.Context(), newLease(3)); !errors.Is(err, client.ErrRecorderFull) {
				t.Errorf("got %v", err)
			}
			closed(t, r, 3)
			o.wantCounts(t, 0, 3)
			for _, err := range o.rejected {
				if !errors.Is(err, client.ErrRecorderClosed) || !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
	})
	t.Run("waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			up := make(chan struct{})
			l := leaseTransport{nextFailure: func() http.RoundTripper {
				<-up
				return nil
			}}
			var o callbackLog
			r := newRecorder(t, l.client(t), o.options(options), client.WithTimeout(0))
			fill(t, r)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := r.Record(ctx, newLease(3)); !errors.Is(err, client.ErrRecorderFull) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			var wg sync.WaitGroup
			wg.Go(func() { mustRecord(t, r, newLease(4)) })
			synctest.Wait()
			close(up)
			wg.Wait()
			mustClose(t, r)
			o.wantCounts(t, 4, 0)
		})
	})
	t.Run("Close frees who waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := leaseTransport{nextFailure: down}
			var o callbackLog
			r := newRecorder(t, l.client(t), o.options(options))
			fill(t, r)
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					if err := r.Record(t.Context(), newLease(3)); !errors.Is(err, client.ErrRecorderClosed) {
						t.Errorf("got %v", err)
					}
				})
			}
			synctest.Wait()
			wg.Go(func() { closed(t, r, 3) })
			wg.Go(func() { closed(t, r, 3) })
			wg.Wait()
			o.wantCounts(t, 0, 3)
		})
	})
}

func TestNewRecorderRefuses(t *testing.T) {
	c := newClient(t, "http://billing.invalid")
	keep := func(client.Lease, error) {}
	for name, options := range map[string]client.RecorderOptions{
		"nowhere to give back": {}, "a batch too large": {OnRejected: keep, BatchSize: 1001}, "a negative batch": {OnRejected: keep, BatchSize: -1},
		"a negative interval": {OnRejected: keep, Interval: -1}, "a negative buffer": {OnRejected: keep, Buffer: -1},
	} {
		if _, err := client.NewRecorder(c, "acme", options); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := client.NewRecorder(c, "..", client.RecorderOptions{OnRejected: keep}); err == nil {
		t.Error("a wrong organization is taken")
	}
	if _, err := client.NewRecorder(c, "acme", client.RecorderOptions{OnRejected: keep}, client.WithTimeout(-1)); err == nil {
		t.Error("a wrong option is taken")
	}
	var resp *http.Response
	if _, err := client.NewRecorder(c, "acme", client.RecorderOptions{OnRejected: keep}, client.WithResponse(&resp)); err == nil || !strings.Contains(err.Error(), "WithResponse") {
		t.Errorf("a place for one response is taken for many: %v", err)
	}
}
