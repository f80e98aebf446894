package client_test

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
	const folder = "../testdata/consumer"
	// Its versions are this module's, also where its own go.mod has not followed yet.
	modfile := filepath.Join(t.TempDir(), "go.mod")
	for to, from := range map[string]string{modfile: folder + "/go.mod", strings.TrimSuffix(modfile, "mod") + "sum": "../go.sum"} {
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
		"example.com/consumer", "github.com/apapsch/go-jsonmerge/v2", "github.com/google/uuid", "github.com/harmont-dev/harmont-billing",
		"github.com/oapi-codegen/runtime",
	}
	if got := slices.Compact(modules); !slices.Equal(got, want) {
		t.Errorf("it is built from\n%q, want\n%q", got, want)
	}

	b := newBilling(t, "acme")
	secret, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: server.RoleRead, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HARMONT_API_URL", b.url)
	t.Setenv("HARMONT_TOKEN", secret)
	if out := run("run", ".", "acme"); out != "total 0 cents\n" {
		t.Errorf("it prints %q", out)
	}
}

// The Go code of the README compiles and does what the text says. A block may use what a previous block declares.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("the README has no Go")
	}
	var body strings.Builder
	for _, block := range blocks {
		body.Write(block[1])
	}
	program := "package main\n\n"
	for name, path := range map[string]string{
		"client": "github.com/harmont-dev/harmont-billing/client", "context": "context", "errors": "errors", "fmt": "fmt", "log": "log", "os": "os", "time": "time",
	} {
		if name == "context" || name == "log" || regexp.MustCompile(`\b`+name+`\.`).MatchString(body.String()) {
			program += fmt.Sprintf("import %q\n", path)
		}
	}
	program += "\nfunc main() {\n\tif err := run(context.Background()); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n\n" +
		"func run(ctx context.Context) error {\n" + body.String() + "\treturn nil\n}\n"
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}

	b := newBilling(t, "acme")
	c := b.client(t, server.RoleAdmin, "acme")
	post(t, c, 5000, 5001)
	secret, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: server.RoleWrite, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HARMONT_API_URL", b.url)
	t.Setenv("HARMONT_TOKEN", secret)
	cmd := exec.CommandContext(t.Context(), "go", "run", "-trimpath", file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build has it, so that the compiler's cache has all of it
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, program)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 || lines[0] != "5000" || !strings.HasSuffix(lines[1], " 5000 refund") {
		t.Errorf("it prints %q", lines)
	}
	for tx, err := range c.Transactions(t.Context(), "acme") {
		if err != nil || tx.AmountCents != -12 {
			t.Errorf("its lease is not the newest entry: %v, %v", tx, err)
		}
		break
	}
}
