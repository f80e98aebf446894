package billing

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	full := map[string]string{}
	for i := range LabelsMaxProperties {
		full[fmt.Sprintf("k%02d", i)] = "v"
	}
	more := maps.Clone(full)
	more["one-more"] = "v"
	for _, c := range []struct {
		labels  map[string]string
		want    string // empty for no labels
		problem string // empty for none
	}{
		{nil, "", ""},
		{map[string]string{}, "", ""},
		{map[string]string{"gpu": "l4", "Team": "web", "a/b": "1", "a.b": "2", "a-b": "3"}, `{"Team":"web","a-b":"3","a.b":"2","a/b":"1","gpu":"l4"}`, ""},
		{map[string]string{"k": "\b\t\n\f\r\"\\\x01\x1f<>&\u2028é🏗\x7f"}, `{"k":"\b\t\n\f\r\"\\\u0001\u001f<>&` + "\u2028é🏗\x7f" + `"}`, ""},
		{map[string]string{strings.Repeat("k", LabelsKeyMaxLength): strings.Repeat("é", LabelsValueMaxLength)},
			`{"` + strings.Repeat("k", LabelsKeyMaxLength) + `":"` + strings.Repeat("é", LabelsValueMaxLength) + `"}`, ""},
		{full, `{"k00":"v","k01":"v","k02":"v","k03":"v","k04":"v","k05":"v","k06":"v","k07":"v","k08":"v","k09":"v","k10":"v","k11":"v","k12":"v","k13":"v","k14":"v","k15":"v"}`, ""},
		{more, "", "at most 16 keys"},
		{map[string]string{"": "v"}, "", "a key must have 1 to 63"},
		{map[string]string{"-k": "v"}, "", "a key must have 1 to 63"},
		{map[string]string{"k\n": "v"}, "", "a key must have 1 to 63"},
		{map[string]string{strings.Repeat("k", LabelsKeyMaxLength+1): "v"}, "", "a key must have 1 to 63"},
		{map[string]string{"k": ""}, "", "must not be empty"},
		{map[string]string{"k": strings.Repeat("é", LabelsValueMaxLength+1)}, "", "at most 255 characters"},
		{map[string]string{"k": "a\x00"}, "", "NUL"},
		{map[string]string{"k": "\xff"}, "", "UTF-8"},
	} {
		text := FormatLabels(c.labels)
		err := checkLabels(text)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%v: got %v, want %s", c.labels, err, c.problem)
			}
			continue
		}
		if err != nil || (text == nil) != (c.want == "") || text != nil && *text != c.want {
			t.Errorf("%v: got %v, %v; want %s", c.labels, text, err, c.want)
		}
		again, err := ParseLabels(text)
		if err != nil || !maps.Equal(again, c.labels) {
			t.Errorf("%v became %v: %v", c.labels, again, err)
		}
	}
	for _, damaged := range []string{"", "{", `["a"]`, `{"a":1}`} {
		if labels, err := ParseLabels(&damaged); err == nil {
			t.Errorf("%s was read as %v", damaged, labels)
		}
	}
}
