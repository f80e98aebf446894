package wire

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"
)

// box and thing stand for generated types.
type box struct {
	Things []thing
	Note   *string
	Tags   *map[string]string
}

type thing struct {
	ID    uuid.UUID
	Count int64
	At    *time.Time
	Big   *bool
}

var (
	boxRequired   = []Required{{Key: "things"}}
	thingRequired = []Required{{Key: "id"}, {Key: "count", Code: "count_invalid"}}
	countRule     = &Integer{Minimum: 1, Maximum: 10, RecordedMaximum: 20}
	tagsRule      = &StringMap{MaxProperties: 2, Key: String{MaxLength: 4, Pattern: regexp.MustCompile(`^[a-z./0-9]+$`)}, Value: String{MinLength: 1, MaxLength: 3}}
	noteRule      = &String{MinLength: 1, MaxLength: 3, Pattern: regexp.MustCompile(`^[a-zé]+$`)}
)

func decodeBox(d *Decoder, v *box) error {
	return d.Object("", boxRequired, false, func(key []byte) (bool, error) {
		switch string(key) {
		case "things":
			return true, List(d, &v.Things, 1, 2, decodeThing)
		case "note":
			return true, Nullable(d, &v.Note, func(into *string) error { return Text(d, into, noteRule) })
		case "tags":
			return true, Nullable(d, &v.Tags, func(into *map[string]string) error { return Map(d, into, tagsRule) })
		}
		return false, nil
	})
}

func decodeThing(d *Decoder, v *thing) error {
	return d.Object("thing_invalid", thingRequired, true, func(key []byte) (bool, error) {
		switch string(key) {
		case "id":
			return true, d.UUID(&v.ID)
		case "count":
			return true, WithCode(d.Integer(&v.Count, countRule), "count_invalid")
		case "at":
			return true, Nullable(d, &v.At, func(into *time.Time) error { return d.Time(into) })
		case "big":
			return true, Optional(&v.Big, func(into *bool) error { return d.Boolean(into) })
		}
		return false, nil
	})
}

func TestDecode(t *testing.T) {
	const id = `"id":"01990000-0000-7000-8000-0000000000A1"`
	for _, c := range []struct{ body, code, text string }{
		{`{"things":[{` + id + `,"count":20,"at":"2026-06-06","big":true,"else":{"deep":[1]}}],"note":"éa"}`, "", ""},
		{` {"note":null,"things":[{` + id + `,"count":1},{` + id + `,"c\u006funt":1,"at":null}]} `, "", ""},

		{`null`, "body_invalid", "the body must not be null"},
		{`[]`, "body_invalid", "the body must not be an array"},
		{`{}`, "body_invalid", "things: is required"},
		{`{"things":null}`, "body_invalid", "things: must not be null"},
		{`{"things":{}}`, "body_invalid", "things: must not be an object"},
		{`{"things":[]}`, "body_invalid", "things: must have 1 to 2 items"},
		{`{"things":[{` + id + `,"count":1},{` + id + `,"count":1},{"never":"read"}]}`, "body_invalid", "things: must have 1 to 2 items"},
		{`{"other":1}`, "body_invalid", "other: is not a known key"},
		{`{"Things":[]}`, "body_invalid", "Things: is not a known key"},
		{`{"things":[{` + id + `,"count":1}],"things":[]}`, "body_invalid", "things: comes twice"},
		{`{"things":[{` + id + `,"count":1,"count":2}]}`, "body_invalid", "things[0].count: comes twice"},
		{`{"things":[{` + id + `,"count":1,"c\u006funt":2}]}`, "body_invalid", "things[0].count: comes twice"},
		{`{"things":[{"count":1}]}`, "thing_invalid", "things[0].id: is required"},
		{`{"things":[{` + id + `}]}`, "count_invalid", "things[0].count: is required"},
		{`{"things":[null]}`, "thing_invalid", "things[0]: must not be null"},
		{`{"things":[{"id":"x"}]}`, "thing_invalid", "things[0].id: is not a UUID"},
		{`{"things":[{"id":1}]}`, "thing_invalid", "things[0].id: must not be a number"},
		{`{"things":[{` + id + `,"count":0}]}`, "count_invalid", "things[0].count: must be 1 to 10"},
		{`{"things":[{` + id + `,"count":21}]}`, "count_invalid", "things[0].count: must be 1 to 10"},
		{`{"things":[{` + id + `,"count":1.0}]}`, "count_invalid", "things[0].count: must be an integer of at most 64 bits"},
		{`{"things":[{` + id + `,"count":9223372036854775808}]}`, "count_invalid", "things[0].count: must be an integer of at most 64 bits"},
		{`{"things":[{` + id + `,"count":null}]}`, "count_invalid", "things[0].count: must not be null"},
		{`{"things":[{` + id + `,"count":1,"at":"now"}]}`, "thing_invalid", "things[0].at: is neither an RFC 3339 timestamp nor a date"},
		{`{"things":[{` + id + `,"count":1,"big":null}]}`, "thing_invalid", "things[0].big: must not be null"},
		{`{"things":[{` + id + `,"count":1}],"note":""}`, "body_invalid", "note: must have 1 to 3 characters"},
		{`{"things":[{` + id + `,"count":1}],"note":"éééé"}`, "body_invalid", "note: must have 1 to 3 characters"},
		{`{"things":[{` + id + `,"count":1}],"note":"A"}`, "body_invalid", "note: must match ^[a-zé]+$"},
		{`{"things":[{` + id + `,"count":1}],"tags":null}`, "", ""},
		{`{"things":[{` + id + `,"count":1}],"tags":{}}`, "", ""},
		{`{"things":[{` + id + `,"count":1}],"tags":{"a":"1","\u0062/1":"éé"}}`, "", ""},
		{`{"tags":[]}`, "body_invalid", "tags: must not be an array"},
		{`{"tags":{"a":1}}`, "body_invalid", "tags.a: must not be a number"},
		{`{"tags":{"a":null}}`, "body_invalid", "tags.a: must not be null"},
		{`{"tags":{"a":""}}`, "body_invalid", "tags.a: must have 1 to 3 characters"},
		{`{"tags":{"a/1":"éééé"}}`, "body_invalid", "tags.a/1: must have 1 to 3 characters"},
		{`{"tags":{"":"1"}}`, "body_invalid", "tags.: the key must match"},
		{`{"tags":{"A":"1"}}`, "body_invalid", "tags.A: the key must match"},
		{`{"tags":{"aaaaa":"1"}}`, "body_invalid", "tags.aaaaa: the key must have at most 4 characters"},
		{`{"tags":{"a":"1","b":"2","c":"3","c":{"never":"read`, "body_invalid", "tags: must have at most 2 keys"},
		{`{"tags":{"a":"1","\u0061":"2"}}`, "body_invalid", "tags.a: comes twice"},
		{`{"tags":{"a":"1"`, "body_invalid", ""},
		{`{"things":[{` + id + `,"count":1}]} x`, "body_invalid", ""},
		{``, "body_invalid", ""},
	} {
		var into box
		err := Decode([]byte(c.body), "body_invalid", &into, decodeBox)
		refused, ok := errors.AsType[*Error](err)
		switch {
		case c.code == "":
			if err != nil || len(into.Things) == 0 || into.Things[0].ID[15] != 0xa1 || into.Things[0].Count == 0 {
				t.Errorf("%s: %v, %+v", c.body, err, into)
			}
		case !ok || refused.Code != c.code || !strings.HasPrefix(err.Error(), c.text):
			t.Errorf("%s: got %v; want %s: %s", c.body, err, c.code, c.text)
		}
	}
}

