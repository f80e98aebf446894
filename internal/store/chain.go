package store

import (
	"context"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// chainedTogether is how many entries chain reads and changes in one transaction.
const chainedTogether = 1000

// chain computes the digests of ledgers that earlier versions have written, which have none. It must have returned before the first write.
// Each transaction takes at most chainedTogether entries of one ledger, so chain can be ended at any time, and the next call goes on.
// Several processes may call it at the same time.
func (s *Store) chain(ctx context.Context) error {
	var orgs []billing.Organization
	err := s.db.Query(ctx, `SELECT `+organizationTable.columns+` FROM organizations
			WHERE org_id IN (SELECT org_id FROM ledger_heads WHERE digest IS NULL) ORDER BY org_id`, nil, func(r *driver.Row) error {
		var org billing.Organization
		err := organizationTable.scan(r, &org)
		orgs = append(orgs, org)
		return err
	})
	if err != nil {
		return s.fail(ctx, err)
	}
	for _, org := range orgs {
		last := billing.Entry{Digest: org.Digest()}
		for done := false; !done; {
			if last, done, err = s.chainPart(ctx, org.ID, last); err != nil {
				return err
			}
		}
	}
	return nil
}

// chainPart computes missing digests of the entries that follow the last one. After the newest entry, it completes the head, and done is
// true.
func (s *Store) chainPart(ctx context.Context, org billing.ID, last billing.Entry) (next billing.Entry, done bool, err error) {
	err = s.transact(ctx, func(tx driver.Tx) error {
		var head billing.Head
		for text, args := range s.db.Lock(headTable.columns, headTable.Name, []any{org[:]}, true) {
			tx.Query(text, args, func(r *driver.Row) error { return headTable.scan(r, &head) })
		}
		var part []billedEntry
		tx.Query(entriesAndLeases+` AND seq > $2 ORDER BY seq LIMIT $3`, []any{org[:], last.Seq, int64(chainedTogether)}, func(r *driver.Row) error {
			var b billedEntry
			err := b.scan(r)
			part = append(part, b)
			return err
		})
		if err := tx.Run(ctx); err != nil {
			return err
		}
		next, done = last, len(part) < chainedTogether
		for i := range part {
			e := &part[i].entry
			if e.Digest == (billing.Digest{}) {
				e.Digest = e.Chain(next.Digest, org, part[i].lease)
				tx.Exec(`UPDATE ledger_entries SET digest = $1 WHERE org_id = $2 AND seq = $3`, []any{e.Digest[:], org[:], e.Seq})
			}
			next = *e
		}
		if done && head.Digest == (billing.Digest{}) {
			tx.Exec(`UPDATE ledger_heads SET digest = $1 WHERE org_id = $2`, []any{next.Digest[:], org[:]})
		}
		return nil
	})
	return next, done, err
}

// billedEntry is an entry with the lease that it bills, nil if it names none or the lease does not exist.
type billedEntry struct {
	entry billing.Entry
	lease *billing.Lease
}

// entriesAndLeases selects the entries of the organization $1, each with a lease.
var entriesAndLeases = `SELECT ` + qualified("e", entryTable.fields) + `, ` + qualified("l", leaseTable.fields) + `
	FROM ledger_entries AS e LEFT JOIN leases AS l ON l.org_id = e.org_id AND l.lease_id = e.lease_id WHERE e.org_id = $1`

func (b *billedEntry) scan(r *driver.Row) error {
	lease := new(billing.Lease)
	places := leaseTable.into(lease, nil)
	// The first column is the id, which every lease has.
	if err := r.Scan(append(entryTable.into(&b.entry, nil), places[0])...); err != nil || lease.ID == nil {
		return err
	}
	b.lease = lease
	return r.Scan(places[1:]...)
}

// qualified returns the columns of the fields, of the table with the alias.
func qualified[T any](alias string, fields []billing.Field[T]) string {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = alias + `.` + fields[i].Name
	}
	return strings.Join(names, `, `)
}
