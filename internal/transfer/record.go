// Package transfer reads and writes the books as NDJSON, one record a line.
package transfer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

// The types of records.
const (
	typeOrganization = "organization"
	typeToken        = "token"
	typeRateCard     = "rate_card"
	typeLease        = "lease"
	typeCredit       = "credit"
	typeEntry        = "entry"
	typeHead         = "head"
)

// Keys of records that are not fields.
const (
	keyType          = "type"
	keyOrg           = "org"           // the slug of the organization, in a rate card, a lease, a credit, an entry and a head
	keyOrganizations = "organizations" // the slugs of a token
)

// creditRecord is a credit that other systems write. It becomes an entry, so no export has any.
type creditRecord struct {
	Type           string         `json:"type"`
	Org            string         `json:"org"`
	AmountCents    int64          `json:"amount_cents"`
	Source         billing.Source `json:"source"`
	Description    *string        `json:"description"`
	IdempotencyKey string         `json:"idempotency_key"`
}

// head says what the digest of a ledger is, up to the entry with the number. It is checked and changes nothing.
type head struct {
	Seq    int64
	Digest billing.Digest
}

var headFields = []billing.Field[head]{
	{Name: "seq", Of: func(h *head) any { return &h.Seq }},
	{Name: "digest", Of: func(h *head) any { return &h.Digest }},
}

// slugs are the organizations of a record, beside its fields.
type slugs struct {
	key    string
	text   string // JSON
	before string // the key of the field that it stands before; none for no organization
}

func parseHash(text string) (hash billing.TokenHash, err error) {
	if len(text) == 2*len(hash) {
		if _, err = hex.Decode(hash[:], []byte(text)); err == nil {
			return hash, nil
		}
	}
	return hash, fmt.Errorf("must be %d hexadecimal digits", 2*len(hash))
}

// typeOf returns the type of a record. A record without a type is recognized by its keys.
func typeOf(line []byte) (string, error) {
	if line[0] != '{' {
		return "", errors.New("the line is not a JSON object")
	}
	var keys struct {
		Type        jsontext.Value `json:"type"`
		CPUCount    jsontext.Value `json:"cpu_count"`
		AmountCents jsontext.Value `json:"amount_cents"`
	}
	// Keys that come twice are for the decoder of the type to refuse.
	if err := json.Unmarshal(line, &keys, jsontext.AllowDuplicateNames(true)); err != nil {
		return "", fmt.Errorf("the line is not valid JSON: %s", strictjson.Plain(err))
	}
	switch {
	case keys.Type.Kind() == '"':
		kind, err := jsontext.AppendUnquote(nil, keys.Type)
		return string(kind), err
	case keys.Type != nil:
		return "", errors.New("type: must be a string")
	case keys.CPUCount != nil:
		return typeLease, nil
	case keys.AmountCents != nil:
		return typeCredit, nil
	}
	return "", errors.New("the line has no type, and neither the keys of a lease nor of a credit")
}

// keys are the keys of a record that have a value other than null.
type keys []string

func (k keys) has(name string) bool { return slices.Contains(k, name) }

func (k keys) require(names ...string) error {
	for _, name := range names {
		if !k.has(name) {
			return fmt.Errorf("%s is required", name)
		}
	}
	return nil
}

// read reads a record into the fields of v, and the value of one more key into slugs.
func read[T any](line []byte, key string, slugs any, fields []billing.Field[T], v *T) (given keys, err error) {
	given = make(keys, 0, len(fields))
	err = strictjson.DecodeObject(line, func(name []byte, dec *jsontext.Decoder) error {
		switch string(name) {
		case "": // no field is exported under it, and a record without organizations has no key for them
			return strictjson.ErrUnknownKey
		case keyType:
			return dec.SkipValue()
		case key:
			return json.UnmarshalDecode(dec, slugs)
		}
		for i := range fields {
			if f := &fields[i]; f.ExportKey() == string(name) {
				if f.JSON && dec.PeekKind() != 'n' {
					given = append(given, f.ExportKey())
					return readLabels(dec, f.Of(v).(**string)) //nolint:errcheck // the type of such fields
				}
				token, err := dec.ReadToken()
				if err == nil && token.Kind() != 'n' {
					given = append(given, f.ExportKey())
					err = readValue(token, f.Of(v))
				}
				return err
			}
		}
		return strictjson.ErrUnknownKey
	})
	return given, err
}

