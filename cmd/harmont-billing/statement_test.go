package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

// accounts are books with entries and leases at the ends of months: of October 2026 in Berlin, which ends in another offset than it began in, and of
// October 2017 in Asunción, which began at one o'clock.
const accounts = `{"type":"organization","slug":"acme","name":"Acme & Söhne","id":"01800000-0000-7000-8000-000000000001","created_at":"2017-01-01T00:00:00Z"}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-0000000000a1","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-09-30T21:50:00Z","finished_at":"2026-09-30T22:10:00Z","amount_cents":-50}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-0000000000a2","build_id":"20000000-0000-4000-8000-000000000001","build_number":7,"pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-10-10T08:00:00Z","finished_at":"2026-10-10T08:10:00Z","amount_cents":-25}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-0000000000a3","build_id":"20000000-0000-4000-8000-000000000002","build_number":8,"pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web App","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-10-31T22:50:00Z","finished_at":"2026-10-31T23:14:00Z","amount_cents":-60}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-0000000000a4","job_id":"10000000-0000-4000-8000-0000000000a4","job_name":"Soak","cpu_count":1,"memory_gb":2,"disk_gb":3,"started_at":"2026-10-20T00:00:00Z"}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000011","amount_cents":1000,"source":"stripe_topup","description":null,"created_at":"2017-10-01T03:59:59.999999Z","lease_id":null}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000012","amount_cents":500,"source":"coupon_redemption","description":"Autumn","created_at":"2017-10-01T04:00:00Z","lease_id":null}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000013","amount_cents":70,"source":"refund","description":null,"created_at":"2026-09-30T21:59:59.999999Z","lease_id":null,"author":"Finance"}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000014","amount_cents":300000,"source":"stripe_topup","description":"Invoice, October","created_at":"2026-09-30T22:00:00Z","lease_id":null,"author":"Finance"}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000015","amount_cents":-50,"source":"vm_lease_debit","description":null,"created_at":"2026-09-30T22:10:00Z","lease_id":"00000000-0000-4000-8000-0000000000a1"}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000016","amount_cents":-25,"source":"vm_lease_debit","description":null,"created_at":"2026-10-10T08:10:00Z","lease_id":"00000000-0000-4000-8000-0000000000a2"}
{"type":"entry","org":"acme","id":"01800000-0000-7000-8000-000000000017","amount_cents":-60,"source":"vm_lease_debit","description":null,"created_at":"2026-10-31T23:14:00Z","lease_id":"00000000-0000-4000-8000-0000000000a3"}
`

// onAccounts serves the accounts.
func onAccounts(t *testing.T) program {
	p := newProgram(t)
	p.reading(accounts).ok("import", "-")
	return p.asking()
}

var anyDigest = regexp.MustCompile(`[0-9a-f]{64}`)

func TestStatement(t *testing.T) {
	p := onAccounts(t)
	csv := p.ok("statement", "acme", "--month", "2026-10", "--tz", "Europe/Berlin", "-o", "csv")
	equal(t, "csv", anyDigest.ReplaceAllString(csv, "DIGEST"), `record,id,name,from,to,count,amount_cents,balance_cents,state
organization,acme,Acme & Söhne,,,,,,
period,,Europe/Berlin,2026-09-30T22:00:00.000000Z,2026-10-31T23:00:00.000000Z,,,,
opening_balance,,,,,,,1570,acme:3:DIGEST
source,,stripe_topup,,,1,300000,,
source,,vm_lease_debit,,,2,-75,,
closing_balance,,,,,3,,301495,acme:6:DIGEST
build,20000000-0000-4000-8000-000000000002,Web App #8,2026-10-31T22:50:00.000000Z,2026-10-31T23:14:00.000000Z,1,-60,,
build,,(no build),2026-10-20T00:00:00.000000Z,,1,0,,
build,20000000-0000-4000-8000-000000000001,Web #7,2026-10-10T08:00:00.000000Z,2026-10-10T08:10:00.000000Z,1,-25,,
pipeline,30000000-0000-4000-8000-000000000001,Web App,,,2,-85,,
other_periods,,,,,,10,,
debits,,,,,,-75,,
`)
	closing := regexp.MustCompile(`acme:6:[0-9a-f]{64}`).FindString(csv)
	if r := p.run("verify", "--against", closing); r.status != exitOK || !strings.Contains(r.stderr, "the books contain "+closing) {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}

	golden(t, "statement.txt", anyDigest.ReplaceAllString(p.ok("statement", "--month", "2026-10", "--tz", "Europe/Berlin"), "DIGEST"))
	golden(t, "statement.json", anyDigest.ReplaceAllString(p.ok("statement", "--month", "2026-10", "--tz", "Europe/Berlin", "-o", "json"), "DIGEST"))
	lines := strings.Split(strings.TrimSpace(p.ok("statement", "--month", "2026-10", "--tz", "Europe/Berlin", "-o", "ndjson")), "\n")
	if len(lines) != strings.Count(csv, "\n")-1 || lines[3] != `{"record":"source","id":null,"name":"stripe_topup","from":null,"to":null,"count":1,"amount_cents":300000,"balance_cents":null,"state":null}` {
		t.Errorf("ndjson has\n%s", strings.Join(lines, "\n"))
	}
}

