package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestClientCommands(t *testing.T) {
	p := newProgram(t)
	p.reading(books).ok("import", "-")
	p = p.asking()

	window := []string{"--from", "2026-06-05", "--to", "2026-06-07T02:00:00.000001+02:00"}
	const query = "?from=2026-06-05&to=2026-06-07T00:00:00.000001Z"
	for _, tt := range []struct {
		args       []string
		path       string // -o json prints the answer of this path
		table, csv string
	}{
		{
			args:  []string{"balance", "acme"},
			path:  "balance/acme",
			table: "-$0.37\n",
			csv:   "balance_cents\n-37\n",
		}, {
			args: []string{"transactions", "acme"},
			path: "transactions/acme",
			table: `CREATED (UTC)        AMOUNT  SOURCE             DESCRIPTION
2026-06-06 11:08:03  -$6.25  vm_lease_debit
2026-06-06 10:05:00  -$0.12  vm_lease_debit     VM lease 1
2026-06-06 00:00:43   $0.00  vm_lease_debit     VM lease, �[31mred
2026-06-01 00:00:00   $6.00  coupon_redemption  =1+1
TOTAL                -$0.37                     4 entries
`,
			csv: `id,amount_cents,source,description,created_at
01994f00-0000-7000-8000-000000000005,-625,vm_lease_debit,,2026-06-06T11:08:03.000000Z
01994f00-0000-7000-8000-000000000004,-12,vm_lease_debit,VM lease 1,2026-06-06T10:05:00.123456Z
01994f00-0000-7000-8000-000000000003,0,vm_lease_debit,"VM lease, ` + "\x1b" + `[31mred",2026-06-06T00:00:43.999999Z
01994f00-0000-7000-8000-000000000002,600,coupon_redemption,'=1+1,2026-06-01T00:00:00.000000Z
`,
		}, {
			args: append([]string{"usage", "acme"}, window...),
			path: "usage/acme" + query,
			table: `CPU SEC  MEM GB SEC  DISK GB SEC   COST
 30,428      60,812      303,884  $6.37
`,
			csv: `cpu_seconds,memory_gb_seconds,disk_gb_seconds,total_cents
30428,60812,303884,637
`,
		}, {
			args: append([]string{"series", "acme"}, window...),
			path: "usage/acme/series" + query,
			table: `DATE (UTC)  CPU SEC  MEM GB SEC  DISK GB SEC   COST
2026-06-05       44          44           44  $0.00
2026-06-06   30,384      60,768      303,840  $6.37
2026-06-07        0           0            0  $0.00
TOTAL        30,428      60,812      303,884  $6.37
`,
			csv: `date,cpu_seconds,memory_gb_seconds,disk_gb_seconds,total_cents
2026-06-05,44,44,44,0
2026-06-06,30384,60768,303840,637
2026-06-07,0,0,0,0
`,
		}, {
			args: append([]string{"breakdown", "acme"}, window...),
			path: "usage/acme/breakdown" + query,
			table: `STARTED (UTC)          DURATION      COST  MACHINE  BUILD AND JOBS
2026-06-07 00:00:00     running  unbilled    1 job  (no build)
2026-06-07 00:00:00     running  unbilled    1x2x3  └─ vm-3
2026-06-06 10:00:00  1h 07m 03s     $6.37   2 jobs  Web App #7
2026-06-06 10:00:00      5m 00s     $0.12   2x4x20  ├─ Unit Tests
2026-06-06 10:06:00  1h 02m 03s     $6.25  8x16x80  └─ �[31mEnd, to "End"
2026-06-05 23:59:59         44s     $0.00    1 job  Build e0000000-0000-4000-8000-000000000009
2026-06-05 23:59:59         44s     $0.00    1x1x1  └─ lint
TOTAL                1h 07m 47s     $6.37   4 jobs  3 builds, 1 job running
`,
			csv: `build_id,build_number,build_external_id,pipeline_id,pipeline_name,pipeline_slug,job_id,job_name,step_key,vm_handle,cpu_count,memory_gb,disk_gb,duration_seconds,amount_cents,started_at,finished_at
,,,,,,,,,vm-3,1,2,3,,0,2026-06-07T00:00:00.000000Z,
20000000-0000-4000-8000-000000000001,7,e0000000-0000-4000-8000-000000000007,30000000-0000-4000-8000-000000000001,Web App,web-app,10000000-0000-4000-8000-000000000001,Unit Tests,unit,vm-1,2,4,20,300,-12,2026-06-06T10:00:00.123456Z,2026-06-06T10:05:00.123456Z
20000000-0000-4000-8000-000000000001,7,e0000000-0000-4000-8000-000000000007,30000000-0000-4000-8000-000000000001,Web App,web-app,10000000-0000-4000-8000-000000000002,"` + "\x1b" + `[31mEnd, to ""End""",,,8,16,80,3723,-625,2026-06-06T10:06:00.000000Z,2026-06-06T11:08:03.000000Z
20000000-0000-4000-8000-000000000002,,e0000000-0000-4000-8000-000000000009,,,,10000000-0000-4000-8000-000000000004,,lint,vm-4,1,1,1,44,0,2026-06-05T23:59:59.999999Z,2026-06-06T00:00:43.999999Z
`,
		},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			equal(t, "table", p.ok(tt.args...), tt.table)
			equal(t, "csv", p.ok(append(tt.args, "-o", "csv")...), tt.csv)
			json := p.ok(append(tt.args, "--output=json")...)
			equal(t, "ndjson", p.ok(append(tt.args, "-o", "ndjson")...), itemLines(t, p.get(tt.path)))
			equal(t, "json", strings.ReplaceAll(json, "\n", ""), p.get(tt.path))
			lines := 1
			switch tt.args[0] { // each entry has one, and each build
			case "transactions":
				lines = 6
			case "breakdown":
				lines = 5
			}
			if n := strings.Count(json, "\n"); n != lines || !strings.HasSuffix(json, "}\n") {
				t.Errorf("%d lines of JSON:\n%s", n, json)
			}
		})
	}
}

