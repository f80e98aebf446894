package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

// clientCommands are the commands that ask a server, which may be far away.
func clientCommands() []*cobra.Command {
	return []*cobra.Command{
		balanceCommand(), transactionsCommand(), creditsCommand(), usageCommand(), seriesCommand(), breakdownCommand(), leasesCommand(), runwayCommand(),
		statementCommand(), explainCommand(), checkCommand(), orgsCommand(), whoamiCommand(), loginCommand(), logoutCommand(), configCommand(),
	}
}

// question is a question to a server about an organization, with the output for the answer.
type question struct {
	*client.Client
	org    string
	args   []string // the arguments after ORG
	out    *output
	answer *recorder
	notes  []string // for people who read the answer
}

// note adds a note, unless it is empty.
func (q *question) note(text string) {
	if text != "" {
		q.notes = append(q.notes, text)
	}
}

// outputHelp is a part of the long help of commands that print text of other people.
const outputHelp = `On a terminal a table that is too wide goes on in further lines, and a text at
its end is cut with an ellipsis. What is taller than the terminal is shown by
the pager in PAGER, or by less where that is installed.

In a table a cost is above zero, and an amount of the ledger has its sign: a
debit is below zero. The JSON is the API's own, and ndjson has a line for each
item of it. The CSV has amounts in cents or --dollars, times in RFC 3339,
nothing for null, and an apostrophe before text that a spreadsheet would run as
a formula. In JSON and CSV, what a lease was billed is a debit of the ledger, so
it is below zero.`

// orgHelp is for the long help of the commands that take an ORG.
const orgHelp = `ORG may be left out where the profile has an organization, which
'harmont-billing config set' keeps, or else where the token sees only one.`

// json writes the answer of the call before: as it is, or as a line for each item where it is a list.
func (q *question) json(list bool) error {
	answer := q.answer.body.Bytes()
	switch {
	case q.out.format == formatJSON:
		return q.out.json(answer)
	case list:
		return q.out.ndjson(answer)
	}
	return q.out.jsonLine(answer)
}

// askCommand gives a command the flags and the work that all commands of this kind share.
func askCommand(cmd *cobra.Command, ask func(context.Context, *question) error, options ...client.Option) *cobra.Command {
	return askAbout(cmd, nil, ask, options...)
}

// askAbout is askCommand for a command with further arguments, which it names.
func askAbout(cmd *cobra.Command, names []string, ask func(context.Context, *question) error, options ...client.Option) *cobra.Command {
	cmd.GroupID = groupClient
	cmd.Args = orgAnd(names...)
	cmd.Long += "\n\n" + orgHelp
	connect := newConnectionFlags(cmd)
	cmd.ValidArgsFunction = completeOrganizations(connect)
	format := newFormatFlags(cmd)
	watch := newWatchFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out, err := format.output(cmd.OutOrStdout())
		if err != nil {
			return err
		}
		if err := watch.check(cmd, out); err != nil {
			return err
		}
		if !watch.on {
			// Nothing has to be put in order, so a signal ends the program as it would any other.
			signal.Reset(os.Interrupt, syscall.SIGTERM)
		}
		connection, err := connect.resolve()
		if err != nil {
			return err
		}
		q := &question{args: args, out: out, answer: new(recorder)}
		options := slices.Clone(options)
		if out.isJSON() {
			options = append(options, client.WithHTTPClient(&http.Client{Transport: q.answer}))
		}
		if q.Client, err = connection.client(options...); err != nil {
			return err
		}
		if len(args) > len(names) {
			q.org, q.args = args[0], args[1:]
			connection.org, connection.given = "", q.org
		} else if q.org, err = organizationOf(cmd.Context(), connection, q.Client); err != nil {
			return connection.explain(err)
		}
		once := func(ctx context.Context, out *output) error {
			q.out, q.notes = out, nil
			return connection.explain(ask(ctx, q))
		}
		if watch.on {
			return watch.run(cmd.Context(), cmd.OutOrStdout(), out.format, cmd.Name()+" "+q.org, once)
		}
		err = out.paged(cmd.Context(), func(ctx context.Context) error { return once(ctx, out) })
		if err == nil && out.format == formatTable {
			for _, note := range q.notes {
				cmd.PrintErrf("note: %s\n", note)
			}
		}
		return err
	}
	return cmd
}

// explain adds to the error of a call which choice of the user it may come from: the address of a server that did not answer, or that
// has no such path, the place of a token that the server refuses, and the organization that was given or is that of a profile.
func (c connection) explain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("no answer from %s (set by %s): %w", c.apiURL, c.setBy, e.Err)
	}
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok:
	case e.Status == http.StatusUnauthorized && c.tokenSetBy != "":
		return fmt.Errorf("%w; the token is that of %s", err, c.tokenSetBy)
	case e.Code == client.CodeOrganizationNotFound && c.given != "":
		return fmt.Errorf("%w; the ORG was %q", err, c.given)
	case e.Code == client.CodeOrganizationNotFound && c.org != "" && c.profile != nil:
		return fmt.Errorf("%w; no ORG was given, and %s is that of the profile %s", err, c.org, *c.profile)
	case e.Code == client.CodeRouteNotFound, e.Status == http.StatusNotFound && e.Code == "":
		return fmt.Errorf("%w; is %s (set by %s) the address of a billing server, without /api/v0?", err, c.apiURL, c.setBy)
	}
	return err
}

// orgAnd accepts an ORG, which may be left out, and exactly the named arguments after it.
func orgAnd(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch all := append([]string{"ORG"}, names...); {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", names[len(args)])
		case len(args) > len(all):
			return fmt.Errorf("%s takes %s, not %d arguments", cmd.Name(), strings.Join(all, " and "), len(args))
		case slices.Contains(args, ""):
			// Most likely a variable that is not set; it must not stand for the default.
			return fmt.Errorf("%s is empty", all[len(all)-len(args)+slices.Index(args, "")])
		}
		return nil
	}
}

// windowCommand is an askCommand about a window of time.
func windowCommand(cmd *cobra.Command, ask func(context.Context, *question, window) error, options ...client.Option) *cobra.Command {
	flags := newWindowFlags(cmd)
	return askCommand(cmd, func(ctx context.Context, q *question) error {
		w, err := flags.window(time.Now())
		if err != nil {
			return err
		}
		q.note(w.note())
		return ask(ctx, q, w)
	}, options...)
}

func balanceCommand() *cobra.Command {
	return askCommand(&cobra.Command{
		Use:   "balance [ORG]",
		Short: "Show an organization's balance",
		Long: `Shows the sum of all entries in the organization's ledger: what it has left, or
owes where the sum is negative.`,
		Example: `  harmont-billing balance acme
  harmont-billing balance --watch
  harmont-billing balance acme -o json`,
	}, func(ctx context.Context, q *question) error {
		balance, err := q.GetBillingBalance(ctx, q.org)
		if err != nil {
			return err
		}
		switch q.out.format {
		case formatJSON, formatNDJSON:
			return q.json(false)
		case formatCSV:
			return q.out.csv([]string{"balance_cents"}, []string{number(balance.BalanceCents)})
		}
		shown := money(balance.BalanceCents)
		q.out.text(q.out.styled(balanceStyle(shown), shown) + "\n")
		return nil
	})
}
