package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// tracedBooks are an organization's books with descriptions that name their leases, and names that are wide, long and hostile.
// The years are far from now, so that nothing of it is recent.
const tracedBooks = `{"type":"organization","slug":"acme","name":"Acme","id":"01800000-0000-7000-8000-000000000001","created_at":"2024-06-01T00:00:00.000000Z"}
{"type":"rate_card","name":"Prices of 2024 \u001b[31m","effective_from":"1970-01-01T00:00:00.000000Z","cpu_microcents":10000,"memory_gb_microcents":5000,"disk_gb_microcents":100,"created_at":"2024-06-01T00:00:00.000000Z"}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000001","job_id":"10000000-0000-4000-8000-000000000001","job_name":"単体テスト 🚀 and a name for which no terminal of eighty columns has room, and one of a hundred and twenty neither","step_key":"unit","vm_handle":"vm-1","build_id":"20000000-0000-4000-8000-000000000001","build_number":7,"build_external_id":"e0000000-0000-4000-8000-000000000007","pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web App","pipeline_slug":"web-app","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2024-06-06T10:00:00.123456Z","finished_at":"2024-06-06T10:05:00.123456Z","duration_seconds":300,"amount_cents":-12}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000002","job_id":"10000000-0000-4000-8000-000000000002","job_name":"\u001b[2J\u009b5m\u202e\r\nEnd","build_id":"20000000-0000-4000-8000-000000000001","build_number":7,"build_external_id":"e0000000-0000-4000-8000-000000000007","pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web App","pipeline_slug":"web-app","cpu_count":8,"memory_gb":16,"disk_gb":80,"started_at":"2024-06-06T10:06:00.000000Z","finished_at":"2024-06-06T11:08:03.000000Z","duration_seconds":3723,"amount_cents":-999}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000003","vm_handle":"vm-3","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2024-06-07T09:00:00.000000Z","finished_at":"2024-06-07T09:00:24.000000Z","duration_seconds":24,"amount_cents":-1}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000004","job_id":"10000000-0000-4000-8000-000000000004","step_key":"lint","build_id":"20000000-0000-4000-8000-000000000002","cpu_count":1,"memory_gb":2,"disk_gb":3,"started_at":"2024-06-07T10:00:00.000000Z"}
{"type":"entry","id":"01800000-0000-7000-8000-000000000002","org":"acme","amount_cents":2000,"source":"stripe_topup","description":"Top-up by card \u001b]0;title\u0007","created_at":"2024-06-01T00:00:00.000000Z","lease_id":null}
{"type":"entry","id":"01800000-0000-7000-8000-000000000003","org":"acme","amount_cents":-12,"source":"vm_lease_debit","description":"VM lease of job 10000000-0000-4000-8000-000000000001 started 2024-06-06T10:00:00.123456Z","created_at":"2024-06-06T10:05:00.123456Z","lease_id":"00000000-0000-4000-8000-000000000001"}
{"type":"entry","id":"01800000-0000-7000-8000-000000000004","org":"acme","amount_cents":-999,"source":"vm_lease_debit","description":"VM lease of job 10000000-0000-4000-8000-000000000002 started 2024-06-06T10:06:00.000000Z","created_at":"2024-06-06T11:08:03.000000Z","lease_id":"00000000-0000-4000-8000-000000000002"}
{"type":"entry","id":"01800000-0000-7000-8000-000000000005","org":"acme","amount_cents":-1,"source":"vm_lease_debit","description":"VM lease 00000000-0000-4000-8000-000000000003 started 2024-06-07T09:00:00.000000Z","created_at":"2024-06-07T09:00:24.000000Z","lease_id":"00000000-0000-4000-8000-000000000003"}
`

// onTraced asks a server with these books.
func onTraced(t *testing.T) program {
	t.Helper()
	p := newProgram(t)
	if r := p.reading(tracedBooks).run("import", "-"); r.status != 0 { // one of the leases was billed at another amount than its cost
		t.Fatal(r.stderr)
	}
	card := `{"name":"GPU \u001b[31m","cpu_count":2,"memory_gb":4,"disk_gb":20,"cpu_microcents":20000,"memory_gb_microcents":5000,"disk_gb_microcents":100}`
	if err := os.WriteFile(filepath.Join(p.dir, "card.json"), []byte(card), 0o600); err != nil {
		t.Fatal(err)
	}
	return p.asking()
}

