package billing

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// A cursor is the place where the next page begins, and a digest that binds it to the list it was made for. The digest
// keeps a cursor of one organization from being taken for another's; there is nothing to protect in the place itself.
// Anyone can compute the digest, so a place that was decoded must be checked like any input.
const digestSize = 8

var errCursor = Faultf(ErrCursorInvalid, "the cursor was not made by this server for this list")

// EncodeCursor makes a cursor of a list from the place where its next page begins. The scope is what the list is bound to.
func EncodeCursor(list string, scope, place []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(cursorDigest(list, scope, place), place...))
}

// DecodeCursor returns the place of a cursor. It fails with ErrCursorInvalid if the cursor was made for another list or another scope.
func DecodeCursor(list string, scope []byte, cursor string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) < digestSize || EncodeCursor(list, scope, raw[digestSize:]) != cursor {
		return nil, errCursor
	}
	return raw[digestSize:], nil
}

func cursorDigest(list string, scope, place []byte) []byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(list), scope, place} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	return h.Sum(nil)[:digestSize]
}
