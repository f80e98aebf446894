package postgres

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// Servers behind a pooler that gives each transaction any of its connections answer and write as they do without it.
func TestBehindAPooler(t *testing.T) {
	cluster := pgtest.Start(t, pgtest.NoSync)
	raw := pgtest.Connect(t, cluster.URL("postgres"))
	_, err := raw.Exec(`ALTER ROLE postgres SET synchronous_commit = off`)
	storetest.Must(t, err)
	for i, mode := range []string{"", "cache_describe"} {
		t.Run(mode, func(t *testing.T) {
			database := fmt.Sprint("books", i)
			_, err := raw.Exec(`CREATE DATABASE ` + database)
			storetest.Must(t, err)
			url := cluster.Pooler(t, database)
			if mode != "" {
				url = with(t, url, "default_query_exec_mode", mode)
			}
			const servers, rounds = 3, 20
			var all sync.WaitGroup
			var org billing.ID
			for n := range servers {
				s, d := open(t, url)
				if !d.pooled {
					t.Fatal("the pooler is not noticed")
				}
				if n == 0 {
					org = storetest.CreateOrganization(t, s, "acme")
				}
				for reader := range 4 {
					all.Go(func() {
						for i := range rounds {
							window := billing.Window{From: billing.Time(i), To: billing.Day}
							if err := errors.Join(
								storetest.Second(s.Usage(t.Context(), org, window)), storetest.Second(s.Head(t.Context(), org)),
								storetest.Last(s.Breakdown(t.Context(), org, window)), storetest.Second(s.Entries(t.Context(), org, 1<<62, 10)),
							); err != nil {
								t.Error(err)
							}
							if reader > 0 {
								continue
							}
							leases := []billing.Lease{storetest.Lease(), storetest.Lease(), storetest.Lease(), storetest.Lease()}
							errs, err := s.Write(t.Context(), org, storetest.Record(leases[:1+i%4]...), storetest.Credit(1, fmt.Sprint("shared ", i)))
							if err := errors.Join(append(errs, err)...); err != nil {
								t.Error(err)
							}
						}
					})
				}
			}
			all.Wait()
			s, _ := open(t, url)
			leases := int64(servers * (rounds / 4) * (1 + 2 + 3 + 4))
			storetest.WantBalance(t, s, org, leases+rounds, rounds-12*leases)
			storetest.WantClean(t, s)
		})
	}
}
