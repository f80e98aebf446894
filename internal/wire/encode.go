// Package wire reads and writes the JSON values of the API's contract. The generated code calls it for each value, so that all encoders
// write a type of value in one form, and all decoders accept the same forms.
package wire

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// AppendString appends a JSON string. Bytes that are not UTF-8 are replaced. Stored texts have none, because requests with such bytes are refused.
func AppendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// AppendInteger appends a JSON number.
func AppendInteger(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// AppendBoolean appends true or false.
func AppendBoolean(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// AppendUUID appends the lower-case form of a UUID.
func AppendUUID(b []byte, id uuid.UUID) []byte {
	return append(billing.ID(id).AppendTo(append(b, '"')), '"')
}

// AppendTime appends a timestamp in UTC with six fractional digits.
func AppendTime(b []byte, t time.Time) []byte {
	return append(billing.TimeOf(t).AppendTo(append(b, '"')), '"')
}

// AppendDate appends the date of a day as YYYY-MM-DD.
func AppendDate(b []byte, d openapi_types.Date) []byte {
	return append(billing.TimeOf(d.Time).AppendDateTo(append(b, '"')), '"')
}

// AppendMap appends an object of texts, with its keys sorted, so that equal maps have equal texts.
func AppendMap[M ~map[string]string](b []byte, pairs M) []byte {
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(pairs)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, key)
		b = append(b, ':')
		b = AppendString(b, pairs[key])
	}
	return append(b, '}')
}

// AppendNullable appends null for nil, and calls the function for other values.
func AppendNullable[T any](b []byte, v *T, appendTo func([]byte, T) []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return appendTo(b, *v)
}

// AppendNullableObject is AppendNullable for objects. Their functions take a pointer.
func AppendNullableObject[T any](b []byte, v *T, appendTo func([]byte, *T) []byte) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return appendTo(b, v)
}

// AppendList appends an array. A nil list is an empty array.
func AppendList[T any](b []byte, items []T, appendTo func([]byte, *T) []byte) []byte {
	b = append(b, '[')
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTo(b, &items[i])
	}
	return append(b, ']')
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the capacity, in bytes, of the largest buffer that is kept for another answer.
const maxBuffer = 256 << 10

// contentTypeJSON is the value of the Content-Type header, made once for all answers.
var contentTypeJSON = []string{"application/json"}

// Write sends an answer with the JSON that the function appends. It calls w.Write once.
func Write(w http.ResponseWriter, status int, appendTo func([]byte) []byte) error {
	buffer := buffers.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	*buffer = appendTo((*buffer)[:0])
	SetContentType(w)
	w.WriteHeader(status)
	_, err := w.Write(*buffer)
	if cap(*buffer) <= maxBuffer {
		buffers.Put(buffer)
	}
	return err
}

// SetContentType declares the answer as JSON.
func SetContentType(w http.ResponseWriter) { w.Header()["Content-Type"] = contentTypeJSON }
