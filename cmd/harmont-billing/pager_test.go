package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// paging is the program on a terminal, with a pager that is a shell script.
func paging(p program, script string) program {
	p.t.Helper()
	file := filepath.Join(p.dir, "pager")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	return p.with("TERM=xterm", "PAGER="+file+" an argument")
}

// many is a server that answers with entries, of which there are as many as are asked for.
func many(t *testing.T) *standIn {
	return newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/balance/") {
			_, _ = io.WriteString(w, `{"balance_cents":1}`)
			return
		}
		var entries []string
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil {
			t.Error(err)
		}
		for i := range limit {
			entries = append(entries, fmt.Sprintf(`{"id":"01994f00-0000-7000-8000-000000000002","amount_cents":%d,"source":"refund","description":"x","created_at":"2026-06-01T00:00:00.000000Z"}`, i+1))
		}
		_, _ = io.WriteString(w, `{"data":[`+strings.Join(entries, ",")+`],"next_cursor":"`+r.URL.Query().Get("cursor")+`x"}`)
	})
}

func TestPager(t *testing.T) {
	server := many(t)
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	const listing = "transactions acme --limit 200"
	paged := paging(p, `echo "pager: $* $LESS"; cat`)
	plain := paged.onTerminal(80, strings.Fields(listing+" --no-pager")...)
	if lines := strings.Count(plain, "\n"); lines != 202 || strings.Contains(plain, "pager") {
		t.Fatalf("%d lines without a pager:\n%s", lines, plain)
	}
	equal(t, "all of it in the pager", paged.onTerminal(80, strings.Fields(listing)...), "pager: an argument -FRX\n"+plain)
	equal(t, "with options of its own", paged.with("LESS=-R").onTerminal(80, strings.Fields(listing)...), "pager: an argument -R\n"+plain)

	const short = "transactions acme --limit 21" // with titles and the total one line less than the terminal has
	if shown := paged.onTerminal(80, strings.Fields(short)...); strings.Contains(shown, "pager") || strings.Count(shown, "\n") != 23 {
		t.Errorf("what the terminal has room for:\n%s", shown)
	}
	if shown := paged.onTerminal(80, "transactions", "acme", "--limit", "22"); !strings.Contains(shown, "pager") {
		t.Errorf("one line more:\n%s", shown)
	}
	equal(t, "json", paged.onTerminal(80, strings.Fields(listing+" -o json")...), "pager: an argument -FRX\n"+
		paged.onTerminal(80, strings.Fields(listing+" -o json --no-pager")...))
	if r := paged.run(strings.Fields(listing)...); r.status != exitOK || strings.Contains(r.stdout, "pager") {
		t.Errorf("into a pipe: %+v", r)
	}
	for _, none := range []string{"PAGER=", "PAGER=cat", "TERM=dumb"} {
		equal(t, none, colors.ReplaceAllString(paged.with(none).onTerminal(80, strings.Fields(listing)...), ""), colors.ReplaceAllString(plain, ""))
	}
	missing := paged.with("PAGER=no-such-pager").onTerminal(80, strings.Fields(listing)...)
	if !regexp.MustCompile(`^note: no pager: .*no-such-pager.*; see PAGER and --no-pager\n`).MatchString(missing) || !strings.HasSuffix(missing, plain) {
		t.Errorf("a pager that is not there:\n%s", missing)
	}
	// A failure is shown after what was written before it.
	server.Close()
	if shown := paged.onTerminal(80, "balance", "acme"); !strings.HasPrefix(shown, "harmont-billing: no answer from ") {
		t.Errorf("a failure:\n%s", shown)
	}
}

// The listing has no end, so that it ends only because the pager does.
func TestPagerIsQuitEarly(t *testing.T) {
	server := many(t)
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	for _, format := range []string{formatTable, formatJSON, formatCSV} {
		running := paging(p, `head -n 1; echo the end`).startOnTerminal("transactions", "acme", "--all", "-o", format)
		if status := running.wait(); status.ExitStatus() != exitOK || strings.Contains(running.text(), "harmont-billing:") || strings.Count(running.text(), "\n") != 2 {
			t.Errorf("%s: it ended with %v:\n%s", format, running.cmd.ProcessState, running.text())
		}
	}
	// It ends also while it waits for a server that is silent, and has nothing to write.
	silent := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"data":[`+strings.Repeat(standInBuild(1, 1, 1)+",", breakdownBatch-1)+standInBuild(777, 1, 1)+",")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	running := paging(p.with("HARMONT_API_URL="+silent.URL), `while read line; do case "$line" in *"#777"*) exit;; esac; done`).startOnTerminal("breakdown", "acme", "--last", "24h")
	if status := running.wait(); status.ExitStatus() != exitOK || strings.Contains(running.text(), "harmont-billing:") {
		t.Errorf("it ended with %v:\n%s", running.cmd.ProcessState, running.text())
	}
}

// An interrupt is for the pager. If it ended the program, the shell and the pager would both read the keys.
func TestInterruptIsThePagers(t *testing.T) {
	server := many(t)
	p := paging(newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x"),
		`trap "echo interrupted" INT; cat >/dev/null; echo ready; while ! read word </dev/tty; do :; done; echo "bye $word"`)
	running := p.startOnTerminal("transactions", "acme", "--limit", "200")
	running.waitFor("ready")
	running.press("\x03")
	running.waitFor("interrupted")
	running.press("now\r")
	if status := running.wait(); status.ExitStatus() != exitOK || !strings.Contains(running.text(), "bye now") {
		t.Errorf("it ended with %v:\n%s", running.cmd.ProcessState, running.text())
	}
}

func TestWatchHasNoPager(t *testing.T) {
	server := many(t)
	p := paging(newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x"), `echo pager; cat`)
	running := p.startOnTerminal("transactions", "acme", "--limit", "200", "--watch", "--interval", "1s")
	running.waitFor(`more lines`)
	running.press("\x03")
	if status := running.wait(); status.ExitStatus() != exitOK || strings.Contains(running.text(), "pager") {
		t.Errorf("it ended with %v:\n%s", running.cmd.ProcessState, running.text())
	}
}
