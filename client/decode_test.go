package client

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDecodeByTags(t *testing.T) {
	type item struct {
		At       time.Time `json:"at"`
		Nullable *int64    `json:"nullable"`
		Optional *int64    `json:"optional,omitempty"`
	}
	type inner struct {
		Items []item `json:"items"`
	}
	type answer struct {
		Items []item `json:"items"`
		Inner *inner `json:"inner,omitempty"`
		Map   Labels `json:"map,omitempty"`
	}
	tests := []struct{ json, problem string }{
		{`{"items":[]}`, ""},
		{`{"items":[{"at":"2026-06-06T10:00:00Z","nullable":1,"optional":2}]}`, ""},
		{`{"items":[{"at":"2026-06-06T10:00:00Z","nullable":null}]}`, ""},
		{`{"items":[{"at":"2026-06-06T10:00:00Z","nullable":null,"optional":null}],"inner":null}`, ""},
		{`{"items":[],"map":null}`, ""},
		{`{"items":[],"map":{"Items":"a","items":"b","\u0061":"c"}}`, ""},
		{`{"items":[],"map":{"a":null}}`, "map.a is null"},
		{`{"items":[{"at":null,"nullable":1}]}`, "items[0].at is null"},
		{`{"items":[{"at":"2026-06-06T10:00:00Z","nullable":1},{"at":"2026-06-06T10:00:00Z"}]}`, "items[1].nullable is missing"},
		{`{"items":[],"inner":{}}`, "inner.items is missing"},
		{`{"items":[],"Items":[{}]}`, "Items is not how the field is spelled"},
		{`{"items":[],"item\u0073":[{}]}`, `item\u0073 is not how the field is spelled`},
		{`{"items":[],"é":{"items":{},"\"}\\":["]",[[]],{}]},"n":null,"t":true,"f":-1.5e-3}`, ""},
		{"\t{ \"x\" :\r\n[ 1 , null ] , \"items\" : [ { \"nullable\" : null , \"at\" : \"2026-06-06T10:00:00Z\" } ] } \n ", ""},
	}
	for _, test := range tests {
		_, err := decode[answer]([]byte(test.json))
		if got := message(err); got != test.problem {
			t.Errorf("%s\ngot  %q\nwant %q", test.json, got, test.problem)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// For every answer, decode returns a complete value or an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"data":[{"id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10","amount_cents":-1,"source":"refund","description":null,` +
		`"created_at":"2026-06-06T10:00:00.000000Z"}],"next_cursor":null}`))
	f.Add([]byte(`{"data":[],"next_cursor":"\"\\\u00e9","x":[{"y":{}},[],"]"]}`))
	f.Add([]byte(`{"data":[{}],"next_cursor":1}`))
	f.Add([]byte(`null`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decode[TransactionList](body)
		if err != nil {
			return
		}
		// The keys of the answer by the standard library.
		var keys struct {
			Data []map[string]json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(body, &keys); err != nil || len(keys.Data) != len(got.Data) {
			t.Fatalf("%s\n%v", body, err)
		}
		for _, item := range keys.Data {
			for _, key := range []string{"id", "amount_cents", "source", "description", "created_at"} {
				if raw, ok := item[key]; !ok || key != "description" && string(raw) == "null" {
					t.Errorf("%s lacks %s", body, key)
				}
			}
		}
		again, err := json.Marshal(got)
		if err != nil {
			return // a year that RFC 3339 cannot tell
		}
		if round, err := decode[TransactionList](again); err != nil || len(round.Data) != len(got.Data) {
			t.Errorf("%s\nbecame %s: %v", body, again, err)
		}
	})
}
