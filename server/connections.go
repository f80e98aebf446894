package server

import (
	"math"
	"sync"
	"time"
)

// connections bounds the open connections of clients, so that files are left for the database, and new clients are served however many
// idle ones there are.
type connections struct {
	limit int

	mu   sync.Mutex
	open map[*serverConn]struct{}
}

// connectionLimit returns how many connections clients may have where the process may have a number of open files. Half of the files, but
// at most 256, are kept for the database, the log and new connections.
func connectionLimit(files uint64) int {
	return int(min(files-min(files/2, 256), math.MaxInt32)) //nolint:gosec // it fits
}

// add adds a connection. If there are too many, it closes the one that has been idle for longest. It reports false if there are too many
// and none of them is idle.
func (c *connections) add(conn *serverConn) bool {
	c.mu.Lock()
	var idle *serverConn
	if len(c.open) >= c.limit {
		for other := range c.open {
			if since := other.idleSince.Load(); since != 0 && (idle == nil || since < idle.idleSince.Load()) {
				idle = other
			}
		}
		if idle == nil {
			c.mu.Unlock()
			return false
		}
		delete(c.open, idle)
	}
	conn.idleSince.Store(time.Now().UnixNano())
	c.open[conn] = struct{}{}
	c.mu.Unlock()
	if idle != nil {
		_ = idle.Conn.Close() // net/http notices, and calls Close
	}
	return true
}

func (c *connections) remove(conn *serverConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}