// itemLines has a line for each item of an answer that is a list, and one for any other.
func itemLines(t *testing.T, answer string) (lines string) {
	t.Helper()
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal([]byte(answer), &list); err != nil {
		t.Fatal(err)
	}
	if list.Data == nil {
		return strings.TrimSuffix(answer, "\n") + "\n"
	}
	for _, item := range list.Data {
		lines += string(item) + "\n"
	}
	return lines
}

// get sends a GET request to the server without the client package, as any other program would.
func (p program) get(path string) string {
	p.t.Helper()
	env := map[string]string{}
	for _, e := range p.env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, env["HARMONT_API_URL"]+"/api/v0/billing/"+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+env["HARMONT_TOKEN"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %d %s %v", path, resp.StatusCode, body, err)
	}
	return string(body)
}

func TestTransactionsWalkPages(t *testing.T) {
	p := newProgram(t)
	var credits strings.Builder
	const entries = 230
	for i := range entries {
		fmt.Fprintf(&credits, `{"org":"acme","amount_cents":%d,"source":"refund","description":null,"idempotency_key":"%d"}`+"\n", i+1, i)
	}
	p.reading(credits.String()).ok("import", "-")
	p = p.asking()

	for _, tt := range []struct {
		args []string
		want int
		more bool
	}{
		{nil, 50, true}, {[]string{"--limit", "1"}, 1, true}, {[]string{"--limit=100"}, 100, true}, {[]string{"--limit", "150"}, 150, true},
		{[]string{"--limit", "230"}, 230, false}, {[]string{"--limit", "1000000"}, 230, false}, {[]string{"--all"}, 230, false},
	} {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			args := append([]string{"transactions", "acme"}, tt.args...)
			csv := p.ok(append(args, "-o", "csv")...)
			amount := entries
			records := strings.Split(strings.TrimSpace(csv), "\n")
			for _, record := range records[1:] {
				if !strings.Contains(record, fmt.Sprintf(",%d,refund,", amount)) {
					t.Fatalf("%s comes where %d should", record, amount)
				}
				amount--
			}
			if len(records) != tt.want+1 {
				t.Errorf("%d records of CSV", len(records))
			}
			if lines := strings.Count(p.ok(args...), "\n"); lines != tt.want+2 {
				t.Errorf("%d lines of a table", lines)
			}
			var list struct {
				Data       []struct{ ID string } `json:"data"`
				NextCursor *string               `json:"next_cursor"`
			}
			if err := json.Unmarshal([]byte(p.ok(append(args, "-o", "json")...)), &list); err != nil {
				t.Fatal(err)
			}
			if len(list.Data) != tt.want || list.NextCursor != nil != tt.more {
				t.Errorf("%d entries of JSON, with more: %v", len(list.Data), list.NextCursor != nil)
			}
			for i, entry := range list.Data {
				if !strings.HasPrefix(records[i+1], entry.ID+",") {
					t.Fatalf("entry %d is %s in JSON and %s in CSV", i, entry.ID, records[i+1])
				}
			}
		})
	}
}

