package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/harmont-dev/harmont-billing/internal/store/driver"
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
	probe *pgxpool.Pool // of the primary
	log   *slog.Logger

	mu        sync.Mutex
	positions []position // of the primary, oldest first, from the last maxLag

	stop context.CancelFunc
	done sync.WaitGroup
}

// replica is a copy of the database that follows it.
type replica struct {
	name string
	pools
	probe *pgxpool.Pool // one connection, so that a measurement does not wait for reads
	state atomic.Pointer[replicaState]
}

// replicaState is the result of the last measurement of a replica that answers.
type replicaState struct {
	asOf time.Time       // the replica has everything that the primary had written at this time
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

func askPosition(ctx context.Context, db *pgxpool.Pool) (position, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p := position{at: time.Now()}
	err := db.QueryRow(ctx, `SELECT pg_is_in_recovery(),
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
// is more than maxLag ago. It uses neither the clock of the replica nor the lag that the replica reports, so it also detects a
// replica that has lost its primary.
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
			up = nil //nolint:fatcontext // a new context is made when the replica is back
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

// FollowReplicas lets ReadReplica read from replicas, given by their URLs, while they are at most five seconds behind. A replica
// that cannot be reached is used once it can. The log gets a line when one is left out and when it is back. FollowReplicas is
// called before the first read.
func (d *Database) FollowReplicas(log *slog.Logger, urls []string) (err error) {
	probe, err := d.address.pool(1, nil)
	if err != nil {
		return err
	}
	r := &replicas{log: log, probe: probe, stop: func() {}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	for _, url := range urls {
		a, err := parse(url)
		if err != nil {
			return err
		}
		replica := &replica{name: a.String()}
		if replica.pools, err = a.pools(8, 8); err != nil {
			return err
		}
		replica.names = newQualifier(d.address.schema)
		if replica.probe, err = a.pool(1, nil); err != nil {
			replica.pools.close()
			return err
		}
		r.all = append(r.all, replica)
	}
	watching, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() { r.watchPrimary(watching) })
	for _, replica := range r.all {
		r.done.Go(func() { r.watch(watching, replica) })
	}
	d.replicas = r
	return nil
}

func (r *replicas) close() {
	r.stop()
	r.done.Wait()
	r.probe.Close()
	for _, replica := range r.all {
		replica.pools.close()
		replica.probe.Close()
	}
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

// ReadReplica implements driver.Database. The context of do ends when the replica no longer answers.
func (d *Database) ReadReplica(ctx context.Context, do func(context.Context, driver.Reader) error) error {
	if replica, state := d.replicas.pick(); replica != nil {
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(state.up, cancel)()
		err := do(reading, replica)
		if err == nil || ctx.Err() != nil {
			return err
		}
		d.replicas.log.WarnContext(ctx, "read from a replica failed", "replica", replica.name, "error", err)
	}
	return do(ctx, d)
}
