package client_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"reflect"
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

// An answer with a code is, by errors.Is, the error of that code and of no other.
func TestEveryCodeIsAnError(t *testing.T) {
	codes, ok := contract(t).Extensions["x-errors"].(map[string]any)
	if !ok || len(codes) < 20 {
		t.Fatalf("the contract has the codes %v", codes)
	}
	for code := range codes {
		c := (&scriptedTransport{steps: []http.RoundTripper{answers(400, `{"error":{"type":"x","code":"`+code+`","message":"","doc_url":"","request_id":""}}`)}}).client(t)
		_, err := c.GetBillingBalance(t.Context(), "acme")
		for other := range codes {
			if errors.Is(err, client.CodeError(other)) != (other == code) {
				t.Errorf("the code %s is the error of %s: %t", code, other, other != code)
			}
		}
	}
	// A proxy's 404 does not say that an organization is missing.
	_, err := (&scriptedTransport{steps: []http.RoundTripper{answersStatus(404)}}).client(t).GetBillingBalance(t.Context(), "acme")
	for code := range codes {
		if errors.Is(err, client.CodeError(code)) {
			t.Errorf("a foreign 404 is %s", code)
		}
	}
	if !errors.Is(client.CodeError("lease_conflict"), client.ErrLeaseConflict) {
		t.Error("the generated errors are not those of their codes")
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

// An import of the client brings no dependency of the server.
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
