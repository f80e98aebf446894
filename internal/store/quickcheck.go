package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// quickCheckTime bounds the check at a start.
const quickCheckTime = time.Second

// errDamaged ends a check at the first damage.
var errDamaged = errors.New("damaged")

// QuickCheck looks for damage that a start should not pass over: heads that are missing or not those of their newest entries, and then
// damage of tables and indexes. It fails with a description of the first damage. It stops after a second, so it may have read only
// a part of a large database; the audit reads everything.
func (s *Store) QuickCheck(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quickCheckTime)
	defer cancel()
	var damage string
	err := s.db.Query(ctx, `SELECT h.org_id, h.seq FROM ledger_heads h
			LEFT JOIN ledger_entries e ON e.org_id = h.org_id AND e.seq = h.seq
			LEFT JOIN ledger_entries n ON n.org_id = h.org_id AND n.seq = h.seq + 1
			WHERE n.seq IS NOT NULL OR e.seq IS NULL AND (h.seq <> 0 OR h.balance_cents <> 0 OR h.last_at <> 0)
				OR e.balance_after_cents <> h.balance_cents OR e.created_at <> h.last_at OR e.digest <> h.digest LIMIT 1`, nil, func(r *driver.Row) error {
		var org billing.ID
		var seq int64
		if err := r.Scan(&org, &seq); err != nil {
			return err
		}
		damage = fmt.Sprintf("ledger_heads, org_id %s: the head stands at seq %d and is not that of the newest entry", org, seq)
		return nil
	})
	if err == nil && damage == "" {
		// The organizations come first, since an organization that is created meanwhile brings its head.
		var orgs, heads int64
		err = errors.Join(
			s.db.Query(ctx, `SELECT count(*) FROM organizations`, nil, func(r *driver.Row) error { return r.Scan(&orgs) }),
			s.db.Query(ctx, `SELECT count(*) FROM ledger_heads`, nil, func(r *driver.Row) error { return r.Scan(&heads) }),
		)
		if err == nil && heads < orgs {
			damage = fmt.Sprintf("ledger_heads: %d organizations have no head", orgs-heads)
		}
	}
	if err == nil && damage == "" {
		err = s.db.Query(ctx, `SELECT `+organizationTable.columns+`, digest FROM organizations JOIN ledger_heads USING (org_id) WHERE seq = 0`, nil,
			func(r *driver.Row) error {
				var org billing.Organization
				var digest billing.Digest
				if err := organizationTable.scan(r, &org, &digest); err != nil {
					return err
				}
				if digest != org.Digest() {
					damage = fmt.Sprintf("ledger_heads, org_id %s: the digest is not that of an empty ledger", org.ID)
				}
				return nil
			})
	}
	if err == nil && damage == "" {
		err = s.db.Check(ctx, func(what string) error {
			damage = strings.Join(strings.Fields(what), " ") // SQLite reports several lines
			return errDamaged
		})
	}
	switch {
	case damage != "":
		return fmt.Errorf("the database is damaged; 'harmont-billing verify' names all damage, of which this is the first: %s", damage)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil
	}
	return s.fail(ctx, err)
}