// session has the commands that a person might type to look at these books.
var session = []string{
	"balance",
	"transactions",
	"transactions --ids --limit 2",
	"usage --from 2024-06-01 --to 2024-07-01",
	"usage --from 2024-06-07 --to 2024-06-08 --compare",
	"usage --from 2024-06-01 --to 2024-07-01 --by job --limit 1 --per day",
	"usage --from 2024-06-01 --to 2024-07-01 --by shape",
	"series --from 2024-06-03 --to 2024-06-08",
	"breakdown --from 2024-06-01 --to 2024-07-01",
	"breakdown --from 2024-06-01 --to 2024-07-01 --sort cost --limit 1",
	"orgs --from 2024-06-01 --to 2024-07-01",
	"runway",
	"leases",
	"leases --state running",
	"leases --job 10000000-0000-4000-8000-000000000001",
	"explain 01800000-0000-7000-8000-000000000003",
	"explain 01800000-0000-7000-8000-000000000004",
	"explain 01800000-0000-7000-8000-000000000005",
	"explain 01800000-0000-7000-8000-000000000002",
	"explain 10000000-0000-4000-8000-000000000004",
	"credits",
	"statement --from 2024-06-01 --to 2024-07-01",
	"series --from 2024-06-07 --to 2024-06-08 -o json",
	"breakdown --from 2024-06-06 --to 2024-06-07 -o csv",
	"breakdown --from 2024-06-07 --to 2024-06-08 -o ndjson",
	"balance --interval 2s",
	"price list",
	"price try card.json --from 2024-06-01 --to 2024-07-01",
	"price try card.json --from 2024-06-01 --to 2024-07-01 --by pipeline",
	"price try card.json --from 2024-06-01 --to 2024-07-01 --by card -o json",
}

// onTerminal runs a command on a real pseudo-terminal, and returns its output.
func (p program) onTerminal(columns int, args ...string) string {
	p.t.Helper()
	cmd := p.command(p.t.Context(), args...)
	cmd.Stdin = nil
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(columns), Rows: 24})
	if err != nil {
		p.t.Fatal(err)
	}
	defer terminal.Close()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, terminal) // ends with an error when the other end is closed
	_ = cmd.Wait()
	return strings.ReplaceAll(shown.String(), "\r\n", "\n")
}

func TestTerminal(t *testing.T) {
	p := onTraced(t).with("TERM=xterm-256color")
	for _, columns := range []int{50, 80, 120} {
		t.Run(strconv.Itoa(columns), func(t *testing.T) {
			p.t = t
			var transcript strings.Builder
			for _, line := range session {
				shown := p.onTerminal(columns, strings.Fields(line)...)
				transcript.WriteString("$ harmont-billing " + line + "\n" + shown + "\n")
				checkSafe(t, line, shown)
				if !strings.HasPrefix(line, "explain") && !strings.Contains(line, "-o ") && !strings.Contains(line, "--interval") {
					checkFits(t, line, shown, columns)
				}
			}
			// Escape sequences in a golden file would move the cursor of a reader's terminal.
			golden(t, "terminal-"+strconv.Itoa(columns)+".txt", strings.ReplaceAll(transcript.String(), "\x1b", "␛"))
		})
	}
}

var colors = regexp.MustCompile(`\x1b\[(1|2|31|32|36)?m`)

// checkSafe refuses every control character but the ends of lines and this program's own colors.
func checkSafe(t *testing.T, what, shown string) {
	t.Helper()
	for _, r := range colors.ReplaceAllString(shown, "") {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s: %q reached the terminal in %q", what, r, shown)
			return
		}
	}
}

// ledgerState is a state of a ledger, which is copied from the terminal as a whole.
var ledgerState = regexp.MustCompile(`^[a-z]+:\d+:[0-9a-f]{64}\n$`)

