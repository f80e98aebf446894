package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// standInBuild is a build of one job, or of one that is running where the seconds are below 0.
func standInBuild(number, cents, seconds int) string {
	length := fmt.Sprint(seconds)
	if seconds < 0 {
		length = "null"
	}
	return fmt.Sprintf(`{"build_id":"00000000-0000-4000-8000-%012[1]d","build_number":%[1]d,"build_external_id":null,"pipeline_id":null,"pipeline_name":"Web","pipeline_slug":null,`+
		`"total_cents":%[2]d,"started_at":"2026-06-06T10:00:00.000000Z","finished_at":null,"job_count":1,"new":{"in":"a later version"},"jobs":[{"job_id":null,"job_name":"Unit",`+
		`"step_key":null,"vm_handle":null,"cpu_count":1,"memory_gb":2,"disk_gb":3,"duration_seconds":%[3]s,"amount_cents":%[2]d,"started_at":"2026-06-06T10:00:00.000000Z","finished_at":null}]}`,
		number, -cents, length)
}

func TestBreakdownInOrder(t *testing.T) {
	builds := []string{standInBuild(5, 300, 60), standInBuild(4, 100, 3600), standInBuild(3, 120000, 59), standInBuild(2, 100, 3600), standInBuild(1, 0, -1)}
	server := newStandIn(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"new":{"data":[1]},"data":[`+strings.Join(builds, ", ")+`],"more":[]}`)
	})
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	args := func(more string) []string {
		return append([]string{"breakdown", "acme", "--from", "2026-06-01", "--to", "2026-07-01"}, strings.Fields(more)...)
	}
	for flags, want := range map[string]string{
		"":                          "54321",
		"--limit 2":                 "54",
		"--sort start --limit 9":    "54321",
		"--sort cost":               "35421",
		"--sort cost --limit 1":     "3",
		"--sort cost --limit 3":     "354",
		"--sort duration":           "42531",
		"--sort duration --limit 2": "42",
	} {
		var picked []string
		for _, number := range want {
			picked = append(picked, builds['5'-number])
		}
		equal(t, "ndjson "+flags, p.ok(args(flags+" -o ndjson")...), strings.Join(picked, "\n")+"\n")
		equal(t, "json "+flags, p.ok(args(flags+" -o json")...), `{"data":[`+"\n"+strings.Join(picked, ",\n")+"\n]}\n")
		var numbers strings.Builder
		for _, record := range strings.Split(strings.TrimSpace(p.ok(args(flags+" -o csv")...)), "\n")[1:] {
			numbers.WriteString(strings.Split(record, ",")[1])
		}
		equal(t, "csv "+flags, numbers.String(), want)
	}
	equal(t, "the largest", p.ok(args("--sort cost --limit 1")...), `STARTED (UTC)          DURATION       COST  MACHINE  BUILD AND JOBS
2026-06-06 10:00:00         59s  $1,200.00    1 job  Web #3
2026-06-06 10:00:00         59s  $1,200.00    1x2x3  └─ Unit
OTHER                2h 01m 00s      $5.00   4 jobs  4 builds, 1 job running
TOTAL                2h 01m 59s  $1,205.00   5 jobs  5 builds, 1 job running
`)
	equal(t, "the newest", p.ok(args("--limit 1")...), `STARTED (UTC)        DURATION   COST  MACHINE  BUILD AND JOBS
2026-06-06 10:00:00    1m 00s  $3.00    1 job  Web #5
2026-06-06 10:00:00    1m 00s  $3.00    1x2x3  └─ Unit
TOTAL                  1m 00s  $3.00    1 job  1 build, and there are more
`)
}

// The answer never ends, so that only a command which reads it as it arrives, and no further than it has to, shows anything.
func TestBreakdownIsReadAsItArrives(t *testing.T) {
	server := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"data":[`)
		for i := 1; r.Context().Err() == nil; i++ {
			if _, err := io.WriteString(w, standInBuild(i, 1, 1)+","); err != nil {
				return
			}
		}
	})
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	for _, format := range []string{formatTable, formatJSON, formatNDJSON, formatCSV} {
		if shown := p.ok("breakdown", "acme", "--last", "24h", "--limit", "250", "-o", format); strings.Count(shown, "Unit") != 250 {
			t.Errorf("%s has %d jobs", format, strings.Count(shown, "Unit"))
		}
		p.start("breakdown", "acme", "--last", "24h", "-o", format).waitFor("Unit")
	}
}

// Tables mark running leases, and builds with running leases, instead of showing a cost of zero. JSON and CSV have the amounts of the API.
func TestRunningLeasesAreMarked(t *testing.T) {
	p := newProgram(t)
	p.reading(`{"type":"organization","slug":"acme","name":"Acme","created_at":"2026-01-01T00:00:00Z"}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000001","build_id":"20000000-0000-4000-8000-000000000001","build_number":1,"pipeline_name":"Web","job_name":"Unit","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-01T10:00:00Z","finished_at":"2026-06-01T10:10:00Z"}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000002","build_id":"20000000-0000-4000-8000-000000000001","build_number":1,"pipeline_name":"Web","job_name":"Soak","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-01T10:00:00Z"}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000003","build_id":"20000000-0000-4000-8000-000000000002","build_number":2,"pipeline_name":"Web","job_name":"Soak","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-01T11:00:00Z"}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000004","build_id":"20000000-0000-4000-8000-000000000003","build_number":3,"pipeline_name":"Web","job_name":"Lint","cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-01T12:00:00Z","finished_at":"2026-06-01T12:00:01Z"}
`).ok("import", "-")
	p = p.asking()
	equal(t, "the breakdown", p.ok("breakdown", "--month", "2026-06"), `STARTED (UTC)        DURATION      COST  MACHINE  BUILD AND JOBS
2026-06-01 12:00:00        1s     $0.00    1 job  Web #3
2026-06-01 12:00:00        1s     $0.00    1x1x1  └─ Lint
2026-06-01 11:00:00   running  unbilled    1 job  Web #2
2026-06-01 11:00:00   running  unbilled   2x4x20  └─ Soak
2026-06-01 10:00:00   10m 00s    >$0.25   2 jobs  Web #1
2026-06-01 10:00:00   10m 00s     $0.25   2x4x20  ├─ Unit
2026-06-01 10:00:00   running  unbilled   2x4x20  └─ Soak
TOTAL                 10m 01s     $0.25   4 jobs  3 builds, 2 jobs running
`)
	if statement := p.ok("statement", "--month", "2026-06"); !strings.Contains(statement, `
2026-06-01 12:00:00 UTC     1     $0.00  Web #3
2026-06-01 11:00:00 UTC     1  unbilled  Web #2
2026-06-01 10:00:00 UTC     2    >$0.25  Web #1
`) || !strings.Contains(statement, "2 leases of this period run") {
		t.Errorf("the statement is\n%s", statement)
	}
	for _, line := range strings.Split(strings.TrimSpace(p.ok("leases", "--state", "running")), "\n")[1:] {
		if strings.Contains(line, "$0.00") {
			t.Errorf("a lease that runs is listed as\n%s", line)
		}
	}
	if csv := p.ok("breakdown", "--month", "2026-06", "-o", "csv"); !strings.Contains(csv, ",Soak,,,2,4,20,,0,2026-06-01T10:00:00.000000Z,\n") {
		t.Errorf("the CSV is\n%s", csv)
	}
}
