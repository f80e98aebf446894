package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// batches is a database that records how many organizations are in each batch. It may be split.
type batches struct {
	driver.Database
	split bool

	mu    sync.Mutex
	sizes []int
}

func (b *batches) Split() bool { return b.split }

func (b *batches) Lock(columns, table string, orgs []any, wait bool) iter.Seq2[string, []any] {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sizes = append(b.sizes, len(orgs))
	return b.Database.Lock(columns, table, orgs, wait)
}

// recordBatches records the batches of a store from now on.
func recordBatches(s *Store, split bool) *batches {
	b := &batches{Database: s.db, split: split}
	s.db = b
	return b
}

// isEmpty reports whether the queue knows no organization.
func (q *queue) isEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.lines) == 0
}

// createOrganizations makes organizations with the slugs org-0, org-1 and so on.
func createOrganizations(t *testing.T, s *Store, n int) (orgs []billing.ID) {
	t.Helper()
	for i := range n {
		orgs = append(orgs, storetest.CreateOrganization(t, s, fmt.Sprint("org-", i)))
	}
	return orgs
}

// post appends a credit of one cent, in any goroutine of a test.
func post(t *testing.T, s *Store, org billing.ID, key string) {
	t.Helper()
	if err := storetest.Post(t, s, org, key); err != nil {
		t.Error(err)
	}
}

// A batch has the writes of all organizations that wait, but on a split database those of one organization.
func TestOrganizationsOfABatch(t *testing.T) {
	onEach(t, func(t *testing.T, database string) {
		for _, split := range []bool{false, true} {
			s := open(t, database)
			orgs := []billing.ID{storetest.CreateOrganization(t, s, fmt.Sprint("first-", split)), storetest.CreateOrganization(t, s, fmt.Sprint("second-", split))}
			b := recordBatches(s, split)
			var all sync.WaitGroup
			for range cap(s.writing) { // no transaction can begin
				s.writing <- struct{}{}
			}
			for i := range 20 {
				all.Go(func() { post(t, s, orgs[i%2], fmt.Sprint(i)) })
			}
			waitUntil(func() bool { return s.queue.length() == 20 })
			for range cap(s.writing) {
				<-s.writing
			}
			all.Wait()
			if want := map[bool][]int{false: {2}, true: {1, 1}}[split]; !slices.Equal(b.sizes, want) {
				t.Errorf("split: %t: the batches have %v organizations, want %v", split, b.sizes, want)
			}
			for _, org := range orgs {
				storetest.WantBalance(t, s, org, 10, 10)
			}
		}
	})
}

