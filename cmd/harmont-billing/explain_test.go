package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	p := onTraced(t)
	const debit, overcharged = "01800000-0000-7000-8000-000000000003", "01800000-0000-7000-8000-000000000004"

	equal(t, "json", p.ok("explain", "acme", debit, "-o", "json"), strings.ReplaceAll(`{
"entry":{"id":"01800000-0000-7000-8000-000000000003","amount_cents":-12,"source":"vm_lease_debit",
"description":"VM lease of job 10000000-0000-4000-8000-000000000001 started 2024-06-06T10:00:00.123456Z","author":null,"created_at":"2024-06-06T10:05:00.123456Z"},
"lease":{"lease_id":"00000000-0000-4000-8000-000000000001","state":"billed","pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web App","pipeline_slug":"web-app",
"build_id":"20000000-0000-4000-8000-000000000001","build_number":7,"build_external_id":"e0000000-0000-4000-8000-000000000007",
"job_id":"10000000-0000-4000-8000-000000000001",
"job_name":"単体テスト 🚀 and a name for which no terminal of eighty columns has room, and one of a hundred and twenty neither",
"step_key":"unit","vm_handle":"vm-1","cpu_count":2,"memory_gb":4,"disk_gb":20,"duration_seconds":300,
"started_at":"2024-06-06T10:00:00.123456Z","finished_at":"2024-06-06T10:05:00.123456Z","labels":null,"author":null,
"amount_cents":-12,"accrued_cents":null},
"rate_card":{"id":"75c8c375-6ba9-84a9-badc-a6f394a64557","name":"Prices of 2024 \u001b[31m","organization":null,"cpu_count":null,"memory_gb":null,"disk_gb":null,
"label_key":null,"label_value":null,"cpu_microcents":10000,"memory_gb_microcents":5000,"disk_gb_microcents":100,
"effective_from":"1970-01-01T00:00:00.000000Z","created_at":"2024-06-01T00:00:00.000000Z"},
"cost":{"lines":[
{"resource":"cpu","count":2,"microcents_per_second":10000,"seconds":300,"microcents":6000000},
{"resource":"memory_gb","count":4,"microcents_per_second":5000,"seconds":300,"microcents":6000000},
{"resource":"disk_gb","count":20,"microcents_per_second":100,"seconds":300,"microcents":600000}],
"sum_microcents":12600000,"microcents_rounded_off":600000,"cents":12,"charged_cents":12,"matches":true}}`, "\n", "")+"\n")
	equal(t, "csv", p.ok("explain", debit, "-o", "csv"), `transaction_id,resource,count,microcents_per_second,seconds,microcents,charged_cents,rate_card_id
01800000-0000-7000-8000-000000000003,cpu,2,10000,300,6000000,12,75c8c375-6ba9-84a9-badc-a6f394a64557
01800000-0000-7000-8000-000000000003,memory_gb,4,5000,300,6000000,12,75c8c375-6ba9-84a9-badc-a6f394a64557
01800000-0000-7000-8000-000000000003,disk_gb,20,100,300,600000,12,75c8c375-6ba9-84a9-badc-a6f394a64557
`)

	const elsewhere = "\nThe lease was priced elsewhere: no rate card of the books gives the 999 cents of the entry.\n"
	if got := p.ok("explain", overcharged); !strings.HasSuffix(got, elsewhere) || strings.Contains(got, "MICROCENTS") || strings.Contains(got, "Rate card") {
		t.Error(got)
	}
	if got := p.ok("explain", overcharged, "-o", "json"); !strings.HasSuffix(got, `,"rate_card":null,"cost":null}`+"\n") {
		t.Error(got)
	}
	equal(t, "csv of a lease that was priced elsewhere", strings.Join(strings.Split(p.ok("explain", overcharged, "-o", "csv"), "\n")[1:], "\n"), "")

	credit := p.ok("explain", "01800000-0000-7000-8000-000000000002", "-o", "json")
	if !strings.Contains(credit, `"source":"stripe_topup"`) || !strings.Contains(credit, `"lease":null,"rate_card":null,"cost":null`) {
		t.Error(credit)
	}
	for what, id := range map[string]string{"lease": "00000000-0000-4000-8000-000000000001", "job": "10000000-0000-4000-8000-000000000001"} {
		for _, format := range []string{"table", "json", "csv"} {
			equal(t, "by the id of the "+what, p.ok("explain", "acme", id, "-o", format), p.ok("explain", "acme", debit, "-o", format))
		}
	}

	// It has run for longer than a lease may: 1 CPU, 2 GB and 3 GB for 366 days.
	const running = "10000000-0000-4000-8000-000000000004"
	got := p.ok("explain", running)
	for _, part := range []string{"Lease        00000000-0000-4000-8000-000000000004\n", "Cost so far  $6,419.34\n", "\nThe lease runs. What it has cost so far is not billed.\n"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in\n%s", part, got)
		}
	}
	if got := p.ok("explain", running, "-o", "json"); !strings.HasPrefix(got, `{"entry":null,"lease":{`) || !strings.Contains(got, `"state":"running"`) || !strings.Contains(got, `"accrued_cents":-641934}`) {
		t.Error(got)
	}
	equal(t, "csv of a running lease", strings.Join(strings.Split(p.ok("explain", running, "-o", "csv"), "\n")[1:], "\n"), "")

	r := p.run("explain", "acme", "01800000-0000-7000-8000-0000000000ff")
	if r.status != exitFailure || r.stdout != "" || !strings.Contains(r.stderr, "nothing in the books of acme has the id 01800000-0000-7000-8000-0000000000ff: no entry, no lease and no job") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
}