// checkFits refuses lines that a terminal would break. Notes are sentences, which it may.
func checkFits(t *testing.T, what, shown string, columns int) {
	t.Helper()
	for line := range strings.Lines(colors.ReplaceAllString(shown, "")) {
		if width := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); width > columns && !strings.HasPrefix(line, "note: ") && !ledgerState.MatchString(line) {
			t.Errorf("%s: a line of %d cells on a terminal of %d: %s", what, width, columns, line)
		}
	}
}

func TestNoColor(t *testing.T) {
	p := onTraced(t)
	const line = "transactions"
	colored := p.with("TERM=xterm").onTerminal(80, line)
	if !strings.Contains(colored, "\x1b[") {
		t.Fatalf("no color on a terminal: %q", colored)
	}
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		equal(t, env, p.with("TERM=xterm", env).onTerminal(80, line), colors.ReplaceAllString(colored, ""))
	}
	equal(t, "an empty NO_COLOR", p.with("TERM=xterm", "NO_COLOR=").onTerminal(80, line), colored)
}

func TestPipeGetsNoControlCharacters(t *testing.T) {
	p := onTraced(t).with("TERM=xterm-256color")
	for _, line := range session {
		r := p.run(strings.Fields(line)...)
		if strings.Contains(line, "-o ") {
			// The data must be as the server has it, without styles.
			if colors.MatchString(r.stdout) {
				t.Errorf("%s: %q", line, r.stdout)
			}
			continue
		}
		for _, r := range r.stdout + r.stderr {
			if r != '\n' && unicode.IsControl(r) {
				t.Errorf("%s: %q went into a pipe", line, r)
				break
			}
		}
	}
}

// directions are the characters that change the direction of a text. A name with one of them would reorder the line that it is in.
const directions = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

// No name, whoever gave it, reorders the lines that people read. Data are exact.
func TestNoNameTurnsALine(t *testing.T) {
	p := newProgram(t)
	var books strings.Builder
	books.WriteString(`{"type":"organization","slug":"acme","name":"Acme DIR","created_at":"2026-01-01T00:00:00Z"}
{"type":"rate_card","name":"Prices DIR","effective_from":"1970-01-01T00:00:00Z","cpu_microcents":10000,"memory_gb_microcents":5000,"disk_gb_microcents":100,"created_at":"2026-01-01T00:00:00Z"}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000001","amount_cents":100,"source":"refund","description":"Refund DIR","created_at":"2026-06-01T00:00:00Z","lease_id":null,"author":"Ada DIR"}
`)
	for i, state := range []string{`,"finished_at":"2026-06-01T10:10:00Z"`, ""} {
		fmt.Fprintf(&books, `{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-00000000000%d","build_id":"20000000-0000-4000-8000-000000000001","pipeline_name":"Web DIR",`+
			`"job_name":"Unit DIR","vm_handle":"vm DIR","author":"Ada DIR","labels":{"team":"core DIR"},"cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-01T10:00:00Z"%s}`+"\n", i+1, state)
	}
	if r := p.reading(strings.ReplaceAll(books.String(), "DIR", directions)).run("import", "-"); r.status != exitOK || strings.ContainsAny(r.stderr, directions) {
		t.Fatalf("%+q", r.stderr)
	}
	p.ok("token", "create", "--name", "reader "+directions, "--role", "read", "--org", "acme")
	p = p.asking().with("TERM=xterm")
	const month = " --month 2026-06"
	for _, line := range []string{
		"org list", "token list", "price list", "verify", "whoami", "orgs" + month, "transactions", "credits", "leases", "breakdown" + month, "statement" + month,
		"usage --by pipeline" + month, "usage --by job" + month, "usage --by author" + month, "usage --by label.team" + month,
		"explain 01800000-0000-7000-8000-000000000001", "explain 00000000-0000-4000-8000-000000000001", "explain 00000000-0000-4000-8000-000000000002",
	} {
		r := p.run(strings.Fields(line)...)
		if r.status != exitOK || strings.ContainsAny(r.stdout+r.stderr, directions) {
			t.Errorf("%s: status %d\n%+q", line, r.status, r.stdout+r.stderr)
		}
		if shown := p.onTerminal(120, strings.Fields(line)...); strings.ContainsAny(shown, directions) {
			t.Errorf("%s on a terminal:\n%+q", line, shown)
		}
	}
	for _, line := range []string{"breakdown" + month, "leases", "credits", "usage --by author" + month} {
		for _, format := range []string{formatCSV, formatJSON, formatNDJSON} {
			if r := p.run(append(strings.Fields(line), "-o", format)...); !strings.Contains(r.stdout, directions) {
				t.Errorf("%s as %s:\n%+q", line, format, r.stdout)
			}
			if shown := p.onTerminal(120, append(strings.Fields(line), "-o", format)...); strings.ContainsAny(shown, directions) {
				t.Errorf("%s as %s on a terminal:\n%+q", line, format, shown)
			}
		}
	}
	for _, args := range [][]string{{"balance", "acme" + directions}, {"usage", "--by", directions}, {"usage", "--" + directions}, {directions}, {"explain", directions}, {"import", directions}} {
		if r := p.run(args...); r.status == exitOK || strings.ContainsAny(r.stderr, directions) {
			t.Errorf("%q: status %d\n%+q", args, r.status, r.stderr)
		}
	}
}

