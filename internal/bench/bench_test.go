package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		unit unit
		n    int64
		want string
	}{
		{perSecond, 1_234_567, "1 234 567/s"}, {perSecond, 999, "999/s"},
		{nanoseconds, 123_456, "123 µs"}, {nanoseconds, 4_567_890, "4.5 ms"}, {nanoseconds, 45_678_900, "45 ms"}, {nanoseconds, 1_234_567_890, "1.23 s"},
		{nanoseconds, 61_000_000_000, "61 s"}, {byteCount, 33_554_432, "32.0 MiB"}, {byteCount, -1_572_864, "−1.5 MiB"},
	} {
		if got := c.unit.format(c.n); got != c.want {
			t.Errorf("%d is written %q, want %q", c.n, got, c.want)
		}
	}
	if got := (series{5, 1, 9}).median(); got != 5 {
		t.Errorf("the median of three is %d", got)
	}
	if got := (series{8, 2, 1, 4}).median(); got != 3 {
		t.Errorf("the median of four is %d", got)
	}
	for _, c := range []struct {
		s    series
		want bool
	}{{series{100, 90, 110}, false}, {series{100, 80, 120}, true}, {series{7}, false}, {series{-100, -60}, true}} {
		if got := c.s.isUnsteady(); got != c.want {
			t.Errorf("%d unsteady: %t", c.s, got)
		}
	}
}

func TestRows(t *testing.T) {
	// The median of the ratios, 0.90, is not the ratio of the medians: the second run had a slow machine for both.
	r := row{
		label: "Balance", store: "SQLite", measurements: series{900, 350, 950}, yardstickLabel: "a yardstick", yardstick: series{1000, 500, 1000}, bound: atLeast(80),
	}
	if got, want := r.line(true), "| Balance ÷ a yardstick | SQLite | 0.90 (0.70 – 0.95) ⚠ | ≥ 0.80 | yes |\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if got, want := r.line(false), "| Balance | SQLite | 900/s | a yardstick | 1 000/s | 0.90 (0.70 – 0.95) ⚠ |\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	r.bound = atLeast(91)
	if got := r.verdict(); got != "**no**" {
		t.Errorf("0.90 where 0.91 is wanted: %s", got)
	}
	r = row{label: "Memory", unit: byteCount, measurements: series{33 << 20}, bound: bound{maximum: 32 << 20}}
	if got, want := r.line(true), "| Memory | – | 33.0 MiB | ≤ 32.0 MiB | **no** |\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	r = row{measurements: series{10}, yardstickLabel: "a sum", yardstick: series{770}}
	if got := r.format(r.boundedSeries().median()); got != "1/77" {
		t.Errorf("10 against 770 is written %s", got)
	}
}

