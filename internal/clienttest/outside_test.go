package clienttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/server"
)

// A program outside this module builds and passes its tests without a network, and the client brings it few modules.
func TestConsumer(t *testing.T) {
	const folder = "../../testdata/consumer"
	// Its versions are this module's, also where its own go.mod has not followed yet.
	modfile := filepath.Join(t.TempDir(), "go.mod")
	for to, from := range map[string]string{modfile: folder + "/go.mod", strings.TrimSuffix(modfile, "mod") + "sum": "../../go.sum"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(command string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", append([]string{command, "-modfile=" + modfile, "-mod=mod"}, args...)...)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-trimpath", "GOWORK=off", "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	run("vet", "./...")
	if out := run("test", "-count=1", "-v", "./..."); !strings.Contains(out, "--- PASS: TestReport") {
		t.Errorf("no test has run:\n%s", out)
	}
	modules := strings.Fields(run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
	slices.Sort(modules)
	want := []string{
		"example.com/consumer", "github.com/google/uuid", "github.com/harmont-dev/harmont-billing/client",
	}
	if got := slices.Compact(modules); !slices.Equal(got, want) {
		t.Errorf("it is built from\n%q, want\n%q", got, want)
	}

	b := newBilling(t, "acme")
	token, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: server.RoleRead, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HARMONT_API_URL", b.url)
	t.Setenv("HARMONT_TOKEN", token)
	if out := run("run", ".", "acme"); out != "total 0 cents\n" {
		t.Errorf("it prints %q", out)
	}
}

// The Go code of the documentation compiles and does what the text says. A block may use what a previous block of the page declares.
func TestDocumentation(t *testing.T) {
	for _, page := range []struct {
		path string
		role server.Role
		// output matches all that the code prints. Each page begins with the same ledger, a credit of 5 000 cents.
		output string
		newest int64 // the amount of the newest entry afterwards
	}{
		{"../../README.md", server.RoleWrite, `^\$50\.00\n.* \$50\.00 refund\n$`, 5000},
		{"../../docs/sdk.md", server.RoleAdmin, `^balance: \$50\.00
globex does not exist, or the token does not allow to see it
posted: 700 cents, already posted before: false
lease: billed -12
rate card: GPUs 40000 micro-cents for a CPU and a second
not billed: 01234567-89ab-7def-8123-456789abcdef 00000000-0000-0000-0000-000000000000 harmont-billing: 422 lease_invalid: .*
usage: 720 CPU-seconds for 14 cents
balance: 0 before, 5686 after entry 4
entry: -2 vm_lease_debit
entry: -12 vm_lease_debit
entry: 700 refund
entry: 5000 refund
refund: 5000
refund: 700
jobs: 2
organization: acme
$`, -2},
	} {
		t.Run(filepath.Base(page.path), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page.path)
			if err != nil {
				t.Fatal(err)
			}
			program := programOf(t, string(text))
			// The program of a reader also records leases of jobs, and some are rejected.
			const closing = "shutdown, cancel := "
			rejected := "recorder.Record(ctx, client.Lease{JobID: new(uuid.MustParse(\"01234567-89ab-7def-8123-456789abcdef\"))})\n"
			program = strings.Replace(program, closing, rejected+closing, 1)
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
				t.Fatal(err)
			}

			b := newBilling(t, "acme")
			c := b.client(t, server.RoleAdmin, "acme")
			post(t, c, 5000, 5001)
			token, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: page.role, Organizations: []string{"acme"}})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "run", "-trimpath", file)
			// CGO_ENABLED is as in make build, so that both share the cache of the compiler.
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "HARMONT_API_URL="+b.url, "HARMONT_TOKEN="+token)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, program)
			}
			if !regexp.MustCompile(page.output).Match(out) {
				t.Errorf("it prints\n%s", out)
			}
			for tx, err := range c.Transactions(t.Context(), "acme") {
				if err != nil || tx.AmountCents != page.newest {
					t.Errorf("the newest entry is %v, %v", tx, err)
				}
				break
			}
		})
	}
}

// programOf makes a program of the Go code of a page. Blocks without functions become the body of one function, in their order. A function
// for tests must be one of the tests of the consumer, which TestConsumer builds.
func programOf(t *testing.T, page string) string {
	t.Helper()
	consumerTests, err := os.ReadFile("../../testdata/consumer/main_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var body, functions strings.Builder
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) == 0 {
		t.Fatal("the page has no Go code")
	}
	for _, block := range blocks {
		switch {
		case strings.Contains(block[1], "*testing.T"):
			if !strings.Contains(string(consumerTests), block[1]) {
				t.Errorf("the consumer has no\n%s", block[1])
			}
		case strings.HasPrefix(block[1], "func "):
			functions.WriteString(block[1])
		default:
			body.WriteString(block[1])
		}
	}
	code := "func main() {\n\tif err := run(context.Background()); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n\n" +
		"func run(ctx context.Context) error {\n" + body.String() + "\treturn nil\n}\n\n" + functions.String()
	program := "package main\n\n"
	for _, path := range []string{
		"context", "errors", "fmt", "log", "os", "strings", "time", "github.com/google/uuid", "github.com/harmont-dev/harmont-billing/client",
	} {
		if regexp.MustCompile(`\b` + filepath.Base(path) + `\.[A-Z]`).MatchString(code) {
			program += fmt.Sprintf("import %q\n", path)
		}
	}
	return program + "\n" + code
}
