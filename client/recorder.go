package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"
)

const (
	maxBatch              = 1000 // leases in one request, the API's
	defaultBatchInterval  = time.Second
	defaultBufferedLeases = 10_000
	maxSenders            = 16 // requests of one recorder at the same time, each of another organization
)

// Why a [Recorder] does not take a lease, or gives it back.
var (
	ErrRecorderFull   = errors.New("harmont-billing: the recorder is full")
	ErrRecorderClosed = errors.New("harmont-billing: the recorder is closed")
)

var errCallbackEnded = errors.New("a callback has ended its goroutine")

// RecorderOptions say how a [Recorder] works. Only OnRejected, or OnOrganizationRejected, is required.
type RecorderOptions struct {
	// OnRejected receives each lease that was taken and not accepted, with the reason: an [*Error] with the status 400, 409, 413 or 422 and a
	// code if the server has refused it, an error of encoding/json if JSON cannot express it, the last failure if [WithMaxRetries] limits the
	// retries, or an error that wraps [ErrRecorderClosed] and the last failure before the recorder was closed. In the last two cases the
	// server may have recorded the lease; recording it again is safe, also in another process.
	OnRejected func(Lease, error)
	// OnAccepted receives each lease that the server has on disk, with the outcome. It may be nil.
	OnAccepted func(Lease, RecordedLease)
	// OnOrganizationRejected is called instead of OnRejected, with the organization of the lease.
	OnOrganizationRejected func(org string, lease Lease, err error)
	// OnOrganizationAccepted is called instead of OnAccepted, with the organization of the lease.
	OnOrganizationAccepted func(org string, lease Lease, outcome RecordedLease)
	// OnError receives each failure after which the leases stay in the recorder: of a request, with its organization, and of the spool, with
	// an empty one. A token that is not valid, a role that is too low and an organization that does not exist are such failures. It may be
	// nil.
	OnError func(org string, err error)
	// BatchSize is the most leases that one request holds, 1 to 1 000. 0 means 1 000.
	BatchSize int
	// Interval is how long a lease may wait for others to share its request. 0 means one second.
	Interval time.Duration
	// Buffer is how many leases may wait to be sent, without the batch that each organization is collecting or sending. 0 means 10 000.
	Buffer int
	// DropWhenFull has Record refuse a lease with [ErrRecorderFull] where it would otherwise wait for room.
	DropWhenFull bool
	// Spool is the path of a file that keeps the leases that Record has taken until they are accepted or rejected, so that a crash of the
	// process or of the machine loses none of them. NewRecorder takes over what is in the file. It belongs to one recorder at a time; a
	// second one fails with [ErrSpoolInUse], also through a link, but for a hard link on Windows. Recorders replace the file, so a hard link
	// made before has the leases of that time, which are billed once nevertheless. Beside it there may be files with .lock, .tmp and .damaged after
	// its name. NewRecorder fails if the path leads to something other than a regular file, or to one that is not empty and has no valid line.
	// Empty means that leases are kept in memory only.
	Spool string
}

// RecorderStats are the state of a [Recorder], and its counts since it was started.
type RecorderStats struct {
	Taken      int64         // leases that Record has taken, and those that were found in the spool
	Recovered  int64         // leases that were found in the spool
	Accepted   int64         // leases that were given to OnAccepted
	Rejected   int64         // leases that were given to OnRejected
	Failures   int64         // failures that were given to OnError
	Waiting    int64         // leases that are neither accepted nor rejected yet
	OldestWait time.Duration // how long the oldest of them has waited; an alert on it shows an outage
	LastError  error         // the last of the failures, nil for none
	SpoolBytes int64         // the size of the spool
}