// TestExplainOfAnotherServer looks at answers that this server gives seldom.
func TestExplainOfAnotherServer(t *testing.T) {
	const id = "01800000-0000-7000-8000-000000000003"
	lease := func(count int, seconds string) string {
		return fmt.Sprintf(`{"lease_id":"00000000-0000-4000-8000-000000000001","state":"billed","job_id":null,"job_name":null,"step_key":null,"vm_handle":"vm-1",`+
			`"build_id":null,"build_number":null,"build_external_id":null,"pipeline_id":null,"pipeline_name":null,"pipeline_slug":null,`+
			`"cpu_count":%d,"memory_gb":%d,"disk_gb":1,"started_at":"2024-06-06T10:00:00.000000Z","finished_at":"2024-06-06T10:05:00.000000Z",`+
			`"duration_seconds":%s,"amount_cents":-5,"transaction_id":%q,"labels":{"team":"b","pool":"gpu"},"author":"mara","rate_card_id":null,"accrued_cents":null}`, count, count, seconds, id)
	}
	const cost = `{"duration_seconds":300,"cpu":{"count":1,"microcents_per_second":16666,"microcents":4999800},` +
		`"memory_gb":{"count":1,"microcents_per_second":0,"microcents":0},"disk_gb":{"count":1,"microcents_per_second":1,"microcents":300},"microcents":5000100,"cents":5}`
	const card = `{"id":"00000000-0000-8000-8000-000000000009","name":"GPU","organization":"acme","cpu_count":1,"memory_gb":1,"disk_gb":1,` +
		`"label_key":"pool","label_value":"gpu","cpu_microcents":16666,"memory_gb_microcents":0,"disk_gb_microcents":1,` +
		`"effective_from":"2024-01-01T00:00:00.000001Z","created_at":"2024-01-01T00:00:00.000000Z"}`
	for _, tt := range []struct {
		name, description, lease, cost, card string
		stdout                               []string // parts of it
	}{
		{"history of another system", `"May 2024"`, "null", "null", "null", []string{"Description  May 2024"}},
		{"no description", "null", "null", "null", "null", []string{"vm_lease_debit"}},
		{"a card", "null", lease(1, "300"), cost, card, []string{
			"Rate card   GPU, 00000000-0000-8000-8000-000000000009\n",
			"It is for   acme, machines of 1x1x1, leases with pool=gpu, from 2024-01-01 00:00:00.000001 UTC on\n",
			"Labels      pool=gpu, team=b\n", "Author      mara\n", "16,666", "The entry charges 5 cents, as these prices give.",
		}},
		{"no card", "null", lease(1, "300"), cost, "null", []string{"16,666", "The entry charges 5 cents, as these prices give."}},
		{"other prices", "null", lease(2, "300"), cost, card, []string{"The entry charges 5 cents, which is not what these prices give."}},
		{"a duration below the interval", "null", lease(1, "60"), "null", "null", []string{"1m 00s (60 seconds), less than the 5m 00s from start to finish"}},
		{"a duration above the interval", "null", lease(1, "301"), "null", "null", []string{"5m 01s (301 seconds), more than the 5m 00s from start to finish"}},
		{"a sum beyond 64 bits", "null", lease(1_000_000_000, "300"), strings.Replace(cost, "16666", "100000000", 1), card, []string{" 30,000,000,000,000,000,300\n", "which is not what these prices give"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v0/billing/transactions/acme/"+id {
					t.Errorf("it asked for %s", r.URL)
				}
				_, _ = io.WriteString(w, `{"id":"`+id+`","amount_cents":-5,"source":"vm_lease_debit","description":`+tt.description+
					`,"author":null,"created_at":"2024-06-06T10:05:00.000000Z","balance_after_cents":-5,"lease":`+tt.lease+`,"cost":`+tt.cost+`,"rate_card":`+tt.card+`}`)
			})
			p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
			args := []string{"explain", "acme", id}
			r := p.run(args...)
			for _, part := range append(tt.stdout, "Amount") {
				if r.status != exitOK || !strings.Contains(r.stdout, part) {
					t.Errorf("status %d, and %q is not in\n%s%s", r.status, part, r.stdout, r.stderr)
				}
			}
			if j := p.run(append(args, "-o", "json")...); j.status != exitOK || !json.Valid([]byte(j.stdout)) {
				t.Errorf("json, status %d: %s", j.status, j.stdout)
			}
		})
	}
}

