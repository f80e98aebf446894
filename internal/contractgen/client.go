package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// clientErrors writes the codes and the errors that callers of the client compare with.
func clientErrors(d *document) []byte {
	s := goFile("client")
	s.line("// The documented codes, with the HTTP status of each.\nconst (")
	for _, row := range d.errorRows {
		s.line("// Code%s comes with the status %d. %s", goName(row.Code), row.Status, oneLine(row.What))
		s.line("Code%s Code = %q", goName(row.Code), row.Code)
	}
	s.line(")\n")
	s.line("// The documented codes as errors, for [errors.Is]: an [*Error] with the code is the error of the same name.\nvar (")
	for _, row := range d.errorRows {
		s.line("Err%s error = codeError(Code%s) // %d %s", goName(row.Code), goName(row.Code), row.Status, http.StatusText(row.Status))
	}
	s.line(")")
	return s.Bytes()
}

// clientNames are the types of the client for schemas that are not exported there under their own names. A type with a capital is
// written by hand.
var clientNames = map[string]string{
	"Error": "errorEnvelope", "ErrorCode": "Code", "ErrorDetail": "errorDetail",
	"RecordLeasesRequest": "recordLeasesRequest", "RecordedLeaseList": "recordedLeaseList",
}

func clientName(schema string) string {
	if name, ok := clientNames[schema]; ok {
		return name
	}
	return schema
}

// clientModels writes the types of the contract for the package that people import: the fields with their descriptions, the values
// of an enumeration beside its type, and encoders where encoding/json would write something else than the API does.
func clientModels(d *document) []byte {
	var body source
	for _, name := range d.schemas {
		schema := d.Components.Schemas[name].Value
		goType := clientName(name)
		switch {
		case goType != name && goType != lowerFirst(goType):
			// It is written by hand.
		case len(schema.Enum) > 0:
			more := " Later versions of the API may have more values."
			if strings.Contains(oneLine(schema.Description), "Later versions") {
				more = ""
			}
			body.line("%s\ntype %s string\n", d.typeComment(goType, schema.Description+more), goType)
			body.line("// The values of %s.\nconst (", goType)
			for _, value := range schema.Enum {
				body.line("%s%s %s = %q", goType, goName(fmt.Sprint(value)), goType, value)
			}
			body.line(")\n")
			body.line("// Valid reports whether this version of the package knows the value.\nfunc (v %s) Valid() bool {\nswitch v {\ncase", goType)
			for i, value := range schema.Enum {
				body.line("%s%s%s", goType, goName(fmt.Sprint(value)), map[bool]string{true: ":", false: ","}[i == len(schema.Enum)-1])
			}
			body.line("return true\n}\nreturn false\n}\n")
		case isMap(schema):
			body.line("%s\ntype %s map[string]string\n", d.typeComment(goType, schema.Description), goType)
		default:
			body.line("%s\ntype %s struct {", d.typeComment(goType, schema.Description), goType)
			for _, key := range d.properties[name] {
				property := schema.Properties[key]
				goType := fieldType(property, !slices.Contains(schema.Required, key))
				description := oneLine(property.Value.Description) + bounds(property.Value)
				if (strings.HasPrefix(goType, "*") || isMap(property.Value)) && !nullWord.MatchString(description) && !strings.Contains(description, "absent") {
					description += " It is null where there is none."
				}
				if version := extension(property.Value.Extensions, since); version != "" {
					description += " Servers before " + version + " do not have it; it is nil then."
				}
				body.line("%s", d.comment(description))
				body.line("%s %s %s", goName(key), goType, tag(schema, key))
			}
			body.line("}\n")
			if d.needsEncoder(name) {
				d.clientEncoder(&body, name)
			}
		}
	}
	s := goFile("client", usedImports(body.String(), "encoding/json", "time")...)
	s.Write(body.Bytes())
	return s.Bytes()
}

// fieldType is the type of a property in Go: a pointer where the value may be null or absent, but for a map, which may be nil itself.
func fieldType(p *openapi3.SchemaRef, optional bool) string {
	s := p.Value
	var name string
	switch {
	case isMap(s):
		return clientName(refName(p))
	case refName(p) != "":
		name = clientName(refName(p))
	case s.Type.Is("array"):
		return "[]" + fieldType(s.Items, false)
	case s.Type.Is("integer"):
		name = "int64"
	case s.Type.Is("boolean"):
		name = "bool"
	case s.Format == "uuid":
		name = "UUID"
	case s.Format == "date":
		name = "Date"
	case isTimestamp(s):
		name = "time.Time"
	default:
		name = "string"
	}
	if s.Nullable || optional {
		return "*" + name
	}
	return name
}

