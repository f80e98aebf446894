package harmontbilling

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// parse reads the Go files of a folder, without its tests.
func parse(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = file
	}
	if len(files) == 0 {
		t.Fatalf("%s has no Go", folder)
	}
	return files
}

// generatedStructs are the fields of the structs that stand for schemas and for parameters.
func generatedStructs(t *testing.T) map[string][]string {
	t.Helper()
	structs := map[string][]string{}
	for _, file := range parse(t, "gen") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range fields.Fields.List {
					for _, name := range field.Names {
						structs[spec.Name.Name] = append(structs[spec.Name.Name], name.Name)
					}
				}
			}
			return true
		})
	}
	return structs
}

// Code that makes a value of a schema must name each of its fields, and code that handles a request must read each field, so that no new
// property is forgotten. The compiler would leave a missing field at zero.
func TestAdaptersNameEveryField(t *testing.T) {
	structs := generatedStructs(t)
	made, read := map[string]bool{}, map[string]bool{}
	files := parse(t, "server")
	maps.Copy(files, parse(t, "internal/models"))
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				read[n.Sel.Name] = true
			case *ast.CompositeLit:
				selector, ok := n.Type.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				pkg, ok := selector.X.(*ast.Ident)
				if !ok || pkg.Name != "gen" {
					return true
				}
				made[selector.Sel.Name] = true
				var named []string
				for _, element := range n.Elts {
					if pair, ok := element.(*ast.KeyValueExpr); ok {
						named = append(named, pair.Key.(*ast.Ident).Name)
					}
				}
				for _, field := range structs[selector.Sel.Name] {
					if !slices.Contains(named, field) {
						t.Errorf("the server makes a gen.%s without saying its %s; server/convert.go or internal/models is the place to continue", selector.Sel.Name, field)
					}
				}
			}
			return true
		})
	}
	requests := 0
	for name, fields := range structs {
		if !strings.HasSuffix(name, "Params") && !slices.Contains(requestSchemas(t), name) {
			continue
		}
		requests++
		for _, field := range fields {
			if !read[field] {
				t.Errorf("the server never reads the %s of gen.%s; server/adapter.go, server/convert.go and internal/models are the places to continue", field, name)
			}
		}
	}
	if len(made) < 12 || requests < 8 {
		t.Errorf("only %d schemas of answers and %d of requests were seen", len(made), requests)
	}
}

// requestSchemas returns the schemas of bodies and of their items.
func requestSchemas(t *testing.T) (names []string) {
	t.Helper()
	for path, item := range load(t, "openapi.yaml").Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			schema := operation.RequestBody.Value.Content.Get("application/json").Schema
			if schema.Ref == "" {
				t.Fatalf("%s %s has a body without a named schema", method, path)
			}
			names = append(names, filepath.Base(schema.Ref))
			for _, p := range schema.Value.Properties {
				if p.Value.Items != nil && p.Value.Items.Ref != "" {
					names = append(names, filepath.Base(p.Value.Items.Ref))
				}
			}
		}
	}
	return names
}

// keyFree are the folders in which no key of the API is written by hand. Other folders have such keys: the domain names fields in
// its messages, internal/transfer has a file format of its own, the program prints CSV and JSON, and conformance checks any
// server independently of this one.
var keyFree = []string{"server", "client", "internal/wire", "internal/strictjson", "internal/audit", "web"}

// ownKeys are keys of the API that other things have as well.
var ownKeys = map[string]string{
	"id": "a word", "name": "a word", "data": "a word", "url": "a word", "error": "a key of the log", "message": "a word", "code": "a key of the log",
	"type": "a word", "date": "a word", "description": "a column", "source": "a column", "state": "a word", "lease": "a word", "seq": "a column", "status": "a key of the log",
	"request_id": "a key of the log", "limit": "a word", "cpu": "a word", "cents": "a word", "count": "a word", "slug": "a column",
	"other": "a label of metrics", "idempotency_key": "no key of the API; a field of the client's PostedCredit", "jobs": "a table",
}

// No key of the API is written by hand where generated code reads and writes it.
func TestKeysAreGenerated(t *testing.T) {
	keys := map[string]bool{}
	for _, schema := range load(t, "openapi.yaml").Components.Schemas {
		for key := range schema.Value.Properties {
			if ownKeys[key] == "" {
				keys[key] = true
			}
		}
	}
	if len(keys) < 30 {
		t.Fatalf("only %d keys were found", len(keys))
	}
	for _, folder := range keyFree {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".gen.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				literal, ok := n.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				tag, _, _ := strings.Cut(reflect.StructTag(text).Get("json"), ",")
				for _, word := range []string{text, tag} {
					if keys[word] {
						t.Errorf("%s has the key %q", path, word)
					}
				}
				for key := range keys {
					if strings.Contains(text, `"`+key+`":`) {
						t.Errorf("%s writes the key %q", path, key)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func isOptional(op *openapi3.Operation, parameter string) bool {
	p := op.Parameters.GetByInAndName("query", parameter)
	return p != nil && !p.Required
}

// referenceEnv names the page that documents the five calls of the TypeScript SDK, as text.
const referenceEnv = "HARMONT_BILLING_REFERENCE"

// The documented calls have the paths, parameters, places and types of the page that documents them, and docs/api.md says the
// same in the same form. Further parameters are optional.
func TestReferencePage(t *testing.T) {
	name := os.Getenv(referenceEnv)
	if name == "" {
		t.Skip(referenceEnv + " names no page")
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	generated, err := os.ReadFile("docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	spec := load(t, "openapi.yaml")
	call := regexp.MustCompile(`(?m)^(GET|POST|PUT|PATCH|DELETE) (/\S+)$`)
	row := regexp.MustCompile(`(?m)^(\w+?)(path|query|header)(string|number|boolean)([A-Z].*)$`)
	starts := call.FindAllSubmatchIndex(page, -1)
	if len(starts) < 5 {
		t.Fatalf("the page has %d calls", len(starts))
	}
	for i, start := range starts {
		method, path := string(page[start[2]:start[3]]), string(page[start[4]:start[5]])
		end := len(page)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		section := page[start[1]:end]
		id := regexp.MustCompile(`import \{ (\w+) \}`).FindSubmatch(section)
		item := spec.Paths.Value(path)
		if id == nil || item == nil || item.GetOperation(method) == nil || item.GetOperation(method).OperationID != string(id[1]) {
			t.Errorf("%s %s is not %s", method, path, id)
			continue
		}
		var want, got []string
		for _, found := range row.FindAllSubmatch(section, -1) {
			want = append(want, fmt.Sprintf("%s %s %s", found[1], found[2], found[3]))
		}
		line := regexp.MustCompile(`(?m)^\| (\S+) \| (\S+) \| (\S+) \| `)
		_, documented, _ := strings.Cut(string(generated), "\n## "+string(id[1])+"\n")
		documented, _, _ = strings.Cut(documented, "\n## ")
		for _, found := range line.FindAllStringSubmatch(documented, -1) {
			parameter := fmt.Sprintf("%s %s %s", found[1], found[2], found[3])
			if found[1] == "Parameter" || !slices.Contains(want, parameter) && isOptional(item.GetOperation(method), found[1]) {
				continue
			}
			got = append(got, parameter)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s has the parameters %q, and the page %q", id[1], got, want)
		}
		returns := regexp.MustCompile(`(?m)^Returns (\w+Response)`).FindSubmatch(section)
		if len(returns) != 2 || !strings.Contains(documented, "Returns `"+string(returns[1])+"`") {
			t.Errorf("%s does not return %s", id[1], returns)
		}
	}
}
