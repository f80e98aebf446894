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
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// The forms of an answer.
const (
	formatTable  = "table"
	formatJSON   = "json"
	formatNDJSON = "ndjson"
	formatCSV    = "csv"
)

// output writes an answer in the form that was asked for.
type output struct {
	w        *bufio.Writer
	format   string
	terminal bool
	color    bool
	width    int // of the terminal; 0 for any
	height   int
	file     *os.File // the terminal; nil for none
	pager    []string // the command that shows what is taller than the terminal; empty for none

	dollars, bom bool   // of CSV: amounts are in dollars, and a byte order mark goes first
	amounts      []bool // which columns of the CSV are changed to dollars; nil before the titles

	rowLines   int  // of the table that was written last; 0 for none
	newestLast bool // of the lines, so that a screen too small for all shows the last ones
}

// formatFlags choose the form of an answer, the same on all commands that have CSV.
type formatFlags struct {
	format       *string
	dollars, bom bool
	noPager      bool
}

func newFormatFlags(cmd *cobra.Command) *formatFlags {
	f := &formatFlags{format: choiceFlag(cmd, "output", "o", formatTable, "how the answer is written", formatTable, formatJSON, formatNDJSON, formatCSV)}
	cmd.Flags().BoolVar(&f.dollars, "dollars", false, "write amounts in CSV as dollars with two decimals instead of cents")
	cmd.Flags().BoolVar(&f.bom, "bom", false, "begin CSV with a byte order mark, by which Excel knows UTF-8")
	cmd.Flags().BoolVar(&f.noPager, "no-pager", false, "write what is taller than the terminal to it, and not to PAGER or less")
	return f
}

// output makes an output of the form.
func (f *formatFlags) output(w io.Writer) (*output, error) {
	switch csv := *f.format == formatCSV; {
	case f.dollars && !csv:
		return nil, usagef("--dollars goes with -o csv")
	case f.bom && !csv:
		return nil, usagef("--bom goes with -o csv")
	}
	out := newOutput(w, *f.format)
	out.dollars, out.bom = f.dollars, f.bom
	if out.terminal && !f.noPager && os.Getenv("TERM") != "dumb" {
		out.pager = pagerCommand()
	}
	return out, nil
}

func newOutput(w io.Writer, format string) *output {
	out := &output{w: bufio.NewWriter(w), format: format}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		out.terminal, out.file = true, file
		out.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if width, height, err := term.GetSize(int(file.Fd())); err == nil {
			out.width, out.height = width, height
		}
	}
	return out
}

// style is how a terminal shows a text: the parameters of its escape sequence.
type style string

const (
	plain style = ""
	bold  style = "1"
	faint style = "2"
	red   style = "31"
	green style = "32"
	cyan  style = "36"
)

// isJSON tells whether the answer is written as the server gave it.
func (o *output) isJSON() bool { return o.format == formatJSON || o.format == formatNDJSON }

// styled gives the text in a style where there is color.
func (o *output) styled(s style, text string) string {
	if !o.color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[m"
}

// text writes to the buffer. flush reports an error of it.
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

// ndjson writes the items of an answer, one a line, as the server gave them.
func (o *output) ndjson(answer []byte) error {
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	for _, item := range list.Data {
		if err := o.jsonLine(item); err != nil {
			return err
		}
	}
	return nil
}

// jsonOf writes a value of this program's own as JSON.
func (o *output) jsonOf(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if o.format == formatNDJSON {
		return o.jsonLine(text)
	}
	return o.json(text)
}

// items writes a list of this program's own: the whole that has it, or a line for each item.
func (o *output) items(items []any, whole any) error {
	if o.format == formatJSON {
		return o.jsonOf(whole)
	}
	for _, item := range items {
		if err := o.jsonOf(item); err != nil {
			return err
		}
	}
	return nil
}

// jsonLine writes JSON on one line.
func (o *output) jsonLine(value []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, value); err != nil {
		return err
	}
	o.jsonText(line.String() + "\n")
	return nil
}

// jsonList writes items that the server gave in more than one answer, or in a long one, as one object with a line for each.
type jsonList struct {
	out   *output
	begun bool
}

func (l *jsonList) add(item []byte) {
	before := ","
	if !l.begun {
		l.begun, before = true, `{"data":[`
	}
	l.out.jsonText(before + "\n" + string(item))
}

// end closes the list. After it come further members of the object, each with a comma before it.
func (l *jsonList) end(members string) {
	if !l.begun {
		l.out.jsonText(`{"data":[`)
	}
	l.out.jsonText("\n]" + members + "}\n")
}

