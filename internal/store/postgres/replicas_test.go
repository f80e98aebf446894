package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// flock is a primary and its replicas, with a database for one test. All tests have the same servers.
type flock struct {
	*testing.T
	database string
	primary  *pgtest.Cluster
	replicas []*pgtest.Cluster
	store    *store.Store
	db       *Database
	org      billing.ID
	bills    int64 // how often bill was called
	log      *safeLog
}

// TestReplicas has one primary with two replicas for all tests, because each server takes longer to start than most tests do.
func TestReplicas(t *testing.T) {
	t.Parallel() // these tests mostly wait
	primary := pgtest.Start(t, pgtest.NoSync)
	replicas := []*pgtest.Cluster{primary.Replica(t)}
	if testlong.Asked() {
		replicas = append(replicas, primary.Replica(t))
	}
	in := func(test func(*flock)) func(*testing.T) {
		return func(t *testing.T) { test(newFlock(t, primary, replicas)) }
	}
	inLong := func(test func(*flock)) func(*testing.T) {
		return func(t *testing.T) {
			testlong.Only(t, "it waits for a replica to lag, or for servers to stop and start")
			in(test)(t)
		}
	}
	t.Run("Running", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"Answer": in(replicasAnswer), "ThatFallsSilent": in(replicaThatFallsSilent), "UnderLoad": inLong(replicaUnderLoad),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	// These stop servers that the others need.
	t.Run("ThatComesLater", in(replicaThatComesLater))
	t.Run("ThatLags", inLong(replicaThatLags))
	t.Run("ThatStops", inLong(replicaThatStops))
	t.Run("WithoutPrimary", inLong(replicaWithoutPrimary))
	t.Run("ThatIsNone", inLong(replicaThatIsNone)) // the last one, since a replica becomes a primary
}

func newFlock(t *testing.T, primary *pgtest.Cluster, replicas []*pgtest.Cluster) *flock {
	t.Helper()
	f := &flock{T: t, database: "books_" + strings.ToLower(rand.Text()), primary: primary, replicas: replicas, log: new(safeLog)}
	f.on(primary, `CREATE DATABASE `+f.database)
	for _, replica := range replicas {
		storetest.Eventually(t, "a replica to have the database", func() bool {
			return len(storetest.Column[string](t, pgtest.Connect(t, replica.URL("postgres")),
				`SELECT datname FROM pg_database WHERE datname = $1`, f.database)) == 1
		})
	}
	f.store, f.db = open(t, primary.URL(f.database))
	f.org = storetest.CreateOrganization(t, f.store, "acme")
	return f
}

func (f *flock) follow(urls ...string) {
	f.Helper()
	storetest.Must(f.T, f.db.FollowReplicas(slog.New(slog.NewTextHandler(f.log, nil)), urls))
}

// bill bills 12 cents to the first hour.
func (f *flock) bill() {
	f.Helper()
	storetest.Must(f.T, errors.Join(storetest.First(f.store.Write(f.Context(), f.org, storetest.Record(storetest.Lease())))...))
	f.bills++
}

// usage reads the usage, which may come from a replica, and returns how often bill was called before it.
func (f *flock) usage() int64 {
	f.Helper()
	ctx, w := f.Context(), billing.Window{From: 0, To: billing.Day}
	sum, err := f.store.Usage(ctx, f.org, w)
	storetest.Must(f.T, err)
	return sum.Cents / 12
}

func (f *flock) series() (bills int64) {
	f.Helper()
	days, err := f.store.UsageByDay(f.Context(), f.org, billing.Window{From: 0, To: billing.Day})
	storetest.Must(f.T, err)
	for _, day := range days {
		bills += day.Cents / 12
	}
	return bills
}

func (f *flock) breakdown() (bills int64) {
	f.Helper()
	for _, err := range f.store.Breakdown(f.Context(), f.org, billing.Window{From: 0, To: billing.Day}) {
		storetest.Must(f.T, err)
		bills++
	}
	return bills
}

// read tells whether a replica is read from.
func (f *flock) read(i int) bool { return f.db.replicas.all[i].fresh() != nil }

func (f *flock) await(i int, read bool) {
	f.Helper()
	storetest.Eventually(f.T, fmt.Sprintf("replica %d to be read from: %v", i, read), func() bool { return f.read(i) == read })
}

// on runs a statement on a server.
func (f *flock) on(cluster *pgtest.Cluster, text string) {
	f.Helper()
	db, err := sql.Open("pgx", cluster.URL("postgres"))
	storetest.Must(f.T, err)
	defer db.Close()
	_, err = db.Exec(text)
	storetest.Must(f.T, err)
}

// safeLog can be read while it is written.
type safeLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// If the primary is closed to reads, all answers come from the replica.
func replicasAnswer(f *flock) {
	t := f.T
	f.follow(f.replicas[0].URL(f.database))
	f.bill()
	f.await(0, true)
	storetest.Eventually(t, "the replica to have the lease", func() bool { return f.usage() == 1 && f.series() == 1 && f.breakdown() == 1 })

	f.db.pools.close()
	f.bill() // writes go on
	storetest.Eventually(t, "the replica to have the next lease", func() bool { return f.usage() == 2 && f.series() == 2 && f.breakdown() == 2 })
	ctx := t.Context()
	for what, err := range map[string]error{
		"balance":       storetest.Second(f.store.Head(ctx, f.org)),
		"transactions":  storetest.Second(f.store.Entries(ctx, f.org, 10, 10)),
		"organizations": storetest.Second(f.store.Organizations(ctx, "", 10, nil)),
		"grants":        storetest.Second(f.store.Grant(ctx, billing.TokenHash{}, "acme")),
		"an export":     f.store.Export(ctx, nil),
		"an audit":      f.store.Audit(ctx, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed pool") {
			t.Errorf("%s came from the replica: %v", what, err)
		}
	}
}

// No answer is more than maxLag old: not while the replica stands still, and not once it goes on.
func replicaThatLags(f *flock) {
	t := f.T
	f.follow(f.replicas[0].URL(f.database))
	f.bill()
	f.await(0, true)
	if state := f.db.Replicas(); len(state) != 1 || !state[0].Used || state[0].Behind < 0 || state[0].Behind > maxLag || state[0].Name != f.db.replicas.all[0].name {
		t.Errorf("a replica that is read from has the state %+v", state)
	}
	pools := f.db.Pools()
	if len(pools) != 5 || pools[0].Max < 1 || pools[0].Idle < 1 || pools[1].Name != "reads" || pools[3].Server != f.db.replicas.all[0].name {
		t.Errorf("the pools have the state %+v", pools)
	}

	f.on(f.replicas[0], `SELECT pg_wal_replay_pause()`)
	storetest.Eventually(t, "the replica to stand still", func() bool {
		return storetest.Column[string](t, pgtest.Connect(t, f.replicas[0].URL("postgres")), `SELECT pg_get_wal_replay_pause_state()`)[0] == "paused"
	})
	f.bill()
	billed := time.Now()
	for left := false; !left; {
		asked := time.Now()
		// On a busy machine the replica may be left out earlier for a moment, because its last measurement is too old.
		left = strings.Contains(f.log.String(), "replica is left out")
		if got := f.usage(); got < f.bills && asked.Sub(billed) > maxLag {
			t.Fatalf("an answer is %s old", asked.Sub(billed))
		}
		// Balances and entries are always fresh.
		storetest.WantBalance(t, f.store, f.org, f.bills, -12*f.bills)
		if entries, err := f.store.Entries(t.Context(), f.org, 1<<62, 10); err != nil || int64(len(entries)) != f.bills {
			t.Fatalf("there are %d entries, %v", len(entries), err)
		}
		if asked.Sub(billed) > storetest.Patience {
			t.Fatal("the replica was not left out")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if state := f.db.Replicas()[0]; state.Used || 0 <= state.Behind && state.Behind < maxLag {
		t.Errorf("a replica that was left out has the state %+v", state)
	}
	for range 50 {
		if f.usage() != f.bills || f.series() != f.bills || f.breakdown() != f.bills {
			t.Fatal("an answer came from the replica that was left out")
		}
	}
	if text := f.log.String(); !strings.Contains(text, "behind") {
		t.Errorf("the log says %q", text)
	}

	f.on(f.replicas[0], `SELECT pg_wal_replay_resume()`)
	f.await(0, true)
	if got := f.usage(); got != f.bills {
		t.Errorf("the replica was taken back with %d leases of %d", got, f.bills)
	}
	storetest.Eventually(t, "the log to say so", func() bool { return strings.Contains(f.log.String(), "replica is read from again") })
}

// Reads go on when a replica stops, while it is away, and when it is back; so they do with a second replica.
func replicaThatStops(f *flock) {
	t := f.T
	f.follow(f.replicas[0].URL(f.database), f.replicas[1].URL(f.database))
	f.bill()
	f.await(0, true)
	f.await(1, true)

	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	for range 4 {
		reading.Go(func() {
			w := billing.Window{From: 0, To: billing.Day}
			for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
				for what, err := range map[string]error{
					"usage":  storetest.Second(f.store.Usage(context.Background(), f.org, w)),
					"series": storetest.Second(f.store.UsageByDay(context.Background(), f.org, w)),
				} {
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				// An answer that has begun cannot continue from another server.
				for row, err := range f.store.Breakdown(context.Background(), f.org, w) {
					if err != nil {
						t.Errorf("breakdown: %v", err)
					}
					if row != nil {
						break
					}
				}
			}
		})
	}
	for _, mode := range []string{"fast", "immediate"} {
		storetest.Must(t, f.replicas[0].Stop(mode))
		f.await(0, false)
		f.await(1, true)
		f.bill()
		storetest.Must(t, f.replicas[0].Start())
		f.await(0, true)
	}
	storetest.Must(t, errors.Join(f.replicas[0].Stop("fast"), f.replicas[1].Stop("fast")))
	f.await(0, false)
	f.await(1, false)
	if got := f.usage(); got != f.bills {
		t.Errorf("the primary has %d leases of %d", got, f.bills)
	}
	storetest.Must(t, f.replicas[1].Start())
	f.await(1, true)
	storetest.Must(t, f.replicas[0].Start()) // for the next test
	cancel()
	reading.Wait()
}

// One that is away when the server starts is used once it is there.
func replicaThatComesLater(f *flock) {
	t := f.T
	storetest.Must(t, f.replicas[0].Stop("fast"))
	f.follow(f.replicas[0].URL(f.database))
	f.bill()
	if f.usage() != 1 {
		t.Error("the primary was not read")
	}
	storetest.Eventually(t, "the log to say that it is left out", func() bool { return strings.Contains(f.log.String(), "replica is left out") })
	storetest.Must(t, f.replicas[0].Start())
	f.await(0, true)
}

// Without answers of the primary, no replica is known to be fresh.
func replicaWithoutPrimary(f *flock) {
	t := f.T
	f.follow(f.replicas[0].URL(f.database))
	f.bill()
	f.await(0, true)
	storetest.Must(t, f.primary.Stop("immediate"))
	f.await(0, false)
	if _, err := f.store.Usage(t.Context(), f.org, billing.Window{From: 0, To: billing.Day}); !errors.Is(err, billing.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	storetest.Must(t, f.primary.Start())
	f.await(0, true)
}

// A server that follows no other, or has another database, is no replica at any position of its log.
func replicaThatIsNone(f *flock) {
	t := f.T
	f.on(f.primary, `CREATE DATABASE other`)
	other := pgtest.StartOther(t, pgtest.NoSync)
	_, err := pgtest.Connect(t, other.URL("postgres")).Exec(`CREATE DATABASE ` + f.database)
	storetest.Must(t, err)
	othersReplica := other.Replica(t)
	for range 8 { // so that its log is longer
		f.on(other, `SELECT pg_switch_wal(), pg_logical_emit_message(false, 'test', 'x')`)
	}
	urls := []string{
		f.replicas[0].URL(f.database), // a replica
		f.primary.URL(f.database),
		f.replicas[0].URL("other"),
		other.URL(f.database),
		othersReplica.URL(f.database),
	}
	f.follow(urls...)
	f.bill()
	f.await(0, true)
	storetest.Eventually(t, "each to be judged", func() bool { return strings.Count(f.log.String(), "left out") >= len(urls)-1 })
	for range 100 {
		for i := range urls {
			if f.read(i) != (i == 0) {
				t.Fatalf("server %d is read from: %v", i, f.read(i))
			}
		}
		f.bill()
	}

	// Nor is one that has been made a primary.
	f.on(f.replicas[0], `SELECT pg_promote()`)
	f.await(0, false)
	storetest.Eventually(t, "the log to say why", func() bool { return strings.Count(f.log.String(), "follows no other server") == 3 })
	if got := f.usage(); got != f.bills {
		t.Errorf("the answer has %d leases of %d", got, f.bills)
	}
}

// proxy forwards connections to a server until it is frozen: then connections stay open, and nothing passes.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	moving   *sync.Cond
	frozen   bool
}

func newProxy(t *testing.T, target string) (p *proxy, throughIt string) {
	t.Helper()
	u, err := url.Parse(target)
	storetest.Must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	storetest.Must(t, err)
	p = &proxy{listener: listener, target: u.Host}
	p.moving = sync.NewCond(&p.mu)
	t.Cleanup(func() {
		listener.Close()
		p.freeze(false)
	})
	go p.accept()
	u.Host = listener.Addr().String()
	return p, u.String()
}

func (p *proxy) freeze(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = frozen
	p.moving.Broadcast()
}

func (p *proxy) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.frozen {
		p.moving.Wait()
	}
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			p.pass()
			far, err := net.Dial("tcp", p.target)
			if err != nil {
				near.Close()
				return
			}
			go p.copy(near, far)
			p.copy(far, near)
		}()
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		p.pass()
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// A replica on a lost machine does not answer at all. Running reads continue on the primary.
func replicaThatFallsSilent(f *flock) {
	t := f.T
	p, through := newProxy(t, f.replicas[0].URL(f.database))
	f.follow(through)
	f.bill()
	for range 2 {
		f.await(0, true)
		p.freeze(true)
		var reading sync.WaitGroup
		for range 4 {
			reading.Go(func() {
				if got := f.usage(); got != 1 {
					t.Errorf("the answer has %d leases", got)
				}
				if got := f.breakdown(); got != 1 {
					t.Errorf("the answer lists %d leases", got)
				}
			})
		}
		reading.Wait() // by itself, and before any deadline
		f.await(0, false)
		p.freeze(false)
	}
	f.await(0, true)
}

// The measurements have connections of their own: however many reads there are, a replica does not seem to lag.
func replicaUnderLoad(f *flock) {
	t := f.T
	f.follow(f.replicas[0].URL(f.database))
	f.bill()
	f.await(0, true)
	for _, pool := range []pool{f.db.reads, f.db.replicas.all[0].reads, f.db.replicas.all[0].snapshots} {
		for range pool.Config().MaxConns {
			c, err := pool.Acquire(t.Context())
			storetest.Must(t, err)
			t.Cleanup(c.Release)
		}
	}
	for last := time.Now().Add(maxLag + 2*time.Second); time.Now().Before(last); time.Sleep(lagInterval / 5) {
		state := f.db.replicas.all[0].state.Load()
		if state == nil || state.asOf.IsZero() {
			t.Fatal("the replica was left out")
		}
	}
}

func TestFollowReplicasRefuses(t *testing.T) {
	const password = "hunter2"
	_, d := open(t, pgtest.Database(t))
	err := d.FollowReplicas(slog.New(slog.DiscardHandler), []string{"postgres://replica/books", "postgres://clerk:" + password + "@host:port/books"})
	if err == nil || !strings.Contains(err.Error(), "cannot be read") || strings.Contains(err.Error(), password) {
		t.Errorf("with a broken URL it says %v", err)
	}
	log := new(safeLog)
	storetest.Must(t, d.FollowReplicas(slog.New(slog.NewTextHandler(log, nil)), []string{"postgres://clerk:" + password + "@127.0.0.1:1/books"}))
	storetest.Eventually(t, "the log to have the replica", func() bool { return strings.Contains(log.String(), "127.0.0.1:1/books") })
	if strings.Contains(log.String(), password) {
		t.Errorf("the log has the password: %s", log)
	}
}
