package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// decoders writes a function for each schema of a request. It reads a value and checks all rules of the schema.
func decoders(d *document) []byte {
	var body source
	d.decodeBodies(&body)
	for _, name := range d.schemas {
		schema := d.Components.Schemas[name].Value
		if d.requests[name] && schema.Type.Is("object") {
			d.decoder(&body, name, schema)
		}
	}
	imports := append([]string{`"fmt"`}, usedImports(body.String(), "math", "regexp", "time")...)
	imports = append(imports, "")
	imports = append(imports, usedImports(body.String(), "github.com/google/uuid")...)
	imports = append(imports, "", `. "github.com/harmont-dev/harmont-billing/gen"`, `"github.com/harmont-dev/harmont-billing/internal/wire"`)
	s := goFile("httpserver", imports...)
	s.Write(body.Bytes())
	return s.Bytes()
}

func (d *document) decodeBodies(s *source) {
	s.line("// DecodeBody reads the JSON of a request body into a pointer to its type, and checks it. Every error but that of a type")
	s.line("// that is no body's is a *wire.Error.")
	s.line("func DecodeBody(body []byte, into any) error {\nswitch into := into.(type) {")
	written := map[string]bool{}
	for _, op := range d.operations {
		if op.RequestBody == nil {
			continue
		}
		name := refName(op.RequestBody.Value.Content.Get("application/json").Schema)
		if !written[name] {
			written[name] = true
			s.line("case *%s:\nreturn wire.Decode(body, %q, into, decode%s)", name, extension(op.RequestBody.Value.Extensions, "x-error-code"), name)
		}
	}
	s.line("}\nreturn fmt.Errorf(\"%%T is not the type of a body\", into)\n}\n")
}

func (d *document) decoder(s *source, name string, schema *openapi3.Schema) {
	if isMap(schema) {
		rule := lowerFirst(name) + "Rule"
		s.line("var %s = &wire.StringMap{\nMaxProperties: %s,\nKey: %s,\nValue: %s,\n}\n", rule, lengthOr(schema.MaxProps),
			stringRule(keySchema(schema)), stringRule(schema.AdditionalProperties.Schema.Value))
		s.line("func decode%s(d *wire.Decoder, v *%s) error { return wire.Map(d, v, %s) }\n", name, name, rule)
		return
	}
	var rules source
	var cases source
	for _, key := range d.properties[name] {
		p := schema.Properties[key]
		cases.line("case %q:", key)
		read := d.readCall(&rules, lowerFirst(name)+goName(key), p)
		field := "&v." + goName(key)
		optional := !slices.Contains(schema.Required, key)
		var call string
		switch {
		case p.Value.Type.Is("array"):
			call = read("d", field)
		case p.Value.Nullable:
			call = fmt.Sprintf("wire.Nullable(d, %s, func(into *%s) error { return %s })", field, d.goType(p), read("d", "into"))
		case optional:
			call = fmt.Sprintf("wire.Optional(%s, func(into *%s) error { return %s })", field, d.goType(p), read("d", "into"))
		default:
			call = read("d", field)
		}
		if code := ownCode(p); code != "" {
			call = fmt.Sprintf("wire.WithCode(%s, %q)", call, code)
		}
		cases.line("return true, %s", call)
	}
	s.Write(rules.Bytes())
	required := "nil"
	if len(schema.Required) > 0 {
		required = lowerFirst(name) + "Required"
		var list []string
		for _, key := range d.properties[name] {
			if slices.Contains(schema.Required, key) {
				text := fmt.Sprintf("{Key: %q", key)
				if code := ownCode(schema.Properties[key]); code != "" {
					text += fmt.Sprintf(", Code: %q", code)
				}
				list = append(list, text+"}")
			}
		}
		s.line("var %s = []wire.Required{%s}\n", required, strings.Join(list, ", "))
	}
	additional := schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has
	s.line("func decode%s(d *wire.Decoder, v *%s) error {", name, name)
	s.line("return d.Object(%q, %s, %t, func(key []byte) (known bool, err error) {\nswitch string(key) {", extension(schema.Extensions, "x-error-code"), required, additional)
	s.Write(cases.Bytes())
	s.line("}\nreturn false, nil\n})\n}\n")
}