func TestTransactionsOfAPart(t *testing.T) {
	p := newProgram(t)
	p.reading(books).ok("import", "-")
	p = p.asking()
	for args, want := range map[string]string{ // the ends of the ids
		"":                           "5 4 3 2",
		"--oldest-first":             "2 3 4 5",
		"--oldest-first --limit 3":   "2 3 4",
		"--source vm_lease_debit":    "5 4 3",
		"--source coupon_redemption": "2",
		"--source refund":            "",
		"--from 2026-06-02":          "5 4 3",
		"--to 2026-06-06":            "2",
		"--to 2026-06-06T10:05:00.123456Z --oldest-first":                        "2 3",
		"--from 2026-06-06T10:05:00.123456Z":                                     "5 4",
		"--from 2026-06-06T02:00:00 --to 2026-06-06T02:01:00 --tz Europe/Berlin": "3",
		"--month 2026-06": "5 4 3 2",
		"--month 2026-06 --source vm_lease_debit --oldest-first --limit 2": "3 4",
		"--month 2026-05": "",
	} {
		records := strings.Split(strings.TrimSpace(p.ok(append([]string{"transactions", "acme", "-o", "csv"}, strings.Fields(args)...)...)), "\n")
		var got []string
		for _, record := range records[1:] {
			id, _, _ := strings.Cut(record, ",")
			got = append(got, id[len(id)-1:])
		}
		equal(t, args, strings.Join(got, " "), want)
	}
}

// The clock of the machine that asks may be slow. An end that is only its own idea of now must not hide entries.
func TestTransactionsUpToNow(t *testing.T) {
	server := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data":[],"next_cursor":null}`)
	})
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	for i, args := range []string{"--month this", "--last 7d", "--last 24h", "--from 2026-06-01"} {
		got := p.run(append([]string{"transactions", "acme"}, strings.Fields(args)...)...)
		if query := server.seen()[i]; got.status != exitOK || !query.Has("from") || query.Has("to") || got.stderr != "" != (i < 2) {
			t.Errorf("%s: %v, %+v", args, query, got)
		}
	}
}

