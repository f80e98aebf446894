package httpapi_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// assumed is what the page "Your own store" leaves to its reader.
const assumed = `
var errNoSession = errors.New("no session")

var sessions session

type session struct {
	ID, Name      string
	Organizations []string
}

func (session) Find(context.Context, string) (session, error) { return session{}, errNoSession }

func newStore(*testing.T) httpapi.Backend { return ownstore.New("scratch") }

var _ httpapi.Backend = (*store)(nil)

func TestTokens(t *testing.T) {
	if _, err := authenticate(t.Context(), "x"); httpapi.CodeOf(err) != gen.CodeUnauthorized {
		t.Error(err)
	}
}

func TestOverride(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
`

// The Go code of the page compiles, and its test passes with the store of the example.
func TestOwnStorePage(t *testing.T) {
	page, err := os.ReadFile("../docs/own-store.md")
	if err != nil {
		t.Fatal(err)
	}
	declarations, statements := assumed, ""
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		// An empty line separates declarations from statements.
		for part := range strings.SplitSeq(block[1], "\n\n") {
			if regexp.MustCompile(`^(type|func) `).MatchString(part) {
				declarations += "\n" + part + "\n"
			} else {
				statements += part + "\n"
			}
		}
	}
	code := declarations + "\nfunc open(ctx context.Context) (*server.Server, error) {\n" + statements + "\treturn s, err\n}\n"
	text := "package page\n\n"
	const module = "github.com/harmont-dev/harmont-billing/"
	for _, path := range []string{
		"context", "database/sql", "errors", "net/http/httptest", "testing",
		module + "conformance", module + "gen", module + "httpapi", module + "server", module + "testdata/ownstore",
	} {
		if regexp.MustCompile(`\b` + filepath.Base(path) + `\.[A-Z]`).MatchString(code) {
			text += fmt.Sprintf("import %q\n", path)
		}
	}
	file := filepath.Join(t.TempDir(), "page_test.go")
	if err := os.WriteFile(file, []byte(text+code), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath") // as in make build, so that both share the cache of the compiler
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, text+code)
	}
	for _, name := range []string{"TestContract", "TestTokens", "TestOverride"} {
		if !strings.Contains(string(out), "--- PASS: "+name) {
			t.Errorf("%s did not run:\n%s", name, out)
		}
	}
}
