package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	maxBatch              = 1000 // leases in one request, the API's
	defaultBatchInterval  = time.Second
	defaultBufferedLeases = 10_000
)

// Why a [Recorder] does not take a lease, or gives it back.
var (
	ErrRecorderFull   = errors.New("harmont-billing: the recorder is full")
	ErrRecorderClosed = errors.New("harmont-billing: the recorder is closed")
)

// RecorderOptions say how a [Recorder] works. Only OnRejected is required.
type RecorderOptions struct {
	// OnRejected receives each lease that was taken and not accepted, with the reason: an [*Error] if the server has refused it, or an
	// error that wraps [ErrRecorderClosed] and the last failure before the recorder was closed. In the second case the server may
	// have recorded the lease; recording it again is safe, also in another process.
	OnRejected func(Lease, error)
	// OnAccepted receives each lease that the server has on disk, with the outcome. It may be nil.
	OnAccepted func(Lease, RecordedLease)
	// BatchSize is the most leases that one request holds, 1 to 1 000. 0 means 1 000.
	BatchSize int
	// Interval is how long a lease may wait for others to share its request. 0 means one second.
	Interval time.Duration
	// Buffer is how many leases may wait to be sent, without the leases of the running request. 0 means 10 000.
	Buffer int
	// DropWhenFull has Record refuse a lease with [ErrRecorderFull] where it would otherwise wait for room.
	DropWhenFull bool
}

// Recorder takes leases one by one and records them in batches, in the order in which they were taken. While the server
// cannot be reached, is too busy or fails, the recorder tries until it succeeds, and the leases wait; [WithLogger] shows
// it. If the server refuses a request because of some of its leases, the recorder
// splits the request until only these leases are rejected.
//
// Each lease that Record takes is given to exactly one of OnAccepted and OnRejected before Close returns, so that none is
// lost unnoticed. Both are called by one goroutine, one call at a time, and hold up the recorder while they run; they must
// not call Close, nor Record unless DropWhenFull is set. A Recorder is safe for concurrent use.
type Recorder struct {
	client  *Client
	org     string
	options RecorderOptions

	closing   chan struct{} // closed by Close before queue, which ends the waits of Record
	closeOnce sync.Once
	mu        sync.RWMutex // locked for reading to send to queue, and for writing to close it
	closed    bool
	queue     chan Lease

	ctx         context.Context // ends with the context of Close
	stop        context.CancelCauseFunc
	done        chan struct{} // closed when every lease has been given back
	undelivered int           // how many leases were rejected because ctx ended; read after done is closed
}

// NewRecorder starts a recorder of an organization's leases. It sends requests with c and the options. The token needs the role write. The
// caller must Close the recorder, or a goroutine is left. NewRecorder sends nothing; it fails on invalid options.
func NewRecorder(c *Client, org string, options RecorderOptions, opts ...Option) (*Recorder, error) {
	if options.BatchSize == 0 {
		options.BatchSize = maxBatch
	}
	if options.Interval == 0 {
		options.Interval = defaultBatchInterval
	}
	if options.Buffer == 0 {
		options.Buffer = defaultBufferedLeases
	}
	own, err := c.withOptions(append(slices.Clip(opts), WithMaxRetries(0)))
	switch {
	case err != nil:
	case options.OnRejected == nil:
		err = errors.New("a recorder needs OnRejected, or leases could be lost unnoticed")
	case options.BatchSize < 1 || options.BatchSize > maxBatch:
		err = fmt.Errorf("the batch size is not between 1 and %d", maxBatch)
	case options.Interval < 0:
		err = errors.New("the interval is negative")
	case options.Buffer < 0:
		err = errors.New("the buffer is negative")
	default:
		err = checkOrg(org)
	}
	if err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	r := &Recorder{
		client: own, org: org, options: options,
		closing: make(chan struct{}), queue: make(chan Lease, options.Buffer), done: make(chan struct{}),
	}
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	go r.run()
	return r, nil
}

// Record takes a lease, to be recorded soon, and waits while the recorder is full, unless DropWhenFull is set. A lease with
// neither JobID nor LeaseID gets a LeaseID. An error means that the lease was not taken: [ErrRecorderFull],
// [ErrRecorderClosed] or the context's.
func (r *Recorder) Record(ctx context.Context, lease Lease) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("harmont-billing: %w", err)
	}
	if lease.JobID == nil && lease.LeaseID == nil {
		lease.LeaseID = new(newUUID())
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return ErrRecorderClosed
	}
	select {
	case r.queue <- lease:
		return nil
	default:
	}
	if r.options.DropWhenFull {
		return ErrRecorderFull
	}
	select {
	case r.queue <- lease:
		return nil
	case <-r.closing:
		return ErrRecorderClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrRecorderFull, ctx.Err())
	}
}

