package driver

import (
	"fmt"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Values are the columns of one row, counted from zero.
type Values interface {
	Null(column int) bool
	// Bigint and Text report false if the column is NULL. They may report false if it has another type.
	Bigint(column int) (int64, bool)
	Text(column int) (string, bool)
	// Bytes copies the value, as far as there is room, and returns its length.
	Bytes(column int, into []byte) int
}

// Row is a row of a result. It reads columns without reflection, because reflection would take longer than reading the rows.
type Row struct {
	values Values
	next   int   // column
	err    error // the first mismatch between a column and its destination
	room   room
}

// At makes r stand for the row with the values.
func (r *Row) At(values Values) *Row {
	r.values, r.next = values, 0
	return r
}

// room allocates the values that may be NULL for many rows at a time, which saves allocations.
type room struct {
	numbers chunk[int64]
	texts   chunk[string]
	ids     chunk[billing.ID]
}

type chunk[T any] []T

func (c *chunk[T]) next() *T {
	if len(*c) == 0 {
		*c = make([]T, 64)
	}
	v := &(*c)[0]
	*c = (*c)[1:]
	return v
}

// Scan copies the next columns into the pointers, which have one of the types that billing.Field.Of returns.
func (r *Row) Scan(into ...any) error {
	for _, v := range into {
		switch v := v.(type) {
		case *int64:
			r.number(v)
		case *billing.Time:
			r.number((*int64)(v))
		case *string:
			r.text(v)
		case *billing.Source:
			r.text((*string)(v))
		case *billing.Role:
			r.text((*string)(v))
		case *billing.ID:
			r.bytes(v[:])
		case *billing.TokenHash:
			r.bytes(v[:])
		case *billing.Digest:
			if *v = (billing.Digest{}); !r.null() {
				r.bytes(v[:])
			}
		case **int64:
			if *v = nil; !r.null() {
				*v = r.room.numbers.next()
				r.number(*v)
			}
		case **billing.Time:
			if *v = nil; !r.null() {
				n := r.room.numbers.next()
				r.number(n)
				*v = (*billing.Time)(n)
			}
		case **string:
			if *v = nil; !r.null() {
				*v = r.room.texts.next()
				r.text(*v)
			}
		case **billing.ID:
			if *v = nil; !r.null() {
				*v = r.room.ids.next()
				r.bytes((*v)[:])
			}
		default:
			return fmt.Errorf("a column into %T", v)
		}
	}
	return r.err
}

// null reports whether the next column is NULL. If so, it skips the column.
func (r *Row) null() bool {
	null := r.values.Null(r.next)
	if null {
		r.next++
	}
	return null
}

func (r *Row) wrong(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("column %d is not %s", r.next, what)
	}
}

func (r *Row) number(into *int64) {
	n, ok := r.values.Bigint(r.next)
	if !ok {
		r.wrong("a number")
	}
	*into = n
	r.next++
}

func (r *Row) text(into *string) {
	text, ok := r.values.Text(r.next)
	if !ok {
		r.wrong("a text")
	}
	*into = text
	r.next++
}

// bytes reads a column with exactly len(into) bytes.
func (r *Row) bytes(into []byte) {
	if n := r.values.Bytes(r.next, into); n != len(into) {
		r.wrong(fmt.Sprintf("of %d bytes", len(into)))
	}
	r.next++
}