// Recorder takes leases one by one and records them in batches, those of an organization in the order in which they were taken. After each
// failure that is not about the leases, the recorder tries again until it succeeds, and the leases wait: the server cannot be reached, is too
// busy or fails, does not know the token, does not allow it to write, or does not know the organization, or something else answers, such as a
// proxy. OnError and [Recorder.Stats] show it, and [WithLogger] shows outages. [WithMaxRetries], passed to [NewRecorder], limits how often it
// tries. If the server refuses a request because of some of its leases, the recorder splits the request until only these leases are rejected.
// An organization that fails holds up no other, unless its leases fill Buffer. Up to 16 requests are under way at the same time, one for each
// organization.
//
// Each lease that Record takes is given to exactly one of OnAccepted and OnRejected before Close returns, so that none is
// lost unnoticed. All callbacks are called by one goroutine, one call at a time, and hold up the recorder while they run; they must
// not call Close or Flush, nor Record unless DropWhenFull is set. A Recorder is safe for concurrent use. A callback that ends its goroutine, as
// FailNow of a test does, closes the recorder: leases that were not given back are left in the spool, if there is one, and Close fails.
//
// With a spool, a lease that was taken and not given back when the process ended is recorded by the next recorder with the same spool. It
// may then be given to a callback twice, once in each process. The server bills it once.
type Recorder struct {
	client     *Client
	org        string // of Record; empty for none
	options    RecorderOptions
	maxRetries int    // of a batch; negative for no limit
	spool      *spool // nil for none

	closing   chan struct{} // closed by Close, which ends the waits of Record
	closeOnce sync.Once
	gate      sync.RWMutex // locked for reading to take a lease, and for writing to set closed
	closed    bool
	room      chan struct{} // holds a value for each lease that takes room of the buffer
	senders   chan struct{} // holds a value for each running request
	workers   sync.WaitGroup
	callbacks chan func()

	ctx  context.Context // ends with the context of Close
	stop context.CancelCauseFunc
	done chan struct{} // closed when every lease has been given back

	mu          sync.Mutex
	progress    sync.Cond        // tells when leases are given back
	lines       map[string]*line // of the organizations with leases, each of which has a worker
	stats       RecorderStats
	undelivered int  // leases that were rejected because ctx ended
	aborted     bool // whether a callback has ended its goroutine
}

// line has the leases of one organization.
type line struct {
	org        string
	leases     []queuedLease // those that are not in the running request
	collecting bool          // whether the worker waits for leases that share its next request
	sending    time.Time     // when the first lease of the running request was taken; zero for none
	wake       chan struct{}
	taken      int // how many leases have been added
	settled    int // how many of them were given back
	flushed    int // up to which of them Flush does not wait for others
}

type queuedLease struct {
	lease     Lease
	at        time.Time
	seq       int64 // its number in the spool
	takesRoom bool
}

// NewRecorder starts a recorder of an organization's leases. It sends requests with c and the options. The token needs the role write. If
// the spool has leases, the recorder sends them first. The caller must Close the recorder, or a goroutine is left. NewRecorder sends
// nothing itself; it fails on invalid options, and if the spool cannot be used.
func NewRecorder(c *Client, org string, options RecorderOptions, opts ...Option) (*Recorder, error) {
	if err := checkOrg(org); err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	return newRecorder(c, org, options, opts)
}

// NewSharedRecorder starts a recorder like [NewRecorder] for the leases of any organizations, which [Recorder.RecordFor] names. An
// organization without leases takes no memory.
func NewSharedRecorder(c *Client, options RecorderOptions, opts ...Option) (*Recorder, error) {
	return newRecorder(c, "", options, opts)
}

