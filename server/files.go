package server

import (
	"context"
	"io"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/focus"
	"github.com/harmont-dev/harmont-billing/internal/transfer"
)

// ImportSummary counts the records of an import.
type ImportSummary = transfer.Summary

// ImportOptions says which records an import accepts, and has functions that are called for single lines.
type ImportOptions = transfer.Options

// Import reads NDJSON records, as Export writes them, into the database. A bad line is left out. Records that are in the database with the
// same contents change nothing, so a file may be imported again. Rates that the options do not give are those of the Config. The error returned is one that stopped the import.
func (s *Server) Import(ctx context.Context, r io.Reader, options ImportOptions) (ImportSummary, error) {
	if options.Rates == nil {
		options.Rates = s.rates
	}
	return transfer.Import(ctx, s.service, r, options)
}

// Export writes organizations, tokens, leases and ledger entries as NDJSON, as of one moment. Importing that into an empty
// database gives the same answers, ids and times included.
func (s *Server) Export(ctx context.Context, w io.Writer) error {
	return transfer.Export(ctx, s.store, w)
}

// ExportFocus writes the ledger entries that were created from one time to before another as CSV in the form of FOCUS 1.2, as of one moment:
// those of the organization with the slug, or of all organizations if it is empty. It returns the number of rows below the line of names. It
// fails with ErrOrganizationNotFound.
func (s *Server) ExportFocus(ctx context.Context, organization string, from, to time.Time, w io.Writer) (rows int64, err error) {
	org, err := s.organizationID(ctx, organization)
	if err != nil {
		return 0, err
	}
	return focus.Export(ctx, s.store, org, billing.Window{From: billing.TimeOf(from), To: billing.TimeOf(to)}, w)
}
