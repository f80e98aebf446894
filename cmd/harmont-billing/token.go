package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/server"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Create, list and revoke bearer tokens",
		GroupID: groupDatabase,
		Example: `  harmont-billing token create --name scheduler --role write --org acme
  harmont-billing token list
  harmont-billing token revoke scheduler`,
	}
	cmd.AddCommand(tokenCreateCommand(), tokenListCommand(), tokenRevokeCommand())
	return cmd
}

func tokenCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --name NAME --role ROLE --org SLUG",
		Short: "Create a token and print it",
		Args:  cobra.NoArgs,
		Long: `Creates a token and prints it, and nothing else, on standard output. Only its
hash is stored, so it cannot be shown again. The role read may read everything,
write may record leases as well, and admin may post credits and set prices of
its organizations as well.`,
		Example: `  harmont-billing token create --name scheduler --role write --org acme
  harmont-billing token create --name ci --role read --org acme --expires 30d`,
	}
	flags := cmd.Flags()
	name := flags.String("name", "", "what the token is for")
	orgs := flags.StringSlice("org", nil, "the slug of an organization that the token can see; may be repeated")
	var expires time.Duration
	flags.Func("expires", "the `TIME` after which the token expires: 30d, 2w, 720h, 90m; never where absent", parseInto(&expires, parseSpan))
	role := choiceFlag(cmd, "role", "", "", "what the token may do", string(server.RoleRead), string(server.RoleWrite), string(server.RoleAdmin))
	noFileCompletion(cmd, "expires")
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *name == "" || *role == "" || len(*orgs) == 0 {
			return usagef("--name, --role and --org are required")
		}
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true}, func(s *server.Server) error {
			secret, _, err := s.CreateToken(cmd.Context(), server.TokenOptions{
				Name: *name, Role: server.Role(*role), Organizations: *orgs, ExpiresIn: expires,
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
			return err
		})
	}
	return cmd
}

func tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens, oldest first",
		Args:    cobra.NoArgs,
		Example: `  harmont-billing token list`,
	}
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true, ReadOnly: true}, func(s *server.Server) error {
			tokens, err := s.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			rows := make([][]string, len(tokens))
			for i, t := range tokens {
				rows[i] = []string{
					t.ID, t.Name, string(t.Role), toSecond(t.CreatedAt), tokenState(t, time.Now()), strings.Join(t.Organizations, ","),
				}
			}
			out := newOutput(cmd.OutOrStdout(), formatTable)
			newTable(out, column{title: "ID"}, column{title: "NAME"}, column{title: "ROLE"}, column{title: "CREATED (UTC)"},
				column{title: "STATE (UTC)"}, column{title: "ORGANIZATIONS"}).write(rows)
			return out.flush()
		})
	}
	return cmd
}

func tokenState(t server.Token, now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked " + toSecond(*t.RevokedAt)
	case t.ExpiresAt == nil:
		return "valid"
	case t.ExpiresAt.After(now):
		return "valid until " + toSecond(*t.ExpiresAt)
	}
	return "expired " + toSecond(*t.ExpiresAt)
}

func tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke ID|NAME",
		Short:   "Revoke a token, within seconds and for good",
		Args:    needs("ID or NAME"),
		Example: `  harmont-billing token revoke scheduler`,
	}
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true}, func(s *server.Server) error {
			token, err := s.RevokeToken(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Revoked %s (%s).\n", token.ID, printable(token.Name))
			return err
		})
	}
	return cmd
}
