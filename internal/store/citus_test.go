package store

import (
	"sync"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/postgres"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func TestCitus(t *testing.T) {
	cluster := pgtest.NewCitus(t, true)
	var turn sync.Mutex // a store refuses to make books while another schema of the database has books
	storetest.Run(t, func(t *testing.T) func() billing.Store {
		turn.Lock()
		t.Cleanup(turn.Unlock)
		database := cluster.Schema(t)
		db, err := postgres.Open(t.Context(), database)
		storetest.Must(t, err)
		_, err = db.Distribute(t.Context())
		storetest.Must(t, err)
		storetest.Must(t, db.Close())
		return func() billing.Store { return open(t, database) }
	}, "Export/OneMoment") // each node of a cluster has moments of its own
}
