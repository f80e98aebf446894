package server

import (
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/internal/database"
)

// Observer receives the events of a [Server]. The package server/metrics has one for Prometheus.
type Observer = httpapi.Observer

// Answer describes the answer to a request.
type Answer = httpapi.Answer

// Load says how busy a Server and its database are at one moment.
type Load struct {
	httpapi.Load
	// Writes has the numbers of writes since the start.
	Writes Writes
	// Pools are the pools of connections to PostgreSQL, for the database and for each replica. SQLite has none.
	Pools []Pool
	// Replicas has the state of each replica of Config.ReadDatabases.
	Replicas []Replica
}

// Writes has the numbers of calls that write, and of the transactions in which they are committed together.
type Writes = database.Writes

// Pool is the state of a pool of connections.
type Pool = database.Pool

// Replica is the state of a replica.
type Replica = database.Replica

// Load returns how busy the server is now.
func (s *Server) Load() Load {
	return Load{Load: s.api.Load(), Writes: s.store.Writes(), Pools: s.store.Pools(), Replicas: s.store.Replicas()}
}
