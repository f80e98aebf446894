package server

import (
	"context"

	"github.com/harmont-dev/harmont-billing/internal/audit"
)

// AuditReport is what Verify found in one organization's books.
type AuditReport = audit.Report

// Verify recomputes balances, running balances, sequence, sums of usage and the debit of each finished lease from the raw
// rows, on a snapshot beside whatever is being written. It hands each thing that is off to finding, naming the row, and
// each organization to report, with a fingerprint that is the same for the same books in any database.
func (s *Server) Verify(ctx context.Context, finding func(organization, what string), report func(AuditReport)) error {
	return audit.Verify(ctx, s.store, finding, report)
}

// Backup writes a copy of an SQLite database, as of one moment, to a new file, also while the server runs. It fails with
// ErrExists where the file exists, and with ErrInvalid for PostgreSQL, which has pg_dump.
func (s *Server) Backup(ctx context.Context, file string) error { return s.store.Backup(ctx, file) }

// Distribute spreads the tables of a PostgreSQL database with Citus over its nodes, by organization, and returns the tables
// that were not spread before. It fails with ErrInvalid where there is no Citus.
func (s *Server) Distribute(ctx context.Context) ([]string, error) { return s.store.Distribute(ctx) }
