package strictjson_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

// even is read from text.
type even int

func parseEven(text string) (even, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n%2 != 0 {
		return 0, errors.New("is not even")
	}
	return even(n), nil
}

type inner struct {
	Number int64   `json:"number"`
	Even   *even   `json:"even"`
	Text   *string `json:"text"`
}

type outer struct {
	List []inner `json:"list"`
	One  inner   `json:"one"`
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{}`, ""},
		{` {"list": [], "one": {"number": -9223372036854775808, "even": "4", "text": "é\u0000"}} `, ""},
		{`{"list": null, "one": {"even": null, "text": null}}`, ""},

		{`{"other": 1}`, "other: is not a known key"},
		{`{"One": {}}`, "One: is not a known key"},
		{`{"one": {"number": 5, "NUMBER": -100}}`, "one.NUMBER: is not a known key"},
		{`{"one": {"number": 5, "number": 5}}`, "one.number: comes twice"},
		{`{"one": {"number": 5, "num\u0062er": 5}}`, "one.number: comes twice"},
		{`{"list": [{}, {"number": 1.0}]}`, "list[1].number: must be an integer of at most 64 bits"},
		{`{"list": [{}, {"number": 1e3}]}`, "list[1].number: must be an integer of at most 64 bits"},
		{`{"one": {"number": 9223372036854775808}}`, "one.number: must be an integer of at most 64 bits"},
		{`{"one": {"number": "5"}}`, "one.number: must not be a string"},
		{`{"one": {"text": 5}}`, "one.text: must not be a number"},
		{`{"one": {"text": true}}`, "one.text: must not be true"},
		{`{"one": []}`, "one: must not be an array"},
		{`{"list": {}}`, "list: must not be an object"},
		{`[]`, "must not be an array"},
		{`{"one": {"even": "3"}}`, "one.even: is not even"},
		{`{"list": [{"even": 4}]}`, "list[0].even: must be a string"},
	} {
		var into outer
		err := strictjson.Decode([]byte(c.text), &into, strictjson.Text(parseEven))
		switch {
		case c.want == "":
			if err != nil {
				t.Errorf("%s: %v", c.text, err)
			}
		case err == nil || err.Error() != c.want:
			t.Errorf("%s: got %v; want %s", c.text, err, c.want)
		}
	}
}

func TestDecodeValues(t *testing.T) {
	var into outer
	text := `{"one": {"number": 9223372036854775807, "even": "-2", "text": "a\u0000\ud83c\udfd7"}}`
	if err := strictjson.Decode([]byte(text), &into, strictjson.Text(parseEven)); err != nil {
		t.Fatal(err)
	}
	if into.One.Number != 1<<63-1 || *into.One.Even != -2 || *into.One.Text != "a\x00🏗" {
		t.Errorf("got %d, %d, %q", into.One.Number, *into.One.Even, *into.One.Text)
	}
}

// An error about malformed JSON does not name the decoder.
func TestDecodeMalformed(t *testing.T) {
	for _, text := range []string{
		``, ` `, `{`, `{"one": {}`, `{"one" {}}`, `{"one": {}} {}`, `{"one": {}}x`, `{'one': {}}`, `{"one": {},}`, `{"one": {"number": 01}}`,
		`{"one": {"number": NaN}}`, "{\"one\": {\"text\": \"\xff\"}}", "{\"one\": {\"text\": \"a\x00\"}}", `{"one": {"text": "\ud800"}}`, `// x`,
		"\ufeff{}",
	} {
		var into outer
		err := strictjson.Decode([]byte(text), &into, strictjson.Text(parseEven))
		wrong, ok := errors.AsType[*strictjson.Error](err)
		if !ok {
			t.Errorf("%q: got %v; want an *Error", text, err)
			continue
		}
		if plain := strictjson.Plain(wrong.Reason); plain == "" || len(plain) > 4 && plain[:4] == "json" {
			t.Errorf("%q: %q", text, plain)
		}
	}
}

func TestField(t *testing.T) {
	for pointer, want := range map[jsontext.Pointer]string{
		"": "", "/leases": "leases", "/leases/3/started_at": "leases[3].started_at", "/lists/1/0": "lists[1][0]",
		"/labels/a~1b~0c": "labels.a/b~c", "/labels/4k": "labels.4k", "/labels/v1.5": "labels.v1.5", "/labels/": "labels.",
		jsontext.Pointer("/labels/" + strings.Repeat("é", 65)): "labels." + strings.Repeat("é", 64) + "…",
	} {
		if got := strictjson.Field(pointer); got != want {
			t.Errorf("%q: got %q, want %q", pointer, got, want)
		}
	}
}