func newRecorder(c *Client, org string, options RecorderOptions, opts []Option) (*Recorder, error) {
	if options.BatchSize == 0 {
		options.BatchSize = maxBatch
	}
	if options.Interval == 0 {
		options.Interval = defaultBatchInterval
	}
	if options.Buffer == 0 {
		options.Buffer = defaultBufferedLeases
	}
	if options.OnOrganizationRejected == nil && options.OnRejected != nil {
		options.OnOrganizationRejected = func(_ string, lease Lease, err error) { options.OnRejected(lease, err) }
	}
	if options.OnOrganizationAccepted == nil && options.OnAccepted != nil {
		options.OnOrganizationAccepted = func(_ string, lease Lease, outcome RecordedLease) { options.OnAccepted(lease, outcome) }
	}
	// The retries of the client are for single calls. Those of a recorder have no limit, unless an option of the recorder sets one.
	unlimited := *c
	unlimited.maxRetries = -1
	own, err := unlimited.withOptions(opts)
	switch {
	case err != nil:
	case own.response != nil:
		err = errors.New("WithResponse is for single calls, and a recorder makes several at the same time")
	case options.OnOrganizationRejected == nil:
		err = errors.New("a recorder needs OnRejected, or leases could be lost unnoticed")
	case options.BatchSize < 1 || options.BatchSize > maxBatch:
		err = fmt.Errorf("the batch size is not between 1 and %d", maxBatch)
	case options.Interval < 0:
		err = errors.New("the interval is negative")
	case options.Buffer < 0:
		err = errors.New("the buffer is negative")
	}
	if err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	r := &Recorder{
		client: own, org: org, options: options, maxRetries: own.maxRetries,
		closing: make(chan struct{}), room: make(chan struct{}, options.Buffer), senders: make(chan struct{}, maxSenders),
		callbacks: make(chan func()), done: make(chan struct{}), lines: map[string]*line{},
	}
	own.maxRetries = 0
	r.progress.L = &r.mu
	var recovered []spooledLease
	var problem error
	if options.Spool != "" {
		if r.spool, recovered, problem, err = openSpool(options.Spool); err != nil {
			return nil, fmt.Errorf("harmont-billing: the spool: %w", err)
		}
	}
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	r.gate.RLock() // a callback may end its goroutine before all leases are added
	defer r.gate.RUnlock()
	go r.run()
	r.stats.Recovered = int64(len(recovered))
	for _, l := range recovered {
		r.add(l.Org, queuedLease{lease: l.Lease, at: time.Now(), seq: l.Seq})
	}
	if problem != nil {
		r.workers.Go(func() { r.failed("", problem) })
	}
	return r, nil
}

// Record takes a lease, to be recorded soon, and waits while the recorder is full, unless DropWhenFull is set. A lease with
// neither JobID nor LeaseID gets a LeaseID. Record copies the labels and what the pointers of the lease lead to, so that the caller may change it
// afterwards. An error means that the lease was not taken: [ErrRecorderFull],
// [ErrRecorderClosed], the context's, or one of the spool. After an error of the spool, the lease may still be in it and be recorded by the
// next recorder; a lease with a JobID or a LeaseID is then recorded once, however often it is taken. A recorder of [NewSharedRecorder] takes
// leases with [Recorder.RecordFor] only.
func (r *Recorder) Record(ctx context.Context, lease Lease) error {
	if r.org == "" {
		return errors.New("harmont-billing: the recorder is shared by organizations; RecordFor names the one of a lease")
	}
	return r.RecordFor(ctx, r.org, lease)
}

// RecordFor takes a lease of the organization, as [Recorder.Record] does.
func (r *Recorder) RecordFor(ctx context.Context, org string, lease Lease) error {
	if err := errors.Join(ctx.Err(), checkOrg(org)); err != nil {
		return fmt.Errorf("harmont-billing: %w", err)
	}
	lease = cloneLease(lease)
	if lease.JobID == nil && lease.LeaseID == nil {
		lease.LeaseID = new(newUUID())
	}
	r.gate.RLock()
	defer r.gate.RUnlock()
	if r.closed {
		return ErrRecorderClosed
	}
	queued := queuedLease{lease: lease, at: time.Now()}
	var err error
	if queued.takesRoom, err = r.reserve(ctx, org); err != nil {
		return err
	}
	if r.spool != nil {
		if queued.seq, err = r.spool.append(org, lease); err != nil {
			if queued.takesRoom {
				<-r.room
			}
			return fmt.Errorf("harmont-billing: the spool: %w", err)
		}
	}
	r.add(org, queued)
	return nil
}