// Whatever people read has one form for the shape of a machine, which is that of 'price set --shape'.
func TestShapesAreWrittenAlike(t *testing.T) {
	p := onTraced(t)
	for line, want := range map[string]int{ // how many leases or groups have the shape
		"usage --from 2024-06-01 --to 2024-07-01 --by shape": 1,
		"breakdown --from 2024-06-01 --to 2024-07-01":        2,
		"leases": 2,
		"price try card.json --from 2024-06-01 --to 2024-07-01 --by shape": 1,
	} {
		shown := p.run(strings.Fields(line)...).stdout
		if got := len(regexp.MustCompile(`\b2x4x20\b`).FindAllString(shown, -1)); got != want || regexp.MustCompile(`\b2[-/]4[-/]20\b`).MatchString(shown) {
			t.Errorf("%s:\n%s", line, shown)
		}
	}
}

func TestWatchRedrawsUntilInterrupted(t *testing.T) {
	p := onTraced(t).with("TERM=xterm")
	running := p.startOnTerminal("balance", "--watch", "--interval", "1s")
	running.waitFor(`(?s)\x1b\[H\x1b\[2J.*Every 1s: balance acme, .*\$9\.88.*\x1b\[H\x1b\[2J.*\$9\.88`)
	running.press("\x03")
	if status := running.wait(); status.ExitStatus() != exitOK {
		t.Errorf("it ended with %v", running.cmd.ProcessState)
	}
	if text := running.text(); !strings.HasSuffix(text, "\n") {
		t.Errorf("the shell's prompt would stand behind %q", text)
	}
}

func TestWatchSurvivesAFailure(t *testing.T) {
	p := onTraced(t)
	server, address := p.serve()
	running := p.with("HARMONT_API_URL="+address, "TERM=xterm").startOnTerminal("balance", "acme", "--watch", "--interval", "1s")
	running.waitFor(`\$9\.88`)
	server.signal(syscall.SIGKILL)
	server.wait()
	running.waitFor(`(?s)no answer from ` + address + `.*\x1b\[H\x1b\[2J.*no answer from ` + address)
	running.press("\x03")
	if status := running.wait(); status.ExitStatus() != exitOK {
		t.Errorf("it ended with %v", running.cmd.ProcessState)
	}
}

func TestWatchIntoAPipe(t *testing.T) {
	p := onTraced(t)
	running := p.start("balance", "--watch", "--interval", "1s", "-o", "ndjson")
	running.waitFor(`^\{"balance_cents":988\}\n\{"balance_cents":988\}\n`)
	running.signal(syscall.SIGINT)
	if status := running.wait(); status.ExitStatus() != exitOK || strings.ContainsAny(running.text(), "\x1b\r") {
		t.Errorf("%v: %q", running.cmd.ProcessState, running.text())
	}
}

