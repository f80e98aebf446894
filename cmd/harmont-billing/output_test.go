package main

import (
	"bytes"
	"strings"
	"testing"
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
