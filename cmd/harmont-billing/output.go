package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// The forms of an answer.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatCSV   = "csv"
)

// output writes an answer in the form that was asked for.
type output struct {
	w        *bufio.Writer
	format   string
	terminal bool
	width    int // of the terminal; 0 for any
}

func newOutput(w io.Writer, format string) *output {
	out := &output{w: bufio.NewWriter(w), format: format}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		out.terminal = true
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			out.width = width
		}
	}
	return out
}

// text writes to the buffer; what fails there is flush's to report.
func (o *output) text(s string) { _, _ = o.w.WriteString(s) }

func (o *output) flush() error { return o.w.Flush() }

// json writes the answer as the server gave it, and for people indented.
func (o *output) json(answer []byte) error {
	answer = bytes.TrimSpace(answer)
	if o.terminal {
		var indented bytes.Buffer
		if err := json.Indent(&indented, answer, "", "  "); err != nil {
			return err
		}
		answer = indented.Bytes()
	}
	o.jsonText(string(answer) + "\n")
	return nil
}

// jsonText writes a piece of JSON. On a terminal, what is not printable is escaped, which leaves the same JSON.
func (o *output) jsonText(text string) {
	if !o.terminal {
		o.text(text)
		return
	}
	for _, r := range text {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			o.text(string(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			o.text(fmt.Sprintf(`\u%04x\u%04x`, high, low))
		default:
			o.text(fmt.Sprintf(`\u%04x`, r))
		}
	}
}

// csv writes records. Their fields are exact, but on a terminal without control characters.
func (o *output) csv(records ...[]string) error {
	w := csv.NewWriter(o.w)
	for _, record := range records {
		if o.terminal {
			for i, field := range record {
				record[i] = printable(field)
			}
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// timestamp writes a time as the API does.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// toSecond writes a time for people, under a title that says it is UTC.
func toSecond(t time.Time) string { return t.UTC().Format(time.DateTime) }

func number(n int64) string { return strconv.FormatInt(n, 10) }

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// orEmpty writes a value, and nothing for the API's null.
func orEmpty[T any](value *T, text func(T) string) string {
	if value == nil {
		return ""
	}
	return text(*value)
}

func orEmptyText(text *string) string { return orEmpty(text, func(s string) string { return s }) }

// printable makes text from elsewhere safe to show: an escape sequence in a job's name must not move the cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// table writes aligned columns, as wide as what has been printed so far needs.
type table struct {
	out     *output
	columns []column
	widths  []int
}

type column struct {
	title string
	right bool // for numbers
}

func newTable(out *output, columns ...column) *table { return &table{out: out, columns: columns} }

// write writes rows, under the titles if they are the first.
func (t *table) write(rows [][]string) {
	if t.widths == nil {
		titles := make([]string, len(t.columns))
		for i, c := range t.columns {
			titles[i] = c.title
		}
		t.widths = make([]int, len(t.columns))
		rows = append([][]string{titles}, rows...)
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
			t.widths[i] = max(t.widths[i], uniseg.StringWidth(row[i]))
		}
	}
	for _, row := range rows {
		t.out.text(t.line(row))
	}
}

func (t *table) line(row []string) string {
	var line strings.Builder
	used := 0
	for i, cell := range row {
		last := i == len(row)-1
		if last && !t.columns[i].right && t.out.width > used {
			cell = shorten(cell, t.out.width-used)
		}
		padding := strings.Repeat(" ", t.widths[i]-uniseg.StringWidth(cell))
		if t.columns[i].right {
			cell = padding + cell
		} else {
			cell += padding
		}
		if !last {
			cell += "  "
		}
		line.WriteString(cell)
		used += t.widths[i] + 2
	}
	return strings.TrimRight(line.String(), " ") + "\n"
}

// shorten cuts text to a number of cells of a terminal.
func shorten(text string, cells int) string {
	if uniseg.StringWidth(text) <= cells {
		return text
	}
	end, used, state := 0, 1, -1 // 1 for the ellipsis
	for rest := text; ; {
		cluster, after, width, next := uniseg.FirstGraphemeClusterInString(rest, state)
		if used += width; used > cells {
			return text[:end] + "…"
		}
		end += len(cluster)
		rest, state = after, next
	}
}

// recorder keeps the body of the last answer. What -o json prints is that, since a decoded answer lacks the keys that this
// program does not know, and loses the form of a timestamp.
type recorder struct{ body bytes.Buffer }

// RoundTrip sends the request by the default transport.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	r.body.Reset()
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(resp.Body, &r.body), resp.Body}
	return resp, nil
}
