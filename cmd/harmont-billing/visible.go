package main

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	blackFlag          = '\U0001f3f4'
)

// subdivisionFlag is the flag of a part of a country, such as Scotland: a black flag and letters that are not shown.
var subdivisionFlag = regexp.MustCompile(`^\x{1F3F4}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{3,6}\x{E007F}`)

// joinedScripts are those in which a joiner changes how letters look, or where a word is divided.
var joinedScripts = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Nko, unicode.Mongolian, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
	unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar,
}

// visible replaces the characters that a terminal must not be sent. Joiners stay where they make one sign of several, as in the emoji of a
// family, or belong to a word, as in Persian. Elsewhere they would only hide a difference between two texts.
func visible(text string, replaced func(rune) string) string {
	var shown strings.Builder
	var base, before rune // the last one that is no mark, and the last one
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == blackFlag {
			if flag := subdivisionFlag.FindString(text[i:]); flag != "" {
				size = len(flag)
			}
		}
		var after rune
		for _, after = range text[i+size:] {
			break
		}
		switch {
		case size == 1 && r == utf8.RuneError:
			shown.WriteRune(r)
		case unicode.IsPrint(r) || before != zeroWidthJoiner && before != zeroWidthNonJoiner && joins(base, r, after):
			shown.WriteString(text[i : i+size])
		default:
			shown.WriteString(replaced(r))
		}
		i += size
		before = r
		if !unicode.IsMark(r) {
			base = r
		}
	}
	return shown.String()
}

// joins tells whether a character is a joiner that belongs to the text.
func joins(base, r, after rune) bool {
	switch r {
	case zeroWidthNonJoiner:
		return unicode.In(base, joinedScripts...)
	case zeroWidthJoiner:
		return unicode.In(base, joinedScripts...) || unicode.In(base, unicode.So, unicode.Sk) && unicode.Is(unicode.So, after)
	}
	return false
}
