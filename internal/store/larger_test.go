package store

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// A running lease that an earlier version has recorded with more than the contract allows now is finished, and billed, with what is recorded.
// It can be taken over by other books. No other lease may be so large.
func TestLargerLeases(t *testing.T) {
	onEachKind(t, func(t *testing.T, database string, raw *sql.DB) {
		s := open(t, database)
		service := billing.NewService(s)
		org := storetest.CreateOrganization(t, s, "acme")
		other := storetest.CreateOrganization(t, s, "other")
		of := func(id byte, cpus int64, finished bool) billing.Lease {
			l := billing.Lease{ID: &billing.ID{id}, CPUCount: cpus, MemoryGB: 4, DiskGB: 20, StartedAt: billing.Second}
			if finished {
				end := l.StartedAt + billing.LeaseDurationSecondsMaximum*billing.Second
				l.FinishedAt = &end
			}
			return l
		}
		record := func(l billing.Lease) (billing.RecordedLease, error) {
			results, err := service.RecordLeases(t.Context(), org, []billing.Lease{l})
			if err != nil {
				return billing.RecordedLease{}, err
			}
			return results[0], nil
		}
		take := func(l billing.Lease) error {
			errs, err := service.Import(t.Context(), other, []billing.Imported{&billing.ImportLease{Lease: l}})
			return errors.Join(append(errs, err)...)
		}
		const larger = billing.LeaseCPUCountRecordedMaximum
		_, err := record(of(1, 2, false))
		storetest.Must(t, err)
		_, err = raw.Exec(`UPDATE leases SET cpu_count = 1000000000`)
		storetest.Must(t, err)
		for name, c := range map[string]struct {
			lease billing.Lease
			want  error
		}{
			"another lease":                      {of(2, billing.LeaseCPUCountMaximum+1, true), billing.ErrLeaseInvalid},
			"another lease that runs":            {of(2, billing.LeaseCPUCountMaximum+1, false), billing.ErrLeaseInvalid},
			"the recorded one with less":         {of(1, billing.LeaseCPUCountMaximum, true), billing.ErrLeaseConflict},
			"the recorded one with another size": {of(1, larger-1, true), billing.ErrLeaseInvalid},
			"more than was ever possible":        {of(1, larger+1, true), billing.ErrLeaseInvalid},
		} {
			if result, err := record(c.lease); !errors.Is(err, c.want) {
				t.Errorf("%s: got %+v, %v", name, result, err)
			}
		}
		const cost = (larger*10_000 + 4*5_000 + 20*100) * billing.LeaseDurationSecondsMaximum / 1_000_000
		for _, want := range []billing.RecordedLease{
			{ID: billing.ID{1}, Status: billing.LeaseBilled, AmountCents: -cost}, {ID: billing.ID{1}, Status: billing.LeaseDuplicate, AmountCents: -cost},
		} {
			if result, err := record(of(1, larger, true)); err != nil || result != want {
				t.Errorf("the recorded lease is finished with %+v, %v", result, err)
			}
		}
		if head, err := service.Head(t.Context(), org); err != nil || head.BalanceCents != -cost {
			t.Errorf("the head is %+v, %v", head, err)
		}

		if err := take(of(2, larger, true)); !errors.Is(err, billing.ErrLeaseInvalid) {
			t.Errorf("a lease that was never recorded is taken over: %v", err)
		}
		storetest.Must(t, take(of(1, larger, false)))
		if results, err := service.RecordLeases(t.Context(), other, []billing.Lease{of(1, larger, true)}); err != nil || results[0].AmountCents != -cost {
			t.Errorf("in the other books it is finished with %+v, %v", results, err)
		}
	})
}
