package server

import (
	"container/list"
	"math"
	"net"
	"net/http"
	"sync"
)

// connections bounds the open connections of clients, so that files are left for the database, and new clients are served beside any number
// of idle ones.
type connections struct {
	limit int

	mu   sync.Mutex
	open map[*serverConn]*list.Element // its place in idle; nil during a request
	idle list.List                     // of *serverConn; the one that has been idle for longest comes first
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, open: map[*serverConn]*list.Element{}}
}

// connectionLimit returns how many connections clients may have where the process may have a number of open files. Half of the files, but
// at most 256, are kept for the database, the log and new connections.
func connectionLimit(files uint64) int {
	return int(min(files-min(files/2, 256), math.MaxInt32)) //nolint:gosec // it fits
}

// add adds a new connection, which is idle until its first request. If there are as many as allowed, it closes the one that has been idle
// for longest. It reports false if none of them is idle.
func (c *connections) add(conn *serverConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.limit {
		first := c.idle.Front()
		if first == nil {
			return false
		}
		longest := first.Value.(*serverConn) //nolint:errcheck // the list has no other values
		c.removeLocked(longest)
		_ = longest.Conn.Close() // net/http notices when it reads
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

// setState is called by net/http when a request begins on a connection, and when it is answered.
func (c *connections) setState(netConn net.Conn, state http.ConnState) {
	conn, ok := netConn.(*serverConn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	place, open := c.open[conn]
	switch {
	case !open: // it is closed
	case state == http.StateIdle && place == nil:
		c.open[conn] = c.idle.PushBack(conn)
	case state == http.StateActive && place != nil:
		c.idle.Remove(place)
		c.open[conn] = nil
	}
}
