package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operationTable writes the rules of each operation.
func operationTable(d *document) []byte {
	var body source
	body.line("// Operations has what the contract says of each operation, by operationId.")
	body.line("var Operations = map[string]*wire.Operation{")
	for _, op := range d.operations {
		body.line("%q: {\nID: %q, Method: %q, Path: %q, Role: %q,", op.OperationID, op.OperationID, op.method, op.path, extension(op.Extensions, "x-required-role"))
		if strings.Contains(op.path, "{org}") {
			body.line("InOrganization: true,")
		}
		var inPath, others source
		for _, p := range op.Parameters {
			switch {
			case p.Value.In != openapi3.ParameterInPath:
				others.line("%s,", parameter(p.Value))
			case canBeRefused(p.Value.Schema.Value):
				inPath.line("%s,", parameter(p.Value))
			}
		}
		if inPath.Len() > 0 {
			body.line("PathParameters: []wire.Parameter{\n%s},", inPath.String())
		}
		if others.Len() > 0 {
			body.line("Parameters: []wire.Parameter{\n%s},", others.String())
		}
		if op.RequestBody != nil {
			body.line("MaxBodyBytes: %s,", plain(op.RequestBody.Value.Extensions["x-max-body-bytes"]))
		}
		if isTrue(op.Extensions, "x-streamed") {
			body.line("Streamed: true,")
		}
		body.line("Errors: []string{%s},\n},", quoted(op.codes))
	}
	body.line("}")
	imports := append(usedImports(body.String(), "math", "regexp"), "", `"github.com/harmont-dev/harmont-billing/internal/wire"`)
	s := goFile("httpserver", imports...)
	s.Write(body.Bytes())
	return s.Bytes()
}

func quoted(texts []string) string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = strconv.Quote(text)
	}
	return strings.Join(list, ", ")
}

func parameter(p *openapi3.Parameter) string {
	s := p.Schema.Value
	text := fmt.Sprintf("{Name: %q", p.Name)
	if p.In == openapi3.ParameterInHeader {
		text += ", Header: true"
	}
	if p.Required {
		text += ", Required: true"
	}
	if s.Default != nil {
		text += fmt.Sprintf(", Default: %q", plain(s.Default))
	}
	if code := extension(p.Extensions, "x-error-code"); code != "" {
		text += fmt.Sprintf(", Code: %q", code)
	}
	switch {
	case s.Type.Is("integer"):
		if s.Extensions["x-clamp-minimum"] != nil {
			text += ", Clamped: true"
		}
		text += ", Integer: &" + integerRule(s)
	case s.Type.Is("boolean"):
		text += ", Boolean: true"
	case s.Format == "uuid":
		text += ", UUID: true"
	case canBeRefused(s):
		text += ", String: &" + stringRule(s)
	}
	return text + "}"
}

// plain writes a value of the document, in which integers are floating-point numbers.
func plain(value any) string {
	if n, ok := value.(float64); ok { //nolint:forbidigo // numbers of a document; checkSchemas refuses inexact ones
		return strconv.FormatInt(int64(n), 10)
	}
	return fmt.Sprint(value)
}

// errorTable writes the error codes with their properties.
func errorTable(d *document) []byte {
	s := goFile("gen")
	s.line("// The error codes.\nconst (")
	for _, row := range d.errorRows {
		s.line("Code%s ErrorCode = %q // %d", goName(row.Code), row.Code, row.Status)
	}
	s.line(")\n")
	s.line("// ErrorInfo is what the contract says of an error code.\ntype ErrorInfo struct {")
	s.line("Code ErrorCode\nType ErrorType\nStatus int // the HTTP status\nMessage string // the text of every such error; empty where each has its own")
	s.line("Route bool // whether it is answered before any operation is found")
	s.line("What string // what happened, in a sentence; code stands between backticks\nFix []string // what to do, in order\n}\n")
	s.line("// Errors has every error code, in the order of the contract.\nvar Errors = []ErrorInfo{")
	for _, row := range d.errorRows {
		s.line("{\nCode: Code%s, Type: %q, Status: %d,", goName(row.Code), row.Type, row.Status)
		if row.Message != "" {
			s.line("Message: %q,", row.Message)
		}
		if row.Route {
			s.line("Route: true,")
		}
		s.line("What: %q,\nFix: []string{", oneLine(row.What))
		for _, step := range row.Fix {
			s.line("%q,", oneLine(step))
		}
		s.line("},\n},")
	}
	s.line("}\n")
	s.line("// ErrorInfoOf returns what the contract says of the code, or nil where it has no such code.")
	s.line("func ErrorInfoOf(code ErrorCode) *ErrorInfo {\nswitch code {")
	for i, row := range d.errorRows {
		s.line("case Code%s:\nreturn &Errors[%d]", goName(row.Code), i)
	}
	s.line("}\nreturn nil\n}")
	return s.Bytes()
}

