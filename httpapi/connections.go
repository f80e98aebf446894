package httpapi

import (
	"container/list"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// refusalLogInterval is how often the log says that clients are refused. A line for each would fill the log.
const refusalLogInterval = 10 * time.Second

// connections limits the number of open client connections, so that file descriptors remain for the database. At the limit, a new
// connection replaces the connection that has been idle for longest.
type connections struct {
	limit   int
	log     *slog.Logger
	refused atomic.Int64 // clients

	mu   sync.Mutex
	open map[*serverConn]*list.Element // its place in idle; nil during a request
	idle list.List                     // of *serverConn; the one that has been idle for longest comes first

	warned time.Time // when the log last had that clients are refused
}

func newConnections(limit int, log *slog.Logger) *connections {
	return &connections{limit: limit, log: log, open: map[*serverConn]*list.Element{}}
}

const (
	// minFiles is the number of files that a process must be allowed to open.
	minFiles = 64
	// minReservedFiles and maxReservedFiles bound the number of files that are reserved for the database, the log and new connections.
	minReservedFiles = 56
	maxReservedFiles = 256
)

// connectionLimit returns the maximum number of client connections for a process that may open the given number of files, at least
// minFiles. It reserves half of the files, within bounds.
func connectionLimit(files uint64) int {
	reserved := min(max(files/2, minReservedFiles), maxReservedFiles)
	return int(min(files-reserved, math.MaxInt32)) //nolint:gosec // at most math.MaxInt32
}

// add adds a new connection, which is idle until its first request. At the limit, it closes the connection that has been idle for longest.
// It returns false if no connection is idle.
func (c *connections) add(conn *serverConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.limit {
		first := c.idle.Front()
		if first == nil {
			c.refused.Add(1)
			if now := time.Now(); now.Sub(c.warned) >= refusalLogInterval {
				c.warned = now
				c.log.Warn("new clients are refused with 503, because requests are under way on all connections", "connections", c.limit)
			}
			return false
		}
		longest := first.Value.(*serverConn) //nolint:errcheck // the list has no other values
		c.removeLocked(longest)
		_ = longest.Conn.Close() // the pending read of net/http fails, and net/http then ends the connection
	}
	c.open[conn] = c.idle.PushBack(conn)
	return true
}

// remove forgets a connection that is closed.
func (c *connections) remove(conn *serverConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(conn)
}

func (c *connections) removeLocked(conn *serverConn) {
	if place := c.open[conn]; place != nil {
		c.idle.Remove(place)
	}
	delete(c.open, conn)
}

// count returns the number of open connections.
func (c *connections) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.open))
}

// closeIdle closes all idle connections.
func (c *connections) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for place := c.idle.Front(); place != nil; place = place.Next() {
		_ = place.Value.(*serverConn).Conn.Close() //nolint:errcheck // the list has no other values
	}
}

// connKey is the key of the connection in the context of its requests.
type connKey struct{}

// setEvictable sets whether the connection of a request may be closed to make room for a new client, as an idle one may.
func setEvictable(r *http.Request, evictable bool) {
	conn, ok := r.Context().Value(connKey{}).(*serverConn)
	if !ok {
		return // another server serves the handler
	}
	state := http.StateActive
	if evictable {
		state = http.StateIdle
	}
	conn.server.connections.setState(conn, state)
}

// setState keeps the list of idle connections up to date. net/http calls it at each change of state; only StateActive (a request begins)
// and StateIdle (it was answered) matter here.
func (c *connections) setState(netConn net.Conn, state http.ConnState) {
	conn, ok := netConn.(*serverConn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	place, open := c.open[conn]
	switch {
	case !open: // the connection was removed
	case state == http.StateIdle && place == nil:
		c.open[conn] = c.idle.PushBack(conn)
	case state == http.StateActive && place != nil:
		c.idle.Remove(place)
		c.open[conn] = nil
	}
}
