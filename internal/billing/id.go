package billing

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// ID is a UUID. Its order as bytes is its order as text.
type ID [16]byte

// NewID makes a UUID of version 7, so that ids made later sort later and an index over them grows at its end. Its 74 random bits
// keep it from being made twice; it is no secret.
func NewID() ID {
	var id ID
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli())<<16|uint64(uint16(rand.Uint32()))) //nolint:gosec // see above
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())                                                   //nolint:gosec // see above
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads the 36-character form, in upper or lower case. No other form of a UUID is taken.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, fmt.Errorf("%.64q is not a UUID", s)
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, fmt.Errorf("%.64q is not a UUID", s)
	}
	return id, nil
}

// AppendTo appends the 36-character lower-case form to b.
func (id ID) AppendTo(b []byte) []byte {
	text := id.text()
	return append(b, text[:]...)
}

func (id ID) String() string {
	text := id.text()
	return string(text[:])
}

func (id ID) text() (text [36]byte) {
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return text
}