func TestCompareUsage(t *testing.T) {
	p := newProgram(t)
	p.reading(books).ok("import", "-")
	p = p.asking()
	args := []string{"usage", "acme", "--from", "2026-06-06", "--to", "2026-06-07", "--compare"}
	equal(t, "table", p.ok(args...), `                          BEFORE               WINDOW    CHANGE
FROM (UTC)   2026-06-05 00:00:00  2026-06-06 00:00:00
TO (UTC)     2026-06-06 00:00:00  2026-06-07 00:00:00
CPU SEC                       44               30,384   +30,340   +68,954.5%
MEM GB SEC                    44               60,768   +60,724  +138,009.1%
DISK GB SEC                   44              303,840  +303,796  +690,445.5%
COST                       $0.00                $6.37    +$6.37
`)
	equal(t, "csv", p.ok(append(args, "-o", "csv")...), `from,to,cpu_seconds,memory_gb_seconds,disk_gb_seconds,total_cents
2026-06-05T00:00:00.000000Z,2026-06-06T00:00:00.000000Z,44,44,44,0
2026-06-06T00:00:00.000000Z,2026-06-07T00:00:00.000000Z,30384,60768,303840,637
`)
	const want = `{"before":{"from":"2026-06-05T00:00:00.000000Z","to":"2026-06-06T00:00:00.000000Z","cpu_seconds":44,"memory_gb_seconds":44,"disk_gb_seconds":44,"total_cents":0},` +
		`"window":{"from":"2026-06-06T00:00:00.000000Z","to":"2026-06-07T00:00:00.000000Z","cpu_seconds":30384,"memory_gb_seconds":60768,"disk_gb_seconds":303840,"total_cents":637}}` + "\n"
	equal(t, "json", p.ok(append(args, "-o", "json")...), want)
	equal(t, "ndjson", p.ok(append(args, "-o", "ndjson")...), want)

	var months struct{ Before, Window struct{ From, To string } }
	if err := json.Unmarshal([]byte(p.ok("usage", "acme", "--month", "2026-03", "--tz", "Europe/Berlin", "--compare", "-o", "json")), &months); err != nil {
		t.Fatal(err)
	}
	equal(t, "months", fmt.Sprint(months), "{{2026-01-31T23:00:00.000000Z 2026-02-28T23:00:00.000000Z} {2026-02-28T23:00:00.000000Z 2026-03-31T22:00:00.000000Z}}")

	// A window that is under way is compared with the same part of the period before: the bounds and the sums are those of that part.
	r := p.run("usage", "acme", "--last", "2d", "--compare", "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &months); err != nil {
		t.Fatal(err)
	}
	to, err := time.Parse(time.RFC3339, months.Window.To)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the end of the part", months.Before.To, timestamp(to.AddDate(0, 0, -2)))
	if r := p.run("usage", "acme", "--compare"); !regexp.MustCompile(`(?s)COST .*\nAgainst \d{4}-\d\d-01 to \d{4}-\d\d-\d\d \d\d:\d\d UTC\n\(.* the period before.*\)\.\n$`).MatchString(r.stdout) {
		t.Errorf("it does not say what is compared:\n%s", r.stdout)
	}
}

