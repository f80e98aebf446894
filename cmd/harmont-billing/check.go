package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/conformance"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check URL",
		Short: "Check that a server keeps to the contract",
		Long: `Asks the server at URL some hundreds of questions about an organization and
holds every answer against the contract: openapi.yaml, and rules such as that
the amounts of all entries add up to the balance. It works on any server of
this API, this one or another, and without --write sends nothing that writes.

Without --org it takes the first three organizations that the token sees. Of a
ledger it reads up to 20 000 entries, newest first; usage is summed over ten
years and traced to its jobs on the newest days that have some. A server that
is in use may change meanwhile; that is no breach. A rule that could not be
checked is skipped, and the report says why.

With --write it also reports leases, posts credits and sets prices in the
organization of --org, with a token of the role admin. They stay there for
good, so this takes an organization that nobody is billed for. An empty one
gets books on which all rules can be checked.

The exit status is 1 where a rule is broken or the server does not answer.`,
		Example: `  harmont-billing check http://127.0.0.1:8080
  harmont-billing check https://billing.example.com --org acme -o json
  harmont-billing check https://billing.example.com --org scratch --write`,
		GroupID:           groupClient,
		Args:              needs("URL"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	org := flags.String("org", "", "the `ORG` to check; without it, the first three that the token sees")
	hidden := flags.String("hidden-org", "", "an `ORG` that exists and that the token may not see, to check that nobody can tell")
	write := flags.Bool("write", false, "also report leases, post credits and set prices in the organization of --org, which stay")
	timeout := flags.Duration("timeout", 5*time.Minute, "how long all of it may take")
	connect := &connectionFlags{cmd: cmd}
	connect.tokenFlags(cmd)
	for _, name := range []string{"org", "hidden-org", "timeout"} {
		noFileCompletion(cmd, name)
	}
	format := choiceFlag(cmd, "output", "o", formatTable, "how the report is written", formatTable, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		connection, err := connect.resolveFor(args[0], "URL")
		if err != nil {
			return err
		}
		if _, err := client.New(args[0], client.WithToken(connection.token)); err != nil {
			return usagef("%w; see URL and --token", err)
		}
		for _, slug := range []string{*org, *hidden} {
			if slug == "." || slug == ".." {
				return usagef("%q is not an organization's slug", slug)
			}
		}
		if *write && *org == "" {
			return usagef("--write needs --org, an organization that nobody is billed for")
		}
		if *timeout <= 0 {
			return usagef("--timeout must be above 0")
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		report, err := conformance.Run(ctx, conformance.Options{
			URL: strings.TrimRight(args[0], "/"), Token: connection.token, UserAgent: "harmont-billing/" + version(), Organization: *org, Hidden: *hidden, Write: *write,
		})
		if err != nil {
			return err
		}
		out := newOutput(cmd.OutOrStdout(), *format)
		if err := writeReport(out, report); err != nil {
			return err
		}
		if err := out.flush(); err != nil {
			return err
		}
		switch {
		case report.Failed > 0:
			return fmt.Errorf("%s broken", count(int64(report.Failed), "rule is", "rules are"))
		case report.Passed == 0:
			return fmt.Errorf("nothing could be checked")
		}
		return nil
	}
	return cmd
}

func writeReport(out *output, report *conformance.Report) error {
	if out.format == formatJSON {
		text, err := json.Marshal(report)
		if err != nil {
			return err
		}
		return out.json(text)
	}
	line := func(indent int, text string) {
		out.text(strings.Repeat(" ", indent) + printable(text) + "\n")
	}
	line(0, fmt.Sprintf("%s against openapi.yaml %s", report.URL, report.Contract))
	for _, c := range report.Organizations {
		line(0, "")
		line(0, fmt.Sprintf("Organization %s, of %d that the token sees", c.Organization, report.Visible))
		line(2, "ledger: "+covered(c))
		line(2, "usage: "+traced(c))
	}
	group := ""
	for i, r := range report.Rules {
		if r.Group != group {
			group = r.Group
			line(0, "")
			line(0, group)
			if n := alike(report.Rules[i:]); n > 1 {
				line(2, fmt.Sprintf("skip  all %d rules", n))
				line(8, r.Reason)
			}
		}
		if inAlike(report.Rules, i) {
			continue
		}
		line(2, verdicts[r.Status]+"  "+r.Statement)
		if r.Status == conformance.Skipped {
			line(8, r.Reason)
		}
		for _, b := range r.Breaches {
			problem := b.Problem
			if b.Organization != "" {
				problem = b.Organization + ": " + problem
			}
			line(8, r.Rule+": "+problem)
			if b.Sent != "" {
				line(8, "sent  "+b.Sent)
				line(8, "came  "+b.Came)
			}
		}
		if r.More > 0 {
			line(8, fmt.Sprintf("and %d more", r.More))
		}
	}
	line(0, "")
	line(0, fmt.Sprintf("%d passed, %d failed, %d skipped; %s", report.Passed, report.Failed, report.Skipped,
		count(int64(report.Requests), "request", "requests")))
	return nil
}

var verdicts = map[string]string{conformance.Passed: "pass", conformance.Failed: "FAIL", conformance.Skipped: "skip"}

// alike is how many rules the first group has if all of them were skipped for one reason, and otherwise 0.
func alike(rules []conformance.Result) (n int) {
	for _, r := range rules {
		if r.Group != rules[0].Group {
			break
		}
		if r.Status != conformance.Skipped || r.Reason != rules[0].Reason {
			return 0
		}
		n++
	}
	return n
}

// inAlike tells whether the group of a rule was reported as a whole.
func inAlike(rules []conformance.Result, i int) bool {
	for i > 0 && rules[i-1].Group == rules[i].Group {
		i--
	}
	return alike(rules[i:]) > 1
}

func covered(c conformance.Coverage) string {
	entries := count(int64(c.Entries), "entry", "entries")
	if c.WholeLedger {
		return "all of it, " + entries
	}
	return "its newest " + entries + ", so its sum is not held against the balance"
}

func traced(c conformance.Coverage) string {
	if c.UsageFrom == "" {
		return "not looked at: " + c.NoUsage
	}
	return fmt.Sprintf("%s from %s to %s, summed from %s to %s",
		count(int64(c.Jobs), "job", "jobs"), short(c.UsageFrom), short(c.UsageTo), short(c.SummedFrom), short(c.SummedTo))
}

// short leaves out a time of day that is midnight.
func short(timestamp string) string { return strings.TrimSuffix(timestamp, "T00:00:00.000000Z") }
