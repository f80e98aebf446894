package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/server"
)

// newRoot makes the tree of commands, which write to stdout and stderr. began is called once the command line was understood and the work begins.
func newRoot(stdout, stderr io.Writer, began func()) *cobra.Command {
	root := &cobra.Command{
		Use:   "harmont-billing",
		Short: "Billing for CI jobs in virtual machines: ledger, metering and API",
		Long: `harmont-billing serves the Harmont billing API from one database, looks after
that database, and reads from a server.`,
		Example: `  harmont-billing demo          # a server with made-up data, to look around
  harmont-billing serve         # a server on harmont-billing.db in this folder
  harmont-billing balance acme  # ask the server at HARMONT_API_URL`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout) // before the commands for completion are made, which keep it
	root.SetErr(stderr)
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddGroup(
		&cobra.Group{ID: groupServe, Title: "Serve:"},
		&cobra.Group{ID: groupDatabase, Title: "Look after a database:"},
		&cobra.Group{ID: groupClient, Title: "Ask a server:"},
	)
	root.AddCommand(serveCommand(), demoCommand())
	root.AddCommand(orgCommand(), tokenCommand(), priceCommand(), importCommand(), exportCommand(), verifyCommand(), backupCommand(), migrateCommand())
	root.AddCommand(clientCommands()...)
	root.AddCommand(manCommand(), referenceCommand())
	root.AddCommand(&cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs, Example: "  harmont-billing version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), "harmont-billing "+version()+"\n")
			return err
		},
	})
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"})
	completion.Example = "  source <(harmont-billing completion bash)"
	for _, shell := range completion.Commands() {
		shell.Example = "  harmont-billing completion " + shell.Name()
	}
	markBeginning(root, began)
	return root
}

const (
	groupServe    = "serve"
	groupDatabase = "database"
	groupClient   = "client"
)

// helpCommand replaces cobra's, which succeeds where it finds no such command.
func helpCommand() *cobra.Command {
	// find walks the names down from the root. It leaves arguments of the last command out, as --help does.
	find := func(cmd *cobra.Command, names []string) (*cobra.Command, error) {
		found, rest, err := cmd.Root().Find(names)
		if err == nil && found.HasSubCommands() && len(rest) > 0 {
			err = fmt.Errorf("unknown command %q for %q", rest[0], found.CommandPath())
		}
		return found, err
	}
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about any command",
		Example: "  harmont-billing help price set",
		ValidArgsFunction: func(cmd *cobra.Command, names []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var completions []cobra.Completion
			if found, err := find(cmd, names); err == nil {
				for _, sub := range found.Commands() {
					if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), begun) {
						completions = append(completions, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return completions, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			found, err := find(cmd, names)
			if err != nil {
				return err
			}
			found.InitDefaultHelpFlag() // so that help shows these flags
			found.InitDefaultVersionFlag()
			return found.Help()
		},
	}
}

// helpTemplate begins with examples. All of it fits a terminal of 80 columns.
const helpTemplate = `{{if .HasExample}}{{.Example}}

{{end}}{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`

// markBeginning calls began when the work of a command starts. An error before that is wrong usage.
func markBeginning(cmd *cobra.Command, began func()) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			began()
			return work(cmd, args)
		}
		// The example stands at the head of the help.
		cmd.SetUsageTemplate(usageTemplate)
	} else if cmd.HasSubCommands() {
		cmd.SetUsageTemplate(usageTemplate)
		if cmd.HasParent() { // without a check of its own, the root suggests similar commands
			cmd.Args = cobra.NoArgs
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			if cmd.HasParent() {
				return usagef("%s needs a command after it", cmd.Name())
			}
			return cmd.Help()
		}
	}
	for _, sub := range cmd.Commands() {
		markBeginning(sub, began)
	}
}

const usageTemplate = `Usage:{{if and .Runnable (not .HasAvailableSubCommands)}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND [flags]{{$cmds := .Commands}}{{range $group := .Groups}}

{{.Title}}{{range $cmds}}{{if (and (eq .GroupID $group.ID) .IsAvailableCommand)}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}

{{if .Groups}}More:{{else}}Commands:{{end}}{{range $cmds}}{{if (and (eq .GroupID "") (or .IsAvailableCommand (eq .Name "help")))}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}
`

// version is the module's, where the program was installed by it, or the commit's.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "commit " + setting.Value
		}
	}
	return "devel"
}

// envFlag adds a flag with a default from an environment variable, if that is set. Help shows the other default, because the variable may
// hold a password.
func envFlag(cmd *cobra.Command, name, variable, otherwise, usage string) *string {
	value := cmd.Flags().String(name, cmp.Or(os.Getenv(variable), otherwise), usage+"; also "+variable)
	cmd.Flags().Lookup(name).DefValue = otherwise
	return value
}

// databaseFlag adds --database, which is the same on all commands that open one.
func databaseFlag(cmd *cobra.Command) *string {
	return envFlag(cmd, "database", "HARMONT_BILLING_DATABASE", "sqlite:harmont-billing.db", "the database, sqlite:FILE or postgres://…")
}

// besideFlag adds --beside-other-tables, which is the same on all commands that make the books.
func besideFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("beside-other-tables", false, "make the books also where another program has tables")
}

// readDatabaseFlag adds --read-database. Everybody on the machine sees the flags of a process, so URLs with passwords belong in the
// environment.
func readDatabaseFlag(cmd *cobra.Command) *[]string {
	const variable = "HARMONT_BILLING_READ_DATABASES"
	urls := cmd.Flags().StringArray("read-database", strings.Fields(os.Getenv(variable)),
		"the URL of a PostgreSQL replica that usage may be read from; may be repeated; also "+variable+", separated by spaces")
	cmd.Flags().Lookup("read-database").DefValue = "[]"
	return urls
}

// choiceFlag adds a flag that takes one of a few words.
func choiceFlag(cmd *cobra.Command, name, shorthand, otherwise, usage string, words ...string) *string {
	c := &choice{value: otherwise, words: words}
	cmd.Flags().VarP(c, name, shorthand, usage)
	err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is there
	}
	return &c.value
}

type choice struct {
	value string
	words []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.words, "|") }

func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		last := len(c.words) - 1
		return fmt.Errorf("must be %s or %s", strings.Join(c.words[:last], ", "), c.words[last])
	}
	c.value = word
	return nil
}

// parseInto turns a parser into the function of a flag of type Func.
func parseInto[T any](into *T, parse func(string) (T, error)) func(string) error {
	return func(text string) (err error) {
		*into, err = parse(text)
		return err
	}
}

// atLeast makes a parser of whole numbers.
func atLeast(minimum int64) func(string) (int64, error) {
	return func(text string) (int64, error) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < minimum {
			return 0, fmt.Errorf("must be a whole number, %d or more", minimum)
		}
		return n, nil
	}
}

// noFileCompletion keeps the shell from offering files for a flag that takes none.
func noFileCompletion(cmd *cobra.Command, flag string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions); err != nil {
		panic(err) // the flag is there
	}
}

// needs accepts exactly one argument, and names it where it is missing.
func needs(argument string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 || args[0] == "":
			return fmt.Errorf("%s is missing", argument)
		case len(args) > 1:
			return fmt.Errorf("one %s is needed, not %d", argument, len(args))
		}
		return nil
	}
}

// withServer opens the database for the time of the work.
func withServer(ctx context.Context, config server.Config, work func(*server.Server) error) error {
	s, err := server.Open(ctx, config)
	if err != nil {
		return err
	}
	return errors.Join(work(s), s.Close())
}