// The request for the period before ends where the same part of that period ends, so the sums have nothing of the rest.
func TestCompareAsksForThePart(t *testing.T) {
	server := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"cpu_seconds":1,"memory_gb_seconds":1,"disk_gb_seconds":1,"total_cents":1}`)
	})
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	if r := p.run("usage", "acme", "--last", "7d", "--compare"); r.status != exitOK {
		t.Fatal(r.stderr)
	}
	asked := server.seen()
	now, err := time.Parse(time.RFC3339, asked[0].Get("to"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the part's end", asked[1].Get("to"), strings.Replace(now.AddDate(0, 0, -7).Format(time.RFC3339Nano), "+00:00", "Z", 1))
}

func TestChange(t *testing.T) {
	const huge = 1<<63 - 1
	for _, tt := range []struct {
		before, after int64
		want          string
	}{
		{0, 0, "$0.00 "}, {0, 150, "+$1.50 "}, {100, 100, "$0.00 0.0%"}, {100, 150, "+$0.50 +50.0%"}, {300, 200, "-$1.00 -33.3%"},
		{100, 0, "-$1.00 -100.0%"}, {2000, 2001, "+$0.01 +0.1%"}, {1, huge, "+$92,233,720,368,547,758.06 +922,337,203,685,477,580,600.0%"}, {huge, 0, "-$92,233,720,368,547,758.07 -100.0%"},
		{-100, 100, "+$2.00 "},
	} {
		change, percent, err := changeOf(tt.before, tt.after, money)
		if err != nil {
			t.Error(err)
		}
		equal(t, fmt.Sprint(tt.before, " to ", tt.after), change+" "+percent, tt.want)
	}
	if got, _, err := changeOf(-2, huge, money); err == nil {
		t.Errorf("a change wrapped: %s", got)
	}
}

func TestEmptyOrganization(t *testing.T) {
	p := newProgram(t)
	p.ok("org", "create", "acme")
	p = p.asking()
	equal(t, "transactions", p.ok("transactions", "acme"), "CREATED (UTC)  AMOUNT  SOURCE  DESCRIPTION\nTOTAL           $0.00          0 entries\n")
	equal(t, "transactions", p.ok("transactions", "acme", "--all", "-o", "csv"), "id,amount_cents,source,description,created_at\n")
	equal(t, "transactions", p.ok("transactions", "acme", "-o", "json"), "{\"data\":[\n],\"next_cursor\":null}\n")
	equal(t, "breakdown", p.ok("breakdown", "acme", "--last", "1h"),
		"STARTED (UTC)  DURATION   COST  MACHINE  BUILD AND JOBS\nTOTAL                0s  $0.00   0 jobs  0 builds\n")
}

// standIn is an HTTP server that takes the place of the billing server and records the queries of the requests that it receives.
type standIn struct {
	*httptest.Server
	mu       sync.Mutex
	requests []url.Values
}

func newStandIn(t *testing.T, answer http.HandlerFunc) *standIn {
	s := &standIn{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.URL.Query())
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *standIn) seen() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func TestWindows(t *testing.T) {
	server := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"cpu_seconds":1,"memory_gb_seconds":2,"disk_gb_seconds":3,"total_cents":9223372036854775807}`)
	})
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	ask := func(args ...string) (from, to time.Time) {
		t.Helper()
		p.ok(append([]string{"usage", "acme"}, args...)...)
		requests := server.seen()
		query := requests[len(requests)-1]
		from, errFrom := time.Parse(time.RFC3339, query.Get("from"))
		to, errTo := time.Parse(time.RFC3339, query.Get("to"))
		if err := errors.Join(errFrom, errTo); err != nil {
			t.Fatal(err)
		}
		return from, to
	}
	began := time.Now().Truncate(time.Microsecond)
	isNow := func(to time.Time) bool { return !to.Before(began) && !to.After(time.Now()) }

	if from, to := ask("--from", "2026-05-01", "--to", "2026-06-01T00:00:00+02:00"); timestamp(from) != "2026-05-01T00:00:00.000000Z" ||
		timestamp(to) != "2026-05-31T22:00:00.000000Z" {
		t.Errorf("from %s to %s", from, to)
	}
	for text, span := range map[string]time.Duration{"36h": 36 * time.Hour, "1h30m": 90 * time.Minute} {
		if from, to := ask("--last", text); to.Sub(from) != span || !isNow(to) {
			t.Errorf("--last %s: from %s to %s", text, from, to)
		}
	}
	if from, to := ask("--from", "2020-01-01T00:00:00Z"); timestamp(from) != "2020-01-01T00:00:00.000000Z" || !isNow(to) {
		t.Errorf("from %s to %s", from, to)
	}
	if from, to := ask("--month", "2026-05", "--tz", "Europe/Berlin"); timestamp(from) != "2026-04-30T22:00:00.000000Z" ||
		timestamp(to) != "2026-05-31T22:00:00.000000Z" {
		t.Errorf("from %s to %s", from, to)
	}
}