// The closing balance of a month is the opening balance of the next, where clocks are put back in it, and where they are put forward over its
// first midnight.
func TestStatementsOfAdjacentMonths(t *testing.T) {
	p := onAccounts(t)
	type end struct {
		Seq     int64 `json:"seq"`
		Balance int64 `json:"balance_cents"`
		Digest  string
	}
	for _, c := range []struct {
		zone   string
		months []string
		want   []int64 // balances at the end of each month
	}{
		{"Europe/Berlin", []string{"2026-08", "2026-09", "2026-10"}, []int64{1500, 1570, 301495}},
		{"America/Asuncion", []string{"2017-08", "2017-09", "2017-10"}, []int64{0, 1000, 1500}},
		{"UTC", []string{"2026-08", "2026-09", "2026-10"}, []int64{1500, 301520, 301435}},
	} {
		var last *end
		for i, month := range c.months {
			var s struct {
				Opening int64 `json:"opening_balance_cents"`
				Closing int64 `json:"closing_balance_cents"`
				Sources []struct {
					Source string
					Amount int64 `json:"amount_cents"`
				}
				OpeningHead end   `json:"opening_head"`
				ClosingHead end   `json:"closing_head"`
				Usage       int64 `json:"usage_cents"`
				Other       int64 `json:"other_periods_cents"`
				Debits      int64 `json:"debits_cents"`
			}
			if err := json.Unmarshal([]byte(p.ok("statement", "--month", month, "--tz", c.zone, "-o", "json")), &s); err != nil {
				t.Fatal(err)
			}
			balance := s.Opening
			for _, source := range s.Sources {
				balance += source.Amount
			}
			if s.Closing != c.want[i] || balance != s.Closing || s.Usage+s.Other != s.Debits {
				t.Errorf("%s of %s closes with %d, want %d: %+v", month, c.zone, s.Closing, c.want[i], s)
			}
			if last != nil && (s.OpeningHead != *last || s.Opening != last.Balance) {
				t.Errorf("%s of %s opens with %+v, and the month before closes with %+v", month, c.zone, s.OpeningHead, *last)
			}
			last = &s.ClosingHead
		}
	}
}

// Without a window, the statement is that of this month, and says that it is not over.
func TestStatementOfThisMonth(t *testing.T) {
	p := onAccounts(t)
	start := client.ThisMonth(time.UTC).From
	for _, flags := range []string{"", "--month this"} {
		r := p.run(append([]string{"statement"}, strings.Fields(flags)...)...)
		if !strings.Contains(r.stdout, "From          "+zoned(start, time.UTC)+"\n") || !strings.Contains(r.stdout, ", which is now\n") ||
			!strings.Contains(r.stderr, "the window is not over") {
			t.Errorf("%s: %s%s", flags, r.stdout, r.stderr)
		}
	}
	if empty := p.ok("statement", "--month", "2018-01", "-o", "json"); !strings.Contains(empty, `"builds":[`+"\n"+`],`) || !strings.Contains(empty, `"pipelines":[],`) {
		t.Errorf("a month without usage is\n%s", empty)
	}
	if r := p.run("statement", "nobody", "-o", "csv"); r.status != exitFailure || r.stdout != "" {
		t.Errorf("status %d: %s%s", r.status, r.stdout, r.stderr)
	}
}

