package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

// config is the file in which a user keeps servers and tokens.
type config struct {
	Current  string              `json:"current"` // the profile that is used where none is named; may be empty
	Profiles map[string]*profile `json:"profiles"`
}

// profile is a server and the token for it, which is sent to no other server.
type profile struct {
	APIURL string `json:"api_url"`
	Token  string `json:"token,omitempty"`

	Organization string `json:"organization,omitempty"` // the one that commands ask about where none is named
}

// configPath is where the profiles are kept.
func configPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no place for profiles: %w", err)
	}
	return filepath.Join(dir, "harmont-billing", "config.json"), nil
}

// loadConfig reads the profiles. There need be none.
func loadConfig() (*config, error) {
	c := &config{Profiles: map[string]*profile{}}
	path, err := configPath()
	if err != nil {
		return c, nil //nolint:nilerr // a job without a home has no profiles, and needs none
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	for name, p := range c.Profiles {
		if p == nil || p.APIURL == "" {
			return nil, fmt.Errorf("%s cannot be read: the profile %s has no api_url", path, name)
		}
	}
	if c.Profiles == nil {
		c.Profiles = map[string]*profile{}
	}
	return c, nil
}

// save replaces the file atomically: a reader sees either the old file or the new one. Only the user may read it.
func (c *config) save() (err error) {
	path, err := configPath()
	if err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays one
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".config-*.json") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// profile finds a profile by its name, or the current one where that is empty. It is nil where there is no current one.
func (c *config) profile(name string) (string, *profile, error) {
	if name == "" {
		name = c.Current
	}
	if name == "" {
		return "", nil, nil
	}
	p, ok := c.Profiles[name]
	if !ok {
		return "", nil, usagef("there is no profile %s; %s", name, c.known())
	}
	return name, p, nil
}

func (c *config) known() string {
	if len(c.Profiles) == 0 {
		return "make one with 'harmont-billing login'"
	}
	return "there are " + strings.Join(c.names(), ", ")
}

func (c *config) names() []string { return slices.Sorted(maps.Keys(c.Profiles)) }

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkProfileName(name string) error {
	if !profileName.MatchString(name) {
		return usagef("a profile's name has 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit")
	}
	return nil
}

// checkAPIURL refuses a URL that no client can use.
func checkAPIURL(apiURL string) error {
	if _, err := client.New(apiURL); err != nil {
		return usagef("%w; see --api-url", err)
	}
	return nil
}

// sameServer reports whether two URLs lead to the same server.
func sameServer(a, b string) bool { return canonicalURL(a) == canonicalURL(b) }

func canonicalURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return strings.TrimRight(u.String(), "/")
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Look after profiles: servers and their tokens",
		GroupID: groupClient,
		Long: `Profiles keep the address of a server, the token for it, and the organization to
ask about where no ORG is given, in the file
harmont-billing/config.json of the user's configuration folder (~/.config on
Linux, ~/Library/Application Support on macOS), which only the user can read.
'harmont-billing login' makes one.

` + profileHelp,
		Example: `  harmont-billing config list
  harmont-billing config use staging`,
	}
	cmd.AddCommand(configListCommand(), configSetCommand(), configUseCommand(), configRemoveCommand())
	return cmd
}

// profileHelp is a part of the long help of commands that use profiles.
const profileHelp = `The address is that of --api-url, else of HARMONT_API_URL, else of the profile.
The token is that of --token, else of HARMONT_TOKEN, else of the profile; login
asks for one. The profile is that of --profile, else of HARMONT_PROFILE, else
the current one. The token of a profile is sent to the address of that profile
and to no other.`

func configListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the profiles; * marks the current one",
		Args:  cobra.NoArgs,
		Long:  `Lists the profiles by name, and whether there is a token, which is not shown.`,
		Example: `  harmont-billing config list
  harmont-billing config list -o json`,
	}
	format := choiceFlag(cmd, "output", "o", formatTable, "how the answer is written", formatTable, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig()
		if err != nil {
			return err
		}
		type item struct {
			Name    string `json:"name"`
			Current bool   `json:"current"`
			APIURL  string `json:"api_url"`
			Token   bool   `json:"token"`

			Organization *string `json:"organization"`
		}
		items, rows := []item{}, [][]string{}
		for _, name := range c.names() {
			p := c.Profiles[name]
			listed := item{name, name == c.Current, p.APIURL, p.Token != "", nil}
			if p.Organization != "" {
				listed.Organization = &p.Organization
			}
			items = append(items, listed)
			mark, token := "", "no"
			if name == c.Current {
				mark = "*"
			}
			if p.Token != "" {
				token = "yes"
			}
			rows = append(rows, []string{mark, name, token, p.Organization, p.APIURL})
		}
		out := newOutput(cmd.OutOrStdout(), *format)
		if *format == formatJSON {
			return errors.Join(out.jsonOf(map[string]any{"data": items}), out.flush())
		}
		newTable(out, column{title: ""}, column{title: "PROFILE"}, column{title: "TOKEN"}, column{title: "ORGANIZATION"},
			column{title: "ADDRESS", whole: true}).write(rows)
		return out.flush()
	}
	return cmd
}

func configSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set PROFILE",
		Short: "Make a profile, or change its address or organization",
		Args:  needs("PROFILE"),
		Long: `Makes a profile without a token, or changes the address or the organization of
one. The token and the organization of a profile belong to its address, so
another address drops them.

The organization is the one that commands ask about where no ORG is given.
--org "" forgets it.`,
		Example: `  harmont-billing config set default --org acme
  harmont-billing config set staging --api-url https://staging.example.com`,
		ValidArgsFunction: completeProfiles,
	}
	apiURL := cmd.Flags().String("api-url", "", "the `URL` of the server")
	org := cmd.Flags().String("org", "", "the `ORG` to ask about where none is given")
	noFileCompletion(cmd, "api-url")
	noFileCompletion(cmd, "org")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := args[0]
		given := cmd.Flags().Changed
		if !given("api-url") && !given("org") {
			return usagef("--api-url or --org is required")
		}
		if err := checkProfileName(name); err != nil {
			return err
		}
		if given("api-url") {
			if err := checkAPIURL(*apiURL); err != nil {
				return err
			}
		}
		return changeConfig(cmd, func(c *config) (string, error) {
			p, known := c.Profiles[name]
			if !known && !given("api-url") {
				return "", usagef("there is no profile %s, and --api-url makes one; %s", name, c.known())
			}
			if !known {
				p = new(profile)
				c.Profiles[name] = p
			}
			var done []string
			if given("api-url") {
				done = append(done, p.moveTo(name, *apiURL))
			}
			if given("org") {
				p.Organization = *org
				if *org == "" {
					done = append(done, fmt.Sprintf("The profile %s has no organization of its own.", name))
				} else {
					done = append(done, fmt.Sprintf("Where no ORG is given, the profile %s asks about %s.", name, *org))
				}
			}
			return strings.Join(done, " "), nil
		})
	}
	return cmd
}

// moveTo changes the address of a profile. What belongs to another address is forgotten.
func (p *profile) moveTo(name, apiURL string) string {
	done := fmt.Sprintf("The profile %s is for %s.", name, apiURL)
	if !sameServer(p.APIURL, apiURL) {
		if p.Token != "" {
			done += " The token was for another address and is forgotten."
		}
		if p.Organization != "" {
			done += " The organization was for another address and is forgotten."
		}
		p.Token, p.Organization = "", ""
	}
	p.APIURL = apiURL
	return done
}

func configUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "use PROFILE",
		Short:             "Make a profile the current one",
		Args:              needs("PROFILE"),
		Example:           `  harmont-billing config use staging`,
		ValidArgsFunction: completeProfiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeConfig(cmd, func(c *config) (string, error) {
				name, p, err := c.profile(args[0])
				if err != nil {
					return "", err
				}
				c.Current = name
				return fmt.Sprintf("The profile %s, for %s, is the current one.", name, p.APIURL), nil
			})
		},
	}
}

func configRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove PROFILE",
		Short: "Remove a profile and its token",
		Args:  needs("PROFILE"),
		Long: `Removes a profile and forgets its token, which stays valid on the server until
it expires or is revoked there.`,
		Example:           `  harmont-billing config remove staging`,
		ValidArgsFunction: completeProfiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeConfig(cmd, func(c *config) (string, error) {
				name, _, err := c.profile(args[0])
				if err != nil {
					return "", err
				}
				delete(c.Profiles, name)
				if c.Current == name {
					c.Current = ""
				}
				return fmt.Sprintf("The profile %s is removed.", name), nil
			})
		},
	}
}

// changeConfig changes the profiles, saves them, and prints a description of the change.
func changeConfig(cmd *cobra.Command, change func(*config) (done string, err error)) error {
	c, err := loadConfig()
	if err != nil {
		return err
	}
	done, err := change(c)
	if err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(done))
	return err
}
