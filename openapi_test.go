package harmontbilling

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func load(t *testing.T, file string) *openapi3.T {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// The contract is valid, and each example in it has the form that its schema asks for.
func TestContractIsValid(t *testing.T) {
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`))
	for _, file := range []string{"openapi.yaml", "openapi.accepted.yaml"} {
		if err := load(t, file).Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Callers of the API and the generated TypeScript package depend on these names.
func TestContractHasTheDocumentedOperations(t *testing.T) {
	spec := load(t, "openapi.yaml")
	for id, path := range map[string]string{
		"getBillingBalance":        "/api/v0/billing/balance/{org}",
		"listBillingTransactions":  "/api/v0/billing/transactions/{org}",
		"getBillingUsage":          "/api/v0/billing/usage/{org}",
		"getBillingUsageSeries":    "/api/v0/billing/usage/{org}/series",
		"getBillingUsageBreakdown": "/api/v0/billing/usage/{org}/breakdown",
		"listOrganizations":        "/api/v0/organizations",
	} {
		if item := spec.Paths.Value(path); item == nil || item.Get == nil || item.Get.OperationID != id {
			t.Errorf("GET %s is not %s", path, id)
		}
	}
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			if internal := operation.Extensions["x-internal"] == true; internal != (method != "GET") {
				t.Errorf("%s %s: x-internal is %v", method, path, internal)
			}
			if role, _ := operation.Extensions["x-required-role"].(string); role == "" {
				t.Errorf("%s %s says no role", method, path)
			}
			for _, status := range []string{"401", "default"} {
				if operation.Responses.Map()[status] == nil {
					t.Errorf("%s %s does not declare %s", method, path, status)
				}
			}
		}
	}
}

// Generated code is readable where every schema has a name, and useful where every property has a description. A request
// that has a key which the contract does not know is refused.
func TestContractSchemas(t *testing.T) {
	spec := load(t, "openapi.yaml")
	for name, schema := range spec.Components.Schemas {
		s := schema.Value
		if s.Description == "" {
			t.Errorf("%s has no description", name)
		}
		if more := s.AdditionalProperties; s.Type.Is("object") && more.Schema == nil && (more.Has == nil || *more.Has) {
			t.Errorf("%s allows additional properties", name)
		}
		for key, property := range s.Properties {
			if property.Ref == "" && property.Value.Description == "" {
				t.Errorf("%s.%s has no description", name, key)
			}
			named := property.Ref != "" || len(property.Value.AllOf) == 1 && property.Value.AllOf[0].Ref != "" // which may be null
			if !named && (property.Value.Type.Is("object") || property.Value.Type.Is("array") && property.Value.Items.Ref == "") {
				t.Errorf("%s.%s has a schema without a name", name, key)
			}
			if property.Value.Type.Is("integer") && property.Value.Format != "int64" {
				t.Errorf("%s.%s is not int64", name, key)
			}
			if property.Value.Type.Is("number") {
				t.Errorf("%s.%s is a floating-point number", name, key)
			}
			if strings.HasSuffix(key, "_cents") && !strings.Contains(property.Value.Description, "cents") {
				t.Errorf("%s.%s does not say its unit", name, key)
			}
		}
	}
}

// A rate card names a label by the rules of labels.
func TestContractLabels(t *testing.T) {
	schemas := load(t, "openapi.yaml").Components.Schemas
	labels, card := schemas["Labels"].Value, schemas["SetRateCardRequest"].Value.Properties
	key, value, of := card["label_key"].Value, card["label_value"].Value, labels.AdditionalProperties.Schema.Value
	if key.Pattern != labels.Extensions["x-key-pattern"] || fmt.Sprint(*key.MaxLength) != fmt.Sprint(labels.Extensions["x-key-max-length"]) {
		t.Errorf("label_key has the pattern %s and %d characters; a key of labels has %v and %v", key.Pattern, *key.MaxLength, labels.Extensions["x-key-pattern"], labels.Extensions["x-key-max-length"])
	}
	if value.MinLength != of.MinLength || *value.MaxLength != *of.MaxLength {
		t.Errorf("label_value has %d to %d characters, and a value of labels %d to %d", value.MinLength, *value.MaxLength, of.MinLength, *of.MaxLength)
	}
}