// readLabels reads an object of texts.
func readLabels(dec *jsontext.Decoder, into **string) (err error) {
	var labels map[string]string
	err = json.UnmarshalDecode(dec, &labels)
	*into = billing.FormatLabels(labels)
	return err
}

// readValue reads a value other than null into a field.
func readValue(token jsontext.Token, into any) (err error) {
	switch into := into.(type) {
	case *int64:
		*into, err = strictjson.Integer(token)
	case **int64:
		*into = new(int64)
		**into, err = strictjson.Integer(token)
	case *string:
		*into, err = readText(token, asString)
	case **string:
		*into = new(string)
		**into, err = readText(token, asString)
	case *billing.Source:
		*into, err = readText(token, func(text string) (billing.Source, error) { return billing.Source(text), nil })
	case *billing.Role:
		*into, err = readText(token, func(text string) (billing.Role, error) { return billing.Role(text), nil })
	case *billing.Time:
		*into, err = readText(token, billing.ParseTime)
	case **billing.Time:
		*into = new(billing.Time)
		**into, err = readText(token, billing.ParseTime)
	case *billing.ID:
		*into, err = readText(token, billing.ParseID)
	case **billing.ID:
		*into = new(billing.ID)
		**into, err = readText(token, billing.ParseID)
	case *billing.TokenHash:
		*into, err = readText(token, parseHash)
	case *billing.Digest:
		*into, err = readText(token, billing.ParseDigest)
	default:
		err = fmt.Errorf("a field of type %T", into)
	}
	return err
}

func asString(text string) (string, error) { return text, nil }

func readText[V any](token jsontext.Token, parse func(string) (V, error)) (v V, err error) {
	if token.Kind() != '"' {
		return v, errors.New("must be a string")
	}
	return parse(token.String())
}

// appendRecord appends a record with the fields of v, and with its organizations.
func appendRecord[T any](line []byte, kind string, slugs slugs, fields []billing.Field[T], v *T) ([]byte, error) {
	line = append(line, `{"type":"`+kind+`"`...)
	for i := range fields {
		f := &fields[i]
		name, value := f.ExportKey(), f.Known(v)
		if name != "" && name == slugs.before {
			line = append(line, `,"`+slugs.key+`":`+slugs.text...)
		}
		if name == "" || value == nil && f.OmitNull {
			continue
		}
		line = append(line, `,"`+name+`":`...)
		if object, ok := value.(*string); ok && f.JSON {
			line = append(line, *object...)
			continue
		}
		var err error
		if line, err = appendValue(line, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return append(line, "}\n"...), nil
}

// appendValue appends the value of a field.
func appendValue(line []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(line, "null"...), nil
	case *int64:
		return strconv.AppendInt(line, *v, 10), nil
	case *string:
		return jsontext.AppendQuote(line, *v)
	case *billing.Source:
		return jsontext.AppendQuote(line, string(*v))
	case *billing.Role:
		return jsontext.AppendQuote(line, string(*v))
	case *billing.Time:
		return jsontext.AppendQuote(line, v.String())
	case *billing.ID:
		return jsontext.AppendQuote(line, v.String())
	case *billing.TokenHash:
		return jsontext.AppendQuote(line, hex.EncodeToString(v[:]))
	case *billing.Digest:
		return jsontext.AppendQuote(line, v.String())
	}
	return nil, fmt.Errorf("a field of type %T", value)
}
