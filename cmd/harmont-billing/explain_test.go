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
"description":"VM lease of job 10000000-0000-4000-8000-000000000001 started 2024-06-06T10:00:00.123456Z","created_at":"2024-06-06T10:05:00.123456Z"},
"lease":{"pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web App","pipeline_slug":"web-app",
"build_id":"20000000-0000-4000-8000-000000000001","build_number":7,"build_external_id":"ext-7",
"job_id":"10000000-0000-4000-8000-000000000001",
"job_name":"単体テスト 🚀 and a name for which no terminal of eighty columns has room, and one of a hundred and twenty neither",
"step_key":"unit","vm_handle":"vm-1","cpu_count":2,"memory_gb":4,"disk_gb":20,"duration_seconds":300,
"started_at":"2024-06-06T10:00:00.123456Z","finished_at":"2024-06-06T10:05:00.123456Z"},
"cost":{"lines":[
{"resource":"cpu","count":2,"microcents_per_second":10000,"seconds":300,"microcents":6000000},
{"resource":"memory_gb","count":4,"microcents_per_second":5000,"seconds":300,"microcents":6000000},
{"resource":"disk_gb","count":20,"microcents_per_second":100,"seconds":300,"microcents":600000}],
"sum_microcents":12600000,"microcents_rounded_off":600000,"cents":12,"charged_cents":12,"matches":true}}`, "\n", "")+"\n")
	equal(t, "csv", p.ok("explain", overcharged, "-o", "csv"), `transaction_id,resource,count,microcents_per_second,seconds,microcents,charged_cents
01800000-0000-7000-8000-000000000004,cpu,8,10000,3723,297840000,999
01800000-0000-7000-8000-000000000004,memory_gb,16,5000,3723,297840000,999
01800000-0000-7000-8000-000000000004,disk_gb,80,100,3723,29784000,999
`)

	// 999 cents are what 8 CPUs cost for 3 723 seconds at 33 554 and the rest at 0.
	if got := p.ok("explain", overcharged, "--price-cpu", "33554", "--price-memory-gb=0", "--price-disk-gb=0"); !strings.Contains(got, "Charged were 999 cents, as these prices give.\n") {
		t.Error(got)
	}
	if got := p.ok("explain", overcharged); !strings.Contains(got, "Charged were 999 cents, which is not what these prices give") {
		t.Error(got)
	}

	credit := p.ok("explain", "01800000-0000-7000-8000-000000000002", "-o", "json")
	if !strings.Contains(credit, `"source":"stripe_topup"`) || !strings.Contains(credit, `"lease":null,"cost":null`) {
		t.Error(credit)
	}
	r := p.run("explain", "acme", "01800000-0000-7000-8000-0000000000ff")
	if r.status != exitFailure || r.stdout != "" || !strings.Contains(r.stderr, "the ledger of acme has no entry 01800000-0000-7000-8000-0000000000ff") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
}

// TestExplainSaysWhatItCannotTrace looks at answers that this server would not give, and descriptions of other programs.
func TestExplainSaysWhatItCannotTrace(t *testing.T) {
	const id = "01800000-0000-7000-8000-000000000003"
	job := func(jobID, started string, cents int) string {
		return fmt.Sprintf(`{"job_id":%s,"job_name":null,"step_key":null,"vm_handle":"vm-1","cpu_count":1000000000,"memory_gb":1000000000,"disk_gb":1,`+
			`"duration_seconds":1000000000,"amount_cents":%d,"started_at":%q,"finished_at":"2034-06-06T10:00:00.000000Z"}`, jobID, cents, started)
	}
	const start = "2024-06-06T10:00:00.123456Z"
	const jobID = `"10000000-0000-4000-8000-000000000001"`
	for _, tt := range []struct {
		name, description string
		jobs              []string
		stdout, stderr    string // in them
	}{
		{"another program's description", `"VM lease 1"`, nil, "Description  VM lease 1", "names no lease"},
		{"no description", `null`, nil, "vm_lease_debit", "names no lease"},
		{"an impossible time", `"VM lease of job 10000000-0000-4000-8000-000000000001 started 2024-06-31T10:00:00Z"`, nil, "", "names no lease"},
		{"no such lease", `"VM lease of job 10000000-0000-4000-8000-000000000001 started ` + start + `"`, nil, "", "does not show it"},
		{
			"the job at another moment", `"VM lease of job 10000000-0000-4000-8000-000000000001 started ` + start + `"`,
			[]string{job(jobID, "2024-06-06T10:00:00.123457Z", -5)}, "", "does not show it",
		},
		{
			"another amount", `"VM lease of job 10000000-0000-4000-8000-000000000001 started ` + start + `"`, []string{job(jobID, start, -6)},
			"vm-1", "the breakdown has -$0.06 for this lease, and the ledger -$0.05",
		},
		{
			"two leases without a job", `"VM lease 00000000-0000-4000-8000-000000000001 started ` + start + `"`,
			[]string{job("null", start, -5), job("null", start, -5)}, "", "2 leases without a job started at that moment for that amount",
		},
		{
			"one of two by its amount, and a sum beyond 64 bits", `"VM lease 00000000-0000-4000-8000-000000000001 started ` + start + `"`,
			[]string{job("null", start, -6), job("null", start, -5), job(jobID, start, -5)}, " 15000000000100000000000\n", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/breakdown") {
					if q := r.URL.Query(); q.Get("from") != "2024-06-06T10:00:00.000000Z" || q.Get("to") != "2024-06-06T10:00:01.000000Z" {
						t.Errorf("it asked for %v", q)
					}
					_, _ = fmt.Fprintf(w, `{"data":[{"build_id":null,"build_number":null,"build_external_id":null,"pipeline_id":null,"pipeline_name":null,"pipeline_slug":null,`+
						`"total_cents":0,"started_at":%q,"finished_at":null,"job_count":%d,"jobs":[%s]}]}`, start, len(tt.jobs), strings.Join(tt.jobs, ","))
					return
				}
				_, _ = io.WriteString(w, `{"data":[{"id":"`+id+`","amount_cents":-5,"source":"vm_lease_debit","description":`+tt.description+
					`,"created_at":"2024-06-06T10:05:00.000000Z"}],"next_cursor":null}`)
			})
			p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
			r := p.run("explain", "acme", id)
			if (r.status == exitOK) != (tt.stderr == "") || !strings.Contains(r.stderr, tt.stderr) || !strings.Contains(r.stdout, tt.stdout) ||
				!strings.Contains(r.stdout, "Amount") {
				t.Errorf("status %d\n%s%s", r.status, r.stdout, r.stderr)
			}
			if j := p.run("explain", "acme", id, "-o", "json"); j.status != r.status || !json.Valid([]byte(j.stdout)) {
				t.Errorf("json, status %d: %s", j.status, j.stdout)
			}
		})
	}
}
