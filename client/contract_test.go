package client_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	harmontbilling "github.com/harmont-dev/harmont-billing"
	"github.com/harmont-dev/harmont-billing/client"
)

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(harmontbilling.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEveryOperationHasAMethod(t *testing.T) {
	operations := 0
	for path, item := range contract(t).Paths.Map() {
		for method, operation := range item.Operations() {
			operations++
			name := strings.ToUpper(operation.OperationID[:1]) + operation.OperationID[1:]
			if _, ok := reflect.TypeFor[*client.Client]().MethodByName(name); !ok {
				t.Errorf("%s %s: no method %s", method, path, name)
			}
		}
	}
	if operations < 8 {
		t.Errorf("only %d operations seen", operations)
	}
}

func TestEveryCodeHasAConstant(t *testing.T) {
	list, ok := contract(t).Components.Schemas["ErrorCode"].Value.Extensions["x-extensible-enum"].([]any)
	if !ok || len(list) == 0 {
		t.Fatal("ErrorCode has no x-extensible-enum")
	}
	var want, got []string
	for _, code := range list {
		want = append(want, code.(string))
	}
	for _, constant := range exported(t, "errors.go").constants {
		if typeName, ok := constant.Type.(*ast.Ident); ok && typeName.Name == "Code" {
			code, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, code)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the constants are not those of openapi.yaml\ngot  %q\nwant %q", got, want)
	}
}

var sentinels = map[string]error{
	"bad_request": client.ErrBadRequest, "unauthorized": client.ErrUnauthorized, "forbidden": client.ErrForbidden,
	"organization_not_found": client.ErrOrganizationNotFound, "route_not_found": client.ErrRouteNotFound,
	"method_not_allowed": client.ErrMethodNotAllowed, "request_timeout": client.ErrRequestTimeout, "lease_conflict": client.ErrLeaseConflict,
	"idempotency_key_reused": client.ErrIdempotencyKeyReused, "body_too_large": client.ErrBodyTooLarge,
	"unsupported_media_type": client.ErrUnsupportedMediaType, "billing_usage_window_invalid": client.ErrBillingUsageWindowInvalid,
	"cursor_invalid": client.ErrCursorInvalid, "limit_invalid": client.ErrLimitInvalid, "lease_invalid": client.ErrLeaseInvalid,
	"amount_invalid": client.ErrAmountInvalid, "body_invalid": client.ErrBodyInvalid, "rate_limited": client.ErrRateLimited,
	"internal": client.ErrInternal, "unavailable": client.ErrUnavailable,
}

// An answer with a code is, by errors.Is, the error of that code and of no other.
func TestEveryCodeIsAnError(t *testing.T) {
	list, ok := contract(t).Components.Schemas["ErrorCode"].Value.Extensions["x-extensible-enum"].([]any)
	if !ok || len(list) != len(sentinels) {
		t.Fatalf("%d codes and %d errors", len(list), len(sentinels))
	}
	for _, listed := range list {
		code := listed.(string)
		c := (&script{steps: []http.RoundTripper{says(400, `{"error":{"type":"x","code":"`+code+`","message":"","doc_url":"","request_id":""}}`)}}).client(t)
		_, err := c.GetBillingBalance(t.Context(), "acme")
		if sentinels[code] == nil {
			t.Errorf("the code %s has no error", code)
		}
		for other, sentinel := range sentinels {
			if errors.Is(err, sentinel) != (other == code) {
				t.Errorf("the code %s is the error of %s: %t", code, other, other != code)
			}
		}
	}
	// A proxy's 404 does not say that an organization is missing.
	_, err := (&script{steps: []http.RoundTripper{status(404)}}).client(t).GetBillingBalance(t.Context(), "acme")
	for code, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			t.Errorf("a foreign 404 is %s", code)
		}
	}
}

func TestEveryOperationHasAnExample(t *testing.T) {
	text, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range contract(t).Paths.Map() {
		for _, operation := range item.Operations() {
			name := "func ExampleClient_" + strings.ToUpper(operation.OperationID[:1]) + operation.OperationID[1:] + "()"
			if !strings.Contains(string(text), name) {
				t.Errorf("no %s", name)
			}
		}
	}
}

// Users of the package import nothing else: each type of the contract that a method takes or gives is here, with its
// constants.
func TestEveryModelIsHere(t *testing.T) {
	here := exported(t, "models.go")
	generated := exported(t, "../gen/models.gen.go")
	ownForm := map[string]bool{ // what this package has in a form of its own
		"Error": true, "ErrorCode": true, "ErrorDetail": true, "RecordLeasesRequest": true, "RecordedLeaseList": true,
	}
	for name := range contract(t).Components.Schemas {
		if !ownForm[name] && !here.types[name] {
			t.Errorf("the type %s is missing", name)
		}
	}
	if len(generated.constants) < 18 {
		t.Errorf("only %d generated constants seen", len(generated.constants))
	}
	for name := range generated.constants {
		if here.constants[name] == nil {
			t.Errorf("the constant %s is missing", name)
		}
	}
}

type declarations struct {
	types     map[string]bool
	constants map[string]*ast.ValueSpec
}

// exported gives the exported types and constants of a Go file.
func exported(t *testing.T, file string) declarations {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	d := declarations{map[string]bool{}, map[string]*ast.ValueSpec{}}
	for _, decl := range f.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				d.types[spec.Name.Name] = true
			case *ast.ValueSpec:
				if general.Tok == token.CONST && spec.Names[0].IsExported() {
					d.constants[spec.Names[0].Name] = spec
				}
			}
		}
	}
	return d
}

// An import of the client brings none of the server's weight.
func TestImports(t *testing.T) {
	const module = "github.com/harmont-dev/harmont-billing/"
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	allowed := map[string]bool{
		module + "client": true, module + "gen": true, module + "gen/httpclient": true,
		"github.com/oapi-codegen/runtime": true, "github.com/oapi-codegen/runtime/types": true,
		"github.com/google/uuid": true, "github.com/apapsch/go-jsonmerge/v2": true,
	}
	for path := range strings.FieldsSeq(string(out)) {
		if !allowed[path] {
			t.Errorf("the client imports %s", path)
		}
		delete(allowed, path)
	}
	for path := range allowed {
		t.Errorf("the client does not import %s any more; take it off the list", path)
	}
}
