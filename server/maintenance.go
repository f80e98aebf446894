package server

import (
	"context"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/database"
)

// An Audit says what Verify compares the books with, and takes its results. An AuditReport is the result for one organization, and an
// AuditState a ledger up to one entry.
type (
	Audit       = audit.Audit
	AuditReport = audit.Report
	AuditState  = audit.State
)

// ParseAuditState reads the form that an AuditState has as a text, ORG:SEQ:DIGEST.
func ParseAuditState(text string) (AuditState, error) { return audit.ParseState(text) }

// Verify recomputes balances, running balances, sequence numbers, digests, sums of usage and the debit of each finished lease from the
// raw rows. It reads a snapshot, also while the server writes. The fingerprint of a report is the same for the same books in every
// database.
func (s *Server) Verify(ctx context.Context, audit Audit) error { return audit.Verify(ctx, s.store) }

// Backup writes a copy of an SQLite database, as of one moment, to a new file, also while the server runs. It fails with
// ErrExists where the file exists, and with ErrInvalid for PostgreSQL, which has pg_dump.
func (s *Server) Backup(ctx context.Context, file string) error { return s.store.Backup(ctx, file) }

// Distribution says how the tables are spread over the nodes of a Citus cluster.
type Distribution = database.Distribution

// Distribute spreads the tables of a PostgreSQL database with Citus over its nodes, by organization, all in one transaction, and reads
// back how they are spread. Calls that use the tables wait meanwhile. Where it fails with a Distribution, some tables are not spread as
// they should be. It fails with ErrInvalid where there is no Citus.
func (s *Server) Distribute(ctx context.Context) (Distribution, error) {
	return s.store.Distribute(ctx)
}