// jsonText writes a piece of JSON. On a terminal, unprintable characters are escaped, which leaves the same JSON.
func (o *output) jsonText(text string) {
	if !o.terminal {
		o.text(text)
		return
	}
	o.text(visible(text, func(r rune) string {
		switch {
		case r == '\n':
			return "\n"
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			return fmt.Sprintf(`\u%04x\u%04x`, high, low)
		}
		return fmt.Sprintf(`\u%04x`, r)
	}))
}

// csv writes records, of which the first that it is given has the titles of the columns. The usage page writes the same layout, and guards
// the same cells, in web/assets/app/csv.js. On a terminal the fields have no control characters.
func (o *output) csv(records ...[]string) error {
	if o.amounts == nil && len(records) > 0 {
		if o.bom {
			o.text("\ufeff")
		}
		o.amounts = make([]bool, len(records[0]))
		for i, title := range records[0] {
			if name, cents := strings.CutSuffix(title, "_cents"); cents && o.dollars {
				records[0][i], o.amounts[i] = name+"_dollars", true
			}
		}
		if err := o.records(records[:1]); err != nil {
			return err
		}
		records = records[1:]
	}
	for _, record := range records {
		for i, field := range record {
			if o.amounts[i] {
				record[i] = decimalDollars(field)
			}
		}
	}
	return o.records(records)
}