// ownCode is the error code that a property has itself, and not through its schema.
func ownCode(p *openapi3.SchemaRef) string {
	if refName(p) != "" {
		return ""
	}
	return extension(p.Value.Extensions, "x-error-code")
}

// readCall returns a function that writes the call to read a value, and declares the rule for the call.
func (d *document) readCall(rules *source, rule string, p *openapi3.SchemaRef) func(decoder, into string) string {
	s := p.Value
	methodCall := func(method string) func(string, string) string {
		return func(decoder, into string) string { return fmt.Sprintf("%s.%s(%s)", decoder, method, into) }
	}
	switch {
	case s.Type.Is("array"):
		items := fmt.Sprintf("%d, %s", s.MinItems, lengthOr(s.MaxItems))
		if name := refName(s.Items); name != "" && s.Items.Value.Type.Is("object") {
			return func(decoder, into string) string {
				return fmt.Sprintf("wire.List(%s, %s, %s, decode%s)", decoder, into, items, name)
			}
		}
		element := d.readCall(rules, rule+"Item", s.Items)
		return func(decoder, into string) string {
			return fmt.Sprintf("wire.List(%s, %s, %s, func(d *wire.Decoder, into *%s) error { return %s })", decoder, into, items, d.goType(s.Items), element("d", "into"))
		}
	case s.Type.Is("object"):
		return func(decoder, into string) string { return fmt.Sprintf("decode%s(%s, %s)", refName(p), decoder, into) }
	case s.Type.Is("boolean"):
		return methodCall("Boolean")
	case s.Type.Is("integer"):
		rules.line("var %s = &%s\n", rule, integerRule(s))
		return func(decoder, into string) string { return fmt.Sprintf("%s.Integer(%s, %s)", decoder, into, rule) }
	case s.Format == "uuid":
		return methodCall("UUID")
	case isTimestamp(s):
		return methodCall("Time")
	}
	rules.line("var %s = &%s\n", rule, stringRule(s))
	return func(decoder, into string) string { return fmt.Sprintf("wire.Text(%s, %s, %s)", decoder, into, rule) }
}

// integerRule leaves a maximum to the domain where a value that is recorded may be greater.
func integerRule(s *openapi3.Schema) string {
	rule := fmt.Sprintf("wire.Integer{Minimum: %s, Maximum: %s", integerOr(s.Min, "math.MinInt64"), integerOr(s.Max, "math.MaxInt64"))
	if recorded := s.Extensions["x-recorded-maximum"]; recorded != nil {
		rule += ", RecordedMaximum: " + plain(recorded)
	}
	return rule + "}"
}

func stringRule(s *openapi3.Schema) string {
	rule := fmt.Sprintf("wire.String{MinLength: %d, MaxLength: %s", s.MinLength, lengthOr(s.MaxLength))
	if s.Pattern != "" {
		rule += fmt.Sprintf(", Pattern: regexp.MustCompile(%q)", s.Pattern)
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, value := range s.Enum {
			values = append(values, strconv.Quote(fmt.Sprint(value)))
		}
		rule += ", Values: []string{" + strings.Join(values, ", ") + "}"
	}
	return rule + "}"
}

// goType is the Go type of a value that is there, as oapi-codegen writes it.
func (d *document) goType(p *openapi3.SchemaRef) string {
	if name := refName(p); name != "" {
		return name
	}
	switch {
	case p.Value.Type.Is("integer"):
		return "int64"
	case p.Value.Type.Is("boolean"):
		return "bool"
	case p.Value.Format == "uuid":
		return "uuid.UUID"
	case isTimestamp(p.Value):
		return "time.Time"
	}
	return "string"
}
