package billing

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

func TestParseID(t *testing.T) {
	const lower = "0189a2b3-c4d5-7ef0-8123-456789abcdef"
	want := ID{0x01, 0x89, 0xa2, 0xb3, 0xc4, 0xd5, 0x7e, 0xf0, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	for _, text := range []string{lower, strings.ToUpper(lower)} {
		if id, err := ParseID(text); err != nil || id != want || id.String() != lower {
			t.Errorf("ParseID(%q) = %s, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"",
		lower[:35],
		lower + "0",
		"{" + lower + "}",
		"urn:uuid:" + lower,
		strings.ReplaceAll(lower, "-", ""),
		"0189a2b3c-4d5-7ef0-8123-456789abcdef",
		"0189a2b3-c4d5-7ef0-8123-456789abcdeg",
		"0189a2b3-c4d5-7ef0-8123-456789abcde ",
		"0189a2b3-c4d5-7ef0-8123-456789abcd\xc3\xa9",
		"0189a2b3-c4d5-7ef0-8123-----6789abcd",
	} {
		if id, err := ParseID(text); err == nil || id != (ID{}) {
			t.Errorf("ParseID(%q) = %s, %v; want an error", text, id, err)
		}
	}
}

func TestNewID(t *testing.T) {
	seen := map[ID]bool{}
	for range 1000 {
		before := time.Now().UnixMilli()
		id := NewID()
		after := time.Now().UnixMilli()

		text := id.String()
		if text[14] != '7' || !strings.ContainsRune("89ab", rune(text[19])) {
			t.Fatalf("%s is not of version 7", text)
		}
		if made := int64(binary.BigEndian.Uint64(append([]byte{0, 0}, id[:6]...))); made < before || made > after {
			t.Fatalf("%s says %d; it was made between %d and %d", text, made, before, after)
		}
		if seen[id] {
			t.Fatalf("%s was made twice", text)
		}
		seen[id] = true
		if parsed, err := ParseID(text); err != nil || parsed != id {
			t.Fatalf("ParseID(%q) = %s, %v", text, parsed, err)
		}
	}
}

func TestIDsSortAsTheirText(t *testing.T) {
	for range 1000 {
		a, b := NewID(), NewID()
		if bytes.Compare(a[:], b[:]) != strings.Compare(a.String(), b.String()) {
			t.Fatalf("%s and %s sort differently as bytes", a, b)
		}
	}
}
