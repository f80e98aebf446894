package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// decode reads a T and fails if a required key is missing or null. encoding/json would leave such a field at zero, and would accept keys in
// another case.
func decode[T any](body []byte) (*T, error) {
	out := new(T)
	if err := json.Unmarshal(body, out); err != nil {
		return nil, err
	}
	s := scanner{json: body}
	if problem := s.value(shapeOf(reflect.TypeFor[T]())); problem != "" {
		return nil, errors.New(strings.TrimPrefix(problem, "."))
	}
	return out, nil
}

// shape has the rules for the JSON of a type that encoding/json does not check.
type shape struct {
	nullable bool
	fields   []field // of an object
	elem     *shape  // of an array's items, or of an object's values under keys of any name
}

type field struct {
	name     string
	required bool
	value    *shape
}

const maxFields = 64 // the bits of the set in scanner.checkObject

var (
	shapes          sync.Map // reflect.Type → *shape
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

// shapeOf reads the shape of a type, not recursive, from its generated tags: a pointer and a map may be null, omitempty marks an
// optional key, and since one that servers before a version do not have.
func shapeOf(t reflect.Type) *shape {
	known, _ := shapes.Load(t)
	if s, ok := known.(*shape); ok {
		return s
	}
	s := new(shape)
	switch {
	case t.Kind() == reflect.Pointer:
		*s = *shapeOf(t.Elem())
		s.nullable = true
	case reflect.PointerTo(t).Implements(unmarshalerType):
	case t.Kind() == reflect.Map:
		s.elem, s.nullable = shapeOf(t.Elem()), true
	case t.Kind() == reflect.Slice:
		s.elem = shapeOf(t.Elem())
	case t.Kind() == reflect.Struct:
		if t.NumField() > maxFields {
			panic("client: too many fields: " + t.String())
		}
		for f := range t.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			required := !strings.Contains(options, "omitempty") && f.Tag.Get("since") == ""
			s.fields = append(s.fields, field{name, required, shapeOf(f.Type)})
		}
	}
	shapes.Store(t, s)
	return s
}

// lookup finds the field of a key, or gives -1 for a key that the client does not know. It is not ok when encoding/json
// may have filled a field from the key all the same: one in another case, or with an escape inside.
func (s *shape) lookup(key []byte) (i int, ok bool) {
	for i, f := range s.fields {
		if f.name == string(key) {
			return i, true
		}
	}
	for _, f := range s.fields {
		if bytes.EqualFold([]byte(f.name), key) || bytes.IndexByte(key, '\\') >= 0 {
			return -1, false
		}
	}
	return -1, true
}

// scanner walks over JSON that encoding/json found valid, and allocates nothing.
type scanner struct {
	json []byte
	pos  int
}

// anyShape is the shape of a value of an unknown key.
var anyShape = shape{nullable: true}

// value skips one value. It returns the path of the first missing field and the problem, or nothing.
func (s *scanner) value(want *shape) string {
	switch s.skipSpace(); s.json[s.pos] {
	case '{':
		return s.checkObject(want)
	case '[':
		return s.checkArray(want)
	case '"':
		s.skipString()
		return ""
	}
	start := s.pos
	for s.pos < len(s.json) && !strings.ContainsRune(" \t\r\n,]}", rune(s.json[s.pos])) {
		s.pos++
	}
	if s.json[start] == 'n' && !want.nullable {
		return " is null"
	}
	return ""
}

func (s *scanner) checkObject(want *shape) string {
	var seen uint64
	for s.pos++; ; {
		switch s.skipSpace(); s.json[s.pos] {
		case ',':
			s.pos++
			continue
		case '}':
			s.pos++
			for i, f := range want.fields {
				if f.required && seen&(1<<i) == 0 {
					return "." + f.name + " is missing"
				}
			}
			return ""
		}
		key, value := s.skipString(), &anyShape
		if want.elem != nil {
			value = want.elem
		}
		if i, ok := want.lookup(key); !ok {
			return "." + string(key) + " is not how the field is spelled"
		} else if i >= 0 {
			seen |= 1 << i
			value = want.fields[i].value
		}
		s.skipSpace()
		s.pos++ // the colon
		if problem := s.value(value); problem != "" {
			return "." + string(key) + problem
		}
	}
}

func (s *scanner) checkArray(want *shape) string {
	elem := want.elem
	if elem == nil {
		elem = &anyShape
	}
	s.pos++
	for i := 0; ; {
		switch s.skipSpace(); s.json[s.pos] {
		case ',':
			s.pos++
			continue
		case ']':
			s.pos++
			return ""
		}
		if problem := s.value(elem); problem != "" {
			return "[" + strconv.Itoa(i) + "]" + problem
		}
		i++
	}
}

// skipString skips a string and returns the text between its quotes.
func (s *scanner) skipString() []byte {
	s.pos++
	start := s.pos
	for ; s.json[s.pos] != '"'; s.pos++ {
		if s.json[s.pos] == '\\' {
			s.pos++
		}
	}
	s.pos++
	return s.json[start : s.pos-1]
}

func (s *scanner) skipSpace() {
	for s.json[s.pos] <= ' ' {
		s.pos++
	}
}
