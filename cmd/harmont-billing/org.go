package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/server"
)

func orgCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "org",
		Short:   "Create and list organizations",
		GroupID: groupDatabase,
		Example: `  harmont-billing org create acme --name "Acme, Inc."
  harmont-billing org list`,
	}
	create := &cobra.Command{
		Use:     "create SLUG",
		Short:   "Create an organization with an empty ledger",
		Args:    needs("SLUG"),
		Example: `  harmont-billing org create acme --name "Acme, Inc."`,
	}
	name := create.Flags().String("name", "", "the name for people; the slug where absent")
	database, beside := databaseFlag(create), besideFlag(create)
	create.RunE = func(cmd *cobra.Command, args []string) error {
		return withServer(cmd.Context(), server.Config{Database: *database, BesideOtherTables: *beside, WithoutRateCard: true}, func(s *server.Server) error {
			org, err := s.CreateOrganization(cmd.Context(), args[0], *name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Created %s (%s).\n", org.Slug, printable(org.Name))
			return err
		})
	}
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the organizations",
		Args:    cobra.NoArgs,
		Example: `  harmont-billing org list`,
	}
	listed := databaseFlag(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return withServer(cmd.Context(), server.Config{Database: *listed, MustExist: true, ReadOnly: true}, func(s *server.Server) error {
			orgs, err := s.Organizations(cmd.Context())
			if err != nil {
				return err
			}
			rows := make([][]string, len(orgs))
			for i, org := range orgs {
				rows[i] = []string{org.Slug, toSecond(org.CreatedAt), org.Name}
			}
			out := newOutput(cmd.OutOrStdout(), formatTable)
			newTable(out, column{title: "SLUG"}, column{title: "CREATED (UTC)"}, column{title: "NAME"}).write(rows)
			return out.flush()
		})
	}
	cmd.AddCommand(create, list)
	return cmd
}
