package billing

import (
	"errors"
	"fmt"
)

// The kinds of failure that a caller can tell apart with errors.Is. Anything else is a failure of the program or of the
// database. A Fault says more for people.
var (
	ErrUnauthorized         = errors.New("unauthorized")
	ErrOrganizationNotFound = errors.New("organization not found")
	ErrTokenNotFound        = errors.New("token not found")
	ErrEntryNotFound        = errors.New("entry not found")
	ErrExists               = errors.New("already exists")
	ErrWindowInvalid        = errors.New("window invalid")
	ErrCursorInvalid        = errors.New("cursor invalid")
	ErrEntryFilterInvalid   = errors.New("entry filter invalid")
	ErrLeaseInvalid         = errors.New("lease invalid")
	ErrAmountInvalid        = errors.New("amount invalid")
	ErrInvalid              = errors.New("invalid")
	ErrRateCardInvalid      = errors.New("rate card invalid")
	ErrLeaseConflict        = errors.New("lease conflict")
	ErrEntryConflict        = errors.New("entry conflict")
	ErrKeyReused            = errors.New("idempotency key reused")
	ErrUnavailable          = errors.New("database unavailable")
)

// Fault is an error of one of the kinds above, with a text for the person who caused it.
type Fault struct {
	Kind   error
	detail error
}

// Faultf makes a Fault; the format is that of fmt.Errorf, %w included.
func Faultf(kind error, format string, args ...any) *Fault {
	return &Fault{kind, fmt.Errorf(format, args...)}
}

func (f *Fault) Error() string   { return f.detail.Error() }
func (f *Fault) Unwrap() []error { return []error{f.Kind, f.detail} }
