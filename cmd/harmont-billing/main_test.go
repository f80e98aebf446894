package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
)

// These tests run the program on temporary databases. Most commands run inside the test process, because starting a process takes more
// processor time than the command itself. Tests of servers, terminals, signals and the end of the process start a real process.

var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	defer testbinary.Remove()
	var err error
	if binary, err = testbinary.Path(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return pgtest.Main(m)
}

// patience is the timeout of a wait in a test. It is long, so that a slow machine does not fail the test.
const patience = time.Minute

// program runs the program with an environment of its own, in a folder of its own.
type program struct {
	t     *testing.T
	dir   string
	env   []string
	stdin io.Reader

	binary     string              // path of the executable; empty for the one that TestMain built
	credential *syscall.Credential // the user to run as; nil for the current user
}

func newProgram(t *testing.T, env ...string) program {
	t.Helper()
	dir := t.TempDir()
	return program{t: t, dir: dir, env: append([]string{"TMPDIR=" + dir, "HOME=" + dir, "HARMONT_BILLING_DATABASE=sqlite:" + filepath.Join(dir, "billing.db")}, env...)}
}

func (p program) with(env ...string) program {
	p.env = append(slices.Clone(p.env), env...)
	return p
}

func (p program) reading(text string) program {
	p.stdin = strings.NewReader(text)
	return p
}

type result struct {
	stdout, stderr string
	status         int
}

func (p program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, cmp.Or(p.binary, binary), args...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, p.stdin
	if p.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	}
	return cmd
}

