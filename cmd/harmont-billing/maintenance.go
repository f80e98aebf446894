package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/server"
)

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify",
		Short:   "Recompute the books from their raw rows",
		GroupID: groupDatabase,
		Args:    cobra.NoArgs,
		Long: `Recomputes, from the raw rows of leases and ledger entries: the sequence and
running balance of each ledger, its digests, its head, the sums of usage, and
that each finished lease has one debit of its amount, which is the cost that its
rate card gives. It prints a fingerprint of each organization, which is the same
for the same books in any database. Where anything is off, it names the row and
exits with status 1. Before that, SQLite checks the file; PostgreSQL checks the
indexes where the extension amcheck is.

Leases that were billed for another time than from their start to their finish
are listed and are no error. Neither are leases that were priced elsewhere: they
name no rate card, and no card of the books gives their amount, as with imports
from another system.

The column HEAD is the state of a ledger. Keep it elsewhere, and give it with
--against later: the books must still contain it, or the first entry that
differs is named, as far as digests tell.

It reads one moment of the database and can run beside a server. An SQLite file
that cannot be written, such as a backup, is only read; nobody may write it
meanwhile.`,
		Example: `  harmont-billing verify --database sqlite:billing.db
  harmont-billing verify --against @heads.txt`,
	}
	against := cmd.Flags().StringArray("against", nil,
		"a `STATE`, ORG:SEQ:DIGEST, that the books must contain, or @FILE with one a line; may be repeated")
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		states, err := readStates(*against)
		if err != nil {
			return err
		}
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true, ReadOnly: true}, func(s *server.Server) error {
			out := newOutput(cmd.OutOrStdout(), formatTable)
			var rows [][]string
			findings := int64(0)
			err := s.Verify(cmd.Context(), server.Audit{Against: states, Finding: func(org, what string) {
				findings++
				cmd.PrintErrf("%s: %s\n", printable(cmp.Or(org, "the database")), printable(what))
			}, Notice: func(org, what string) {
				cmd.PrintErrf("%s: note: %s\n", printable(org), printable(what))
			}, Report: func(r server.AuditReport) {
				result := "ok"
				if r.Findings > 0 {
					result = grouped(r.Findings) + " off"
				}
				rows = append(rows, []string{
					r.Organization, grouped(r.Leases), grouped(r.Entries), grouped(r.Hours), money(r.BalanceCents), result, r.Fingerprint, r.Head.String(),
				})
			}})
			if err != nil {
				return err
			}
			newTable(out, column{title: "ORGANIZATION"}, column{title: "LEASES", right: true}, column{title: "ENTRIES", right: true},
				column{title: "HOURS", right: true}, column{title: "BALANCE", right: true}, column{title: "RESULT"},
				column{title: "FINGERPRINT", whole: true}, column{title: "HEAD", whole: true}).write(rows)
			if err := out.flush(); err != nil {
				return err
			}
			if findings > 0 {
				return fmt.Errorf("%s off", count(findings, "thing is", "things are"))
			}
			return nil
		})
	}
	return cmd
}

// readStates reads the values of --against.
func readStates(values []string) (states []server.AuditState, err error) {
	for _, value := range values {
		lines := []string{value}
		if file, ok := strings.CutPrefix(value, "@"); ok {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("--against: %w", err)
			}
			lines = strings.Fields(string(text))
		}
		for _, line := range lines {
			state, err := server.ParseAuditState(line)
			if err != nil {
				return nil, usagef("--against: %w", err)
			}
			states = append(states, state)
		}
	}
	return states, nil
}

func backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backup FILE",
		Short:   "Copy an SQLite database while it is in use",
		GroupID: groupDatabase,
		Args:    needs("FILE"),
		Long: `Writes a copy of the database, as of one moment, to a new file. The server may
go on writing meanwhile. The file is complete once it exists under its name.
For PostgreSQL, use pg_dump.`,
		Example: `  harmont-billing backup /backups/billing-$(date +%F).db`,
	}
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true, ReadOnly: true}, func(s *server.Server) error {
			if err := s.Backup(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Copied to %s.\n", args[0])
			return err
		})
	}
	return cmd
}

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "migrate",
		Short:   "Bring the schema up to date, or spread it over a cluster",
		GroupID: groupDatabase,
		Args:    cobra.NoArgs,
		Long: `Makes the tables in a database without books, or brings their schema up to date,
as every command does that opens books. With --distribute, it then spreads the
tables of a PostgreSQL database over the nodes of its Citus cluster:
organizations and tokens to every node, all else split by organization. It may
run beside servers; their calls wait until it is done. All is done in one
transaction, so a run that is interrupted leaves everything as it was. Both can
be done again and do nothing then.

It prints where the rows of each table are, as Citus says afterwards, and exits
with status 1 if that is not where they should be.`,
		Example: `  harmont-billing migrate --distribute --database postgres://db/billing`,
	}
	distribute := cmd.Flags().Bool("distribute", false, "spread the tables with Citus")
	database, beside := databaseFlag(cmd), besideFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withServer(cmd.Context(), server.Config{Database: *database, BesideOtherTables: *beside, WithoutRateCard: true}, func(s *server.Server) error {
			out := newOutput(cmd.OutOrStdout(), formatTable)
			out.text("The schema is up to date.\n")
			if !*distribute {
				return out.flush()
			}
			distribution, err := s.Distribute(cmd.Context())
			if len(distribution.Tables) > 0 {
				var rows [][]string
				for _, t := range distribution.Tables {
					rows = append(rows, []string{t.Table, t.Where})
				}
				newTable(out, column{title: "TABLE"}, column{title: "ROWS"}).write(rows)
			}
			switch {
			case err != nil:
			case len(distribution.Spread) == 0:
				out.text("All tables were distributed before.\n")
			default:
				out.text("Distributed " + strings.Join(distribution.Spread, ", ") + ".\n")
			}
			return cmp.Or(err, out.flush())
		})
	}
	return cmd
}
