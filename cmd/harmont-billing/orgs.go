package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/harmont-dev/harmont-billing/client"
)

func orgsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "orgs",
		Short:   "List the organizations that the token sees, with totals",
		GroupID: groupClient,
		Args:    cobra.NoArgs,
		Long: `Lists the organizations that the token sees, what each of them has left now, and
what it has spent in the window. The last line has the totals of all of them.

` + windowHelp,
		Example: `  harmont-billing orgs
  harmont-billing orgs --month last -o csv --dollars`,
	}
	connect := newConnectionFlags(cmd)
	window := newWindowFlags(cmd)
	format := newFormatFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out, err := format.output(cmd.OutOrStdout())
		if err != nil {
			return err
		}
		w, err := window.window(time.Now())
		if err != nil {
			return err
		}
		c, err := connect.resolve()
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		c.org = "" // which is not asked about alone
		orgs, err := readOrganizations(cmd.Context(), api, w.Window)
		if err != nil {
			return c.explain(err)
		}
		if err := out.paged(cmd.Context(), func(context.Context) error { return orgs.write(out) }); err != nil {
			return err
		}
		if note := w.note(); note != "" && out.format == formatTable {
			cmd.PrintErrf("note: %s\n", note)
		}
		return nil
	}
	return cmd
}

// organizations are those that a token sees.
type organizations struct {
	From  string             `json:"from"`
	To    string             `json:"to"`
	Data  []organizationSums `json:"data"`
	Total struct {
		BalanceCents int64 `json:"balance_cents"`
		TotalCents   int64 `json:"total_cents"`
	} `json:"total"`
}

// organizationSums are the balance of an organization and its cost in a window.
type organizationSums struct {
	Slug         string `json:"slug"`
	Name         string `json:"name"`
	BalanceCents int64  `json:"balance_cents"`
	TotalCents   int64  `json:"total_cents"`
}

// organizationsAtOnce is how many organizations are asked about at the same time.
const organizationsAtOnce = 8

func readOrganizations(ctx context.Context, api *client.Client, window client.Window) (*organizations, error) {
	all := &organizations{From: timestamp(window.From), To: timestamp(window.To), Data: []organizationSums{}}
	for org, err := range api.Organizations(ctx) {
		if err != nil {
			return nil, err
		}
		all.Data = append(all.Data, organizationSums{Slug: org.Slug, Name: org.Name})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(organizationsAtOnce)
	for i := range all.Data {
		org := &all.Data[i]
		group.Go(func() error {
			balance, err := api.GetBillingBalance(ctx, org.Slug)
			if err != nil {
				return err
			}
			usage, err := api.GetBillingUsage(ctx, org.Slug, window)
			if err != nil {
				return err
			}
			org.BalanceCents, org.TotalCents = balance.BalanceCents, usage.TotalCents
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, org := range all.Data {
		var err error
		if all.Total.BalanceCents, err = add(all.Total.BalanceCents, org.BalanceCents); err != nil {
			return nil, err
		}
		if all.Total.TotalCents, err = add(all.Total.TotalCents, org.TotalCents); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (o *organizations) write(out *output) error {
	switch out.format {
	case formatJSON, formatNDJSON:
		items := make([]any, len(o.Data))
		for i, org := range o.Data {
			items[i] = org
		}
		return out.items(items, o)
	case formatCSV:
		records := [][]string{{"slug", "name", "balance_cents", "total_cents"}}
		for _, org := range o.Data {
			records = append(records, []string{org.Slug, org.Name, number(org.BalanceCents), number(org.TotalCents)})
		}
		return out.csv(records...)
	}
	var rows []row
	for _, org := range o.Data {
		rows = append(rows, row{cells: []string{org.Slug, money(org.BalanceCents), money(org.TotalCents), org.Name}})
	}
	rows = append(rows, row{[]string{
		"TOTAL", money(o.Total.BalanceCents), money(o.Total.TotalCents), count(int64(len(o.Data)), "organization", "organizations"),
	}, bold})
	newTable(out, column{title: "ORGANIZATION"}, column{title: "BALANCE", right: true, style: balanceStyle}, column{title: "COST", right: true},
		column{title: "NAME"}).writeRows(rows)
	return nil
}
