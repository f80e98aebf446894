package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

// clientCommands are the commands that ask a server, which may be far away.
func clientCommands() []*cobra.Command {
	return []*cobra.Command{balanceCommand(), transactionsCommand(), usageCommand(), seriesCommand(), breakdownCommand(), checkCommand()}
}

// question is what a command asks a server about an organization, and where it writes the answer.
type question struct {
	*client.Client
	org    string
	out    *output
	answer *recorder
}

// outputHelp is for the long help of the commands whose answers hold text by others.
const outputHelp = `On a terminal the lines of a table end at its edge. The JSON is the API's own.
The CSV has amounts in cents, times in RFC 3339, nothing for null, and text as
it is: a spreadsheet must be told to run no formulas that it finds there.`

// json writes the answer of the call before.
func (q *question) json() error { return q.out.json(q.answer.body.Bytes()) }

// askCommand gives a command the flags and the work that all commands of this kind share.
func askCommand(cmd *cobra.Command, ask func(context.Context, *question) error, options ...client.Option) *cobra.Command {
	cmd.GroupID = groupClient
	cmd.Args = needs("ORG")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	flags := cmd.Flags()
	apiURL := flags.String("api-url", fromEnv("HARMONT_API_URL", "http://"+defaultListen),
		"the `URL` of the server; also HARMONT_API_URL")
	// The variable is no default of the flag's, or help would print the token.
	token := flags.String("token", "",
		"the bearer `TOKEN`; better in HARMONT_TOKEN, where others on this machine do not see it")
	noFileCompletion(cmd, "api-url")
	noFileCompletion(cmd, "token")
	format := choiceFlag(cmd, "output", "o", formatTable, "how the answer is written", formatTable, formatJSON, formatCSV)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		// Nothing has to be put in order, so a signal ends the program as it would any other.
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		if !flags.Changed("token") {
			*token = os.Getenv("HARMONT_TOKEN")
		}
		if *token == "" {
			return usagef("which token? Set HARMONT_TOKEN, or give --token")
		}
		q := &question{org: args[0], out: newOutput(cmd.OutOrStdout(), *format), answer: new(recorder)}
		options = append(options, client.WithToken(*token), client.WithUserAgent("harmont-billing/"+version()))
		if *format == formatJSON {
			options = append(options, client.WithHTTPClient(&http.Client{Transport: q.answer}))
		}
		var err error
		if q.Client, err = client.New(*apiURL, options...); err != nil {
			return usagef("%w; see --api-url and --token", err)
		}
		err = ask(cmd.Context(), q)
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = fmt.Errorf("no answer from %s (set by --api-url or HARMONT_API_URL): %w", *apiURL, e.Err)
		}
		return errors.Join(err, q.out.flush())
	}
	return cmd
}

// windowCommand is an askCommand about a window of time.
func windowCommand(cmd *cobra.Command, ask func(context.Context, *question, client.Window) error, options ...client.Option) *cobra.Command {
	window := windowFlags(cmd)
	return askCommand(cmd, func(ctx context.Context, q *question) error {
		w, err := window()
		if err != nil {
			return err
		}
		return ask(ctx, q, w)
	}, options...)
}

func balanceCommand() *cobra.Command {
	return askCommand(&cobra.Command{
		Use:   "balance ORG",
		Short: "Show an organization's balance",
		Long: `Shows the sum of all entries in the organization's ledger: what it has left, or
owes where the sum is negative.`,
		Example: `  harmont-billing balance acme
  harmont-billing balance acme -o json`,
	}, func(ctx context.Context, q *question) error {
		balance, err := q.GetBillingBalance(ctx, q.org)
		if err != nil {
			return err
		}
		switch q.out.format {
		case formatJSON:
			return q.json()
		case formatCSV:
			return q.out.csv([]string{"balance_cents"}, []string{number(balance.BalanceCents)})
		}
		q.out.text(money(balance.BalanceCents) + "\n")
		return nil
	})
}
