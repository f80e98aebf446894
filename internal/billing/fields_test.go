package billing

import (
	"reflect"
	"slices"
	"testing"
)

// Every stored value of a struct is described by exactly one field.
func TestFieldsAreComplete(t *testing.T) {
	wantComplete(t, LeaseFields)
	wantComplete(t, EntryFields)
	wantComplete(t, OrganizationFields)
	wantComplete(t, TokenFields, "Organizations") // they are stored in another table
	wantComplete(t, RateCardFields)
	wantComplete(t, UsageFields)
	wantComplete(t, HeadFields)
	wantComplete(t, SumFields)
}

func wantComplete[T any](t *testing.T, fields []Field[T], except ...string) {
	t.Helper()
	v := new(T)
	described := map[uintptr]string{}
	for _, f := range fields {
		place := reflect.ValueOf(f.Of(v)).Pointer()
		if other := described[place]; other != "" {
			t.Errorf("%T: %s and %s are the same value", *v, other, f.Name)
		}
		described[place] = f.Name
	}
	var visit func(s reflect.Value)
	visit = func(s reflect.Value) {
		for i := range s.NumField() {
			switch name, value := s.Type().Field(i).Name, s.Field(i); {
			case slices.Contains(except, name):
			case value.Kind() == reflect.Struct:
				visit(value)
			case described[value.Addr().Pointer()] == "":
				t.Errorf("%T: no field describes %s", *v, name)
			}
		}
	}
	visit(reflect.ValueOf(v).Elem())
}

// A report may fill in every value that can be unknown, and no other value.
func TestFieldsToFillIn(t *testing.T) {
	for _, f := range LeaseFields {
		if f.Fill {
			fillIn(f.Of(new(Lease)), f.Of(new(Lease)), true) // it panics if it does not support the type
		}
		switch f.Of(new(Lease)).(type) {
		case **string:
			if f.MaxLength == 0 && f.Name != "build_external_id" && f.Name != "labels" { // these have forms of their own
				t.Errorf("nothing bounds the length of %s", f.Name)
			}
		case **int64, **ID:
		default:
			continue
		}
		// The other values that may be unknown are keys, or known only once the lease has finished.
		if !f.Fill && !slices.Contains([]string{"lease_id", "job_id", "duration_seconds", "amount_cents", "card_id"}, f.Name) {
			t.Errorf("no report may fill in %s", f.Name)
		}
	}
}
