package models

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// A lease with a value in each field is the same after it was a report, a record, and a lease again.
func TestLeaseComesBack(t *testing.T) {
	var report gen.Lease
	for field, value := range reflect.ValueOf(&report).Elem().Fields() {
		if value.Kind() == reflect.Pointer {
			value.Set(reflect.New(value.Type().Elem()))
			value = value.Elem()
		}
		switch v := value.Addr().Interface().(type) {
		case *uuid.UUID:
			*v = uuid.MustParse("0199f4c2-8a1e-7d6f-9a53-3f6f1c2b8a10")
		case *string:
			*v = "value of " + field.Name
		case *gen.Labels:
			*v = gen.Labels{"key": "value of " + field.Name}
		case *int64:
			*v = int64(len(field.Name))
		case *time.Time:
			*v = time.Date(2026, 6, 6, 10, len(field.Name), 0, 123_456_000, time.UTC)
		default:
			t.Fatalf("no value for a %T", v)
		}
	}
	lease := FromLease(&report)
	lease.AmountCents, lease.CardID = new(int64(-7)), new(billing.NewID())
	record := ToLeaseRecord(&billing.LeaseRecord{Lease: lease, EntryID: new(billing.NewID())})
	if got := FromLeaseRecord(&record); !reflect.DeepEqual(got, lease) {
		t.Errorf("got %+v, want %+v", got, lease)
	}

	// What a report and a record have in common is the same in both.
	var values [2]map[string]any
	for i, v := range []any{report, record} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &values[i]); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range values[0] {
		if got := values[1][key]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", key, got, want)
		}
	}

	lease.FinishedAt, lease.DurationSeconds, lease.AmountCents, lease.CardID = nil, nil, nil, nil
	record = ToLeaseRecord(&billing.LeaseRecord{Lease: lease, AccruedCents: new(int64(-5))})
	if got := FromLeaseRecord(&record); !reflect.DeepEqual(got, lease) || record.TransactionID != nil || *record.AccruedCents != -5 {
		t.Errorf("a running lease: got %+v, want %+v", got, lease)
	}
	minimal := FromLease(&gen.Lease{LeaseID: new(uuid.New()), StartedAt: time.Unix(1_780_000_000, 0)})
	record = ToLeaseRecord(&billing.LeaseRecord{Lease: minimal})
	if got := FromLeaseRecord(&record); !reflect.DeepEqual(got, minimal) {
		t.Errorf("a lease without optional values: got %+v, want %+v", got, minimal)
	}
	if ToExternalID(new("gh-1")) != nil {
		t.Error("a text is a UUID")
	}
}
