package harmontbilling

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/harmont-dev/harmont-billing"

// arrows says which packages of the module each one may import; what is not listed is forbidden.
var arrows = map[string][]string{
	"":                         {},
	"gen":                      {},
	"gen/httpclient":           {"gen"},
	"gen/httpserver":           {"gen", "internal/wire"},
	"internal/wire":            {"internal/billing", "internal/strictjson"},
	"internal/contractgen":     {},
	"client":                   {"gen", "gen/httpclient"},
	"internal/billing":         {},
	"internal/store":           {"internal/billing"},
	"internal/store/storetest": {"internal/billing"},
	"internal/transfer":        {"internal/billing", "internal/strictjson"},
	"internal/strictjson":      {},
	"internal/audit":           {"internal/billing"},
	"internal/pgtest":          {},
	"internal/testbinary":      {},
	"internal/testlong":        {},
	"internal/testprogress":    {},
	"internal/crashtest":       {},
	"internal/bench":           {"internal/billing", "internal/store", "internal/pgtest"},
	"internal/demo":            {"internal/billing", "internal/transfer"},
	"internal/conformance":     {"gen", "gen/httpserver", "internal/wire"},
	"internal/contracttest":    {"internal/conformance"},
	"server": {
		"", "gen", "gen/httpserver", "internal/billing", "internal/store", "internal/transfer", "internal/audit", "internal/strictjson",
		"internal/wire", "web",
	},
	"web":                 {},
	"cmd/harmont-billing": {"client", "server", "internal/conformance", "internal/demo"},
}

// unreachable says what must not be in the closure of a package, whoever brings it in.
var unreachable = map[string][]string{
	"client": {
		"github.com/labstack/echo", "github.com/getkin/kin-openapi", "modernc.org/sqlite", "github.com/jackc/pgx",
		module + "/internal", module + "/server",
	},
	"server": {module + "/client"},
}

func TestImportArrows(t *testing.T) {
	for _, line := range goList(t, "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...") {
		path, imports, _ := strings.Cut(line, " ")
		name := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		allowed, known := arrows[name]
		if !known {
			t.Errorf("%s has no row in the table of arrows", path)
		}
		for imported := range strings.FieldsSeq(imports) {
			if local, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(allowed, strings.TrimPrefix(local, "/")) {
				t.Errorf("%s must not import %s", path, imported)
			}
			if name == "internal/billing" && strings.Contains(imported, ".") {
				t.Errorf("%s imports %s; the domain needs the standard library alone", path, imported)
			}
			if name == "internal/billing" && (strings.HasPrefix(imported, "database/") || strings.HasPrefix(imported, "net/")) {
				t.Errorf("%s imports %s; the domain knows neither SQL nor HTTP", path, imported)
			}
		}
	}
	for name, forbidden := range unreachable {
		for _, reached := range goList(t, "-deps", "./"+name) {
			for _, prefix := range forbidden {
				if strings.HasPrefix(reached, prefix) {
					t.Errorf("%s reaches %s", name, reached)
				}
			}
		}
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 2 {
		t.Fatalf("go list %v found %q", args, lines)
	}
	return lines
}