// run runs a command in the process of the test. It sets the environment and the working folder of this process for the command and
// restores them afterwards, so no test of this package may be parallel.
func (p program) run(args ...string) result {
	p.t.Helper()
	if p.credential != nil { // only a separate process can run as another user
		return p.runApart(args...)
	}
	switch args[0] {
	case "serve", "demo": // they change settings of the whole process
		return p.runApart(args...)
	case "check": // it needs much processor time, and the race detector of the test process would multiply it
		return p.runApart(args...)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	defer p.enter()()
	var stdout, stderr bytes.Buffer
	stdin := p.stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	status := run(ctx, args, stdin, &stdout, &stderr)
	if ctx.Err() != nil {
		p.t.Fatalf("%q: %v\n%s", args, ctx.Err(), stderr.String())
	}
	return result{stdout.String(), stderr.String(), status}
}

// enter sets the environment and the working folder of this process to those of the program. The caller must call leave to restore them.
func (p program) enter() (leave func()) {
	p.t.Helper()
	folder, err := os.Getwd()
	if err == nil {
		err = os.Chdir(p.dir)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	before := os.Environ()
	setEnv(p.t, p.env)
	return func() {
		setEnv(p.t, before)
		if err := os.Chdir(folder); err != nil {
			p.t.Fatal(err)
		}
	}
}

// setEnv replaces the environment of this process. If a name occurs more than once, the last value is used.
func setEnv(t *testing.T, variables []string) {
	t.Helper()
	os.Clearenv()
	for _, variable := range variables {
		if name, value, found := strings.Cut(variable, "="); found {
			if err := os.Setenv(name, value); err != nil { //nolint:usetesting // it is for one command and not for the whole test
				t.Fatal(err)
			}
		}
	}
}

// runApart runs a command in a separate process.
func (p program) runApart(args ...string) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := p.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil || ctx.Err() != nil {
		p.t.Fatalf("%q: %v, %v\n%s", args, err, ctx.Err(), stderr.String())
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ok runs a command that must succeed without any standard error, and returns its standard output.
func (p program) ok(args ...string) string {
	p.t.Helper()
	r := p.run(args...)
	if r.status != 0 || r.stderr != "" {
		p.t.Fatalf("%q: status %d\n%s%s", args, r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// process is a program that runs while a test does other things.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

func (p program) start(args ...string) *process {
	p.t.Helper()
	running := &process{t: p.t, cmd: p.command(context.Background(), args...), exited: make(chan struct{})}
	running.run()
	return running
}

// run starts the command, which ends with the test.
func (p *process) run() {
	p.t.Helper()
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
}

// waitFor waits for a match of the expression in the output, and returns it.
func (p *process) waitFor(expression string) []string {
	p.t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found := re.FindStringSubmatch(p.text()); found != nil {
			return found
		}
		select {
		case <-p.exited:
			if !re.MatchString(p.text()) {
				p.t.Fatalf("it ended without %s:\n%s", expression, p.text())
			}
		default:
		}
	}
	p.t.Fatalf("no %s in:\n%s", expression, p.text())
	return nil
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits until the process has ended, and returns its wait status.
func (p *process) wait() syscall.WaitStatus {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("it does not end:\n%s", p.text())
	}
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// serve starts a server on the program's database, and returns the process and the address.
func (p program) serve(args ...string) (*process, string) {
	p.t.Helper()
	server := p.start(append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	return server, server.waitFor(`msg=serving address=(http://\S+)`)[1]
}

// asking starts a server, and returns the program configured as its client, with a token that can read the organization acme.
func (p program) asking() program {
	p.t.Helper()
	token := strings.TrimSpace(p.ok("token", "create", "--name", "reader", "--role", "read", "--org", "acme"))
	_, address := p.serve()
	return p.with("HARMONT_API_URL="+address, "HARMONT_TOKEN="+token)
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

func commands(root *cobra.Command) (all []*cobra.Command) {
	all = append(all, root)
	for _, sub := range root.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

func TestHelpBeginsWithAnExample(t *testing.T) {
	const secret = "hmt_not-to-be-shown"
	p := newProgram(t, "HARMONT_TOKEN="+secret, "HARMONT_BILLING_DATABASE=")
	for _, cmd := range commands(newRoot(io.Discard, io.Discard, func() {})) {
		path := cmd.CommandPath()
		t.Run(path, func(t *testing.T) {
			help := p.ok(append(strings.Fields(path)[1:], "--help")...)
			if !strings.HasPrefix(help, "  "+path) && !strings.HasPrefix(help, "  source <("+path) && cmd.HasParent() {
				t.Errorf("does not begin with an example of itself:\n%s", help)
			}
			if !strings.HasPrefix(help, "  ") || !strings.Contains(help, "\nUsage:\n  "+path) {
				t.Errorf("does not begin with an example, or has no usage:\n%s", help)
			}
			if strings.Contains(help, secret) {
				t.Errorf("shows the token:\n%s", help)
			}
			if strings.Contains(path, "completion") {
				return // cobra's own text
			}
			for line := range strings.Lines(help) {
				if len(strings.TrimSuffix(line, "\n")) > 80 {
					t.Errorf("too wide for a terminal of 80 columns: %s", line)
				}
			}
		})
	}
}

func TestHelpCommand(t *testing.T) {
	p := newProgram(t)
	for args, like := range map[string]string{
		"help": "--help", "help price": "price --help", "help price set": "price set --help", "help balance acme": "balance --help",
	} {
		equal(t, args, p.ok(strings.Fields(args)...), p.ok(strings.Fields(like)...))
	}
}

func TestVersionAndCompletion(t *testing.T) {
	p := newProgram(t)
	if got := p.ok("version"); !regexp.MustCompile(`^harmont-billing \S.*\n$`).MatchString(got) {
		t.Errorf("version: %q", got)
	}
	if got := p.ok("completion", "bash"); !strings.Contains(got, "complete -o default") || !strings.Contains(got, "__start_harmont-billing") {
		t.Errorf("completion bash:\n%s", got)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"balance", "acme", "-o", ""}, "table\njson\nndjson\ncsv\n:4\n"},
		{[]string{"token", "create", "--role", ""}, "read\nwrite\nadmin\n:4\n"},
		{[]string{"token", "create", "--role", "w"}, "read\nwrite\nadmin\n:4\n"}, // the program offers all values; the shell filters them by the prefix
		{[]string{"balance", ""}, ":4\n"},
		{[]string{"help", "price", "s"}, "set\tSet prices from a time on\n:4\n"},
		{[]string{"help", "nope", ""}, ":4\n"},
	} {
		equal(t, fmt.Sprint(tt.args), p.run(append([]string{"__complete"}, tt.args...)...).stdout, tt.want)
	}
}

// The exit statuses are these numbers, because scripts depend on them.
func TestExitStatuses(t *testing.T) {
	p := newProgram(t)
	for args, want := range map[string]int{"version": 0, "verify --database sqlite:none.db": 1, "verify --frobnicate": 2} {
		if got := p.runApart(strings.Fields(args)...).status; got != want {
			t.Errorf("%s exits with %d, want %d", args, got, want)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	server := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	const token = "hmt_not-to-be-shown"
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN="+token)
	future := time.Now().AddDate(1, 0, 0).Format(time.DateOnly)
	for _, tt := range []struct {
		args string // separated by spaces; a single quote stands for an empty argument
		want string
		env  string
	}{
		{args: "blance acme", want: `unknown command "blance"`},
		{args: "balanc acme", want: "Did you mean this?\n  balance\n"},
		{args: "--frobnicate", want: "unknown flag: --frobnicate"},
		{args: "help nope", want: `unknown command "nope"`},
		{args: "help balanc", want: "Did you mean this?\n  balance\n"},
		{args: "help price nope", want: `unknown command "nope" for "harmont-billing price"`},
		{args: "help nope price", want: `unknown command "nope"`},
		{args: "org", want: "org needs a command after it"},
		{args: "org destroy acme", want: `unknown command "destroy"`},
		{args: "org create", want: "SLUG is missing"},
		{args: "token create --name ci --role read", want: "--org"},
		{args: "token create --name ci --role boss --org acme", want: "must be read, write or admin"},
		{args: "token create --name ci --role read --org acme --expires 0s", want: `for "--expires" flag: must be a time above 0`},
		{args: "token create --name ci --role read --org acme --expires=-1d", want: `for "--expires" flag: must be a time above 0`},
		{args: "token create --name ci --role read --org acme --expires 30", want: `for "--expires" flag: must be a time above 0`},
		{args: "token revoke", want: "ID or NAME is missing"},
		{args: "import", want: "FILE is missing"},
		{args: "export all", want: `"all"`},
		{args: "serve --listen=", want: "the address to serve on is empty"},
		{args: "serve --listen unix:", want: "unix: needs the path of a socket after it"},
		{args: "demo --listen=", want: "the address to serve on is empty"},
		{args: "serve now", want: `"now"`},
		{args: "serve --log-format xml", want: "must be text or json"},
		{args: "serve --log-level loud", want: "must be debug, info, warn or error"},
		{args: "serve --rate-limit=-1", want: "must be a whole number, 1 or more"},
		{args: "serve --rate-limit=0", want: "must be a whole number, 1 or more"},
		{args: "serve --price-cpu=-1", want: "must be a whole number, 0 or more"},
		{args: "import - --price-disk-gb 0.5", want: "must be a whole number, 0 or more"},
		{args: "version 2", want: `"2"`},

		{args: "price", want: "price needs a command after it"},
		{args: "price set", want: "--name is required, or a file"},
		{args: "price set a.json b.json", want: "accepts at most 1 arg"},
		{args: "price set '", want: "FILE is empty"},
		{args: "price set card.json --name x", want: "--name goes without a file"},
		{args: "price set - --end", want: "--end goes without a file"},
		{args: "price set --name ' --end", want: `for "--name"`},
		{args: "price set --name x", want: "--cpu, --memory-gb and --disk-gb are required, or --end"},
		{args: "price set --name x --cpu 1 --memory-gb 1", want: "--cpu, --memory-gb and --disk-gb are required, or --end"},
		{args: "price set --name x --cpu 0 --end", want: "--end goes without --cpu, --memory-gb and --disk-gb"},
		{args: "price set --name x --cpu=-1", want: "must be a whole number, 0 or more"},
		{args: "price set --name x --cpu 0.5", want: "must be a whole number, 0 or more"},
		{args: "price set --name x --disk-gb 1e3", want: "must be a whole number, 0 or more"},
		{args: "price set --name x --shape 2x4", want: "such as 2x4x20"},
		{args: "price set --name x --shape 2x4x20x1", want: "such as 2x4x20"},
		{args: "price set --name x --shape=-2x4x20", want: "such as 2x4x20"},
		{args: "price set --name x --shape 9999999999x4x20", want: "such as 2x4x20"},
		{args: "price set --name x --label gpu", want: "such as pool=gpu"},
		{args: "price set --name x --org '", want: `for "--org"`},
		{args: "price set --name x --from tomorrow", want: "must be an existing date"},
		{args: "price list now", want: `"now"`},
		{args: "price list --org '", want: `for "--org"`},
		{args: "price list -o yaml", want: "must be table, json, ndjson or csv"},
		{args: "price try --last 30d", want: "FILE is missing"},
		{args: "price try card.json --last 30d --month this", want: "--month goes without --last"},
		{args: "price try card.json --last 30d --by month", want: "must be organization, pipeline, shape, card or label.KEY"},
		{args: "price try card.json --last 30d --by label.", want: "must be organization, pipeline, shape, card or label.KEY"},
		{args: "price try card.json --last 30d --org '", want: `for "--org"`},

		{args: "balance '", want: "ORG is empty"},
		{args: "balance acme globex", want: "balance takes ORG, not 2 arguments"},
		{args: "balance acme -o yaml", want: "must be table, json, ndjson or csv"},
		{args: "balance acme --watch", want: "--watch needs a terminal, or -o ndjson"},
		{args: "balance acme --interval 2s", want: "--interval goes with --watch"},
		{args: "balance acme --watch --interval 10ms -o ndjson", want: "must be 1s or more"},
		{args: "balance acme --profile nowhere", want: "there is no profile nowhere"},
		{args: "explain", want: "ID is missing"},
		{args: "explain acme", want: "ID must be a UUID"},
		{args: "explain acme 7", want: "ID must be a UUID"},
		{args: "explain acme '", want: "ID is empty"},
		{args: "explain ' 01994f00-0000-7000-8000-000000000004", want: "ORG is empty"},
		{args: "explain acme 7 8", want: "explain takes ORG and ID, not 3 arguments"},
		{args: "config", want: "config needs a command after it"},
		{args: "config use", want: "PROFILE is missing"},
		{args: "config use nowhere", want: "there is no profile nowhere"},
		{args: "config remove nowhere", want: "there is no profile nowhere"},
		{args: "config set staging", want: "--api-url or --org is required"},
		{args: "config set staging --org acme", want: "there is no profile staging, and --api-url makes one"},
		{args: "orgs acme", want: `"acme"`},
		{args: "orgs --dollars", want: "--dollars goes with -o csv"},
		{args: "config set staging --api-url 127.0.0.1", want: "must be absolute"},
		{args: "config set staging --api-url http://me:" + token + "@127.0.0.1", want: "must not hold a user or password"},
		{args: "config set .. --api-url http://127.0.0.1", want: "a profile's name has"},
		{args: "login --api-url ftp://127.0.0.1", want: "must be absolute"},
		{args: "login", want: "the token is empty"},
		{args: "login --profile a/b", want: "a profile's name has"},
		{args: "logout", want: "which profile?"},
		{args: "man", want: "DIR is missing"},
		{args: "balance acme --last 30d", want: "unknown flag: --last"},
		{args: "balance acme --token '", want: "which token?"},
		{args: "balance acme", env: "HARMONT_TOKEN=", want: "which token?"},
		{args: "balance acme", env: "HARMONT_TOKEN=" + token + "\n", want: "the token is"},
		{args: "balance acme --api-url 127.0.0.1:8080", want: "--api-url"},
		{args: "balance acme --api-url ftp://127.0.0.1", want: "--api-url"},
		{args: "balance acme --api-url '", want: "--api-url"},
		{args: "balance acme --api-url http://me:" + token + "@127.0.0.1", want: "must not hold a user or password"},

		{args: "transactions acme --limit 0", want: "must be a whole number, 1 or more"},
		{args: "transactions acme --limit=-3", want: "must be a whole number, 1 or more"},
		{args: "transactions acme --limit ten", want: "must be a whole number, 1 or more"},
		{args: "transactions acme --limit 10 --all", want: "--all goes without --limit"},
		{args: "transactions acme --source gift", want: "must be stripe_topup, coupon_redemption, admin_grant, vm_lease_debit or refund"},
		{args: "transactions acme --month this --to 2026-06-01", want: "--month goes without --to"},
		{args: "transactions acme --last 2d --from 2026-06-01", want: "--last goes without --from"},
		{args: "transactions acme --to 2026-06-01T10:00:00", want: "needs an offset"},
		{args: "transactions acme --from 2026-06-01 --to 2026-06-01", want: "must lie after --from"},

		{args: "usage acme --to 2026-06-01", want: "--to needs --from"},
		{args: "usage acme --last 30d --from 2026-06-01", want: "--last goes without --from"},
		{args: "usage acme --last 30d --to 2026-06-01", want: "--last goes without --to"},
		{args: "usage acme --month this --last 30d", want: "--month goes without --last"},
		{args: "series acme --month this --from 2026-06-01", want: "--month goes without --from"},
		{args: "usage acme --by card", want: "must be pipeline, job, shape, author or label.KEY"},
		{args: "usage acme --by label.", want: "must be pipeline, job, shape, author or label.KEY, such as label.team: a key must have 1 to 63 letters, digits or characters of ._/-"},
		{args: "usage acme --by label.a:b", want: "author or label.KEY, such as label.team: a key must have"},
		{args: "usage acme --by label.-a", want: "author or label.KEY, such as label.team: a key must have"},
		{args: "usage acme --by label." + strings.Repeat("a", 64), want: "author or label.KEY, such as label.team: a key must have"},
		{args: "price try card.json --by label.a:b", want: "must be organization, pipeline, shape, card or label.KEY, such as label.team: a key must have"},
		{args: "price set --name x --end --label a:b=c", want: "a key must have 1 to 63 letters"},
		{args: "usage acme --by shape --compare", want: "--by goes without --compare"},
		{args: "usage acme --by shape --limit 101", want: "must be a whole number from 1 to 100"},
		{args: "usage acme --by shape --per year", want: "must be day or month"},
		{args: "usage acme --compare --month 9000-01", want: "--compare needs a window that has begun, and this one begins at 9000-01-01 00:00:00 UTC"},
		{args: "usage acme --limit 5", want: "--limit goes with --by"},
		{args: "usage acme --per day", want: "--per goes with --by"},
		{args: "breakdown acme --sort name", want: "must be start, cost or duration"},
		{args: "breakdown acme --limit 0", want: "must be a whole number, 1 or more"},
		{args: "breakdown acme --dollars", want: "--dollars goes with -o csv"},
		{args: "usage acme -o json --bom", want: "--bom goes with -o csv"},
		{args: "price list --dollars", want: "--dollars goes with -o csv"},
		{args: "breakdown acme --month this --to 2026-06-01", want: "--month goes without --to"},
		{args: "usage acme --month june", want: "must be this, last or an existing month"},
		{args: "usage acme --month 2026-13", want: "must be this, last or an existing month"},
		{args: "usage acme --month 0000-12", want: "must be a month from 0001-01 to 9999-11"},
		{args: "usage acme --month 9999-12", want: "must be a month from 0001-01 to 9999-11"},
		{args: "usage acme --month '", want: `for "--month"`},
		{args: "usage acme --tz Nowhere/Berlin", want: "must be a time zone"},
		{args: "usage acme --tz '", want: `for "--tz"`},
		{args: "usage acme --tz Europe/Berlin --from 2026-03-29T02:30:00", want: "--from, 2026-03-29T02:30:00, does not exist"},
		{args: "usage acme --last 30", want: `invalid argument "30" for "--last"`},
		{args: "usage acme --last 0d", want: "above 0"},
		{args: "usage acme --last=-2w", want: "above 0"},
		{args: "usage acme --last 200000d", want: "too long"},
		{args: "usage acme --from yesterday", want: `invalid argument "yesterday" for "--from"`},
		{args: "usage acme --from 2026-02-30", want: "existing date"},
		{args: "usage acme --from '", want: `for "--from"`},
		{args: "usage acme --from 2026-06-01 --to 2026-06-01T10:00:00", want: "--to, 2026-06-01T10:00:00, needs an offset, such as Z or +02:00, or --tz"},
		{args: "usage acme --from 2026-06-01 --to 2026-06-01", want: "must lie after --from"},
		{args: "usage acme --from 2026-06-01T00:00:00.0000001Z --to 2026-06-01T00:00:00.0000009Z", want: "must lie after --from"},
		{args: "usage acme --from 2026-06-01T00:00:00Z --to 2026-06-01T01:00:00+02:00", want: "must lie after --from"},
		{args: "usage acme --from " + future, want: "--from, " + future + "T00:00:00.000000Z, is still to come"},
		{args: "transactions acme --from " + future, want: "is still to come, and the window ends now unless --to says otherwise"},
	} {
		t.Run(tt.args+tt.env, func(t *testing.T) {
			args := strings.Fields(tt.args)
			for i, arg := range args {
				args[i] = strings.Trim(arg, "'")
			}
			got := p.with(tt.env).run(args...)
			if got.status != exitUsage || got.stdout != "" {
				t.Errorf("status %d, and on standard output %q", got.status, got.stdout)
			}
			if !strings.HasPrefix(got.stderr, "harmont-billing: ") || !strings.Contains(got.stderr, tt.want) ||
				!regexp.MustCompile(`\nTry 'harmont-billing.* --help'\.\n$`).MatchString(got.stderr) {
				t.Errorf("%s\nwant %s", got.stderr, tt.want)
			}
			if strings.Contains(got.stderr, token) {
				t.Errorf("it shows the token: %s", got.stderr)
			}
		})
	}
	if n := len(server.seen()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if left, err := filepath.Glob(filepath.Join(p.dir, "*")); err != nil || len(left) != 0 {
		t.Errorf("wrong usage leaves %v behind (%v)", left, err)
	}
}

func TestFailures(t *testing.T) {
	p := newProgram(t)
	p.ok("org", "create", "acme")
	p.ok("org", "create", "globex")
	p = p.asking()
	_, address, _ := strings.Cut(p.env[len(p.env)-2], "=")
	page := newStandIn(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	listener.Close()
	hostile := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"error":{"type":"conflict","code":"c","message":"\u001b[2Jgone","doc_url":"","request_id":"r"}}`)
	})
	proxy := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<h1>Bad\nGateway</h1>")
	})
	other := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"hello":"world"}`) })
	huge := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		const day = `{"date":"2026-06-01","cpu_seconds":0,"memory_gb_seconds":0,"disk_gb_seconds":0,"total_cents":9223372036854775807}`
		_, _ = io.WriteString(w, `{"data":[`+day+`,`+day+`]}`)
	})
	circle := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data":[],"next_cursor":"again"}`)
	})

	const nothing = "00000000-0000-4000-8000-00000000dead"
	for _, tt := range []struct {
		args, env string
		want      string // a regular expression for standard error between the prefix "harmont-billing: " and the final newline
	}{
		{"balance initech", "", `404 organization_not_found: .+ \(request \S+\); the ORG was "initech"`},
		{"balance globex", "", `404 organization_not_found: .+ \(request \S+\); the ORG was "globex"`},
		{"usage --from 2026-06-01 08:00", "", `404 organization_not_found: .+; the ORG was "08:00"`},
		{"balance ..", "", `".." is not an organization's slug`},
		{"balance acme", "HARMONT_TOKEN=hmt_wrong", `401 unauthorized: .+ \(request \S+\); the token is that of HARMONT_TOKEN`},
		{"balance", "HARMONT_TOKEN=hmt_wrong", `401 unauthorized: .+ \(request \S+\); the token is that of HARMONT_TOKEN`},
		{"whoami", "HARMONT_TOKEN=hmt_wrong", `401 unauthorized: .+ \(request \S+\); the token is that of HARMONT_TOKEN`},
		{"usage acme --token hmt_wrong", "", `401 unauthorized: .+ \(request \S+\); the token is that of --token`},
		{"balance acme --api-url " + address + "/api/v0", "", `404 route_not_found: .+; is ` + address + `/api/v0 \(set by --api-url\) the address of a billing server, without /api/v0\?`},
		{"balance", "HARMONT_API_URL=" + page.URL, `404 Not Found: .+; is ` + page.URL + ` \(set by HARMONT_API_URL\) the address of a billing server, without /api/v0\?`},
		{"usage acme --from 2000-01-01 --to 2026-01-01", "", `422 billing_usage_window_invalid: .+ \(request \S+\)`},
		{"balance acme", "HARMONT_API_URL=" + nobody, `no answer from ` + nobody + ` \(set by HARMONT_API_URL\): .*connection refused`},
		{"balance acme --api-url " + nobody, "", `no answer from ` + nobody + ` \(set by --api-url\): .*connection refused`},
		{"balance acme --api-url " + hostile.URL, "", `409 c: �\[2Jgone \(request r\)`},
		{"balance acme --api-url " + proxy.URL, "", `502 Bad Gateway: <h1>Bad Gateway</h1> \(request \S+\)`},
		{"balance acme --api-url " + other.URL, "", `invalid response to GET \S+: balance_cents is missing \(request \S+\)`},
		{"balance acme -o json --api-url " + other.URL, "", `invalid response to GET \S+: balance_cents is missing \(request \S+\)`},
		{"series acme --last 2d --api-url " + huge.URL, "", `the total is too large for a 64-bit integer`},
		{"leases acme --job " + nothing, "", `no such lease is recorded`},
		{"leases acme --lease " + nothing + " -o csv", "", `no such lease is recorded`},
		{"leases acme --job " + nothing + " -o json", "", `no such lease is recorded`},
		{"leases acme --lease " + nothing + " --state running -o ndjson", "", `no such lease is running`},
		{"explain acme " + nothing, "", `nothing in the books of acme has the id ` + nothing + `: .+`},
		{"leases initech --job " + nothing, "", `404 organization_not_found: .+`},
		{"breakdown initech -o csv", "", `404 organization_not_found: .+`},
		{"credits initech -o json", "", `404 organization_not_found: .+`},
		{"transactions acme --all -o csv --api-url " + circle.URL, "", `the server gave the cursor "again" twice`},

		{"serve --database postgres", "", `.*postgres.*`},
		{"serve --database sqlite:missing/billing.db --listen 127.0.0.1:0", "", `.+`},
		{"serve --listen 127.0.0.1:http-alternative", "", `.*http-alternative.*`},
	} {
		t.Run(tt.args+tt.env, func(t *testing.T) {
			got := p.with(tt.env).run(strings.Fields(tt.args)...)
			if got.status != exitFailure || !regexp.MustCompile(`^harmont-billing: `+tt.want+`\n$`).MatchString(got.stderr) {
				t.Errorf("status %d\n%s\nwant %s", got.status, got.stderr, tt.want)
			}
			if tt.want != `the server gave the cursor "again" twice` && got.stdout != "" {
				t.Errorf("on standard output: %s", got.stdout)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	p := newProgram(t)
	p.reading(books).ok("import", "-")
	p = p.asking()
	for _, args := range []string{
		"balance acme", "transactions acme -o json", "series acme --last 1d -o csv", "org list", "token list", "export", "import /dev/null", "version",
		"token create --name x --role read --org acme", "demo --listen 127.0.0.1:0",
	} {
		t.Run(args, func(t *testing.T) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Skip(err)
			}
			defer full.Close()
			var stderr bytes.Buffer
			cmd := p.command(t.Context(), strings.Fields(args)...)
			cmd.Stdout, cmd.Stderr = full, &stderr
			_ = cmd.Run()
			if cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(stderr.String(), "no space left") {
				t.Errorf("%s\n%s", cmd.ProcessState, stderr.String())
			}
		})
	}
}