// The table of a month has its days, and none of the next month. JSON and CSV have the days of the API.
func TestSeriesOfAMonth(t *testing.T) {
	p := newProgram(t)
	p.reading(books).ok("import", "-")
	p = p.asking()
	dates := func(args ...string) []string {
		return regexp.MustCompile(`2026-\d\d-\d\d`).FindAllString(p.ok(append([]string{"series", "acme"}, args...)...), -1)
	}
	for _, tt := range []struct {
		args  []string
		last  string
		count int
	}{
		{[]string{"--month", "2026-06"}, "2026-06-30", 30},
		{[]string{"--month", "2026-06", "-o", "csv"}, "2026-07-01", 31},
		{[]string{"--month", "2026-06", "-o", "ndjson"}, "2026-07-01", 31},
		{[]string{"--month", "2026-06", "--tz", "America/New_York"}, "2026-07-01", 31}, // which ends in the middle of a UTC day
		{[]string{"--from", "2026-06-30", "--to", "2026-07-01"}, "2026-06-30", 1},
	} {
		if got := dates(tt.args...); len(got) != tt.count || got[len(got)-1] != tt.last {
			t.Errorf("%q has the days %q", tt.args, got)
		}
	}
}

// People are told that the window is not over, and programs are not.
func TestUnfinishedWindow(t *testing.T) {
	p := newProgram(t)
	p.ok("org", "create", "acme")
	if err := os.WriteFile(filepath.Join(p.dir, "card.json"), []byte(`{"name":"x","cpu_microcents":1,"memory_gb_microcents":1,"disk_gb_microcents":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p = p.asking()
	note := regexp.MustCompile(`^note: the window is not over: it is counted up to now, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n$`)
	for _, command := range []string{"usage acme", "series acme", "breakdown acme", "price try card.json"} {
		for window, unfinished := range map[string]bool{
			"": true, "--month this": true, "--last 7d": true, "--last 1w": true,
			"--month last": false, "--last 24h": false, "--from 2026-06-01": false, "--from 2026-06-01 --to 2026-07-01": false,
		} {
			for _, format := range []string{formatTable, formatJSON, formatNDJSON, formatCSV} {
				got := p.run(strings.Fields(command + " " + window + " -o " + format)...)
				if want := unfinished && format == formatTable; got.status != exitOK || note.MatchString(got.stderr) != want || !want && got.stderr != "" {
					t.Errorf("%s %s -o %s: %+v", command, window, format, got)
				}
			}
		}
	}
}

func TestClosedPipe(t *testing.T) {
	p := newProgram(t)
	p.reading(books).ok("import", "-")
	p = p.asking()
	for _, format := range []string{formatTable, formatJSON, formatCSV} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close() // as `head` does when it has enough
		var stderr bytes.Buffer
		cmd := p.command(t.Context(), "transactions", "acme", "--all", "-o", format)
		cmd.Stdout, cmd.Stderr = w, &stderr
		_ = cmd.Run()
		w.Close()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGPIPE || stderr.Len() > 0 {
			t.Errorf("%s: %s\n%s", format, cmd.ProcessState, stderr.String())
		}
	}
}

func TestInterruptedListing(t *testing.T) {
	server := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") != "" {
			<-r.Context().Done() // the second page never comes
			return
		}
		_, _ = io.WriteString(w, `{"data":[{"id":"01994f00-0000-7000-8000-000000000002","amount_cents":-1,"source":"refund","description":"first page",`+
			`"created_at":"2026-06-01T00:00:00.000000Z"}],"next_cursor":"second"}`)
	})
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		listing := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x").start("transactions", "acme", "--all")
		listing.waitFor("first page")
		listing.signal(s)
		// A script that runs the program in a loop only stops if the program dies of the signal.
		if status := listing.wait(); status.Signal() != s || strings.Count(listing.text(), "\n") != 2 {
			t.Errorf("%v: %v\n%s", s, listing.cmd.ProcessState, listing.text())
		}
	}
}
