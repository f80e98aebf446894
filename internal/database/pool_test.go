package database

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
)

// A PostgreSQL database may be given as the configuration of a pool. Its hooks are called for each connection, and its bound holds.
func TestOpenPool(t *testing.T) {
	config, err := pgxpool.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	name := config.ConnConfig.Database
	config.ConnConfig.Database = "changes"
	var before, after atomic.Int64
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		before.Add(1)
		c.Database = name
		return nil
	}
	config.AfterConnect = func(context.Context, *pgx.Conn) error {
		after.Add(1)
		return nil
	}
	config.MaxConns = 3
	d, err := OpenPool(t.Context(), config, Opening{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	bound := int64(0)
	for _, pool := range d.Pools() {
		bound += pool.Max
	}
	if before.Load() == 0 || after.Load() == 0 || bound != 3 {
		t.Errorf("the hooks were called %d and %d times, and there are up to %d connections", before.Load(), after.Load(), bound)
	}
}
