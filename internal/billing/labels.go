package billing

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// labelKey is the form of a key, which a command line and a query can name without quotes.
var labelKey = regexp.MustCompile(LabelsKeyPattern)

// FormatLabels returns labels as the JSON that is stored: the canonical form of RFC 8785, in which equal labels have equal texts. No
// labels are nil.
func FormatLabels(labels map[string]string) *string {
	if len(labels) == 0 {
		return nil
	}
	text := []byte{'{'}
	for i, key := range slices.Sorted(maps.Keys(labels)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendCanonical(append(appendCanonical(text, key), ':'), labels[key])
	}
	return new(string(append(text, '}')))
}

// checkLabels checks the labels of a lease.
func checkLabels(text *string) error {
	if text != nil && !utf8.ValidString(*text) {
		return errors.New("labels must be valid UTF-8")
	}
	labels, err := ParseLabels(text)
	if err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	if len(labels) > LabelsMaxProperties {
		return fmt.Errorf("labels must have at most %d keys", LabelsMaxProperties)
	}
	for key, value := range labels {
		if err := checkLabel(key, value); err != nil {
			return fmt.Errorf("labels: %w", err)
		}
	}
	return nil
}

// appendCanonical appends a JSON string of RFC 8785. encoding/json escapes more, and what it escapes depends on its version.
func appendCanonical(b []byte, text string) []byte {
	const named = "\b\t\n\f\r\"\\"
	b = append(b, '"')
	for i := range len(text) {
		c := text[i]
		switch at := strings.IndexByte(named, c); {
		case at >= 0:
			b = append(b, '\\', `btnfr"\`[at])
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// CheckLabelKey checks the key of a label.
func CheckLabelKey(key string) error {
	if len(key) > LabelsKeyMaxLength || !labelKey.MatchString(key) {
		return fmt.Errorf("a key must have 1 to %d letters, digits or characters of ._/-, and begin with a letter or a digit", LabelsKeyMaxLength)
	}
	return nil
}

// checkLabel checks one label.
func checkLabel(key, value string) error {
	if err := CheckLabelKey(key); err != nil {
		return err
	}
	if len(value) < LabelsValueMinLength {
		return errors.New("a value must not be empty")
	}
	return checkText("a value", &value, LabelsValueMaxLength)
}

// ParseLabels reads labels of the form that FormatLabels returns, nil for none.
func ParseLabels(text *string) (labels map[string]string, err error) {
	if text == nil {
		return nil, nil
	}
	err = json.Unmarshal([]byte(*text), &labels)
	return labels, err
}

// labelsOf returns the labels of a lease, none if they are damaged.
func labelsOf(l *Lease) map[string]string {
	labels, err := ParseLabels(l.Labels)
	if err != nil {
		return nil
	}
	return labels
}
