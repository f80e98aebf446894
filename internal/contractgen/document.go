package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

// document is openapi.yaml, in the order in which it is written.
type document struct {
	*openapi3.T
	operations []operation
	errorRows  []errorRow
	constants  []constant
	schemas    []string            // names, as written
	properties map[string][]string // keys of each schema, as written
	requests   map[string]bool     // schemas that a request body reaches
	responses  map[string]bool     // schemas that an answer in 2xx or an error reaches
}

type operation struct {
	*openapi3.Operation
	path, method string
	codes        []string
}

// errorRow is a row of x-errors.
type errorRow struct {
	Code    string
	Status  int      `yaml:"status"`
	Type    string   `yaml:"type"`
	Route   bool     `yaml:"route"`
	Message string   `yaml:"message"`
	What    string   `yaml:"what"`
	Fix     []string `yaml:"fix"`
}

type constant struct {
	Name        string
	Value       int64  `yaml:"value"`
	Description string `yaml:"description"`
}

func load(path string) (*document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	spec, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	d := &document{T: spec, properties: map[string][]string{}, requests: map[string]bool{}, responses: map[string]bool{}}
	if err := d.readOrder(text); err != nil {
		return nil, err
	}
	d.unwrapNullable()
	var problems []error
	for _, check := range []func() []error{d.checkErrorRows, d.readOperations, d.checkCodes, d.checkSchemas} {
		problems = append(problems, check()...)
	}
	return d, errors.Join(problems...)
}

// unwrapNullable makes of a property that is nullable and all of one named schema a nullable reference to the schema, which
// OpenAPI 3.0 cannot write.
func (d *document) unwrapNullable() {
	for _, schema := range d.Components.Schemas {
		for key, p := range schema.Value.Properties {
			if p.Ref != "" || len(p.Value.AllOf) != 1 || p.Value.AllOf[0].Ref == "" {
				continue
			}
			target := *p.Value.AllOf[0].Value
			target.Nullable = p.Value.Nullable
			target.Extensions = map[string]any{}
			maps.Copy(target.Extensions, p.Value.AllOf[0].Value.Extensions)
			maps.Copy(target.Extensions, p.Value.Extensions)
			if p.Value.Description != "" {
				target.Description = p.Value.Description
			}
			schema.Value.Properties[key] = &openapi3.SchemaRef{Ref: p.Value.AllOf[0].Ref, Value: &target}
		}
	}
}