func TestParameterCheck(t *testing.T) {
	limit := &Parameter{Name: "limit", Default: "50", Clamped: true, Integer: &Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}}
	steps := &Parameter{Name: "steps", Required: true, Integer: &Integer{Minimum: 1, Maximum: 10}}
	state := &Parameter{Name: "state", String: &String{MaxLength: math.MaxInt, Values: []string{"running", "billed"}}}
	id := &Parameter{Name: "id", UUID: true}
	whether := &Parameter{Name: "whether", Boolean: true}
	const upper = "01990000-0000-7000-8000-0000000000A1"
	for _, c := range []struct {
		parameter *Parameter
		given     []string
		value     string
		ok        bool
		err       string
	}{
		{limit, nil, "50", true, ""},
		{limit, []string{"7"}, "7", true, ""},
		{limit, []string{"99999999999999999999"}, "9223372036854775807", true, ""},
		{limit, []string{""}, "", false, "limit: must be an integer"},
		{limit, []string{"1", "2"}, "", false, "limit: is given more than once"},
		{steps, nil, "", false, "steps: is required"},
		{steps, []string{"11"}, "", false, "steps: must be 1 to 10"},
		{steps, []string{"99999999999999999999"}, "", false, "steps: must be an integer"},
		{state, nil, "", false, ""},
		{state, []string{"billed"}, "billed", true, ""},
		{state, []string{"Billed"}, "", false, "state: must be running or billed"},
		{id, []string{upper}, strings.ToLower(upper), true, ""},
		{id, []string{"{" + upper + "}"}, "", false, "id: is not a UUID"},
		{whether, []string{"true"}, "true", true, ""},
		{whether, []string{"1"}, "", false, "whether: must be true or false"},
	} {
		value, ok, err := c.parameter.Check(c.given)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if value != c.value || ok != c.ok || text != c.err {
			t.Errorf("%s %q: got %q, %t, %v", c.parameter.Name, c.given, value, ok, err)
		}
	}
}

func TestAppend(t *testing.T) {
	at := time.Date(2026, 6, 6, 12, 0, 0, 1_999, time.FixedZone("", 7200))
	note := "a\"\x01é"
	var b []byte
	b = AppendTime(append(b, '['), at)
	b = AppendDate(append(b, ','), openapi_types.Date{Time: at})
	b = AppendUUID(append(b, ','), uuid.UUID{15: 0xa1})
	b = AppendNullable(append(b, ','), &note, AppendString)
	b = AppendNullable(append(b, ','), nil, AppendInteger)
	b = AppendInteger(append(b, ','), math.MinInt64)
	b = AppendBoolean(append(b, ','), true)
	b = AppendList(append(b, ','), []int64{1, 2}, func(b []byte, n *int64) []byte { return AppendInteger(b, *n) })
	b = AppendList(append(b, ','), nil, func(b []byte, _ *int64) []byte { return b })
	b = AppendMap(append(b, ','), map[string]string{"b/1": "2", "B": "\"", "a": "1"})
	b = AppendMap(append(b, ','), map[string]string(nil))
	const want = `["2026-06-06T10:00:00.000001Z","2026-06-06","00000000-0000-0000-0000-0000000000a1","a\"\u0001é",null,-9223372036854775808,true,[1,2],[],{"B":"\"","a":"1","b/1":"2"},{}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}
