package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/harmont-dev/harmont-billing/server"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import FILE… | -",
		Short:   "Read NDJSON records into the database",
		GroupID: groupDatabase,
		Args: func(_ *cobra.Command, files []string) error {
			if len(files) == 0 {
				return errors.New("FILE is missing; for standard input it is -")
			}
			return nil
		},
		Long: `Reads records, one a line, from files or, for -, from standard input:
organizations, tokens, rate cards, leases, credits and ledger entries, in the
form in which 'harmont-billing export' writes them. A lease and a credit are
like this, where org is the slug of the organization, on one line each:

  {"org": "acme", "lease_id": "01994f00-0000-7000-8000-000000000001",
   "job_name": "Unit Tests", "cpu_count": 2, "memory_gb": 4, "disk_gb": 20,
   "started_at": "2026-06-06T10:00:00Z", "finished_at": "2026-06-06T10:05:00Z"}
  {"org": "acme", "amount_cents": 5000, "source": "admin_grant",
   "idempotency_key": "payment-1"}

Keys of a lease may be missing as in the API. A line without a type is a lease
where it has a cpu_count, and a credit where it has an amount_cents. A lease
without an amount_cents is billed now, and a credit is dated now; entries keep
their times. An organization that no line describes is created, and named in the
summary.

A token gives access to the books, so tokens are taken over only with --tokens,
and each new one is named. A token that was revoked since an earlier import is
revoked.

Books without leases take over rate cards as they are. Cards that come to books
with leases bill none but the imported leases that name them, so that an import
changes no price. Each new card is named. Books that have no card when the first
lease comes get the prices of the flags. A lease with an amount that no rate
card of the books gives was priced elsewhere, such as by another system. The
first 20 of each file are named, and all are counted.

A bad line is reported with its number and left out, and the exit status is then
1. Records that are in the database already change nothing, so a file can be
imported again.`,
		Example: `  harmont-billing import leases.ndjson credits.ndjson
  harmont-billing import --tokens --database sqlite:new.db - < books.ndjson`,
	}
	database, beside := databaseFlag(cmd), besideFlag(cmd)
	rates := ratesFlags(cmd)
	tokens := cmd.Flags().Bool("tokens", false, "take over tokens, which then give access")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withServer(cmd.Context(), server.Config{Database: *database, BesideOtherTables: *beside, Rates: rates(), WithoutRateCard: true}, func(s *server.Server) error {
			bad := 0
			for _, name := range args {
				input, size, err := openInput(name, cmd.InOrStdin())
				if err != nil {
					return err
				}
				summary, err := importFrom(cmd.Context(), s, name, input, size, *tokens, cmd.ErrOrStderr())
				input.Close()
				bad += summary.Bad
				_, unwritten := fmt.Fprintln(cmd.OutOrStdout(), describeImport(name, summary))
				if err != nil {
					return fmt.Errorf("%s: %w; what was read up to there is in the database, and importing the file again finishes it", name, err)
				}
				if unwritten != nil {
					return unwritten
				}
			}
			if bad > 0 {
				return errors.New(count(int64(bad), "bad line was", "bad lines were") + " left out")
			}
			return nil
		})
	}
	return cmd
}

// openInput opens a file, or standard input for "-". It returns the size in bytes, or -1 if the size is unknown.
func openInput(name string, stdin io.Reader) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(stdin), -1, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		return file, info.Size(), nil
	}
	return file, -1, nil
}

func importFrom(
	ctx context.Context, s *server.Server, name string, input io.Reader, size int64, tokens bool, stderr io.Writer,
) (server.ImportSummary, error) {
	bar := newBar(stderr, size, "Importing "+name)
	defer bar.Exit() //nolint:errcheck // Exit only clears the line of the bar
	reader := progressbar.NewReader(input, bar)
	report := func(line int, text string) {
		_ = bar.Clear() // so that the report begins on an empty line
		_, _ = fmt.Fprintf(stderr, "%s:%d: %s\n", name, line, printable(text))
	}
	elsewhere := 0
	return s.Import(ctx, &reader, server.ImportOptions{
		Tokens:        tokens,
		Bad:           func(line int, err error) { report(line, err.Error()) },
		AboutToken:    report,
		AboutRateCard: report,
		PricedElsewhere: func(line int, text string) {
			if elsewhere++; elsewhere <= namedPricedElsewhere {
				report(line, text)
			}
		},
	})
}

