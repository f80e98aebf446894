package billing

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
)

func TestCursor(t *testing.T) {
	acme, globex := []byte("acme"), []byte("globex")
	for _, place := range [][]byte{{}, {0}, []byte("place"), bytes.Repeat([]byte{0xff}, 100)} {
		cursor := EncodeCursor("entries", acme, place)
		if got, err := DecodeCursor("entries", acme, cursor); err != nil || !bytes.Equal(got, place) {
			t.Errorf("decoding the cursor of %q gave %q, %v", place, got, err)
		}
		for name, other := range map[string]func() ([]byte, error){
			"another organization": func() ([]byte, error) { return DecodeCursor("entries", globex, cursor) },
			"another list":         func() ([]byte, error) { return DecodeCursor("organizations", acme, cursor) },
			"the parts cut elsewhere": func() ([]byte, error) {
				return DecodeCursor("entriesa", []byte("cme"), cursor)
			},
		} {
			if got, err := other(); !errors.Is(err, ErrCursorInvalid) {
				t.Errorf("for %s it gave %q, %v", name, got, err)
			}
		}
	}
}

func TestCursorRefusesAnyChange(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	scope := []byte("acme")
	// Three lengths of the place, for the three ways in which base64 ends.
	for _, place := range []string{"12345678", "123456789", "1234567890"} {
		cursor := EncodeCursor("entries", scope, []byte(place))
		forged := []string{"", "A", "?", cursor[:len(cursor)-1], cursor[1:], cursor + "A", cursor + "=", cursor + "==", cursor + "\n",
			"\r\n" + cursor, cursor + " ", base64.RawURLEncoding.EncodeToString([]byte("short"))}
		for i := range cursor {
			for _, letter := range alphabet {
				if byte(letter) != cursor[i] {
					forged = append(forged, cursor[:i]+string(letter)+cursor[i+1:])
				}
			}
		}
		for _, c := range forged {
			if got, err := DecodeCursor("entries", scope, c); !errors.Is(err, ErrCursorInvalid) {
				t.Errorf("%q, made from %q, was decoded to %q, %v", c, cursor, got, err)
			}
		}
	}
}
