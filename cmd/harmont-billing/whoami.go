package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func whoamiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "whoami",
		Short:   "Show the server, the profile and what the token sees",
		GroupID: groupClient,
		Args:    cobra.NoArgs,
		Long: `Shows which server the other commands of this kind ask, where its address and
the token come from, the organization that they ask about where no ORG is given,
and the organizations that the token sees. The token is not shown.

` + profileHelp,
		Example: `  harmont-billing whoami
  harmont-billing whoami --profile staging -o json`,
	}
	connect := newConnectionFlags(cmd)
	format := choiceFlag(cmd, "output", "o", formatTable, "how the answer is written", formatTable, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect.resolve()
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		organizations := []client.Organization{}
		for org, err := range api.Organizations(cmd.Context()) {
			if err != nil {
				return c.explain(err)
			}
			organizations = append(organizations, org)
		}
		out := newOutput(cmd.OutOrStdout(), *format)
		return errors.Join(c.describe(out, organizations), out.flush())
	}
	return cmd
}

// describe writes what the user chose, and what it leads to.
func (c connection) describe(out *output, organizations []client.Organization) error {
	var organization *string // null where commands need an ORG, unless the token sees one organization
	if c.org != "" {
		organization = &c.org
	}
	if out.format == formatJSON {
		return out.jsonOf(struct {
			APIURL        string                `json:"api_url"`
			APIURLSetBy   string                `json:"api_url_set_by"`
			TokenSetBy    string                `json:"token_set_by"`
			Profile       *string               `json:"profile"` // null where nothing comes from one
			Organization  *string               `json:"organization"`
			Organizations []client.Organization `json:"organizations"`
		}{c.apiURL, c.setBy, c.tokenSetBy, c.profile, organization, organizations})
	}
	out.text(printable("Server: "+c.apiURL+" (set by "+c.setBy+")") + "\n")
	out.text(printable("Token: that of "+c.tokenSetBy) + "\n")
	if c.profile != nil {
		out.text(printable("Profile: "+*c.profile) + "\n")
	}
	if organization != nil {
		out.text(printable("Organization: "+c.org+" where no ORG is given") + "\n")
	}
	rows := make([][]string, len(organizations))
	for i, org := range organizations {
		rows[i] = []string{org.Slug, toSecond(org.CreatedAt), org.Name}
	}
	out.text("\n")
	newTable(out, column{title: "ORGANIZATION"}, column{title: "CREATED (UTC)"}, column{title: "NAME"}).write(rows)
	return nil
}
