package harmontbilling

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/harmont-dev/harmont-billing"

// arrows lists the packages of the module that each package may import. Other imports are forbidden.
var arrows = map[string][]string{
	"":                             {},
	"gen":                          {},
	"gen/httpserver":               {"gen", "internal/wire"},
	"internal/wire":                {"internal/billing", "internal/strictjson"},
	"internal/contractgen":         {},
	"client":                       {},
	"client/examples/pipelinecost": {"client"},
	"client/examples/ledgercsv":    {"client"},
	"client/examples/scheduler":    {"client"},
	"internal/billing":             {},
	"internal/store":               {"internal/billing", "internal/store/driver"},
	"internal/store/driver":        {"internal/billing"},
	"internal/store/sqlite":        {"internal/billing", "internal/store/driver", "internal/store/migrate"},
	"internal/store/postgres":      {"internal/billing", "internal/store/driver", "internal/store/migrate"},
	"internal/store/migrate":       {},
	"internal/store/storetest":     {"internal/audit", "internal/billing", "internal/testlong"},
	"internal/database":            {"internal/billing", "internal/store", "internal/store/driver", "internal/store/postgres", "internal/store/sqlite"},
	"internal/transfer":            {"internal/billing", "internal/strictjson"},
	"internal/focus":               {"internal/billing"},
	"internal/strictjson":          {},
	"internal/models":              {"gen", "internal/billing"},
	"internal/audit":               {"internal/billing"},
	"internal/pgtest":              {},
	"internal/testbinary":          {},
	"internal/testlong":            {},
	"internal/testprogress":        {},
	"internal/crashtest":           {},
	"internal/bench":               {"internal/billing", "internal/database", "internal/pgtest"},
	"internal/demo":                {"internal/billing", "internal/transfer"},
	"conformance":                  {"gen", "gen/httpserver", "internal/wire"},
	"internal/contracttest":        {"conformance", "gen"},
	"internal/clienttest":          {},
	"internal/release":             {},
	"httpapi":                      {"", "gen", "gen/httpserver", "internal/billing", "internal/models", "internal/strictjson", "internal/wire"},
	"billingtest":                  {"client", "gen", "gen/httpserver", "server"},
	"server": {
		"gen", "gen/httpserver", "httpapi", "internal/billing", "internal/models", "internal/database", "internal/transfer", "internal/focus", "internal/audit", "web",
	},
	"server/metrics":      {"server", "httpapi"},
	"web":                 {},
	"cmd/harmont-billing": {"client", "server", "server/metrics", "conformance", "internal/billing", "internal/demo"},
}

// plain are the packages that need no more than the standard library: the domain, which knows neither SQL nor HTTP, and the core
// of the store, which knows no database.
var plain = []string{"internal/billing", "internal/store", "internal/store/driver"}

// shunned says which other packages each one must not import, by the beginnings of their paths.
var shunned = map[string][]string{
	"internal/store/sqlite":   {"github.com/jackc"},
	"internal/store/postgres": {"database/", "modernc.org", "zombiezen.com"},
}

// unreachable lists packages that a package must not import, neither directly nor through others.
var unreachable = map[string][]string{
	"httpapi": {
		"modernc.org/sqlite", "zombiezen.com/go/sqlite", "github.com/jackc/pgx", module + "/client", module + "/server", module + "/internal/store",
		"github.com/prometheus", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters", "google.golang.org",
	},
	"server": {module + "/client", "github.com/prometheus", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters", "google.golang.org"},
}

func TestImportArrows(t *testing.T) {
	for _, line := range goList(t, "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...", "./client/...") {
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
			if slices.Contains(plain, name) && !strings.HasPrefix(imported, module) &&
				(strings.Contains(imported, ".") || strings.HasPrefix(imported, "database/") || strings.HasPrefix(imported, "net/")) {
				t.Errorf("%s must not import %s: it needs the standard library alone, and no SQL or HTTP", path, imported)
			}
			for _, forbidden := range shunned[name] {
				if strings.HasPrefix(imported, forbidden) {
					t.Errorf("%s must not import %s", path, imported)
				}
			}
		}
	}
	// Each module that the client or its tests need is one more for every program that imports it.
	for _, reached := range goList(t, "-deps", "-test", "-f", "{{with .Module}}{{.Path}} {{$.ImportPath}}{{end}}", "./client/...") {
		from, path, _ := strings.Cut(reached, " ")
		if from != "" && from != module+"/client" && from != "github.com/google/uuid" {
			t.Errorf("client or its tests reach %s", path)
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