func (o *output) records(records [][]string) error {
	w := csv.NewWriter(o.w)
	for _, record := range records {
		for i, field := range record {
			if o.terminal {
				field = printable(field)
			}
			record[i] = guarded(field)
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

var decimalNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// guarded puts an apostrophe before a cell that a spreadsheet would run as a formula. A number is none.
func guarded(cell string) string {
	begins := func(text, with string) bool { return strings.IndexAny(text, with) == 0 }
	formula := begins(cell, "\t\r\n") || begins(strings.TrimLeftFunc(cell, unicode.IsSpace), "=+-@＝＋－＠")
	if !formula || decimalNumber.MatchString(cell) {
		return cell
	}
	return "'" + cell
}

// timestamp writes a time as the API does.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// toSecond writes a time for people, under a title that says it is UTC.
func toSecond(t time.Time) string { return t.UTC().Format(time.DateTime) }

// number writes a number for programs.
func number(n int64) string { return strconv.FormatInt(n, 10) }

// machine writes the shape of a machine for people, as 'price set --shape' takes it: CPUs, gigabytes of memory and gigabytes of disk.
func machine(cpuCount, memoryGB, diskGB int64) string {
	return fmt.Sprintf("%dx%dx%d", cpuCount, memoryGB, diskGB)
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
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
	return visible(text, func(rune) string { return string(unicode.ReplacementChar) })
}

// facts writes one fact per line, each a name and a text.
func (o *output) facts(facts [][2]string) {
	width := 0
	for _, fact := range facts {
		width = max(width, len(fact[0]))
	}
	for _, fact := range facts {
		o.text(o.styled(bold, fmt.Sprintf("%-*s", width, fact[0])) + "  " + printable(fact[1]) + "\n")
	}
}

// table writes aligned columns. A column is as wide as its widest cell so far. On a terminal that is too narrow for all columns, each row goes
// on in further lines, with the same columns below each other.
type table struct {
	out     *output
	columns []column
	widths  []int
	started bool
}

type column struct {
	title string
	right bool                    // for numbers
	whole bool                    // its text is never cut
	style func(cell string) style // nil for none
}

func always(s style) func(string) style { return func(string) style { return s } }

// row is a line of a table. Its style goes before that of its cells.
type row struct {
	cells []string
	style style
}

func newTable(out *output, columns ...column) *table { return &table{out: out, columns: columns} }

// write writes rows, under the titles if they are the first.
func (t *table) write(cells [][]string) {
	rows := make([]row, len(cells))
	for i := range cells {
		rows[i].cells = cells[i]
	}
	t.writeRows(rows)
}

func (t *table) writeRows(rows []row) {
	if !t.started {
		t.started = true
		titles := row{cells: make([]string, len(t.columns)), style: bold}
		for i, c := range t.columns {
			titles.cells[i] = c.title
		}
		rows = append([]row{titles}, rows...)
	}
	t.measure(rows)
	lines := t.lines()
	t.out.rowLines = len(lines)
	for _, r := range rows {
		for _, columns := range lines {
			t.out.text(t.line(r, columns))
		}
	}
}

const (
	gap       = 2  // cells between columns, and before those of a further line
	leastText = 12 // cells below which a text in the last column gets a line of its own
)

// lines divides the columns among the lines of a row, so that each line fits the terminal.
func (t *table) lines() (lines [][]int) {
	used := 0
	for i := range t.columns {
		least := t.widths[i]
		if t.mayCut(i) {
			least = min(least, leastText)
		}
		if i == 0 || t.out.width > 0 && used+least > t.out.width {
			lines, used = append(lines, nil), min(i, 1)*gap
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], i)
		used += t.widths[i] + gap
	}
	return lines
}

// room is how many cells are left for the last column.
func (t *table) room() int {
	lines := t.lines()
	room := t.out.width
	if len(lines) > 1 {
		room -= gap
	}
	columns := lines[len(lines)-1]
	for _, i := range columns[:len(columns)-1] {
		room -= t.widths[i] + gap
	}
	return room
}

// mayCut tells whether a column ends at the edge of the terminal.
func (t *table) mayCut(column int) bool {
	return column == len(t.columns)-1 && !t.columns[column].right && !t.columns[column].whole
}

// measure makes the cells printable, as many as the columns, and the columns wide enough for them.
func (t *table) measure(rows []row) {
	if t.widths == nil {
		t.widths = make([]int, len(t.columns))
		for i, c := range t.columns {
			t.widths[i] = uniseg.StringWidth(c.title)
		}
	}
	for n := range rows {
		rows[n].cells = append(rows[n].cells, make([]string, len(t.columns)-len(rows[n].cells))...)
		for i, cell := range rows[n].cells {
			rows[n].cells[i] = printable(cell)
			t.widths[i] = max(t.widths[i], uniseg.StringWidth(rows[n].cells[i]))
		}
	}
}

// line writes the given columns of a row, and nothing where they are empty.
func (t *table) line(r row, columns []int) string {
	for len(columns) > 0 && r.cells[columns[len(columns)-1]] == "" {
		columns = columns[:len(columns)-1] // no spaces at the end of a line
	}
	var line strings.Builder
	used := 0
	for n, i := range columns {
		if n > 0 || i > 0 {
			line.WriteString(strings.Repeat(" ", gap))
			used += gap
		}
		cell, width := r.cells[i], t.widths[i]
		if t.out.width > 0 && !t.columns[i].whole {
			if room := t.out.width - used; t.mayCut(i) || width > room {
				cell, width = shorten(cell, room), min(width, room)
			}
		}
		padding := strings.Repeat(" ", max(0, width-uniseg.StringWidth(cell)))
		cell = t.out.styled(t.styleOf(i, r, cell), cell)
		switch {
		case t.columns[i].right:
			cell = padding + cell
		case n < len(columns)-1:
			cell += padding
		}
		line.WriteString(cell)
		used += width
	}
	if line.Len() == 0 {
		return ""
	}
	return line.String() + "\n"
}

func (t *table) styleOf(i int, r row, cell string) style {
	if r.style != plain || t.columns[i].style == nil {
		return r.style
	}
	return t.columns[i].style(cell)
}

// shorten cuts text to a number of cells of a terminal.
func shorten(text string, cells int) string {
	if cells < 1 {
		return ""
	}
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

// recorder keeps the body of the last answer, which -o json prints. A decoded answer would lack keys that this program does not know, and
// the form of timestamps.
type recorder struct {
	body  bytes.Buffer
	items *json.Decoder // of a list that is still arriving; nil before its first item
}

// RoundTrip sends the request by the default transport.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	r.body.Reset()
	r.items = nil
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(resp.Body, &r.body), resp.Body}
	return resp, nil
}

// item returns the next item of a list, which the client has decoded already. Both take each item from the body in turn, so that memory holds
// little more than one.
func (r *recorder) item() ([]byte, error) {
	if r.items == nil {
		r.items = json.NewDecoder(&r.body)
		if err := skipToItems(r.items); err != nil {
			return nil, err
		}
	}
	var item json.RawMessage
	err := r.items.Decode(&item)
	return item, err
}

// skipToItems reads the object of a list as far as the first item.
func skipToItems(object *json.Decoder) error {
	if _, err := object.Token(); err != nil { // the brace
		return err
	}
	for {
		key, err := object.Token()
		if err != nil {
			return err
		}
		if key == "data" {
			_, err = object.Token() // the bracket
			return err
		}
		var other json.RawMessage
		if err := object.Decode(&other); err != nil {
			return err
		}
	}
}