func TestSidesTakeTurns(t *testing.T) {
	var order []string
	named := func(name string) side {
		return func(context.Context) (int64, error) {
			order = append(order, name)
			return int64(len(order)), nil
		}
	}
	measured, err := alternate(t.Context(), 2, true, named("A"), named("B"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "ABABAB" {
		t.Errorf("the order is %s", got)
	}
	if got := fmt.Sprint(measured); got != "[[3 5] [4 6]]" {
		t.Errorf("measured %s", got)
	}
}

func TestReport(t *testing.T) {
	b := &bench{size: sizes["small"]}
	b.rows = append(b.rows, row{section: "balance", label: "Balance", store: "SQLite", measurements: series{8}, yardstickLabel: "a handler", yardstick: series{10}, bound: atLeast(80)},
		row{section: "breakdown", label: "Extra memory", unit: byteCount, measurements: series{64 << 20}, bound: bound{maximum: 32 << 20}})
	text, err := b.report(machine{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"\n1 of 2 are met", "| Balance ÷ a handler | SQLite | 0.80 | ≥ 0.80 | yes |", "\n## Balance\n", "\n## Breakdown\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if strings.Contains(text, "## Footprint") {
		t.Errorf("a section that was not measured is there:\n%s", text)
	}
}

func TestDrive(t *testing.T) {
	var refuse bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%v, %v", r.Header, err)
		}
		switch {
		case refuse:
			w.WriteHeader(http.StatusTeapot)
		case r.URL.Path == "/long":
			for i := range 100 {
				fmt.Fprintln(w, strings.Repeat("x", 100*i))
				w.(http.Flusher).Flush()
			}
		default:
			w.Write(body)
		}
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	sent := make(chan []byte, 10)
	for range cap(sent) / 2 {
		sent <- request("POST", "/", "secret", `{"a":1}`)
		sent <- request("GET", "/long", "secret", "")
	}
	close(sent)
	n, elapsed, err := drive(t.Context(), address, 3, 0, func(int) []byte { return <-sent })
	if n != int64(cap(sent)) || elapsed <= 0 || err != nil {
		t.Errorf("%d answers in %s: %v", n, elapsed, err)
	}

	c, err := connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.abandon()
	var long, short strings.Builder
	if err := c.send(request("GET", "/long", "secret", ""), &long); err != nil || long.Len() != 100*99/2*100+100 {
		t.Errorf("%d bytes in chunks: %v", long.Len(), err)
	}
	if err := c.send(request("POST", "/", "secret", "after it"), &short); err != nil || short.String() != "after it" {
		t.Errorf("%q: %v", short.String(), err)
	}

	refuse = true
	if _, _, err := drive(t.Context(), address, 2, time.Minute, sameRequest(request("GET", "/", "secret", ""))); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("a refusal passes for an answer: %v", err)
	}
}

func TestParseWrk(t *testing.T) {
	const fine = "  12345 requests in 1.00s, 1.2MB read\nRequests/sec:  12345.67\nTransfer/sec:      1.20MB\n"
	if n, err := parseWrk(fine); n != 12345 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "  Non-2xx or 3xx responses: 7\n" + fine, "  Socket errors: connect 0, read 3, write 0, timeout 0\n" + fine} {
		if n, err := parseWrk(bad); err == nil {
			t.Errorf("%d of\n%s", n, bad)
		}
	}
}

func TestHistory(t *testing.T) {
	h := yearOf(largeOrg, 10_007)
	ids := map[billing.ID]bool{}
	builds := map[billing.ID]int{}
	last := billing.Time(0)
	for i, l := range h.leases(0, h.n) {
		if l.StartedAt < last || l.StartedAt < h.at(i) || l.StartedAt >= h.at(i+1) || l.StartedAt >= yearEnd {
			t.Fatalf("lease %d starts at %s, after %s", i, l.StartedAt, last)
		}
		last = l.StartedAt
		if ids[*l.ID] || ids[*l.JobID] {
			t.Fatalf("lease %d has an id that was there", i)
		}
		ids[*l.ID], ids[*l.JobID] = true, true
		builds[*l.BuildID]++
		op := &billing.ImportLease{Lease: l}
		if err := op.Validate(); err != nil {
			t.Fatalf("lease %d: %v", i, err)
		}
	}
	if last < yearEnd-billing.Day {
		t.Errorf("the last lease starts at %s", last)
	}
	if want := (h.n + jobsPerBuild - 1) / jobsPerBuild; len(builds) != want {
		t.Errorf("%d builds, want %d", len(builds), want)
	}
}

func TestSingle(t *testing.T) {
	one, err := newLeaseTemplate(history{largeOrg, 1000, billing.Hour}, "secret")
	if err != nil {
		t.Fatal(err)
	}
	next := one.sender(2)
	seen := map[string]bool{}
	for i := range 1000 {
		text := string(next(i % 2))
		_, body, _ := strings.Cut(text, "\r\n\r\n")
		var sent struct{ Leases []leaseJSON }
		if err := json.Unmarshal([]byte(body), &sent); err != nil || len(sent.Leases) != 1 {
			t.Fatalf("%v: %s", err, body)
		}
		for _, id := range []string{sent.Leases[0].LeaseID, sent.Leases[0].JobID} {
			if _, err := billing.ParseID(id); err != nil || seen[id] {
				t.Fatalf("request %d: %s (%v)", i, id, err)
			}
			seen[id] = true
		}
	}
}