// cloneLease returns a lease with copies of its labels and of the values that pointers of it lead to.
func cloneLease(lease Lease) Lease {
	fields := reflect.ValueOf(&lease).Elem()
	for _, field := range fields.Fields() {
		if field.Kind() == reflect.Pointer && !field.IsNil() {
			value := reflect.New(field.Type().Elem())
			value.Elem().Set(field.Elem())
			field.Set(value)
		}
	}
	lease.Labels = maps.Clone(lease.Labels)
	return lease
}

// reserve waits until there is room for a lease. A lease that joins the batch that its organization is collecting takes no room.
func (r *Recorder) reserve(ctx context.Context, org string) (takesRoom bool, err error) {
	r.mu.Lock()
	l := r.lines[org]
	joins := l == nil || l.collecting && len(l.leases) < r.options.BatchSize
	r.mu.Unlock()
	if joins {
		return false, nil
	}
	select {
	case r.room <- struct{}{}:
		return true, nil
	default:
	}
	if r.options.DropWhenFull {
		return false, ErrRecorderFull
	}
	select {
	case r.room <- struct{}{}:
		return true, nil
	case <-r.closing:
		return false, ErrRecorderClosed
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", ErrRecorderFull, ctx.Err())
	}
}

// add adds a lease to the line of its organization, and starts its worker if it has none.
func (r *Recorder) add(org string, queued queuedLease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lines[org]
	if l == nil {
		l = &line{org: org, collecting: true, wake: make(chan struct{}, 1)}
		r.lines[org] = l
		r.workers.Go(func() { r.work(l) })
	}
	l.leases = append(l.leases, queued)
	l.taken++
	r.stats.Taken++
	r.stats.Waiting++
	if l.collecting {
		r.freeRoom(l)
	}
	if len(l.leases) >= r.options.BatchSize {
		l.awake()
	}
}

// freeRoom frees the room of the leases that the next batch will have.
func (r *Recorder) freeRoom(l *line) {
	for i := range l.leases[:min(len(l.leases), r.options.BatchSize)] {
		if l.leases[i].takesRoom {
			l.leases[i].takesRoom = false
			<-r.room
		}
	}
}

func (l *line) awake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Flush sends the waiting leases without waiting for others to share their requests, and returns when every lease that was taken before
// the call has been given to OnAccepted or OnRejected. If ctx ends first, its error has their number and wraps that of ctx; the leases stay
// in the recorder.
func (r *Recorder) Flush(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	type target struct {
		*line
		taken int
	}
	var targets []target
	for _, l := range r.lines {
		l.flushed = l.taken
		l.awake()
		targets = append(targets, target{l, l.taken})
	}
	release := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.progress.Broadcast()
	})
	defer release()
	for {
		if r.aborted {
			return r.abortedError()
		}
		left := 0
		for _, t := range targets {
			left += max(t.taken-t.settled, 0)
		}
		if left == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("harmont-billing: %d leases are not recorded yet: %w", left, ctx.Err())
		}
		r.progress.Wait()
	}
}

// Stats returns the state of the recorder.
func (r *Recorder) Stats() RecorderStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	for _, l := range r.lines {
		oldest := l.sending
		if oldest.IsZero() && len(l.leases) > 0 {
			oldest = l.leases[0].at
		}
		if !oldest.IsZero() {
			stats.OldestWait = max(stats.OldestWait, time.Since(oldest))
		}
	}
	if r.spool != nil {
		stats.SpoolBytes = r.spool.bytes()
	}
	return stats
}

