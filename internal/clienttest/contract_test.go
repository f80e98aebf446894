package clienttest

import (
	"os"
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

func TestEveryOperationHasAnExample(t *testing.T) {
	text, err := os.ReadFile("../../client/example_test.go")
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
