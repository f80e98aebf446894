package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

// terminal returns an output for a terminal of the width, and a function that returns the written text.
func terminal(width int) (*output, func() string) {
	var written bytes.Buffer
	out := newOutput(&written, formatTable)
	out.terminal, out.width = true, width
	return out, func() string {
		_ = out.flush()
		return written.String()
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	out, written := terminal(30)
	table := newTable(out, column{title: "AMOUNT", right: true}, column{title: "DESCRIPTION"})
	table.write([][]string{{"$1.00", "exactly twenty-two cells"[:22]}, {"$1.00", "one more than twenty-two"[:23]}, {"$1.00", strings.Repeat("家", 12)}})
	table.write([][]string{{"-$1000.00", "🚀 a wider page"}})
	const want = `AMOUNT  DESCRIPTION
 $1.00  exactly twenty-two cel
 $1.00  one more than twenty-…
 $1.00  家家家家家家家家家家…
-$1000.00  🚀 a wider page
`
	if got := written(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestColumnsAlignByCells(t *testing.T) {
	out, written := terminal(0)
	newTable(out, column{title: "NAME"}, column{title: "N", right: true}).write([][]string{{"家族🚀", "1"}, {"abc", "22"}})
	if got, want := written(), "NAME     N\n家族🚀   1\nabc     22\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTerminalGetsNoControlCharacters(t *testing.T) {
	// A sequence by ESC, one by the 8-bit CSI, a change of direction, a line, and a byte that is not UTF-8.
	const hostile = "a\x1b[2J\u009b5m\u202e\r\nb\xff"
	t.Run("table", func(t *testing.T) {
		out, written := terminal(0)
		newTable(out, column{title: "JOB"}).write([][]string{{hostile}})
		if got, want := written(), "JOB\na�[2J�5m���b�\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("csv", func(t *testing.T) {
		out, written := terminal(0)
		if err := out.csv([]string{hostile}); err != nil {
			t.Fatal(err)
		}
		if got, want := written(), "a�[2J�5m���b�\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("json", func(t *testing.T) {
		out, written := terminal(0)
		if err := out.json([]byte("{\"name\":\"a\\u001b[2J\u009b5m\u202e\\r\\nb\U000e0001 家🚀\"}\n")); err != nil {
			t.Fatal(err)
		}
		if got, want := written(), "{\n  \"name\": \"a\\u001b[2J\\u009b5m\\u202e\\r\\nb\\udb40\\udc01 家🚀\"\n}\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestPipeGetsExactText(t *testing.T) {
	var written bytes.Buffer
	out := newOutput(&written, formatCSV)
	if err := out.csv([]string{"1+1", "a\x1b[2J\r\n\"b\"", ""}); err != nil {
		t.Fatal(err)
	}
	if err := out.json([]byte("{\"name\":\"\u009b\"}")); err != nil {
		t.Fatal(err)
	}
	if err := out.flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := written.String(), "1+1,\"a\x1b[2J\r\n\"\"b\"\"\",\n{\"name\":\"\u009b\"}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCSV(t *testing.T) {
	for _, tt := range []struct {
		flags formatFlags
		want  string
	}{
		{formatFlags{}, "name,amount_cents,microcents\n'=,-5,7\n'=1+1,,\n"},
		{formatFlags{dollars: true, bom: true}, "\ufeffname,amount_dollars,microcents\n'=,-0.05,7\n'=1+1,,\n"},
	} {
		var written bytes.Buffer
		tt.flags.format = new(formatCSV)
		out, err := tt.flags.output(&written)
		if err != nil {
			t.Fatal(err)
		}
		for _, records := range [][][]string{{{"name", "amount_cents", "microcents"}, {"=", "-5", "7"}}, {{"=1+1", "", ""}}, {}} { // as a list gives its pages
			if err := out.csv(records...); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.flush(); err != nil {
			t.Fatal(err)
		}
		equal(t, "csv", written.String(), tt.want)
	}
}

func TestGuardedCells(t *testing.T) {
	for _, cell := range []string{"", "a", "-5", "12", "-0.05", "a=b", "'=1", "2026-06-01T00:00:00Z", " a", "1+1"} {
		equal(t, "a harmless cell", guarded(cell), cell)
	}
	for _, cell := range []string{"=1+1", "+1", "-a", "-", "-1e5", "@SUM(A1)", "\ta", "\ra", "\na", "\t", " =1", "\u00a0=1", "\u0085+1", "=\xff"} {
		equal(t, "a formula", guarded(cell), "'"+cell)
	}
}

func TestNarrowTable(t *testing.T) {
	columns := []column{{title: "ID"}, {title: "AMOUNT", right: true}, {title: "SOURCE"}, {title: "DESCRIPTION"}}
	rows := func() [][]string {
		return [][]string{{"a", "$1.00", "", "a text of which the end is cut"}, {"", "-$1,000.00", "refund", ""}, {"an id too long for any line", "", "", "b"}}
	}
	for width, want := range map[int]string{
		60: `ID                               AMOUNT  SOURCE
  DESCRIPTION
a                                 $1.00
  a text of which the end is cut
                             -$1,000.00  refund
an id too long for any line
  b
`,
		24: `ID
      AMOUNT  SOURCE
  DESCRIPTION
a
       $1.00
  a text of which the e…
  -$1,000.00  refund
an id too long for any …
  b
`,
	} {
		out, written := terminal(width)
		newTable(out, columns...).write(rows())
		equal(t, "table", written(), want)
	}
	columns[0].whole = true
	out, written := terminal(24)
	newTable(out, columns...).write(rows())
	if shown := written(); !strings.Contains(shown, "\nan id too long for any line\n") {
		t.Errorf("a column that must not be cut:\n%s", shown)
	}
}

func TestTextOfAllScriptsIsKept(t *testing.T) {
	for text, cells := range map[string]int{
		"👨‍👩‍👧‍👦": 2, "👩🏽‍🔬": 2, "🏳️‍🌈": 2, "🏴󠁧󠁢󠁳󠁣󠁴󠁿": 2, "🇩🇪": 2, "❤️‍🔥": 2, "👍🏿": 2, "می\u200cخواهم": 7, "क्\u200dष": 2, "家族": 4, "é": 1,
	} {
		equal(t, "table", printable(text), text)
		if width := uniseg.StringWidth(text); width != cells {
			t.Errorf("%s has %d cells, want %d", text, width, cells)
		}
		out, written := terminal(0)
		out.jsonText(text)
		equal(t, "json", written(), text)
		// It is cut between signs, and not within one.
		for cells := range 3 * cells {
			kept := strings.TrimSuffix(shorten(text+text+text, cells), "…")
			rest, whole := strings.CutPrefix(text+text+text, kept)
			if !whole || uniseg.GraphemeClusterCount(kept)+uniseg.GraphemeClusterCount(rest) != uniseg.GraphemeClusterCount(text+text+text) {
				t.Errorf("%q is cut to %q", text+text+text, kept)
			}
		}
	}
	// Elsewhere a joiner only hides a difference, and the letters of a flag without its end hide a text.
	for text, want := range map[string]string{
		"a\u200db": "a�b", "pay\u200cpal": "pay�pal", "\u200d": "�", "👨\u200da": "👨�a", "👨\u200d": "👨�", "م\u200c\u200cم": "م\u200c�م", "م \u200d": "م �",
		"🏴\U000e0067\U000e0062": "🏴��", "a\U000e0067\U000e0062\U000e0065\U000e007f": "a����", "\u202eab": "�ab", "\u2066a": "�a", "\ufeffa": "�a",
	} {
		equal(t, "a hidden character", printable(text), want)
	}
}