// Close takes no more leases, sends the waiting ones, and returns when every lease has been given to OnAccepted or OnRejected. If ctx ends
// first, Close cancels the running requests and gives the remaining leases to OnRejected. Its error then has their number and the reason,
// and wraps [ErrRecorderClosed]; they stay in the spool, if there is one. Closing again waits for the same end.
func (r *Recorder) Close(ctx context.Context) error {
	r.takeNoMore()
	release := context.AfterFunc(ctx, func() { r.stop(ctx.Err()) })
	defer release()
	<-r.done
	r.workers.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.aborted {
		return r.abortedError()
	}
	if r.undelivered > 0 {
		return fmt.Errorf("%w: %d leases were not accepted: %w", ErrRecorderClosed, r.undelivered, context.Cause(r.ctx))
	}
	return nil
}

// takeNoMore ends Record. The callbacks end when all leases have been given back.
func (r *Recorder) takeNoMore() {
	r.closeOnce.Do(func() {
		close(r.closing)
		r.gate.Lock()
		defer r.gate.Unlock()
		r.closed = true
		go func() {
			r.workers.Wait()
			close(r.callbacks)
		}()
	})
}

// abortedError has the number of the leases that were not given back. The caller holds mu.
func (r *Recorder) abortedError() error {
	return fmt.Errorf("%w: %w, and %d leases were not given back", ErrRecorderClosed, errCallbackEnded, r.stats.Waiting)
}

// run calls the callbacks.
func (r *Recorder) run() {
	isComplete := false
	defer func() {
		if !isComplete {
			r.abort()
		}
		if r.spool != nil {
			r.spool.close()
		}
		close(r.done)
	}()
	for call := range r.callbacks {
		call()
	}
	isComplete = true
}

// abort ends the recorder when no callback can be called anymore.
func (r *Recorder) abort() {
	r.stop(errCallbackEnded)
	r.takeNoMore()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aborted = true
	r.progress.Broadcast()
}

// call has run call a function, and waits until it has. It reports false if the function did not return, or was not called since an earlier
// one did not.
func (r *Recorder) call(f func()) bool {
	returned := make(chan struct{})
	select {
	case r.callbacks <- func() {
		f()
		close(returned)
	}:
	case <-r.done:
		return false
	}
	select {
	case <-returned:
		return true
	case <-r.done:
		return false
	}
}

// work sends the leases of a line until there are none.
func (r *Recorder) work(l *line) {
	for {
		batch := r.nextBatch(l)
		if len(batch) == 0 {
			return
		}
		r.deliver(l, batch)
	}
}

// nextBatch collects a batch. An empty one means that the line has no more leases and was removed.
func (r *Recorder) nextBatch(l *line) []queuedLease {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.collecting, l.sending = true, time.Time{}
	r.freeRoom(l)
	if len(l.leases) == 0 {
		delete(r.lines, l.org)
		return nil
	}
	timer := time.NewTimer(time.Until(l.leases[0].at.Add(r.options.Interval)))
	defer timer.Stop()
	for waiting := true; waiting && len(l.leases) < r.options.BatchSize && l.settled >= l.flushed; {
		r.mu.Unlock()
		select {
		case <-l.wake:
		case <-timer.C:
			waiting = false
		case <-r.closing:
			waiting = false
		}
		r.mu.Lock()
	}
	n := min(len(l.leases), r.options.BatchSize)
	batch := slices.Clone(l.leases[:n])
	if l.leases = l.leases[n:]; len(l.leases) == 0 {
		l.leases = nil
	}
	l.collecting, l.sending = false, batch[0].at
	return batch
}

// deliver tries until each lease of the batch is accepted or rejected.
func (r *Recorder) deliver(l *line, batch []queuedLease) {
	leases := make([]Lease, len(batch))
	for i := range batch {
		leases[i] = batch[i].lease
	}
	var lastErr error
	for n := 0; ; n++ {
		if r.ctx.Err() != nil {
			r.giveUp(l, batch, lastErr)
			return
		}
		outcomes, err := r.send(l.org, leases)
		switch {
		case err == nil:
			r.accept(l, batch, outcomes)
			return
		case r.ctx.Err() != nil:
			// The caller knows that ctx has ended, but not the failure before.
		case len(batch) > 1 && (isAboutLeases(err) || isTooLarge(err)):
			half := len(batch) / 2
			r.deliver(l, batch[:half])
			r.deliver(l, batch[half:])
			return
		case isAboutLeases(err) || n == r.maxRetries:
			r.reject(l, batch, err)
			return
		default:
			lastErr = err
			r.failed(l.org, err)
			sleep(r.ctx, backoff(n, err)) //nolint:errcheck // the loop looks at ctx itself
		}
	}
}

