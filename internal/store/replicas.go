package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLag is how old an answer of a replica may be.
	maxLag = 5 * time.Second
	// lagInterval is how often the age of a replica is measured.
	lagInterval = 500 * time.Millisecond
	// probeTimeout is how long a server may take to say where it stands before it counts as gone.
	probeTimeout = 2 * time.Second
)

// replicas are the copies of the database that some reads may go to, in turn.
type replicas struct {
	all   []*replica
	next  atomic.Uint64
	probe *sql.DB // of the primary
	log   *slog.Logger

	mu        sync.Mutex
	positions []position // of the primary, oldest first, from the last maxLag

	stop context.CancelFunc
	done sync.WaitGroup
}

// replica is a copy of the database that follows it.
type replica struct {
	name    string
	reader  postgresPool
	streams postgresPool
	probe   *sql.DB // one connection, so that a measurement does not wait for reads
	state   atomic.Pointer[replicaState]
}

// replicaState is what was last found out about a replica that answers.
type replicaState struct {
	asOf time.Time       // all that had been written then is in the replica
	up   context.Context // ends when the replica no longer answers
}

// fresh returns the replica's state where it may be read, else nil.
func (r *replica) fresh() *replicaState {
	if state := r.state.Load(); state != nil && time.Since(state.asOf) <= maxLag {
		return state
	}
	return nil
}

// position is where a server stands in its log.
type position struct {
	at        time.Time // when it was asked
	following bool      // whether it replays the log of another server
	log       string    // which log, and which of its cluster's databases; positions in different logs do not compare
	lsn       int64     // how far it has written, or replayed
}

func askPosition(ctx context.Context, db *sql.DB) (position, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p := position{at: time.Now()}
	err := db.QueryRowContext(ctx, `SELECT pg_is_in_recovery(),
			concat_ws('/', system_identifier, timeline_id, current_database()),
			CAST(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0' AS BIGINT)
		FROM pg_control_system(), pg_control_checkpoint()`).Scan(&p.following, &p.log, &p.lsn)
	return p, err
}

// watchPrimary notes how far the primary has written.
func (r *replicas) watchPrimary(ctx context.Context) {
	for {
		p, err := askPosition(ctx, r.probe)
		r.mu.Lock()
		if err == nil && !p.following {
			r.positions = append(r.positions, p)
		}
		r.positions = slices.DeleteFunc(r.positions, func(p position) bool { return time.Since(p.at) > maxLag })
		r.mu.Unlock()
		if !pause(ctx) {
			return
		}
	}
}

// asOf returns the latest time at which the primary had written no more than a replica has now, or the zero time where that
// is more than maxLag ago. The clock of the replica and what it thinks of its lag play no part, so that one which has lost
// its primary is found out as well.
func (r *replicas) asOf(replica position) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, primary := range slices.Backward(r.positions) {
		if primary.log == replica.log && primary.lsn <= replica.lsn {
			return primary.at
		}
	}
	return time.Time{}
}

// watch measures a replica.
func (r *replicas) watch(ctx context.Context, replica *replica) {
	var up context.Context
	down := func() {}
	read := true
	for pause(ctx) {
		p, err := askPosition(ctx, replica.probe)
		if err == nil && !p.following {
			err = errors.New("it follows no other server")
		}
		if err != nil {
			replica.state.Store(nil)
			down()
			up = nil //nolint:fatcontext // it is made anew, from none, when the replica is back
		} else {
			if up == nil {
				up, down = context.WithCancel(context.Background())
			}
			replica.state.Store(&replicaState{r.asOf(p), up})
		}
		switch before := read; {
		case ctx.Err() != nil:
		case replica.fresh() != nil:
			if read = true; !before {
				r.log.Info("replica is read from again", "replica", replica.name)
			}
		default:
			if err == nil {
				err = fmt.Errorf("it is not known to be less than %s behind", maxLag)
			}
			if read = false; before {
				r.log.Warn("replica is left out", "replica", replica.name, "reason", err)
			}
		}
	}
	down()
}

// pause waits until the next measurement and tells whether there is one.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(lagInterval):
		return true
	}
}

// FollowReplicas lets usage, series and breakdowns be read from replicas of a PostgreSQL database, given by their URLs,
// while they are at most five seconds behind; anything else, and all of it where no replica is fresh, is read from the
// database itself. A replica that cannot be reached is used once it can. The log gets a line when one is left out and when
// it is back.
func (s *Store) FollowReplicas(log *slog.Logger, urls []string) error {
	if len(urls) == 0 {
		return nil
	}
	if s.address == nil {
		return errors.New("replicas to read from need a PostgreSQL database")
	}
	addresses := make([]*postgresAddress, len(urls))
	for i, url := range urls {
		var err error
		if addresses[i], err = parsePostgres(url); err != nil {
			return err
		}
	}
	watching, stop := context.WithCancel(context.Background())
	r := &replicas{log: log, probe: s.address.pool(1), stop: stop}
	r.done.Go(func() { r.watchPrimary(watching) })
	for _, a := range addresses {
		replica := &replica{name: a.String(), reader: postgresPool{a.pool(8)}, streams: postgresPool{a.pool(8)}, probe: a.pool(1)}
		r.all = append(r.all, replica)
		r.done.Go(func() { r.watch(watching, replica) })
	}
	s.replicas = r
	return nil
}

func (r *replicas) close() error {
	r.stop()
	r.done.Wait()
	errs := []error{r.probe.Close()}
	for _, replica := range r.all {
		errs = append(errs, replica.reader.Close(), replica.streams.Close(), replica.probe.Close())
	}
	return errors.Join(errs...)
}

// pick returns a replica that is fresh, with its state, or nil where none is.
func (r *replicas) pick() (*replica, *replicaState) {
	if r == nil {
		return nil, nil
	}
	start := r.next.Add(1)
	for i := range uint64(len(r.all)) {
		replica := r.all[(start+i)%uint64(len(r.all))]
		if state := replica.fresh(); state != nil {
			return replica, state
		}
	}
	return nil, nil
}

// whileUp runs a read on the replica, and gives it up when the replica no longer answers.
func (s *replicaState) whileUp(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.up, cancel)()
	return read(ctx)
}

// readFromReplica runs a short read whose answer may be up to maxLag old: on a replica, and on the database itself where there
// is none or it fails.
func (s *Store) readFromReplica(ctx context.Context, text string, args []any, scan func(*row) error, restart func()) error {
	if replica, state := s.replicas.pick(); replica != nil {
		err := state.whileUp(ctx, func(ctx context.Context) error { return replica.reader.query(ctx, text, args, scan) })
		if err == nil || ctx.Err() != nil {
			return s.fail(ctx, err)
		}
		restart()
	}
	return s.fail(ctx, s.reader.query(ctx, text, args, scan))
}

// streamFromReplica is readFromReplica for a read of any length. Once it has handed anything over, it stays with its replica.
func (s *Store) streamFromReplica(ctx context.Context, read func(ctx context.Context, from readings, begun *bool) error) error {
	if replica, state := s.replicas.pick(); replica != nil {
		begun := false
		err := state.whileUp(ctx, func(ctx context.Context) error { return read(ctx, replica.streams, &begun) })
		if err == nil || begun || ctx.Err() != nil {
			return s.fail(ctx, err)
		}
	}
	return s.fail(ctx, read(ctx, s.readings, new(bool)))
}