func TestFit(t *testing.T) {
	lines := []string{"titles\n", "1\n", "2\n", "3\n", "4\n", "5\n", "total"}
	for _, tt := range []struct {
		room, rowLines int
		newestLast     bool
		want           string
	}{
		{7, 1, false, "titles\n1\n2\n3\n4\n5\ntotal"},
		{6, 1, false, "titles\n1\n2\n3\n… 2 more lines\ntotal"},
		{6, 1, true, "titles\n… 2 more lines\n3\n4\n5\ntotal"},
		{4, 1, false, "titles\n1\n… 4 more lines\ntotal"},
		{3, 1, false, "titles\n1\n2\n3\n4\n5\ntotal"},
		{0, 1, false, "titles\n1\n2\n3\n4\n5\ntotal"},
		{6, 2, false, "titles\n1\n2\n3\n4\n5\ntotal"},
	} {
		equal(t, fmt.Sprint(tt.room, tt.rowLines), strings.Join(fit(lines, tt.room, tt.rowLines, tt.newestLast), ""), tt.want)
	}
}

// Of rows with two lines none is cut in half.
func TestFitRowsOfTwoLines(t *testing.T) {
	lines := strings.SplitAfter("titles\nof two\n1\na\n2\nb\n3\nc\ntotal\nof two", "\n")
	for _, room := range []int{7, 8} {
		equal(t, strconv.Itoa(room), strings.Join(fit(lines, room, 2, false), ""), "titles\nof two\n1\na\n… 4 more lines\ntotal\nof two")
		equal(t, strconv.Itoa(room), strings.Join(fit(lines, room, 2, true), ""), "titles\nof two\n… 4 more lines\n3\nc\ntotal\nof two")
	}
	equal(t, "too little room", strings.Join(fit(lines, 6, 2, false), ""), strings.Join(lines, ""))
}

func TestBar(t *testing.T) {
	const huge = 1<<63 - 1
	for _, tt := range []struct {
		part, whole int64
		cells       int
		want        string
	}{
		{0, 100, 10, ""}, {-5, 100, 10, ""}, {5, 0, 10, ""}, {5, 100, -3, ""},
		{100, 100, 4, "████"}, {50, 100, 4, "██"}, {1, 1 << 40, 4, "▏"}, {99, 100, 4, "███▉"}, {5, 8, 1, "▋"},
		{huge, huge, 3, "███"}, {huge / 2, huge, 2, "▉"}, {200, 100, 2, "██"},
	} {
		equal(t, strconv.FormatInt(tt.part, 10), bar(tt.part, tt.whole, tt.cells), tt.want)
	}
}

// terminalProcess is a program on a pseudo-terminal, at which the test presses the keys.
type terminalProcess struct {
	*process
	keys, screen *os.File
	before       *term.State
}

func (p program) startOnTerminal(args ...string) *terminalProcess {
	p.t.Helper()
	keys, screen, err := pty.Open()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := pty.Setsize(keys, &pty.Winsize{Cols: 80, Rows: 24}); err != nil {
		p.t.Fatal(err)
	}
	before, err := term.GetState(int(screen.Fd()))
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command(p.t.Context(), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	running := &terminalProcess{&process{t: p.t, cmd: cmd, exited: make(chan struct{})}, keys, screen, before}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(running.process, untilNUL{keys})
	}()
	go func() {
		_ = cmd.Wait()
		_, _ = screen.Write([]byte{0}) // a mark after the program's output
		<-shown
		close(running.exited)
	}()
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-running.exited
		keys.Close()
		screen.Close()
	})
	return running
}

// untilNUL ends before the first NUL.
type untilNUL struct{ io.Reader }

func (u untilNUL) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	if i := bytes.IndexByte(b[:n], 0); i >= 0 {
		return i, io.EOF
	}
	return n, err
}

func (p *terminalProcess) press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.keys, keys); err != nil {
		p.t.Fatal(err)
	}
}

// echoes tells whether the terminal is as it was before the program.
func (p *terminalProcess) echoes() bool {
	p.t.Helper()
	now, err := term.GetState(int(p.screen.Fd()))
	if err != nil {
		p.t.Fatal(err)
	}
	return *now == *p.before
}

func (p *terminalProcess) waitForNoEcho() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); p.echoes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the terminal still shows what is typed:\n%s", p.text())
		}
	}
}