// readOrder reads the order of keys, which the maps of kin-openapi do not have, and the extensions.
func (d *document) readOrder(text []byte) error {
	var root struct {
		Paths      yaml.Node `yaml:"paths"`
		Errors     yaml.Node `yaml:"x-errors"`
		Constants  yaml.Node `yaml:"x-constants"`
		Components struct {
			Schemas yaml.Node `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(text, &root); err != nil {
		return err
	}
	for path, item := range pairs(&root.Paths) {
		for method := range pairs(item) {
			if op := d.Paths.Value(path).GetOperation(strings.ToUpper(method)); op != nil {
				d.operations = append(d.operations, operation{Operation: op, path: path, method: strings.ToUpper(method)})
			}
		}
	}
	for code, node := range pairs(&root.Errors) {
		row := errorRow{Code: code}
		if err := node.Decode(&row); err != nil {
			return fmt.Errorf("x-errors.%s: %w", code, err)
		}
		d.errorRows = append(d.errorRows, row)
	}
	for name, node := range pairs(&root.Constants) {
		c := constant{Name: name}
		if err := node.Decode(&c); err != nil {
			return fmt.Errorf("x-constants.%s: %w", name, err)
		}
		d.constants = append(d.constants, c)
	}
	for name, schema := range pairs(&root.Components.Schemas) {
		d.schemas = append(d.schemas, name)
		for key, node := range pairs(schema) {
			if key == "properties" {
				for property := range pairs(node) {
					d.properties[name] = append(d.properties[name], property)
				}
			}
		}
	}
	return nil
}

// pairs yields the keys and values of a mapping, as written.
func pairs(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

func (d *document) row(code string) *errorRow {
	for i := range d.errorRows {
		if d.errorRows[i].Code == code {
			return &d.errorRows[i]
		}
	}
	return nil
}

func (d *document) checkErrorRows() (problems []error) {
	types := d.Components.Schemas["ErrorType"]
	for _, row := range d.errorRows {
		if http.StatusText(row.Status) == "" || row.Status < 400 {
			problems = append(problems, fmt.Errorf("x-errors.%s: the status %d is no error", row.Code, row.Status))
		}
		if types == nil || !slices.Contains(types.Value.Enum, any(row.Type)) {
			problems = append(problems, fmt.Errorf("x-errors.%s: the type %q is not in ErrorType", row.Code, row.Type))
		}
		if row.What == "" || len(row.Fix) == 0 {
			problems = append(problems, fmt.Errorf("x-errors.%s: says not what happened or how to fix it", row.Code))
		}
	}
	return problems
}

func (d *document) readOperations() (problems []error) {
	for i := range d.operations {
		op := &d.operations[i]
		fail := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s: "+format, append([]any{op.OperationID}, args...)...))
		}
		if op.OperationID == "" {
			fail("%s %s has no operationId", op.method, op.path)
		}
		if len(d.Paths.Value(op.path).Parameters) > 0 {
			fail("the path has parameters of its own; write them in each operation, where simple tools find them")
		}
		if role, _ := op.Extensions["x-required-role"].(string); role == "" {
			fail("x-required-role is missing")
		}
		list, _ := op.Extensions["x-error-codes"].([]any)
		for _, code := range list {
			op.codes = append(op.codes, fmt.Sprint(code))
		}
		for _, p := range op.Parameters {
			if p.Ref != "" {
				fail("a parameter is a $ref; write it in the operation, where simple tools find it")
				continue
			}
			canFail := p.Value.In != openapi3.ParameterInPath || canBeRefused(p.Value.Schema.Value)
			if code := extension(p.Value.Extensions, "x-error-code"); canFail && !slices.Contains(op.codes, code) {
				fail("the parameter %s needs an x-error-code that is among the x-error-codes of the operation; it has %q", p.Value.Name, code)
			}
			for _, problem := range unsupported(p.Value.Schema.Value) {
				fail("the parameter %s: %s", p.Value.Name, problem)
			}
			if p.Value.In == openapi3.ParameterInCookie {
				fail("the parameter %s is in a cookie, which is not supported", p.Value.Name)
			}
		}
		if op.RequestBody != nil {
			body := op.RequestBody.Value
			if body.Content.Get("application/json") == nil || len(body.Content) != 1 || body.Content.Get("application/json").Schema.Ref == "" {
				fail("the body must be application/json with a named schema")
				continue
			}
			if !body.Required {
				fail("the body must be required")
			}
			if n, err := strconv.Atoi(plain(body.Extensions["x-max-body-bytes"])); err != nil || n < 1 {
				fail("the body has no x-max-body-bytes")
			}
			if code := extension(body.Extensions, "x-error-code"); !slices.Contains(op.codes, code) {
				fail("the body needs an x-error-code that is among the x-error-codes of the operation; it has %q", code)
			}
			d.addReachable(d.requests, body.Content.Get("application/json").Schema)
		}
		for status, response := range op.Responses.Map() {
			media := response.Value.Content.Get("application/json")
			if media == nil || media.Schema.Ref == "" {
				fail("the answer %s must be application/json with a named schema", status)
				continue
			}
			d.addReachable(d.responses, media.Schema)
		}
	}
	return problems
}

// addReachable adds the named schemas that a schema refers to, directly or through other schemas.
func (d *document) addReachable(into map[string]bool, s *openapi3.SchemaRef) {
	if s == nil {
		return
	}
	if name := refName(s); name != "" {
		if into[name] {
			return
		}
		into[name] = true
	}
	for _, p := range s.Value.Properties {
		d.addReachable(into, p)
	}
	d.addReachable(into, s.Value.Items)
	for _, part := range s.Value.AllOf {
		d.addReachable(into, part)
	}
}

// checkCodes checks that each operation declares the codes that it can answer with, that codes and statuses go together,
// and that each code is used.
func (d *document) checkCodes() (problems []error) {
	used := map[string]bool{}
	for _, op := range d.operations {
		fail := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s: "+format, append([]any{op.OperationID}, args...)...))
		}
		needed := []string{"bad_request", "unauthorized", "rate_limited", "internal", "unavailable"}
		if strings.Contains(op.path, "{org}") {
			needed = append(needed, "organization_not_found")
		}
		if extension(op.Extensions, "x-required-role") != "read" {
			needed = append(needed, "forbidden")
		}
		if op.RequestBody != nil {
			needed = append(needed, "request_timeout", "body_too_large", "unsupported_media_type")
			needed = append(needed, d.bodyCodes(op.RequestBody.Value.Content.Get("application/json").Schema, map[string]bool{})...)
		}
		for _, code := range needed {
			if !slices.Contains(op.codes, code) {
				fail("can answer with %s, which x-error-codes does not declare", code)
			}
		}
		statuses := map[string]bool{}
		for _, code := range op.codes {
			used[code] = true
			row := d.row(code)
			if row == nil {
				fail("declares the code %s, which x-errors does not have", code)
				continue
			}
			status := strconv.Itoa(row.Status)
			statuses[status] = true
			if op.Responses.Value(status) == nil {
				fail("declares the code %s, but not the status %s", code, status)
			}
		}
		for status := range op.Responses.Map() {
			if status >= "4" && status != "default" && !statuses[status] {
				fail("declares the status %s without a code of it", status)
			}
		}
	}
	for _, row := range d.errorRows {
		if !used[row.Code] && !row.Route {
			problems = append(problems, fmt.Errorf("x-errors.%s: no operation declares this code", row.Code))
		}
	}
	return problems
}

// bodyCodes are the codes that the values of a body can be refused with.
func (d *document) bodyCodes(s *openapi3.SchemaRef, seen map[string]bool) (codes []string) {
	if name := refName(s); name != "" && seen[name] {
		return nil
	} else if name != "" {
		seen[name] = true
	}
	if code := extension(s.Value.Extensions, "x-error-code"); code != "" {
		codes = append(codes, code)
	}
	for _, p := range s.Value.Properties {
		codes = append(codes, d.bodyCodes(p, seen)...)
	}
	if s.Value.Items != nil {
		codes = append(codes, d.bodyCodes(s.Value.Items, seen)...)
	}
	return codes
}

func (d *document) checkSchemas() (problems []error) {
	for _, name := range d.schemas {
		s := d.Components.Schemas[name].Value
		if !d.requests[name] && !d.responses[name] {
			continue
		}
		for _, problem := range unsupported(s) {
			problems = append(problems, fmt.Errorf("%s: %s", name, problem))
		}
		for _, key := range d.properties[name] {
			p := s.Properties[key]
			for _, problem := range unsupported(p.Value) {
				problems = append(problems, fmt.Errorf("%s.%s: %s", name, key, problem))
			}
			if p.Value.Extensions[since] != nil && !(p.Value.Nullable && slices.Contains(s.Required, key)) {
				problems = append(problems, fmt.Errorf("%s.%s: %s is for a required property that may be null", name, key, since))
			}
			if isMap(p.Value) && refName(p) == "" {
				problems = append(problems, fmt.Errorf("%s.%s: a map needs a named schema", name, key))
			}
		}
		for _, key := range s.Required {
			if s.Properties[key] == nil {
				problems = append(problems, fmt.Errorf("%s: %s is required, and no property", name, key))
			}
		}
		if len(s.Required) > 63 {
			problems = append(problems, fmt.Errorf("%s: more than 63 properties are required", name))
		}
	}
	return problems
}

// unsupported names the parts of a schema that the generated code would ignore.
func unsupported(s *openapi3.Schema) (problems []string) {
	for feature, found := range map[string]bool{
		"oneOf, anyOf, allOf and not":           len(s.OneOf)+len(s.AnyOf)+len(s.AllOf) > 0 || s.Not != nil,
		"exclusiveMinimum and exclusiveMaximum": s.ExclusiveMin.IsSet() || s.ExclusiveMax.IsSet(),
		"multipleOf":                            s.MultipleOf != nil,
		"uniqueItems":                           s.UniqueItems,
		"minProperties, and maxProperties without additionalProperties": s.MinProps > 0 || s.MaxProps != nil && !isMap(s),
		"maps of other values than strings, and maps with properties":   isMap(s) && (!isPlainString(s.AdditionalProperties.Schema) || len(s.Properties) > 0),
		"x-key-pattern and x-key-max-length of what is no map":          !isMap(s) && (s.Extensions[keyPattern] != nil || s.Extensions[keyMaxLength] != nil),
		"numbers that are not integers of int64":                        s.Type.Is("number") || s.Type.Is("integer") && s.Format != "int64",
	} {
		if found {
			problems = append(problems, feature+" are not supported")
		}
	}
	if s.Type.Is("string") && !slices.Contains([]string{"", "uuid", "date-time", "date"}, s.Format) {
		problems = append(problems, "the format "+s.Format+" is not supported")
	}
	for _, bound := range []*float64{s.Min, s.Max} { //nolint:forbidigo // the type of the library; checked to be exact here
		if bound != nil && (*bound != math.Trunc(*bound) || math.Abs(*bound) > 1<<53) {
			problems = append(problems, "a bound is not an exact integer")
		}
	}
	slices.Sort(problems)
	return problems
}

// OpenAPI 3.0 has no rules for the keys of a map, so these extensions of its schema say them.
const (
	keyPattern   = "x-key-pattern"
	keyMaxLength = "x-key-max-length"
)

// since is the extension of a property of answers that names the first version whose servers have it. The client takes its absence for null.
const since = "x-since"

// isMap reports whether a schema is that of an object with keys of any name.
func isMap(s *openapi3.Schema) bool { return s.AdditionalProperties.Schema != nil }

func isPlainString(s *openapi3.SchemaRef) bool {
	return s.Ref == "" && s.Value.Type.Is("string") && s.Value.Format == "" && !s.Value.Nullable && !isTimestamp(s.Value) && len(unsupported(s.Value)) == 0
}

// keySchema has the rules for the keys of a map.
func keySchema(s *openapi3.Schema) *openapi3.Schema {
	key := &openapi3.Schema{Pattern: extension(s.Extensions, keyPattern)}
	if length, err := strconv.ParseUint(plain(s.Extensions[keyMaxLength]), 10, 31); err == nil {
		key.MaxLength = &length
	}
	return key
}

// canBeRefused reports whether a string can be refused.
func canBeRefused(s *openapi3.Schema) bool {
	return !s.Type.Is("string") || s.Format != "" || s.MinLength > 0 || s.MaxLength != nil || s.Pattern != "" || len(s.Enum) > 0
}

func refName(s *openapi3.SchemaRef) string {
	name, found := strings.CutPrefix(s.Ref, "#/components/schemas/")
	if !found {
		return ""
	}
	return name
}

func extension(extensions map[string]any, name string) string {
	text, _ := extensions[name].(string)
	return text
}

func isTrue(extensions map[string]any, name string) bool { return extensions[name] == true }

// isTimestamp reports whether a string is a point in time: in an answer of the format date-time, in a request of any form that
// the contract takes.
func isTimestamp(s *openapi3.Schema) bool {
	return s.Format == "date-time" || isTrue(s.Extensions, "x-timestamp")
}

// initialisms are written in capitals in Go names, as oapi-codegen does.
var initialisms = []string{"API", "CPU", "GB", "HTTP", "ID", "IP", "JSON", "SHA", "URI", "URL", "UTC", "UUID", "VM"}

// goName makes the Go name that oapi-codegen gives to a key.
func goName(key string) string {
	var name strings.Builder
	for part := range strings.FieldsFuncSeq(key, func(r rune) bool { return r == '_' || r == '-' || r == '.' }) {
		if upper := strings.ToUpper(part); slices.Contains(initialisms, upper) {
			name.WriteString(upper)
		} else {
			name.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return name.String()
}

func lowerFirst(name string) string {
	return strings.ToLower(name[:1]) + name[1:]
}

func integerOr(bound *float64, defaultText string) string { //nolint:forbidigo // the type of the library; checked to be exact
	if bound == nil {
		return defaultText
	}
	return strconv.FormatInt(int64(*bound), 10)
}

func lengthOr(bound *uint64) string {
	if bound == nil {
		return "math.MaxInt"
	}
	return strconv.FormatUint(*bound, 10)
}

// oneLine puts a text of the document on one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
