package main

import (
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// encoders writes a function for each schema of an answer that appends a value as JSON, with the keys in the order of the
// document.
func encoders(d *document) []byte {
	s := goFile("httpserver", `. "github.com/harmont-dev/harmont-billing/gen"`, `"github.com/harmont-dev/harmont-billing/internal/wire"`)
	for _, name := range d.schemas {
		schema := d.Components.Schemas[name].Value
		if !d.responses[name] || !schema.Type.Is("object") {
			continue
		}
		d.encoder(s, name, schema)
	}
	return s.Bytes()
}

func (d *document) encoder(s *source, name string, schema *openapi3.Schema) {
	if isMap(schema) {
		s.line("// Append%s appends the value as JSON, with its keys sorted.", name)
		s.line("func Append%s(b []byte, v *%s) []byte { return wire.AppendMap(b, *v) }\n", name, name)
		return
	}
	keys := d.properties[name]
	streamed := slices.IndexFunc(keys, func(key string) bool { return isTrue(schema.Properties[key].Value.Extensions, "x-streamed") })
	if streamed < 0 {
		s.line("// Append%s appends the value as JSON.", name)
		s.line("func Append%s(b []byte, v *%s) []byte {", name, name)
		d.members(s, schema, keys, true)
		s.line("return append(b, '}')\n}\n")
		return
	}
	key := keys[streamed]
	s.line("// Append%sUpTo%s appends the value as JSON up to the first item of its list %s.", name, goName(key), key)
	s.line("// Items follow, separated by commas, and then what Append%sAfter%s appends.", name, goName(key))
	receiver := "v"
	if streamed == 0 {
		receiver = "_"
	}
	s.line("func Append%sUpTo%s(b []byte, %s *%s) []byte {", name, goName(key), receiver, name)
	d.members(s, schema, keys[:streamed], true)
	s.line("return append(b, %q...)\n}\n", comma(streamed)+fmt.Sprintf("%q:[", key))
	s.line("// Append%sAfter%s appends what follows the last item of the list %s.", name, goName(key), key)
	receiver = "v"
	if streamed == len(keys)-1 {
		receiver = "_"
	}
	s.line("func Append%sAfter%s(b []byte, %s *%s) []byte {", name, goName(key), receiver, name)
	s.line("b = append(b, ']')")
	d.members(s, schema, keys[streamed+1:], false)
	s.line("return append(b, '}')\n}\n")
}

func comma(position int) string {
	if position == 0 {
		return "{"
	}
	return ","
}

// members appends properties. Where first is set, the first of them begins the object.
func (d *document) members(s *source, schema *openapi3.Schema, keys []string, first bool) {
	if first && len(keys) > 0 && !slices.Contains(schema.Required, keys[0]) {
		// The first property may be missing, so the brace is written separately, and a comma only between properties.
		s.line("b = append(b, '{')")
		for _, key := range keys {
			d.optionalMember(s, schema, key)
		}
		return
	}
	for i, key := range keys {
		p := schema.Properties[key]
		before := ","
		if first && i == 0 {
			before = "{"
		}
		before += fmt.Sprintf("%q:", key)
		if !slices.Contains(schema.Required, key) && !p.Value.Nullable {
			s.line("if v.%s != nil {\nb = append(b, %q...)\nb = %s\n}", goName(key), before, d.appendValue(p, "*v."+goName(key)))
			continue
		}
		s.line("b = append(b, %q...)", before)
		s.line("b = %s", d.appendMember(schema, key))
	}
}

// optionalMember appends a property of an object in which the first property may be missing.
func (d *document) optionalMember(s *source, schema *openapi3.Schema, key string) {
	p := schema.Properties[key]
	always := slices.Contains(schema.Required, key) || p.Value.Nullable
	if !always {
		s.line("if v.%s != nil {", goName(key))
	}
	s.line("if b[len(b)-1] != '{' {\nb = append(b, ',')\n}")
	s.line("b = append(b, %q...)", fmt.Sprintf("%q:", key))
	if always {
		s.line("b = %s", d.appendMember(schema, key))
	} else {
		s.line("b = %s\n}", d.appendValue(p, "*v."+goName(key)))
	}
}

// appendMember is the expression that appends a property which is always present.
func (d *document) appendMember(schema *openapi3.Schema, key string) string {
	p, field := schema.Properties[key], "v."+goName(key)
	if !p.Value.Nullable {
		return d.appendValue(p, field)
	}
	if name := refName(p); name != "" && p.Value.Type.Is("object") {
		return fmt.Sprintf("wire.AppendNullableObject(b, %s, Append%s)", field, name)
	}
	return fmt.Sprintf("wire.AppendNullable(b, %s, %s)", field, scalar(p.Value))
}

// appendValue is the expression that appends a value which is there.
func (d *document) appendValue(p *openapi3.SchemaRef, value string) string {
	name := refName(p)
	switch {
	case p.Value.Type.Is("array") && refName(p.Value.Items) != "" && p.Value.Items.Value.Type.Is("object"):
		return fmt.Sprintf("wire.AppendList(b, %s, Append%s)", value, refName(p.Value.Items))
	case name != "" && p.Value.Type.Is("object"):
		if value[0] == '*' {
			return fmt.Sprintf("Append%s(b, %s)", name, value[1:])
		}
		return fmt.Sprintf("Append%s(b, &%s)", name, value)
	case name != "" && p.Value.Type.Is("string"):
		return fmt.Sprintf("wire.AppendString(b, string(%s))", value)
	}
	return fmt.Sprintf("%s(b, %s)", scalar(p.Value), value)
}

// scalar is the function that appends a value of a simple type.
func scalar(s *openapi3.Schema) string {
	switch {
	case s.Type.Is("integer"):
		return "wire.AppendInteger"
	case s.Type.Is("boolean"):
		return "wire.AppendBoolean"
	case s.Format == "uuid":
		return "wire.AppendUUID"
	case isTimestamp(s):
		return "wire.AppendTime"
	case s.Format == "date":
		return "wire.AppendDate"
	}
	return "wire.AppendString"
}
