package main

import (
	"fmt"
	"strings"
	"testing"
)

// groupedBooks are leases of May and June, of which the cents are the products.
func groupedBooks() string {
	var books strings.Builder
	books.WriteString(`{"type":"organization","slug":"acme","name":"Acme","created_at":"2026-05-01T00:00:00Z"}` + "\n")
	for i, l := range []struct {
		at, pipeline, author, team string
		cpus, cents                int
	}{
		{"2026-05-31T23:59:59Z", "Web", "ada", "core", 2, 123456},
		{"2026-06-01T00:00:00Z", "Web", "ada", "core", 2, 1000},
		{"2026-06-02T00:00:00Z", "API", "=1+1", "", 4, 3000},
		{"2026-06-02T12:00:00Z", "API", "", "core", 4, 2000},
		{"2026-06-03T00:00:00Z", "", "ada", "\u001b[31mdata", 2, 500},
	} {
		number := fmt.Sprintf("%012d", i+1)
		fields := ""
		if l.pipeline != "" {
			fields += fmt.Sprintf(`"pipeline_name":%q,"pipeline_slug":%q,"build_id":"00000000-0000-4000-8000-%s",`, l.pipeline, strings.ToLower(l.pipeline), number)
		}
		if l.author != "" {
			fields += fmt.Sprintf(`"author":%q,`, l.author)
		}
		if l.team != "" {
			fields += `"labels":{"team":"` + strings.ReplaceAll(l.team, "\x1b", `\u001b`) + `"},`
		}
		day := l.at[:19]
		fmt.Fprintf(&books, `{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-%s",%s"cpu_count":%d,"memory_gb":4,"disk_gb":20,"started_at":%q,"finished_at":"2026-06-04T00:00:00Z","duration_seconds":1800,"amount_cents":%d}`+"\n",
			number, fields, l.cpus, day+"Z", -l.cents)
		fmt.Fprintf(&books, `{"type":"entry","org":"acme","id":"01994f00-0000-7000-8000-%[1]s","amount_cents":%[2]d,"source":"vm_lease_debit","description":null,"created_at":"2026-06-04T00:00:00Z","lease_id":"00000000-0000-4000-8000-%[1]s"}`+"\n",
			number, -l.cents)
	}
	return books.String()
}

func TestUsageBy(t *testing.T) {
	p := newProgram(t)
	if r := p.reading(groupedBooks()).run("import", "-"); r.status != exitOK {
		t.Fatal(r.stderr)
	}
	p = p.asking()
	usage := func(flags string) string {
		t.Helper()
		return p.ok(append([]string{"usage", "acme", "--from", "2026-05-01", "--to", "2026-07-01"}, strings.Fields(flags)...)...)
	}
	equal(t, "pipeline", usage("--by pipeline"), `LEASES  CPU HOURS       COST   SHARE  PIPELINE
     2        2.0  $1,244.56   95.8%  Web
     2        4.0     $50.00    3.8%  API
     1        1.0      $5.00    0.4%  (no pipeline)
     5        7.0  $1,299.56  100.0%  TOTAL
`)
	equal(t, "label", usage("--by label.team --limit 1"), `LEASES  CPU HOURS       COST   SHARE  team
     3        4.0  $1,264.56   97.3%  core
     2        3.0     $35.00    2.7%  OTHER: 2 groups
     5        7.0  $1,299.56  100.0%  TOTAL
`)
	equal(t, "shape", usage("--by shape --per month"), `LEASES  CPU HOURS       COST   SHARE  CPUxMEMxDISK
     3        3.0  $1,249.56   96.2%  2x4x20
     1        1.0  $1,234.56            2026-05
     2        2.0     $15.00            2026-06
     2        4.0     $50.00    3.8%  4x4x20
     2        4.0     $50.00            2026-06
     5        7.0  $1,299.56  100.0%  TOTAL
`)
	if shown := usage("--by label.team --per day"); !strings.Contains(shown, "  �[31mdata\n     1        1.0      $5.00            2026-06-03\n") {
		t.Errorf("days:\n%s", shown)
	}
	const missing = "note: no billed lease of the window has the label nosuch\n"
	for flags, want := range map[string]string{
		"--by label.nosuch": missing, "--by label.nosuch --limit 1 --per day": missing, "--by label.nosuch --from 2026-01-01 --to 2026-01-02": missing,
		"--by label.team --limit 1 --from 2026-06-02": "", "--by label.nosuch -o csv": "", "--by author --from 2026-06-02T12:00:00Z --to 2026-06-03": "",
	} {
		r := p.run(append([]string{"usage", "acme", "--from", "2026-05-01", "--to", "2026-07-01"}, strings.Fields(flags)...)...)
		if r.status != exitOK || r.stderr != want {
			t.Errorf("%s: status %d, and on standard error %q; want %q", flags, r.status, r.stderr, want)
		}
	}
	equal(t, "nothing", usage("--by author --from 2026-01-01 --to 2026-01-02"), "LEASES  CPU HOURS   COST  SHARE  AUTHOR\n     0        0.0  $0.00         TOTAL\n")

	equal(t, "csv", usage("--by author --limit 2 -o csv --dollars"), `kind,value,name,date,lease_count,cpu_seconds,memory_gb_seconds,disk_gb_seconds,total_dollars
group,ada,ada,,3,10800,21600,108000,1249.56
group,'=1+1,'=1+1,,1,7200,7200,36000,30.00
other,,,,1,7200,7200,36000,20.00
`)
	equal(t, "csv by month", usage("--by pipeline --limit 1 --per month -o csv --to 2026-06-30"), `kind,value,name,date,lease_count,cpu_seconds,memory_gb_seconds,disk_gb_seconds,total_cents
group,web,Web,2026-05-01,1,3600,7200,36000,123456
group,web,Web,2026-06-01,1,3600,7200,36000,1000
other,,,2026-05-01,0,0,0,0,0
other,,,2026-06-01,3,18000,21600,108000,5500
`)
	answer := p.get("usage/acme/by?by=shape&limit=1&from=2026-05-01&to=2026-07-01")
	equal(t, "json", strings.TrimSuffix(usage("--by shape --limit 1 -o json"), "\n"), strings.TrimSuffix(answer, "\n"))
	_, other, _ := strings.Cut(answer, `"other":`)
	other, _, _ = strings.Cut(other, `,"group_count"`)
	equal(t, "ndjson", usage("--by shape --limit 1 -o ndjson"), itemLines(t, answer)+`{"other":`+other+"}\n")
	equal(t, "ndjson of all", usage("--by shape -o ndjson"), itemLines(t, p.get("usage/acme/by?by=shape&from=2026-05-01&to=2026-07-01")))
}

func TestHours(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0.0", 179: "0.0", 180: "0.1", 3600: "1.0", 3_600_000: "1,000.0", 1<<63 - 1: "2,562,047,788,015,215.5"} {
		equal(t, fmt.Sprint(seconds), hours(seconds), want)
	}
}
