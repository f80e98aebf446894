package client

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// UUID is the UUID of github.com/google/uuid.
type UUID = uuid.UUID

// Date is a day without a time, at midnight UTC. It prints and encodes as YYYY-MM-DD.
type Date struct {
	time.Time
}

// String returns the date as YYYY-MM-DD.
func (d Date) String() string { return d.Format(time.DateOnly) }

// MarshalText returns the date as YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a date from YYYY-MM-DD.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return err
	}
	d.Time = parsed
	return nil
}

// MarshalJSON returns the date as a string YYYY-MM-DD.
func (d Date) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a date from a string YYYY-MM-DD. It leaves the date unchanged for null.
func (d *Date) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(s))
}

// wireTime is a time in the JSON of the API.
type wireTime time.Time

var errYear = errors.New("the year is not between 0 and 9999")

func (t wireTime) MarshalJSON() ([]byte, error) {
	utc := time.Time(t).UTC()
	if year := utc.Year(); year < 0 || year > 9999 {
		return nil, errYear
	}
	return []byte(`"` + timestamp(utc) + `"`), nil
}

// notNull returns the list, or an empty one for nil, which encoding/json would write as null.
func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
