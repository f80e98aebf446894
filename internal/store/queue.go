package store

import (
	"bytes"
	"errors"
	"slices"
	"sync"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// maxBatchRows is the number of rows at which a batch takes no further writes. It bounds the time that a caller spends as committer on
// the writes of other callers.
const maxBatchRows = 4096

// write holds the operations that one caller has put into the queue.
type write struct {
	org   billing.ID
	ops   []billing.Operation
	errs  []error // of each operation
	needs billing.Needs
	done  chan error // receives the outcome, unless the write has left the queue before
	left  bool       // whether the caller has given up while a batch had the write
}

// errLeft is the outcome of a write that has not taken place because its caller has given up.
var errLeft = errors.New("the caller has left")

func newWrite(org billing.ID, ops []billing.Operation) *write {
	w := &write{org: org, ops: ops, errs: make([]error, len(ops)), done: make(chan error, 1)}
	for _, op := range ops {
		w.needs.Add(op.Needs())
	}
	return w
}

func (w *write) rows() int { return len(w.ops) + len(w.needs.Leases) + len(w.needs.Jobs) }

// line has the queued writes of one organization, oldest first.
type line struct {
	org      billing.ID
	writes   []*write
	taken    bool // whether a batch has writes of the organization
	isolated bool // whether the next batch has to be of this organization alone, and may have to wait for long
}

// share holds the writes of one organization in a batch.
type share struct {
	line   *line
	writes []*write
	needs  billing.Needs
	retry  bool // whether the writes go back into the queue, to be committed in a batch of their own
}

// batch has the writes that are committed in one transaction, by organization in the order of the ids. No two batches have writes of
// the same organization.
type batch struct {
	shares        []*share
	isolated      bool // whether it is the batch of an isolated line
	waitsForLocks bool // whether it waits for heads that are locked by other servers
	tookTooLong   bool // whether it took so long that its organization is isolated
}

// answer sends the outcome to the callers of the batch, except for shares that will be retried.
func (b *batch) answer(err error) {
	for _, share := range b.shares {
		for _, w := range share.writes {
			if !share.retry {
				w.done <- err
			}
		}
	}
}

// queue holds the writes that wait for a transaction. A committer takes batches until no line can start a batch. The writes of one
// organization are committed in order, by one committer at a time.
type queue struct {
	limit int // of committers

	mu         sync.Mutex
	lines      map[billing.ID]*line // by organization: every line that is ready, taken or isolated
	ready      []*line              // lines that have writes and are not taken, in the order in which they became ready
	committers int
	isolated   int // number of unfinished batches of isolated lines
}

// add puts a write into the queue. It reports whether the caller has to become a committer.
func (q *queue) add(w *write) (commit bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[w.org]
	if l == nil {
		l = &line{org: w.org}
		if q.lines == nil {
			q.lines = map[billing.ID]*line{}
		}
		q.lines[w.org] = l
	}
	l.writes = append(l.writes, w)
	if !l.taken && len(l.writes) == 1 {
		q.ready = append(q.ready, l)
	}
	return q.needsCommitter()
}

// needsCommitter reports whether one more committer is needed. If so, it counts that committer already. The caller holds mu.
func (q *queue) needsCommitter() bool {
	needed := q.committers < q.limit && slices.ContainsFunc(q.ready, q.mayBegin)
	if needed {
		q.committers++
	}
	return needed
}

// keepCommitting reports whether there is another batch. If there is none, the caller stops being a committer.
func (q *queue) keepCommitting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	queued := slices.ContainsFunc(q.ready, q.mayBegin)
	if !queued {
		q.committers--
	}
	return queued
}

// mayBegin reports whether a batch may begin with the line. Isolated lines have at most half of the committers, because they
// may have to wait for long.
func (q *queue) mayBegin(l *line) bool { return !l.isolated || q.isolated < max(1, q.limit/2) }

// waitsFor reports whether a line of the given kind, isolated or not, has writes but cannot start a batch: all committers are busy, or
// the isolated batches already have as many committers as they may have.
func (q *queue) waitsFor(isolated bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.ready, func(l *line) bool { return l.isolated == isolated && (q.committers == q.limit || !q.mayBegin(l)) })
}

// take removes a batch from the queue, and marks its lines as taken. The batch has as many writes as fit into one transaction, and writes
// of several organizations only if several is true. It reports whether one more committer is needed for the rest.
func (q *queue) take(several bool) (b *batch, needsCommitter bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b = &batch{}
	rows := 0
	q.ready = slices.DeleteFunc(q.ready, func(l *line) bool {
		if len(b.shares) == 0 {
			if !q.mayBegin(l) {
				return false
			}
			b.isolated, b.waitsForLocks = l.isolated, l.isolated
		} else if !several || b.isolated || l.isolated || rows >= maxBatchRows {
			return false
		}
		n := 0
		share := &share{line: l}
		for ; n < len(l.writes) && rows < maxBatchRows; n++ {
			rows += l.writes[n].rows()
			share.needs.Add(l.writes[n].needs)
		}
		share.writes = l.writes[:n:n]
		l.writes = append([]*write(nil), l.writes[n:]...) // a copy, so that the batch does not stay in memory
		l.taken = true
		b.shares = append(b.shares, share)
		return true
	})
	if b.isolated {
		q.isolated++
	}
	slices.SortFunc(b.shares, func(x, y *share) int { return bytes.Compare(x.line.org[:], y.line.org[:]) })
	return b, q.needsCommitter()
}

// finish ends a batch. It puts the writes to retry back unless their callers have given up, isolates their lines, and makes lines that have
// writes ready again.
func (q *queue) finish(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b.isolated {
		q.isolated--
	}
	for _, share := range b.shares {
		l := share.line
		l.taken = false
		if share.retry {
			share.writes = slices.DeleteFunc(share.writes, func(w *write) bool {
				if w.left {
					w.done <- errLeft
				}
				return w.left
			})
			l.writes = slices.Concat(share.writes, l.writes)
		}
		if l.isolated = share.retry || b.tookTooLong; len(l.writes) > 0 {
			q.ready = append(q.ready, l)
		} else if !l.isolated {
			delete(q.lines, l.org)
		}
	}
}

// leave removes a write after its caller has given up, and reports whether the write was still in the queue. If a batch has the write, it
// will not be retried.
func (q *queue) leave(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.left = true
	l := q.lines[w.org]
	if l == nil {
		return false
	}
	i := slices.Index(l.writes, w)
	if i < 0 {
		return false
	}
	l.writes = slices.Delete(l.writes, i, i+1)
	if len(l.writes) == 0 && !l.taken {
		q.ready = slices.DeleteFunc(q.ready, func(r *line) bool { return r == l })
		if !l.isolated {
			delete(q.lines, l.org)
		}
	}
	return true
}
