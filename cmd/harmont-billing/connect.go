package main

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

// connection is the server that a command asks.
type connection struct {
	apiURL     string
	setBy      string // the source of the URL, for messages
	token      string
	tokenSetBy string  // the source of the token, for messages
	profile    *string // the name of the profile that the URL, the token or the organization comes from; nil for none
	org        string  // the organization of the profile, where it is for this server; empty for none
	given      string  // the ORG of the command line, in the place of that one; empty for none
}

const defaultAPIURL = "http://" + defaultListen

// connectionFlags are the flags that choose the server, the same on all commands that ask one.
type connectionFlags struct {
	cmd                    *cobra.Command
	apiURL, token, profile string
}

func newConnectionFlags(cmd *cobra.Command) *connectionFlags {
	f := &connectionFlags{cmd: cmd}
	f.apiURLFlag(cmd)
	f.tokenFlags(cmd)
	return f
}

// tokenFlags are for the commands that are told which server to ask.
func (f *connectionFlags) tokenFlags(cmd *cobra.Command) {
	f.profileFlag(cmd)
	f.cmd.Flags().StringVar(&f.token, "token", "", "the bearer `TOKEN`; better in HARMONT_TOKEN, where others on this machine do not see it")
	noFileCompletion(cmd, "token")
}

func (f *connectionFlags) apiURLFlag(cmd *cobra.Command) {
	f.cmd.Flags().StringVar(&f.apiURL, "api-url", "", "the `URL` of the server (default: HARMONT_API_URL, the profile's, or "+defaultAPIURL+")")
	noFileCompletion(cmd, "api-url")
}

func (f *connectionFlags) profileFlag(cmd *cobra.Command) {
	f.cmd.Flags().StringVar(&f.profile, "profile", "", "the `PROFILE` to use (default: HARMONT_PROFILE, or the current one)")
	complete := func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeProfiles(cmd, nil, begun) // independent of the arguments
	}
	if err := cmd.RegisterFlagCompletionFunc("profile", complete); err != nil {
		panic(err) // the flag is there
	}
}

// given is the value of a flag, else of an environment variable, and which of the two it is.
func (f *connectionFlags) given(flag, value, variable string) (text, setBy string) {
	if f.cmd.Flags().Changed(flag) {
		return value, "--" + flag
	}
	return os.Getenv(variable), variable
}

// named is the profile that was named; empty for the current one.
func (f *connectionFlags) named() string {
	name, _ := f.given("profile", f.profile, "HARMONT_PROFILE")
	return name
}

// resolve chooses the address and the token. That of a profile is never paired with the address of something else.
func (f *connectionFlags) resolve() (connection, error) {
	return f.resolveFor(f.given("api-url", f.apiURL, "HARMONT_API_URL"))
}

// resolveFor chooses the token for an address, and the address where it is empty.
func (f *connectionFlags) resolveFor(apiURL, setBy string) (connection, error) {
	c := connection{apiURL: apiURL, setBy: setBy}
	c.token, c.tokenSetBy = f.given("token", f.token, "HARMONT_TOKEN")
	if f.cmd.Flags().Changed("token") && c.token == "" {
		return c, errNoToken
	}
	if c.apiURL != "" && c.token != "" && !f.cmd.Flags().Changed("profile") {
		return c, nil
	}
	cfg, err := loadConfig()
	if err != nil {
		return c, err
	}
	name, p, err := cfg.profile(f.named())
	if err != nil {
		return c, err
	}
	if p == nil {
		p = new(profile)
	}
	if c.apiURL == "" && !f.cmd.Flags().Changed("api-url") {
		if p.APIURL == "" {
			c.apiURL, c.setBy = defaultAPIURL, "default; see --api-url"
		} else {
			c.apiURL, c.setBy, c.profile = p.APIURL, "the profile "+name, &name
		}
	}
	switch {
	case c.token != "" && f.cmd.Flags().Changed("profile") && !f.cmd.Flags().Changed("token") && p.Token != "" && p.Token != c.token:
		return c, usagef("the profile %s has a token and HARMONT_TOKEN is another; unset HARMONT_TOKEN, or give --token", name)
	case c.token != "":
	case p.Token == "":
		return c, errNoToken
	case !sameServer(c.apiURL, p.APIURL):
		return c, usagef("the token of the profile %s is for %s, and is not sent to %s (set by %s); give another with HARMONT_TOKEN or --token",
			name, p.APIURL, shownURL(c.apiURL), c.setBy)
	default:
		c.token, c.tokenSetBy, c.profile = p.Token, "the profile "+name, &name
		if path, err := configPath(); err == nil {
			c.tokenSetBy += " in " + path
		}
	}
	if p.Organization != "" && sameServer(c.apiURL, p.APIURL) {
		c.org, c.profile = p.Organization, &name
	}
	return c, nil
}

var errNoToken = usagef("which token? Log in with 'harmont-billing login', set HARMONT_TOKEN, or give --token")

// shownURL is a URL without the password that it may hold by mistake.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "another address"
	}
	return u.Redacted()
}

// client makes a client of the server.
func (c connection) client(options ...client.Option) (*client.Client, error) {
	made, err := client.New(c.apiURL, append(options, client.WithToken(c.token), client.WithUserAgent("harmont-billing/"+version()))...)
	if err != nil {
		return nil, usagef("%w; see --api-url and --token", err)
	}
	return made, nil
}

// organizationOf finds the organization to ask about where none is named: that of the profile, or the only one that the token can see.
func organizationOf(ctx context.Context, connection connection, c *client.Client) (string, error) {
	if connection.org != "" {
		return connection.org, nil
	}
	const shown = 20
	var slugs []string
	for org, err := range c.Organizations(ctx) {
		if err != nil {
			return "", err
		}
		if len(slugs) == shown {
			slugs = append(slugs, "…")
			break
		}
		slugs = append(slugs, org.Slug)
	}
	switch len(slugs) {
	case 0:
		return "", usagef("ORG is missing, and the token sees no organization")
	case 1:
		return slugs[0], nil
	}
	return "", usagef("ORG is missing; the token sees %s; 'harmont-billing config set PROFILE --org ORG' keeps one", strings.Join(slugs, ", "))
}

// completionTime is how long a person who pressed Tab waits at most.
const completionTime = time.Second

// completeOrganizations offers the organizations that the token can see, and nothing where it cannot ask.
func completeOrganizations(f *connectionFlags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		connection, err := f.resolve()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := connection.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmp.Or(cmd.Context(), context.Background()), completionTime)
		defer cancel()
		var slugs []cobra.Completion
		for org, err := range c.Organizations(ctx) {
			if err != nil {
				break
			}
			// A shell would split such a text.
			if strings.HasPrefix(org.Slug, begun) && printable(org.Slug) == org.Slug && !strings.ContainsAny(org.Slug, " \t\n") {
				slugs = append(slugs, cobra.CompletionWithDesc(org.Slug, printable(org.Name)))
			}
		}
		return slugs, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeProfiles offers the names of profiles.
func completeProfiles(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := loadConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, name := range c.names() {
		if strings.HasPrefix(name, begun) && len(args) == 0 {
			names = append(names, cobra.CompletionWithDesc(name, c.Profiles[name].APIURL))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
