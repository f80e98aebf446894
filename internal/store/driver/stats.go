package driver

import "time"

// PoolStats is the state of a pool of connections.
type PoolStats struct {
	Server      string // the name of a replica, or "" for the database itself
	Name        string // writes, reads or snapshots
	InUse, Idle int64  // connections
	Max         int64
	Waits       int64         // how often a caller had to wait for a connection
	Waited      time.Duration // how long all of them waited together
}

// ReplicaStats is the state of a replica.
type ReplicaStats struct {
	Name string // host, port and database
	Used bool   // whether it is read from: it answers, and is at most five seconds behind
	// Behind is how old the latest state of the primary is that the replica certainly has, and no less than how far it is behind. It is
	// negative if nothing is known.
	Behind time.Duration
}
