package crashtest

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/server"
)

// The network between a server and PostgreSQL loses all packets without an error. The locks of the server then block another server,
// until PostgreSQL ends the transaction.
func TestPostgreSQLUnreachable(t *testing.T) {
	testlong.Only(t, "it writes until PostgreSQL ends a transaction that nobody continues")
	t.Parallel()
	database := pgtest.Database(t)
	l := newLoad(t, database, newRandom(t), "acme", "globex", "initech")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	network := newNetwork(t, u.Host)
	u.Host = network.address
	options := u.Query()
	options.Set("application_name", "cutoff")
	u.RawQuery = options.Encode()
	// The program gives a request half a minute, which would make the test slow. The limit must still be longer than a commit
	// takes on a busy machine, since a request that reaches it is answered with 503.
	s, err := server.Open(t.Context(), server.Config{Database: u.String(), RequestTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	cutOff := &service{Server: &testbinary.Server{URL: web.URL}}
	cutOff.connect(t, l.token)
	other := l.serve()

	end, endOther := l.begin(cutOff), l.begin(other)
	l.await(200)
	l.setTroubled(true)
	eventually(t, "a moment at which the server has locked something", func() bool {
		network.pause()
		if holdsLock(t, database) {
			return true
		}
		network.resume()
		return false
	})
	cutOff.checkUnavailable(t)
	end()
	eventually(t, "the other server to recover", func() bool { return l.count().inARow >= 10*clients })

	network.resume()
	end = l.begin(cutOff)
	eventually(t, "the server to recover", func() bool { return l.count().inARow >= 20*clients })
	l.setTroubled(false)
	l.await(clients)
	end()
	endOther()
	l.conclude(1, cutOff, other)
}

// holdsLock tells whether the server that is cut off has locked the head of a ledger, once its last statement is through.
func holdsLock(t *testing.T, database string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db := pgtest.Connect(t, database)
	defer db.Close()
	for {
		var active, locks int
		err := db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE state = 'active'),
				count(*) FILTER (WHERE state = 'idle in transaction' AND EXISTS (SELECT 1 FROM pg_locks
					WHERE pg_locks.pid = pg_stat_activity.pid AND relation = 'ledger_heads'::regclass AND mode = 'RowShareLock'))
			FROM pg_stat_activity WHERE application_name = 'cutoff'`).Scan(&active, &locks)
		if err != nil {
			t.Fatal(err)
		}
		if active == 0 {
			return locks > 0
		}
		time.Sleep(time.Millisecond)
	}
}

// network leads to one address.
type network struct {
	address string // its near end

	mu   sync.Mutex
	open chan struct{} // closed while bytes pass
}

func newNetwork(t *testing.T, far string) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{address: listener.Addr().String(), open: make(chan struct{})}
	close(n.open)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			conn, err := net.Dial("tcp", far)
			if err != nil {
				near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, conn}, {conn, near}} {
				running.Go(func() {
					io.Copy(gate{n, way[0]}, way[1])
					n.wait() // neither side hears of the other's end either
					way[0].Close()
					way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		n.resume()
		listener.Close()
		running.Wait()
	})
	return n
}

// gate is a connection that is written to while the network lets bytes through.
type gate struct {
	network *network
	net.Conn
}

func (g gate) Write(b []byte) (int, error) {
	g.network.wait()
	return g.Conn.Write(b)
}

// wait waits until the network lets bytes through.
func (n *network) wait() {
	n.mu.Lock()
	open := n.open
	n.mu.Unlock()
	<-open
}

func (n *network) pause() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = make(chan struct{})
}

func (n *network) resume() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.open:
	default:
		close(n.open)
	}
}