// boundConstants writes constants for the numbers of the contract that the domain needs.
func boundConstants(d *document) []byte {
	s := goFile("billing")
	s.line("// Numbers of rules that no schema expresses.\nconst (")
	for _, c := range d.constants {
		s.line("%s = %d // %s", c.Name, c.Value, oneLine(c.Description))
	}
	s.line(")\n")
	s.line("// Bounds and defaults of parameters.\nconst (")
	for _, op := range d.operations {
		for _, p := range op.Parameters {
			name := strings.ToUpper(op.OperationID[:1]) + op.OperationID[1:] + goName(p.Value.Name)
			constants(s, name, p.Value.Schema.Value)
		}
	}
	s.line(")\n")
	s.line("// Bounds of the properties of requests.\nconst (")
	for _, schema := range d.schemas {
		if d.requests[schema] {
			constants(s, schema, d.Components.Schemas[schema].Value)
			for _, key := range d.properties[schema] {
				if p := d.Components.Schemas[schema].Value.Properties[key]; !isMap(p.Value) { // which has constants of its own
					constants(s, schema+goName(key), p.Value)
				}
			}
		}
	}
	s.line(")")
	return s.Bytes()
}

func constants(s *source, name string, schema *openapi3.Schema) {
	if schema.Default != nil && schema.Type.Is("integer") {
		s.line("%sDefault = %s", name, plain(schema.Default))
	}
	if value := schema.Extensions["x-clamp-minimum"]; value != nil {
		s.line("%sClampMinimum = %s", name, plain(value))
	}
	if value := schema.Extensions["x-clamp-maximum"]; value != nil {
		s.line("%sClampMaximum = %s", name, plain(value))
	}
	if schema.Min != nil {
		s.line("%sMinimum = %d", name, int64(*schema.Min))
	}
	if schema.Max != nil {
		s.line("%sMaximum = %d", name, int64(*schema.Max))
	}
	if value := schema.Extensions["x-recorded-maximum"]; value != nil {
		s.line("%sRecordedMaximum = %s", name, plain(value))
	}
	if schema.MinLength > 0 {
		s.line("%sMinLength = %d", name, schema.MinLength)
	}
	if schema.MaxLength != nil {
		s.line("%sMaxLength = %d", name, *schema.MaxLength)
	}
	if schema.MinItems > 0 {
		s.line("%sMinItems = %d", name, schema.MinItems)
	}
	if schema.MaxItems != nil {
		s.line("%sMaxItems = %d", name, *schema.MaxItems)
	}
	if isMap(schema) {
		if schema.MaxProps != nil {
			s.line("%sMaxProperties = %d", name, *schema.MaxProps)
		}
		if key := keySchema(schema); key.Pattern != "" {
			s.line("%sKeyPattern = %q", name, key.Pattern)
		}
		constants(s, name+"Key", keySchema(schema))
		constants(s, name+"Value", schema.AdditionalProperties.Schema.Value)
	}
}

// reference writes the API for people, in the form of the page that documents the TypeScript SDK.
func reference(d *document) []byte {
	var s source
	s.line("# API reference\n")
	s.line("Generated from `openapi.yaml`, in the form of the page that documents the TypeScript SDK `@harmont/cloud`. The types are described in `openapi.yaml`, and at `/docs` of a running server, where each call can be tried. [The Go SDK](sdk.md) describes the client for Go.\n")
	for _, op := range d.operations {
		title := strings.ToUpper(op.OperationID[:1]) + op.OperationID[1:]
		s.line("## %s\n", op.OperationID)
		s.line("`%s %s`\n", op.method, op.path)
		s.line("%s\n", oneLine(op.Summary))
		if op.Description != "" {
			s.line("%s\n", oneLine(op.Description))
		}
		s.line("```ts\nimport { %s } from \"@harmont/cloud\";\n%s(options): RequestResult<%sResponse>\n```\n", op.OperationID, op.OperationID, title)
		if len(op.Parameters) > 0 {
			s.line("| Parameter | In | Type | Description |\n|---|---|---|---|")
			for _, p := range op.Parameters {
				s.line("| %s | %s | %s | %s |", p.Value.Name, p.Value.In, scriptType(p.Value.Schema.Value), strings.ReplaceAll(oneLine(p.Value.Description), "|", `\|`))
			}
			s.line("")
		}
		if op.RequestBody != nil {
			s.line("Body: `%s`. %s\n", refName(op.RequestBody.Value.Content.Get("application/json").Schema), oneLine(op.RequestBody.Value.Description))
		}
		s.line("Returns `%sResponse`\n", title)
		s.line("Role: `%s`. Errors: %s.\n", extension(op.Extensions, "x-required-role"), "`"+strings.Join(op.codes, "`, `")+"`")
	}
	s.line("## Errors\n\n| Code | Status | Type | What happened |\n|---|---|---|---|")
	for _, row := range d.errorRows {
		s.line("| `%s` | %d | %s | %s |", row.Code, row.Status, row.Type, oneLine(row.What))
	}
	return s.Bytes()
}

// scriptType is the type of a parameter in TypeScript.
func scriptType(s *openapi3.Schema) string {
	if s.Type.Is("integer") {
		return "number"
	}
	return (*s.Type)[0]
}
