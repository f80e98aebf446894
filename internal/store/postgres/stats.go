package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// Pools returns the state of the pools of connections to the database and to its replicas.
func (d *Database) Pools() []driver.PoolStats {
	all := []driver.PoolStats{statsOf("", "writes", d.writer)}
	all = append(all, d.stats("")...)
	if d.replicas != nil {
		for _, replica := range d.replicas.all {
			all = append(all, replica.stats(replica.name)...)
		}
	}
	return all
}

func (p pools) stats(server string) []driver.PoolStats {
	return []driver.PoolStats{statsOf(server, "reads", p.reads.Pool), statsOf(server, "snapshots", p.snapshots.Pool)}
}

func statsOf(server, name string, p *pgxpool.Pool) driver.PoolStats {
	s := p.Stat()
	return driver.PoolStats{
		Server: server, Name: name, InUse: int64(s.AcquiredConns()), Idle: int64(s.IdleConns()), Max: int64(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), Waited: s.EmptyAcquireWaitTime(),
	}
}

// Replicas returns the state of the replicas, in the order in which they were given.
func (d *Database) Replicas() []driver.ReplicaStats {
	if d.replicas == nil {
		return nil
	}
	var all []driver.ReplicaStats
	for _, replica := range d.replicas.all {
		s := driver.ReplicaStats{Name: replica.name, Used: replica.fresh() != nil, Behind: -1}
		if state := replica.state.Load(); state != nil && !state.asOf.IsZero() {
			s.Behind = time.Since(state.asOf)
		}
		all = append(all, s)
	}
	return all
}