// A statement holds one build at a time, also as JSON.
func TestStatementIsWrittenAsBuildsArrive(t *testing.T) {
	gone := make(chan struct{})
	server := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/organizations"):
			_, _ = w.Write([]byte(`{"data":[],"next_cursor":null}`))
		case strings.Contains(r.URL.Path, "/statement/"):
			head := `{"seq":0,"balance_cents":0,"digest":"` + strings.Repeat("0", 64) + `"}`
			_, _ = w.Write([]byte(`{"opening_balance_cents":0,"closing_balance_cents":0,"entry_count":0,"sources":[],"opening_head":` + head + `,"closing_head":` + head + `}`))
		case strings.HasSuffix(r.URL.Path, "/by"):
			_, _ = w.Write([]byte(`{"data":[],"other":null,"group_count":0}`))
		default:
			build := `{"build_id":null,"build_number":null,"build_external_id":null,"pipeline_id":null,"pipeline_name":"` + strings.Repeat("x", 1<<16) +
				`","pipeline_slug":null,"total_cents":0,"started_at":"2026-06-06T10:00:00.000000Z","finished_at":null,"job_count":0,"jobs":[]}`
			_, _ = w.Write([]byte(`{"data":[` + build))
			w.(http.Flusher).Flush()
			<-gone // the end comes after the first build was written
			_, _ = w.Write([]byte(`]}`))
		}
	})
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x").start("statement", "acme", "-o", "json")
	p.waitFor(`"pipeline_name":"x+"`)
	close(gone)
	p.waitFor(`"closing_state"`)
}

func TestCredits(t *testing.T) {
	p := onAccounts(t)
	equal(t, "the table", p.ok("credits", "acme", "--from", "2026-01-01"), `CREATED (UTC)           AMOUNT    BALANCE  SOURCE        AUTHOR   DESCRIPTION
2026-09-30 22:00:00  $3,000.00  $3,015.70  stripe_topup  Finance  Invoice, October
2026-09-30 21:59:59      $0.70     $15.70  refund        Finance
TOTAL                $3,000.70                                    2 credits
`)
	csv := `id,amount_cents,source,description,author,created_at,balance_after_cents
01800000-0000-7000-8000-000000000014,300000,stripe_topup,"Invoice, October",Finance,2026-09-30T22:00:00.000000Z,301570
01800000-0000-7000-8000-000000000013,70,refund,,Finance,2026-09-30T21:59:59.999999Z,1570
01800000-0000-7000-8000-000000000012,500,coupon_redemption,Autumn,,2017-10-01T04:00:00.000000Z,1500
01800000-0000-7000-8000-000000000011,1000,stripe_topup,,,2017-10-01T03:59:59.999999Z,1000
`
	equal(t, "csv", p.ok("credits", "-o", "csv"), csv)
	equal(t, "csv of a month", p.ok("credits", "--month", "2017-10", "--tz", "America/Asuncion", "-o", "csv"), strings.Join([]string{strings.Split(csv, "\n")[0], strings.Split(csv, "\n")[3], ""}, "\n"))
	equal(t, "csv of nothing", p.ok("credits", "--month", "2020-01", "-o", "csv"), strings.Split(csv, "\n")[0]+"\n")
	equal(t, "json of nothing", p.ok("credits", "--month", "2020-01", "-o", "json"), "{\"data\":[\n],\"next_cursor\":null}\n")

	var more strings.Builder // than a page
	for i := range 105 {
		fmt.Fprintf(&more, `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"%d"}`+"\n", i)
	}
	p.reading(more.String()).ok("import", "-")
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal([]byte(p.ok("credits", "-o", "json")), &list); err != nil || len(list.Data) != 109 {
		t.Errorf("json has %d credits: %v", len(list.Data), err)
	}
	if lines := strings.Count(p.ok("credits", "-o", "ndjson"), "\n"); lines != 109 {
		t.Errorf("ndjson has %d lines", lines)
	}
	if lines := strings.Count(p.ok("credits", "-o", "csv"), "\n"); lines != 110 {
		t.Errorf("csv has %d lines", lines)
	}
	if got := p.ok("credits"); strings.Count(got, "\n") != 111 || !strings.HasSuffix(got, "109 credits\n") {
		t.Errorf("the table is\n%s", got)
	}
}