func TestLeases(t *testing.T) {
	p := onTraced(t)
	const job = "10000000-0000-4000-8000-000000000001"
	one := p.ok("leases", "acme", "--job", job, "-o", "csv")
	if lines := strings.Split(one, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "00000000-0000-4000-8000-000000000001,billed,"+job+",") ||
		!strings.HasSuffix(lines[1], `,300,-12,01800000-0000-7000-8000-000000000003,,,75c8c375-6ba9-84a9-badc-a6f394a64557,`) {
		t.Errorf("the lease of the job is\n%s", one)
	}
	equal(t, "by its own id", p.ok("leases", "--lease", "00000000-0000-4000-8000-000000000001", "-o", "csv"), one)
	if running := p.ok("leases", "--state", "running", "-o", "ndjson"); strings.Contains(running, `"state":"billed"`) || !strings.Contains(running, `"state":"running"`) {
		t.Errorf("those that run are\n%s", running)
	}
	// It has run for longer than a lease may: 1 CPU, 2 GB and 3 GB for 366 days.
	if running := p.ok("leases", "--state", "running", "-o", "csv"); !strings.HasSuffix(running, ",0,,,,,-641934\n") {
		t.Errorf("in CSV those that run are\n%s", running)
	}
	if few := p.ok("leases", "--limit", "1"); !strings.Contains(few, "1 lease, and there are more") {
		t.Errorf("one lease is\n%s", few)
	}
	r := p.run("leases", "--job", "10000000-0000-4000-8000-0000000000ff")
	if r.status != 1 || !strings.Contains(r.stderr, "no such lease is recorded") {
		t.Errorf("an unknown job: status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
	for args, want := range map[string]string{
		"--job x": "must be a UUID", "--lease {" + job + "}": "must be a UUID", "--limit 101": "must be a whole number from 1 to 100",
		"--limit 0": "must be a whole number from 1 to 100", "--state lost": "running",
	} {
		if r := p.run(append([]string{"leases"}, strings.Fields(args)...)...); r.status != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: status %d, %s", args, r.status, r.stderr)
		}
	}
}
