package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/harmont-dev/harmont-billing/client"
)

const (
	defaultProfile = "default"
	maxTokenBytes  = 4 << 10
)

func loginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "login",
		Short:   "Keep a token for a server in a profile",
		GroupID: groupClient,
		Args:    cobra.NoArgs,
		Long: `Asks for a token without showing it, or reads it from a pipe, tries it on the
server, and keeps it with the server's address in a profile, which becomes the
current one. A token that the server refuses is not kept. Where no profile is
named it is the current one, or one that is called default.

` + profileHelp,
		Example: `  harmont-billing login --api-url https://billing.example.com
  harmont-billing login --profile staging < token`,
	}
	f := &connectionFlags{cmd: cmd}
	f.apiURLFlag(cmd)
	f.profileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loadConfig()
		if err != nil {
			return err
		}
		name, c, err := f.target(cfg)
		if err != nil {
			return err
		}
		if c.token, err = readToken(cmd, c.apiURL); err != nil {
			return err
		}
		seen, err := tryToken(cmd.Context(), c)
		if err != nil {
			return err
		}
		p := cfg.Profiles[name]
		if p == nil {
			p = new(profile)
			cfg.Profiles[name] = p
		}
		p.moveTo(name, c.apiURL)
		p.Token = c.token
		cfg.Current = name
		if err := cfg.save(); err != nil {
			return err
		}
		if os.Getenv("HARMONT_TOKEN") != "" {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "HARMONT_TOKEN is set, and goes before the token of a profile.")
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Logged in to %s as the profile %s. The token sees %s.\n", c.apiURL, name, seen)
		return err
	}
	return cmd
}

// target chooses the profile to write and the server to ask.
func (f *connectionFlags) target(cfg *config) (string, connection, error) {
	var c connection
	name := cmp.Or(f.named(), cfg.Current, defaultProfile)
	if err := checkProfileName(name); err != nil {
		return "", c, err
	}
	known := cfg.Profiles[name]
	c.apiURL, c.setBy = f.given("api-url", f.apiURL, "HARMONT_API_URL")
	switch {
	case c.apiURL != "" || f.cmd.Flags().Changed("api-url"):
	case known != nil:
		c.apiURL, c.setBy = known.APIURL, "the profile "+name
	default:
		c.apiURL, c.setBy = defaultAPIURL, "default; see --api-url"
	}
	if err := checkAPIURL(c.apiURL); err != nil {
		return "", c, err
	}
	// A login to a second server should not overwrite the token of the first.
	if known != nil && f.named() == "" && !sameServer(known.APIURL, c.apiURL) {
		return "", c, usagef("the current profile, %s, is for %s; give --profile and a name for %s (set by %s)", name, known.APIURL, c.apiURL, c.setBy)
	}
	return name, c, nil
}

// readToken returns the token. On a terminal it prompts and reads without echo; otherwise it reads the first line of standard input.
func readToken(cmd *cobra.Command, apiURL string) (string, error) {
	if u, err := url.Parse(apiURL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "The connection is not encrypted: others on the way can read the token.")
	}
	var text string
	var err error
	if file, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Token for %s: ", apiURL)
		text, err = readHidden(cmd.Context(), int(file.Fd()))
		_, _ = fmt.Fprintln(cmd.ErrOrStderr())
	} else {
		text, err = bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxTokenBytes)).ReadString('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", usagef("the token is empty")
	}
	return text, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// readHidden reads a line from the terminal with echo turned off. If the context ends, it turns echo on again and returns an error.
func readHidden(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		done <- read{text, err}
	}()
	select {
	case r := <-done:
		return string(r.text), r.err
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted"), term.Restore(terminal, before))
	}
}

// tryToken checks the token by listing organizations, and returns the slugs of the first page as text. It fails if the server
// refuses the token.
func tryToken(ctx context.Context, c connection) (string, error) {
	api, err := c.client()
	if err != nil {
		return "", err
	}
	page, err := api.ListOrganizations(ctx, client.ListOptions{})
	if err != nil {
		return "", c.explain(err)
	}
	if len(page.Data) == 0 {
		return "no organization", nil
	}
	var slugs []string
	for _, org := range page.Data {
		slugs = append(slugs, printable(org.Slug))
	}
	if page.NextCursor != nil {
		slugs = append(slugs, "…")
	}
	return strings.Join(slugs, ", "), nil
}

func logoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "logout",
		Short:   "Forget the token of a profile",
		GroupID: groupClient,
		Args:    cobra.NoArgs,
		Long: `Forgets the token of the profile, and keeps its address. The token stays valid
on the server until it expires or is revoked there.`,
		Example: `  harmont-billing logout
  harmont-billing logout --profile staging`,
	}
	f := &connectionFlags{cmd: cmd}
	f.profileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return changeConfig(cmd, func(c *config) (string, error) {
			name, p, err := c.profile(f.named())
			switch {
			case err != nil:
				return "", err
			case p == nil:
				return "", usagef("which profile? No one is the current one; give --profile")
			case p.Token == "":
				return fmt.Sprintf("The profile %s has no token.", name), nil
			}
			p.Token = ""
			return fmt.Sprintf("The token for %s is forgotten. It stays valid until it is revoked on the server.", p.APIURL), nil
		})
	}
	return cmd
}