func (r *Recorder) send(org string, leases []Lease) ([]RecordedLease, error) {
	select {
	case r.senders <- struct{}{}:
		defer func() { <-r.senders }()
		return r.client.RecordLeases(r.ctx, org, leases)
	case <-r.ctx.Done():
		return nil, r.ctx.Err()
	}
}

// isAboutLeases reports whether leases of the request are the reason of a failure, so that the request would fail again. The recorder
// repeats requests after all other errors, for as long as it takes: in the meantime a server may be restarted, a token, its role or an
// address corrected, an organization made, or a proxy repaired. An answer without a code of the API says nothing about leases.
func isAboutLeases(err error) bool {
	if apiErr, ok := errors.AsType[*Error](err); ok && apiErr.Code != "" {
		switch apiErr.Status {
		case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			return true
		}
	}
	return isEncodingError(err)
}

// isTooLarge reports whether the request is too large for the server or for a proxy, so that a part of it may pass.
func isTooLarge(err error) bool {
	apiErr, ok := errors.AsType[*Error](err)
	return ok && apiErr.Status == http.StatusRequestEntityTooLarge
}

// isEncodingError reports whether JSON cannot express a lease, such as one with a year after 9999.
func isEncodingError(err error) bool {
	_, ok := errors.AsType[*json.MarshalerError](err)
	return ok
}

func (r *Recorder) accept(l *line, batch []queuedLease, outcomes []RecordedLease) {
	if r.options.OnOrganizationAccepted != nil && !r.call(func() {
		for i := range batch {
			r.options.OnOrganizationAccepted(l.org, batch[i].lease, outcomes[i])
		}
	}) {
		return
	}
	r.settle(l, batch, &r.stats.Accepted)
}

func (r *Recorder) reject(l *line, batch []queuedLease, err error) {
	if r.giveBack(l, batch, err) {
		r.settle(l, batch, &r.stats.Rejected)
	}
}

// giveUp rejects leases that the spool keeps.
func (r *Recorder) giveUp(l *line, batch []queuedLease, lastErr error) {
	if lastErr == nil {
		lastErr = context.Cause(r.ctx)
	}
	if !r.giveBack(l, batch, fmt.Errorf("%w: %w", ErrRecorderClosed, lastErr)) {
		return
	}
	r.count(l, batch, &r.stats.Rejected)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undelivered += len(batch)
}

func (r *Recorder) giveBack(l *line, batch []queuedLease, err error) bool {
	return r.call(func() {
		for i := range batch {
			r.options.OnOrganizationRejected(l.org, batch[i].lease, err)
		}
	})
}

// settle removes leases that were given back from the spool. A lease that cannot be removed is recorded again after a restart, which
// changes nothing.
func (r *Recorder) settle(l *line, batch []queuedLease, count *int64) {
	if r.spool != nil {
		if err := r.spool.remove(batch); err != nil {
			r.failed("", fmt.Errorf("harmont-billing: the spool: %w", err))
		}
	}
	r.count(l, batch, count)
}

func (r *Recorder) count(l *line, batch []queuedLease, count *int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*count += int64(len(batch))
	r.stats.Waiting -= int64(len(batch))
	l.settled += len(batch)
	r.progress.Broadcast()
}

// failed reports a failure after which leases stay in the recorder.
func (r *Recorder) failed(org string, err error) {
	r.mu.Lock()
	r.stats.Failures++
	r.stats.LastError = err
	r.mu.Unlock()
	if r.options.OnError != nil {
		r.call(func() { r.options.OnError(org, err) })
	}
}