// namedPricedElsewhere is the maximum number of leases per file that are named because no rate card gives their amount.
const namedPricedElsewhere = 20

// newBar returns a progress bar, which is invisible unless w is a terminal. A negative size means that the size is unknown.
func newBar(w io.Writer, size int64, what string) *progressbar.ProgressBar {
	file, ok := w.(*os.File)
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(file.Fd()))),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}

func describeImport(name string, s server.ImportSummary) string {
	var parts []string
	for _, p := range []struct {
		one, many string
		records   struct{ New, Known int }
	}{
		{"organization", "organizations", s.Organizations}, {"token", "tokens", s.Tokens}, {"rate card", "rate cards", s.RateCards}, {"lease", "leases", s.Leases},
		{"credit", "credits", s.Credits}, {"ledger entry", "ledger entries", s.Entries},
	} {
		if p.records.New+p.records.Known == 0 {
			continue
		}
		part := count(int64(p.records.New), p.one, p.many)
		if p.records.Known > 0 {
			part += fmt.Sprintf(" (and %d known before)", p.records.Known)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	text := name + ": imported " + strings.Join(parts, ", ")
	if len(s.Created) > 0 {
		text += "; created " + strings.Join(s.Created, ", ")
	}
	if s.PricedElsewhere > 0 {
		text += "; " + count(int64(s.PricedElsewhere), "lease was", "leases were") + " priced elsewhere"
	}
	if s.Bad > 0 {
		text += "; left out " + count(int64(s.Bad), "bad line", "bad lines")
	}
	return text + "."
}

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Write the whole database as NDJSON, or its charges as FOCUS",
		GroupID: groupDatabase,
		Args:    cobra.NoArgs,
		Long: `Writes organizations, tokens, rate cards, leases and ledger entries to standard
output, one a line, as of one moment. Importing them into an empty database
gives the same books, prices, ids and times included. Of tokens, only hashes are
written.

With --focus, writes the charges of a window as CSV in the form of the FinOps
Open Cost and Usage Specification (FOCUS) 1.2, a row for each ledger entry:
usage with its EffectiveCost, and what was paid with its BilledCost. The window
is given as for other commands, and is this month where it is left out. An entry
belongs to the window in which it was created, which for usage is when the lease
was billed. docs/focus.md explains each column. Texts are written as they are: a
spreadsheet may take one that begins with = for a formula.`,
		Example: `  harmont-billing export > books.ndjson
  harmont-billing export --focus --month 2026-10 > focus-2026-10.csv
  harmont-billing export --focus --month last --org acme > acme.csv`,
	}
	asFocus := cmd.Flags().Bool("focus", false, "write the charges of a window as CSV in the form of FOCUS 1.2")
	var org string
	cmd.Flags().Func("org", "with --focus, the `SLUG` of the organization whose charges are written; all where absent", parseInto(&org, notEmpty))
	noFileCompletion(cmd, "org")
	window := newWindowFlags(cmd)
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		write := func(s *server.Server, w io.Writer) error { return s.Export(cmd.Context(), w) }
		if *asFocus {
			w, err := window.window(time.Now())
			if err != nil {
				return err
			}
			write = func(s *server.Server, out io.Writer) error { return exportFocus(cmd, s, org, w, out) }
		} else {
			for _, name := range []string{"org", "month", "last", "from", "to", "tz"} {
				if cmd.Flags().Changed(name) {
					return usagef("--%s needs --focus, since the whole database is written without it", name)
				}
			}
		}
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true, ReadOnly: true}, func(s *server.Server) error {
			bar := newBar(cmd.ErrOrStderr(), -1, "Exporting")
			defer bar.Exit() //nolint:errcheck // Exit only clears the line of the bar
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
			if err := write(s, io.MultiWriter(out, bar)); err != nil {
				return err
			}
			return out.Flush()
		})
	}
	return cmd
}

// exportFocus writes the charges of a window. It says if there are none, and if more may come.
func exportFocus(cmd *cobra.Command, s *server.Server, org string, w window, out io.Writer) error {
	rows, err := s.ExportFocus(cmd.Context(), org, w.From, w.To, out)
	if err != nil {
		return err
	}
	if rows == 0 {
		cmd.PrintErrf("note: no ledger entry was created from %s to %s\n", timestamp(w.From), timestamp(w.To))
	}
	if note := w.note(); note != "" {
		cmd.PrintErrf("note: %s\n", note)
	}
	return nil
}