func tag(s *openapi3.Schema, key string) string {
	if slices.Contains(s.Required, key) {
		if version := extension(s.Properties[key].Value.Extensions, since); version != "" {
			return fmt.Sprintf("`json:%q since:%q`", key, version)
		}
		return fmt.Sprintf("`json:%q`", key)
	}
	return fmt.Sprintf("`json:%q`", key+",omitempty")
}

// needsEncoder reports whether a schema has times, which encoding/json writes in another form, or lists, which it writes as null
// where they are nil.
func (d *document) needsEncoder(name string) bool {
	for _, p := range d.Components.Schemas[name].Value.Properties {
		if isTimestamp(p.Value) || p.Value.Type.Is("array") {
			return true
		}
	}
	return false
}

// clientEncoder writes MarshalJSON for a type, and the struct that it encodes.
func (d *document) clientEncoder(s *source, name string) {
	schema, goType := d.Components.Schemas[name].Value, clientName(name)
	var fields, values source
	for _, key := range d.properties[name] {
		p, field := schema.Properties[key], goName(key)
		fieldGoType := fieldType(p, !slices.Contains(schema.Required, key))
		value := "m." + field
		switch {
		case fieldGoType == "time.Time":
			fieldGoType, value = "wireTime", "wireTime("+value+")"
		case fieldGoType == "*time.Time":
			fieldGoType, value = "*wireTime", "(*wireTime)("+value+")"
		case p.Value.Type.Is("array"):
			value = "notNull(" + value + ")"
		}
		fields.line("%s %s %s", field, fieldGoType, tag(schema, key))
		values.line("%s,", value)
	}
	encoded := lowerFirst(goType) + "JSON"
	s.line("// %s is %s as the API writes it.\ntype %s struct {\n%s}\n", encoded, goType, encoded, fields.String())
	s.line("func (m %s) encoded() %s {\nreturn %s{\n%s}\n}\n", goType, encoded, encoded, values.String())
	s.line("// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].")
	s.line("func (m %s) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }\n", goType)
}

// bounds is a sentence about the bounds of a property.
func bounds(s *openapi3.Schema) string {
	switch {
	case s.Min != nil && s.Max != nil:
		return fmt.Sprintf(" It is between %s and %s.", grouped(int64(*s.Min)), grouped(int64(*s.Max)))
	case s.Min != nil:
		return fmt.Sprintf(" It is at least %s.", grouped(int64(*s.Min)))
	case s.Max != nil:
		return fmt.Sprintf(" It is at most %s.", grouped(int64(*s.Max)))
	}
	return ""
}

// grouped writes an integer with a space before each group of three digits.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

var (
	inBackticks = regexp.MustCompile("`([^`]+)`")
	nullWord    = regexp.MustCompile(`\bnull\b`)
)

