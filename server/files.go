package server

import (
	"context"
	"io"

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
