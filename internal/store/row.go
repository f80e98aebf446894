package store

import (
	"encoding/binary"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// row is a row that was found, of either database. It is read column by column without reflection, since scanning a
// million rows by reflection takes longer than reading them.
type row struct {
	raw  [][]byte     // of a row of PostgreSQL, in binary
	stmt *sqlite.Stmt // at a row of SQLite
	next int
	err  error // the first that was not what was asked for
	room *room
}

// room has space for values that may be NULL, of many rows at a time, so that few of them take an allocation.
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

// Scan reads the next columns into what the pointers point to, which are those of fields.
func (r *row) Scan(into ...any) error {
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

// null reports whether the next column is NULL, and passes over it if so.
func (r *row) null() bool {
	null := r.stmt == nil && r.raw[r.next] == nil || r.stmt != nil && r.stmt.ColumnIsNull(r.next)
	if null {
		r.next++
	}
	return null
}

func (r *row) wrong(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("column %d is not %s", r.next, what)
	}
}

func (r *row) number(into *int64) {
	switch {
	case r.stmt != nil:
		if r.stmt.ColumnType(r.next) != sqlite.TypeInteger {
			r.wrong("a number")
		}
		*into = r.stmt.ColumnInt64(r.next)
	case len(r.raw[r.next]) == 8:
		*into = int64(binary.BigEndian.Uint64(r.raw[r.next]))
	default:
		r.wrong("a number")
	}
	r.next++
}

func (r *row) text(into *string) {
	switch {
	case r.stmt != nil && r.stmt.ColumnType(r.next) == sqlite.TypeText:
		*into = r.stmt.ColumnText(r.next)
	case r.stmt != nil || r.raw[r.next] == nil:
		r.wrong("a text")
	default:
		*into = string(r.raw[r.next])
	}
	r.next++
}

// bytes reads a column of as many bytes as there is room for.
func (r *row) bytes(into []byte) {
	var n int
	if r.stmt != nil {
		n = r.stmt.ColumnLen(r.next)
		r.stmt.ColumnBytes(r.next, into)
	} else {
		n = len(r.raw[r.next])
		copy(into, r.raw[r.next])
	}
	if n != len(into) {
		r.wrong(fmt.Sprintf("of %d bytes", len(into)))
	}
	r.next++
}