// While a server holds the heads of more organizations than there are committers, the writes of another organization come back. Those of
// the organizations take place once the heads are free, and whoever waits for them in the queue can leave it.
func TestPostgreSQLOtherOrganizationsDoNotWait(t *testing.T) {
	for _, split := range []bool{false, true} {
		database := pgtest.Database(t)
		s, raw := open(t, database), pgtest.Connect(t, database)
		recordBatches(s, split)
		s.commitPatience = time.Hour
		orgs := createOrganizations(t, s, 2*s.db.Writers()+1)
		last := len(orgs) - 1
		free := orgs[last]
		holder, err := raw.BeginTx(t.Context(), nil)
		storetest.Must(t, err)
		_, err = holder.Exec(`SELECT FROM ledger_heads WHERE org_id <> $1 FOR UPDATE`, free.String())
		storetest.Must(t, err)
		var all sync.WaitGroup
		for _, org := range orgs[:last] {
			all.Go(func() { post(t, s, org, "held up") })
		}
		storetest.Must(t, storetest.Post(t, s, free, "first"))
		awaitLock(t, raw)
		storetest.Eventually(t, "half of the committers to wait for heads, and the others to be done", func() bool {
			s.queue.mu.Lock()
			defer s.queue.mu.Unlock()
			waiting := s.db.Writers() / 2
			return s.queue.isolated == waiting && s.queue.committers == waiting && len(s.queue.ready) == last-waiting
		})
		for i := range 10 {
			storetest.Must(t, storetest.Post(t, s, free, fmt.Sprint(i)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var left sync.WaitGroup
		left.Go(func() {
			if _, err := s.Write(ctx, orgs[0], storetest.Credit(1, "left")); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that leaves the queue is told %v", err)
			}
		})
		storetest.Eventually(t, "the write to be queued", func() bool { return s.queue.length() > last-s.db.Writers()/2 })
		cancel()
		left.Wait()
		storetest.WantBalance(t, s, free, 11, 11)
		storetest.Must(t, holder.Rollback())
		all.Wait()
		for _, org := range orgs[:last] {
			storetest.WantBalance(t, s, org, 1, 1)
		}
		storetest.Eventually(t, "the queue to be empty", s.queue.isEmpty)
	}
}

// Organizations on a node that does not answer hold up no organization of another node, even if they are more than there are committers.
// They are served again once the node answers.
func TestPostgreSQLNodeThatDoesNotAnswer(t *testing.T) {
	database := pgtest.Database(t)
	s, raw := open(t, database), pgtest.Connect(t, database)
	recordBatches(s, true)
	s.commitPatience = 50 * time.Millisecond
	orgs := createOrganizations(t, s, 3*s.db.Writers()+1)
	last := len(orgs) - 1
	healthy := orgs[last]
	for _, text := range []string{ // statements of the other organizations wait for a lock
		`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$`,
		`CREATE TRIGGER wait BEFORE INSERT ON ledger_entries FOR EACH ROW WHEN (NEW.org_id <> '` + healthy.String() + `') EXECUTE FUNCTION wait()`,
	} {
		_, err := raw.Exec(text)
		storetest.Must(t, err)
	}
	holder, err := raw.BeginTx(t.Context(), nil)
	storetest.Must(t, err)
	_, err = holder.Exec(`SELECT pg_advisory_xact_lock(1)`)
	storetest.Must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stuck sync.WaitGroup
	for _, org := range orgs[:last] {
		stuck.Go(func() {
			for ctx.Err() == nil {
				err := errors.Join(storetest.First(s.Write(ctx, org, storetest.Credit(1, "stuck")))...)
				if err != nil && !errors.Is(err, billing.ErrUnavailable) && !errors.Is(err, context.Canceled) {
					t.Errorf("a write to the node fails with %v", err)
				}
			}
		})
	}
	storetest.Eventually(t, "the organizations of the node to be isolated", func() bool {
		s.queue.mu.Lock()
		defer s.queue.mu.Unlock()
		isolated := 0
		for _, l := range s.queue.lines {
			if l.isolated {
				isolated++
			}
		}
		return isolated == last
	})
	for i := range 20 {
		storetest.Must(t, storetest.Post(t, s, healthy, fmt.Sprint(i)))
	}
	storetest.Must(t, holder.Rollback())
	cancel()
	stuck.Wait()
	for _, org := range orgs[:last] {
		storetest.Eventually(t, "the node to be written to", func() bool { return storetest.Post(t, s, org, "later") == nil })
	}
	storetest.Eventually(t, "no organization to be isolated", s.queue.isEmpty)
	storetest.WantBalance(t, s, healthy, 20, 20)
	storetest.WantClean(t, s)
}

// If the database ends a transaction of one organization as unavailable, writes of other organizations succeed.
func TestPostgreSQLUnavailableOrganization(t *testing.T) {
	database := pgtest.Database(t)
	s, raw := open(t, database), pgtest.Connect(t, database)
	recordBatches(s, true)
	orgs := createOrganizations(t, s, 8)
	for _, text := range []string{
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a node is down' USING ERRCODE = '08006'; END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON ledger_entries FOR EACH ROW WHEN (NEW.org_id = '` + orgs[0].String() + `') EXECUTE FUNCTION refuse()`,
	} {
		_, err := raw.Exec(text)
		storetest.Must(t, err)
	}
	var all sync.WaitGroup
	for i, org := range orgs {
		for n := range 20 {
			all.Go(func() {
				if err := storetest.Post(t, s, org, fmt.Sprint(n)); errors.Is(err, billing.ErrUnavailable) != (i == 0) {
					t.Errorf("organization %d: %v", i, err)
				}
			})
		}
	}
	all.Wait()
	_, err := raw.Exec(`DROP TRIGGER refuse ON ledger_entries`)
	storetest.Must(t, err)
	storetest.Must(t, storetest.Post(t, s, orgs[0], "later"))
	for i, org := range orgs {
		storetest.WantBalance(t, s, org, map[bool]int64{true: 1, false: 20}[i == 0], map[bool]int64{true: 1, false: 20}[i == 0])
	}
}

// Several organizations are committed at the same time, and Close waits for all of them.
func TestPostgreSQLCloseWaitsForAllCommitters(t *testing.T) {
	s := open(t, pgtest.Database(t))
	orgs := createOrganizations(t, s, s.db.Writers())
	released := make(chan struct{})
	var entered, all sync.WaitGroup
	entered.Add(len(orgs))
	for _, org := range orgs {
		all.Go(func() {
			errs, err := s.Write(t.Context(), org, operation(func(*billing.Book) error {
				entered.Done()
				<-released
				return nil
			}))
			if err := errors.Join(append(errs, err)...); err != nil {
				t.Error(err)
			}
		})
		waitUntil(func() bool { return s.queue.length() == 0 }) // a batch of its own
	}
	entered.Wait()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	waitUntil(s.closing.Load)
	select {
	case err := <-closed:
		t.Errorf("Close returned %v while writes were committed", err)
	case <-time.After(10 * time.Millisecond):
	}
	close(released)
	all.Wait()
	storetest.Must(t, <-closed)
}

// A write whose caller has given up is not committed by a later batch than the one that has it. The other writes of that batch are.
func TestRetryWithoutCaller(t *testing.T) {
	q := queue{limit: 1}
	left, stays := newWrite(billing.ID{1}, nil), newWrite(billing.ID{1}, nil)
	q.add(left)
	q.add(stays)
	b, _ := q.take(true)
	if q.leave(left) {
		t.Error("a write that a batch has was in the queue")
	}
	b.shares[0].retry = true
	q.finish(b)
	select {
	case err := <-left.done:
		if !errors.Is(err, errLeft) {
			t.Errorf("the outcome is %v", err)
		}
	default:
		t.Error("the write has no outcome")
	}
	if b, _ = q.take(true); len(b.shares) != 1 || len(b.shares[0].writes) != 1 || b.shares[0].writes[0] != stays {
		t.Errorf("the next batch has %+v", b.shares)
	}
	if !b.isolated {
		t.Error("the next batch is not of an isolated line")
	}
}