// Close takes no more leases, sends the waiting ones, and returns when every lease has been given to OnAccepted or OnRejected. If ctx ends
// first, Close cancels the running request and gives the remaining leases to OnRejected. Its error then has their number and the reason,
// and wraps [ErrRecorderClosed]. Closing again waits for the same end.
func (r *Recorder) Close(ctx context.Context) error {
	r.closeOnce.Do(func() {
		close(r.closing)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.closed = true
		close(r.queue)
	})
	release := context.AfterFunc(ctx, func() { r.stop(ctx.Err()) })
	defer release()
	<-r.done
	if r.undelivered > 0 {
		return fmt.Errorf("%w: %d leases were not accepted: %w", ErrRecorderClosed, r.undelivered, context.Cause(r.ctx))
	}
	return nil
}

func (r *Recorder) run() {
	defer close(r.done)
	for {
		batch := r.nextBatch()
		if len(batch) == 0 {
			return
		}
		r.deliver(batch)
	}
}

// nextBatch collects a batch; an empty one means that there will be no more.
func (r *Recorder) nextBatch() []Lease {
	lease, ok := <-r.queue
	if !ok {
		return nil
	}
	batch := []Lease{lease}
	timer := time.NewTimer(r.options.Interval)
	defer timer.Stop()
	for len(batch) < r.options.BatchSize {
		select {
		case lease, ok := <-r.queue:
			if !ok {
				return batch
			}
			batch = append(batch, lease)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// deliver tries until each lease of the batch is accepted or rejected.
func (r *Recorder) deliver(batch []Lease) {
	var lastErr error
	for n := 0; ; n++ {
		if r.ctx.Err() != nil {
			r.giveUp(batch, lastErr)
			return
		}
		results, err := r.client.RecordLeases(r.ctx, r.org, batch)
		switch {
		case err == nil:
			r.accept(batch, results)
			return
		case r.ctx.Err() != nil:
			// The caller knows that ctx has ended, but not the failure before.
		case isPermanent(err) && mayConcernSomeLeases(err) && len(batch) > 1:
			half := len(batch) / 2
			r.deliver(batch[:half])
			r.deliver(batch[half:])
			return
		case isPermanent(err):
			r.reject(batch, err)
			return
		default:
			lastErr = err
			sleep(r.ctx, backoff(n, err)) //nolint:errcheck // the loop looks at ctx itself
		}
	}
}

// isPermanent reports whether the request would fail again. The recorder repeats requests after all other errors, for as long as it takes: a
// server may be restarted, a certificate renewed or a source of tokens corrected in the meantime.
func isPermanent(err error) bool {
	if apiErr, ok := errors.AsType[*Error](err); ok {
		return apiErr.Status < http.StatusInternalServerError && !isTransient(err)
	}
	return isEncodingError(err)
}

// mayConcernSomeLeases reports whether a failure may concern only some leases of a request.
func mayConcernSomeLeases(err error) bool {
	if apiErr, ok := errors.AsType[*Error](err); ok {
		switch apiErr.Status {
		case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			return true
		}
	}
	return isEncodingError(err)
}

// isEncodingError reports whether JSON cannot express a lease, such as one with a year after 9999.
func isEncodingError(err error) bool {
	_, ok := errors.AsType[*json.MarshalerError](err)
	return ok
}

func (r *Recorder) accept(batch []Lease, results []RecordedLease) {
	if r.options.OnAccepted == nil {
		return
	}
	for i, lease := range batch {
		r.options.OnAccepted(lease, results[i])
	}
}

func (r *Recorder) reject(batch []Lease, err error) {
	for _, lease := range batch {
		r.options.OnRejected(lease, err)
	}
}

func (r *Recorder) giveUp(batch []Lease, lastErr error) {
	if lastErr == nil {
		lastErr = context.Cause(r.ctx)
	}
	r.undelivered += len(batch)
	r.reject(batch, fmt.Errorf("%w: %w", ErrRecorderClosed, lastErr))
}