// comment makes a doc comment of a description, in which properties have the names of their fields in Go and null is nil.
func (d *document) comment(description string) string {
	text := inBackticks.ReplaceAllStringFunc(oneLine(description), func(code string) string {
		word := strings.Trim(code, "`")
		for _, properties := range d.properties {
			if slices.Contains(properties, word) {
				return goName(word)
			}
		}
		return strconv.Quote(word)
	})
	var lines []string
	line := "//"
	for word := range strings.FieldsSeq(nullWord.ReplaceAllString(text, "nil")) {
		if len(line)+1+len(word) > 118 {
			lines = append(lines, line)
			line = "//"
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}

// typeComment makes the doc comment of a type of a description, which says what the type is.
func (d *document) typeComment(name, description string) string {
	return d.comment(name + " is " + lowerFirst(oneLine(description)))
}

// clientRequests writes one function for each operation, which builds its request.
func clientRequests(d *document) []byte {
	var body source
	for _, op := range d.operations {
		path, params := strconv.Quote(strings.TrimPrefix(op.path, "/")), "base string"
		var fields, statements source
		query, header := "nil", "nil"
		for _, p := range op.Parameters {
			goType := fieldType(&openapi3.SchemaRef{Value: p.Value.Schema.Value}, false)
			argument := lowerFirst(goName(p.Value.Name))
			if strings.ToUpper(argument) == goName(p.Value.Name) || goName(p.Value.Name) == "ID" {
				argument = strings.ToLower(argument)
			}
			if p.Value.In == openapi3.ParameterInPath {
				params += fmt.Sprintf(", %s %s", argument, goType)
				path = strings.ReplaceAll(path, "{"+p.Value.Name+"}", `"+url.PathEscape(`+textOf(argument, goType)+`)+"`)
				continue
			}
			field := "params." + goName(p.Value.Name)
			target := "query"
			add := `query = append(query, "` + p.Value.Name + `="+url.QueryEscape(%s))`
			if p.Value.In == openapi3.ParameterInHeader {
				target, add = "header", `header.Set("`+p.Value.Name+`", %s)`
			}
			if target == "query" && query == "nil" {
				query = "query"
				statements.line("var query []string")
			}
			if target == "header" && header == "nil" {
				header = "header"
				statements.line("header := http.Header{}")
			}
			if p.Value.Required {
				fields.line("%s %s", goName(p.Value.Name), goType)
				statements.line(add, textOf(field, goType))
			} else {
				fields.line("%s *%s", goName(p.Value.Name), goType)
				statements.line("if %s != nil {\n"+add+"\n}", field, textOf("*"+field, goType))
			}
		}
		title := strings.ToUpper(op.OperationID[:1]) + op.OperationID[1:]
		if fields.Len() > 0 {
			name := op.OperationID + "Params"
			body.line("// %s are the parameters of %s.\ntype %s struct {\n%s}\n", name, op.OperationID, name, fields.String())
			params += ", params *" + name
		}
		content := "nil"
		if op.RequestBody != nil {
			content = "body"
			params += ", body " + clientName(refName(op.RequestBody.Value.Content.Get("application/json").Schema))
		}
		body.line("// new%sRequest builds %s %s. The base ends with a slash.", title, op.method, op.path)
		body.line("func new%sRequest(%s) (*http.Request, error) {\n%sreturn newRequest(%s, base+%s, %s, %s, %s)\n}\n", title, params, statements.String(), methodConstant(op.method), strings.ReplaceAll(path, `+""`, ""), query, header, content)
	}
	s := goFile("client", usedImports(body.String(), "net/http", "net/url", "strconv")...)
	s.Write(body.Bytes())
	return s.Bytes()
}

func methodConstant(method string) string {
	return "http.Method" + method[:1] + strings.ToLower(method[1:])
}

// textOf is the expression of a value as text.
func textOf(value, goType string) string {
	switch goType {
	case "int64":
		return "strconv.FormatInt(" + value + ", 10)"
	case "bool":
		return "strconv.FormatBool(" + value + ")"
	case "UUID":
		return strings.TrimPrefix(value, "*") + ".String()"
	}
	return value
}

// clientExamples writes the answers that the contract has as examples, for the examples of the package.
func clientExamples(d *document) []byte {
	s := goFile("client_test")
	s.line("// contractAnswers has the contract's example of a successful answer for each operation, by its pattern for [http.ServeMux].")
	s.line("var contractAnswers = map[string]struct {\nstatus int\nbody string\n}{")
	for _, op := range d.operations {
		for status, response := range op.Responses.Map() {
			if code, err := strconv.Atoi(status); err == nil && code < http.StatusMultipleChoices {
				s.line("%q: {%d, %s},", op.method+" "+op.path, code, exampleJSON(response.Value))
			}
		}
	}
	s.line("}\n")
	s.line("// contractErrors has the contract's example of an error for each status.")
	s.line("var contractErrors = map[int]string{")
	for _, row := range d.errorRows {
		for _, name := range slices.Sorted(maps.Keys(d.Components.Responses)) {
			example, _ := d.Components.Responses[name].Value.Content.Get("application/json").Example.(map[string]any)
			if inner, _ := example["error"].(map[string]any); inner["code"] == row.Code {
				s.line("%d: %s,", row.Status, exampleJSON(d.Components.Responses[name].Value))
			}
		}
	}
	s.line("}")
	return s.Bytes()
}

func exampleJSON(r *openapi3.Response) string {
	text, err := json.Marshal(r.Content.Get("application/json").Example)
	if err != nil {
		panic(err) // it was read from the document
	}
	return "`" + string(text) + "`"
}
