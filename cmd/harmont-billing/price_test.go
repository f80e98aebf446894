package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
)

// onStores runs a test on each kind of database.
func onStores(t *testing.T, test func(t *testing.T, p program)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { test(t, newProgram(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		url := pgtest.WithTables(t)
		p := newProgram(t)
		test(t, p.with("HARMONT_BILLING_DATABASE="+url))
	})
}

// fails runs a command that must fail with status 1 and a text.
func (p program) fails(want string, args ...string) {
	p.t.Helper()
	if r := p.run(args...); r.status != exitFailure || r.stdout != "" || !strings.Contains(r.stderr, want) {
		p.t.Errorf("%q: status %d\n%s%s\nwant %s", args, r.status, r.stdout, r.stderr, want)
	}
}

var (
	cardID  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	nowTime = regexp.MustCompile(`\b20[2-9]\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{6})?Z?`)
)

// settled replaces the ids of cards and the times of this moment, which differ each time.
func settled(text string) string {
	return nowTime.ReplaceAllString(cardID.ReplaceAllString(text, "ID"), "NOW")
}

func TestPriceSetAndList(t *testing.T) {
	onStores(t, func(t *testing.T, p program) {
		p.ok("org", "create", "acme")
		p.ok("org", "create", "globex")
		equal(t, "list of books without prices", p.ok("price", "list", "-o", "csv"),
			"id,name,organization,cpu_count,memory_gb,disk_gb,label_key,label_value,cpu_microcents,memory_gb_microcents,disk_gb_microcents,effective_from,created_at,state\n")

		equal(t, "set", settled(p.ok("price", "set", "--name", "Later", "--from", "2100-01-01", "--cpu", "12000", "--memory-gb", "6000", "--disk-gb", "0")),
			`Set the prices for all organizations, from 2100-01-01 00:00:00 UTC on.
The rate card is ID (Later).

PRICE OF        MICRO-CENTS A SECOND  AN HOUR
a CPU                         12,000   $0.432
a GB of memory                 6,000   $0.216
a GB of disk                       0    $0.00
`)
		gpu := []string{"price", "set", "--name", "GPU \x1b[31m", "--org", "acme", "--shape", "2x4x20", "--label", "pool=a=b"}
		equal(t, "set for an organization, a shape and a label", settled(p.ok(append(gpu, "--cpu", "90000", "--memory-gb", "5000", "--disk-gb", "1")...)),
			`Set the prices for acme, machines of 2x4x20, leases with pool=a=b, from NOW UTC on.
The rate card is ID (GPU �[31m).

PRICE OF        MICRO-CENTS A SECOND    AN HOUR
a CPU                         90,000      $3.24
a GB of memory                 5,000      $0.18
a GB of disk                       1  $0.000036
a machine                    200,020   $7.20072
`)
		p.ok("price", "set", "--name", "globex", "--org", "globex", "--cpu", "1", "--memory-gb", "2", "--disk-gb", "3")

		equal(t, "list", settled(p.ok("price", "list")), `PRICE           CPU    MEM GB   DISK GB  RATE CARD
a second     10,000     5,000       100  First prices
$ an hour      0.36      0.18    0.0036  all organizations
                                         in force, from 1970-01-01 00:00:00 UTC
a second     12,000     6,000         0  Later
$ an hour     0.432     0.216      0.00  all organizations
                                         future, from 2100-01-01 00:00:00 UTC
a second     90,000     5,000         1  GPU �[31m
$ an hour      3.24      0.18  0.000036  acme, machines of 2x4x20, leases with pool=a=b
                                         in force, from NOW UTC
a second          1         2         3  globex
$ an hour  0.000036  0.000072  0.000108  globex
                                         in force, from NOW UTC
                                         4 rate cards
`)
		ended := p.ok("price", "set", "--name", "over", "--org", "acme", "--shape", "2x4x20", "--label", "pool=a=b", "--end")
		equal(t, "end", settled(ended), `Ended the prices for acme, machines of 2x4x20, leases with pool=a=b, from NOW UTC on.
The rate card is ID (over).
Less specific cards bill these leases then.
`)
		states := func(args ...string) string {
			t.Helper()
			var names []string
			for _, line := range strings.Split(p.ok(append([]string{"price", "list", "-o", "csv"}, args...)...), "\n")[1:] {
				if fields := strings.Split(line, ","); len(fields) > 1 {
					names = append(names, fields[1]+" "+fields[len(fields)-1])
				}
			}
			return strings.Join(names, ", ")
		}
		equal(t, "of acme", states("--org", "acme"), "First prices in_force, Later future, over in_force")
		equal(t, "all of acme", states("--org", "acme", "--all"), "First prices in_force, Later future, GPU \x1b[31m ended, over in_force")
		equal(t, "of globex", states("--org", "globex"), "First prices in_force, Later future, globex in_force")
		equal(t, "all", states("--all"), "First prices in_force, Later future, GPU \x1b[31m ended, globex in_force, over in_force")

		if got := p.ok("price", "list"); !strings.Contains(got, "\nno prices                                over\n") {
			t.Errorf("the list with an end is\n%s", got)
		}
		lines := strings.Split(settled(p.ok("price", "list", "-o", "ndjson", "--org", "acme")), "\n")
		equal(t, "the last line of JSON", lines[len(lines)-2], `{"id":"ID","name":"over","organization":"acme","cpu_count":2,"memory_gb":4,"disk_gb":20,`+
			`"label_key":"pool","label_value":"a=b","cpu_microcents":null,"memory_gb_microcents":null,"disk_gb_microcents":null,`+
			`"effective_from":"NOW","created_at":"NOW","state":"in_force"}`)
		whole := p.ok("price", "list", "-o", "json", "--org", "acme")
		equal(t, "the JSON", settled(whole), `{"data":[`+strings.Join(lines[:len(lines)-1], ",")+"]}\n")
		if p.ok("verify"); !cardID.MatchString(whole) {
			t.Errorf("no id of a card in %s", whole)
		}
	})
}

func TestPriceSetRefuses(t *testing.T) {
	onStores(t, func(t *testing.T, p program) {
		p.ok("org", "create", "acme")
		before := p.ok("price", "set", "--name", "one", "--cpu", "1", "--memory-gb", "1", "--disk-gb", "1")
		prices := []string{"--cpu", "1", "--memory-gb", "1", "--disk-gb", "1"}
		set := func(args ...string) []string { return append([]string{"price", "set", "--name", "x"}, args...) }
		listed := p.ok("price", "list", "--all", "-o", "csv")
		p.fails(`there is no organization "initech"`, append(set("--org", "initech"), prices...)...)
		p.fails("effective_from is in the past, and leases that are billed keep their prices; with --allow-past, it bills", append(set("--from", "2026-01-01"), prices...)...)
		p.fails("cpu_microcents must be 0 to 100000000", set("--cpu", "100000001", "--memory-gb", "1", "--disk-gb", "1")...)
		p.fails("cpu_count must be 1 to 10000", append(set("--shape", "0x4x20"), prices...)...)
		p.fails("a value must not be empty", append(set("--label", "pool="), prices...)...)
		p.fails("there is no rate card to end for acme, leases with pool=gpu", set("--org", "acme", "--label", "pool=gpu", "--end")...)
		p.fails("a card for all leases must have prices", set("--end")...)
		p.fails("name must have at most 255 characters", append([]string{"price", "set", "--name", strings.Repeat("x", 256)}, prices...)...)
		p.fails("effective_from must be in the years 1970 to 9999", append(set("--from", "1969-01-01", "--allow-past"), prices...)...)
		p.fails("no such file", "price", "set", "missing.json")
		p.fails(`there is no organization "initech"`, "price", "list", "--org", "initech")

		const whole = `{"name":"x","cpu_microcents":1,"memory_gb_microcents":1,"disk_gb_microcents":1`
		for text, want := range map[string]string{
			"":                               "-: there is no rate card",
			"[]":                             "-: there is no rate card",
			"{":                              "not valid JSON",
			"7":                              "rate card 1: the body must not be a number",
			`[` + whole + `}`:                "not valid JSON",
			`[` + whole + `}] 7`:             "something after the list",
			whole + `}` + whole + `}`:        "it has 2 rate cards, and one is set at a time",
			whole + `,"price":1}`:            "rate card 1: price: is not a known key",
			whole + `,"Name":"y"}`:           "rate card 1: Name: is not a known key",
			whole + `,"name":"y"}`:           "comes twice",
			whole + `,"organization":7}`:     "organization: must be the slug of an organization",
			whole + `,"organization":""}`:    "organization: must be the slug of an organization",
			whole + `,"organization":"who"}`: `there is no organization "who"`,
			whole + `,"organization":null,"organization":null}`: "organization: comes twice",
			whole + `,"cpu_count":2}`:                           "cpu_count, memory_gb and disk_gb must be given together",
			whole + `,"label_key":"a"}`:                         "label_key and label_value must be given together",
			`{"name":"x","cpu_microcents":1}`:                   "cpu_microcents, memory_gb_microcents and disk_gb_microcents must be given together",
			`{"cpu_microcents":1}`:                              "name: is required",
			`{"name":"x","cpu_microcents":1.5}`:                 "cpu_microcents: must be an integer",
			whole + `,"effective_from":"2026-01-01"}`:           "effective_from is in the past",
		} {
			p.reading(text).fails(want, "price", "set", "-")
		}
		equal(t, "the cards afterwards", p.ok("price", "list", "--all", "-o", "csv"), listed)
		if !strings.HasPrefix(before, "Set the prices for all organizations, from 20") {
			t.Errorf("the first card: %s", before)
		}
	})
	p := newProgram(t)
	for _, args := range []string{"price set --name x --cpu 1 --memory-gb 1 --disk-gb 1", "price list"} {
		p.fails("", strings.Fields(args)...)
	}
	if left, err := os.ReadDir(p.dir); err != nil || len(left) != 0 {
		t.Errorf("where there are no books, it leaves %v (%v)", left, err)
	}
}

// The card that the help shows can be set.
func TestPriceSetTakesItsHelp(t *testing.T) {
	p := newProgram(t)
	p.ok("org", "create", "acme")
	card := regexp.MustCompile(`(?s) {2}\{.*?\}\n`).FindString(p.ok("price", "set", "--help"))
	got := p.reading(card).ok("price", "set", "-")
	if !strings.HasPrefix(got, "Set the prices for acme, machines of 2x4x20, leases with pool=gpu, from 2027-01-01 00:00:00 UTC on.\n") {
		t.Errorf("%s\nof %s", got, card)
	}
}

// A lease is billed by the card in force at its start, to the microsecond, and by the most specific one.
func TestPricesBillLeases(t *testing.T) {
	onStores(t, func(t *testing.T, p program) {
		p.ok("org", "create", "acme")
		p.ok("org", "create", "globex")
		set := func(args ...string) {
			t.Helper()
			p.ok(append([]string{"price", "set", "--allow-past", "--from", "2026-06-06T10:00:00Z", "--memory-gb", "0", "--disk-gb", "0"}, args...)...)
		}
		// Each lease has 100 CPU seconds, so that a price of n × 10 000 micro-cents gives n cents.
		set("--name", "general", "--cpu", "20000")
		set("--name", "shape", "--shape", "1x1x1", "--cpu", "30000")
		set("--name", "label", "--label", "pool=gpu", "--cpu", "40000")
		set("--name", "organization", "--org", "globex", "--cpu", "50000")
		var records strings.Builder
		want := map[string]int{}
		lease := func(cents int, org, started, more string) {
			id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(want)+1)
			want[id] = cents
			fmt.Fprintf(&records, `{"org":%q,"lease_id":%q,"memory_gb":1,"disk_gb":1,"started_at":%q,%s}`+"\n", org, id, started, more)
		}
		const one, two = `"cpu_count":1,"finished_at":"2026-06-06T10:01:40Z"`, `"cpu_count":2,"finished_at":"2026-06-06T10:00:50Z"`
		const before, at = "2026-06-06T09:59:59.999999Z", "2026-06-06T10:00:00Z"
		lease(2, "acme", before, two) // 1.0 cents by the first prices of the CPU, and the memory and disk
		lease(2, "acme", at, two)
		lease(3, "acme", at, one)
		lease(4, "acme", at, one+`,"labels":{"pool":"gpu"}`)
		lease(2, "acme", at, two+`,"labels":{"pool":"cpu"}`)
		lease(5, "globex", at, one+`,"labels":{"pool":"gpu"}`)
		want["00000000-0000-4000-8000-000000000001"] = 1
		p.reading(records.String()).ok("import", "-")
		for line := range strings.SplitSeq(p.ok("export"), "\n") {
			id := regexp.MustCompile(`"lease_id":"(0{8}-[^"]*)"`).FindStringSubmatch(line)
			if id == nil || !strings.Contains(line, `"type":"lease"`) {
				continue
			}
			if !strings.Contains(line, fmt.Sprintf(`"amount_cents":%d,`, -want[id[1]])) || !strings.Contains(line, `"card_id":"`) {
				t.Errorf("want %d cents and a card: %s", want[id[1]], line)
			}
			delete(want, id[1])
		}
		if len(want) != 0 {
			t.Errorf("not billed: %v", want)
		}
		p.ok("verify")
	})
}

// tried are books with prices, two pipelines of two organizations, labels, a lease that runs and one that was priced elsewhere.
func tried(p program) {
	p.t.Helper()
	var records strings.Builder
	for _, org := range []string{"acme", "globex"} {
		fmt.Fprintf(&records, `{"type":"organization","slug":%q,"name":%[1]q}`+"\n", org)
	}
	records.WriteString(`{"type":"rate_card","name":"First","effective_from":"1970-01-01T00:00:00Z","cpu_microcents":10000,"memory_gb_microcents":5000,"disk_gb_microcents":100,"created_at":"2026-01-01T00:00:00Z"}` + "\n")
	lease := func(n int, org, started, more string) {
		fmt.Fprintf(&records, `{"org":%q,"lease_id":"00000000-0000-4000-8000-%012d","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":%q,%s}`+"\n", org, n, started, more)
	}
	const finished = `"finished_at":"2026-06-09T00:00:00Z","duration_seconds":300`                 // 12.6 cents
	lease(7, "acme", "2026-06-07T14:00:00Z", finished+`,"pipeline_name":"Web","amount_cents":-99`) // priced elsewhere
	records.WriteString(`{"type":"entry","id":"01800000-0000-7000-8000-000000000001","org":"acme","amount_cents":-99,"source":"vm_lease_debit",` +
		`"description":null,"created_at":"2026-06-09T00:00:00Z","lease_id":"00000000-0000-4000-8000-000000000007"}` + "\n")
	lease(1, "acme", "2026-06-06T10:00:00Z", finished+`,"pipeline_name":"Web","labels":{"team":"a"}`)
	lease(2, "acme", "2026-06-06T11:00:00Z", finished+`,"pipeline_name":"Web","labels":{"team":"b"}`)
	lease(3, "acme", "2026-06-07T10:00:00Z", finished+`,"pipeline_slug":"api","labels":{"team":"a"}`)
	lease(4, "acme", "2026-06-07T11:00:00Z", finished)
	lease(5, "globex", "2026-06-07T12:00:00Z", finished+`,"pipeline_name":"Web"`)
	lease(6, "acme", "2026-06-07T13:00:00Z", `"pipeline_name":"Web"`) // runs
	lease(8, "acme", "2026-06-08T00:00:00Z", finished)                // outside of the window
	if r := p.reading(records.String()).run("import", "-"); r.status != 0 {
		p.t.Fatal(r.stderr)
	}
}

const (
	tryWindow   = " --from 2026-06-06 --to 2026-06-08"
	doubleCard  = `{"name":"Double","cpu_microcents":20000,"memory_gb_microcents":10000,"disk_gb_microcents":200}`
	acmeCard    = `{"name":"Acme","organization":"acme","cpu_microcents":0,"memory_gb_microcents":0,"disk_gb_microcents":0}`
	laterDouble = `{"name":"Double","cpu_microcents":20000,"memory_gb_microcents":10000,"disk_gb_microcents":200,"effective_from":"2026-06-07T11:00:00Z"}`
)

func TestPriceTry(t *testing.T) {
	onStores(t, func(t *testing.T, p program) {
		tried(p)
		before := p.ok("export")
		const notes = "note: 1 lease is running and left out\nnote: 1 lease was priced elsewhere: no rate card of the books gives the amount\n"
		try := func(card, args, stdout, stderr string) {
			t.Helper()
			r := p.reading(card).run(strings.Fields("price try - " + args + tryWindow)...)
			if r.status != exitOK {
				t.Errorf("%s: status %d", args, r.status)
			}
			equal(t, args, r.stdout, stdout)
			equal(t, args+" on standard error", r.stderr, stderr)
		}
		// 12.6 cents become 25.2, and both are rounded down for each lease.
		try(doubleCard, "", `LEASES  BILLED  WOULD COST  DIFFERENCE
     6   $1.59       $1.50      -$0.09  TOTAL
`, notes)
		try(doubleCard, "--by pipeline", `LEASES  BILLED  WOULD COST  DIFFERENCE  PIPELINE
     3   $1.23       $0.75      -$0.48  acme/Web
     1   $0.12       $0.25      +$0.13  acme/(no pipeline)
     1   $0.12       $0.25      +$0.13  acme/api
     1   $0.12       $0.25      +$0.13  globex/Web
     6   $1.59       $1.50      -$0.09  TOTAL
`, notes)
		try(doubleCard, "--by pipeline --org globex", `LEASES  BILLED  WOULD COST  DIFFERENCE  PIPELINE
     1   $0.12       $0.25      +$0.13  Web
     1   $0.12       $0.25      +$0.13  TOTAL
`, "")
		try(acmeCard, "--by organization", `LEASES  BILLED  WOULD COST  DIFFERENCE  ORGANIZATION
     5   $1.47       $0.00      -$1.47  acme
     1   $0.12       $0.12       $0.00  globex
     6   $1.59       $0.12      -$1.47  TOTAL
`, notes)
		try(acmeCard+"\n"+doubleCard, "--by card", `LEASES  BILLED  WOULD COST  DIFFERENCE  CARD
     5   $1.47       $0.00      -$1.47  Acme
     1   $0.12       $0.25      +$0.13  Double
     6   $1.59       $0.25      -$1.34  TOTAL
`, notes)
		try("["+laterDouble+"]", "--by label.team --org acme", `LEASES  BILLED  WOULD COST  DIFFERENCE  team
     2   $1.11       $0.50      -$0.61  (no team)
     2   $0.24       $0.24       $0.00  a
     1   $0.12       $0.12       $0.00  b
     5   $1.47       $0.86      -$0.61  TOTAL
`, notes)
		try(laterDouble, "--by shape -o csv", "organization,group,leases,billed_cents,would_cost_cents,difference_cents\n,2x4x20,6,159,111,-48\n", notes)
		try(laterDouble, "-o csv", "organization,group,leases,billed_cents,would_cost_cents,difference_cents\n,,6,159,111,-48\n", notes)
		try(acmeCard, "--by organization -o ndjson", `{"organization":"acme","group":"acme","leases":5,"billed_cents":147,"would_cost_cents":0,"difference_cents":-147}
{"organization":"globex","group":"globex","leases":1,"billed_cents":12,"would_cost_cents":12,"difference_cents":0}
`, "")
		try(laterDouble, "-o ndjson", `{"organization":null,"group":null,"leases":6,"billed_cents":159,"would_cost_cents":111,"difference_cents":-48}`+"\n", "")
		try(laterDouble, "--by label.team --org globex -o json", `{"from":"2026-06-06T00:00:00.000000Z","to":"2026-06-08T00:00:00.000000Z","by":"label.team","data":[`+
			`{"organization":null,"group":null,"leases":1,"billed_cents":12,"would_cost_cents":25,"difference_cents":13}],"total":`+
			`{"organization":null,"group":null,"leases":1,"billed_cents":12,"would_cost_cents":25,"difference_cents":13},`+
			`"running_leases":0,"leases_priced_elsewhere":0,"leases_without_card":0}`+"\n", "")
		equal(t, "the books afterwards", p.ok("export"), before)

		p.reading(doubleCard).fails(`there is no organization "initech"`, strings.Fields("price try - --org initech"+tryWindow)...)
		p.reading(strings.Replace(acmeCard, "acme", "initech", 1)).fails(`there is no organization "initech"`, strings.Fields("price try -"+tryWindow)...)
		p.reading(doubleCard+`{"name":"x","cpu_microcents":1}`).fails("must be given together", strings.Fields("price try -"+tryWindow)...)
		p.reading(doubleCard+`{"name":"x","price":1}`).fails("rate card 2: price: is not a known key", strings.Fields("price try -"+tryWindow)...)
	})
}

// A card that is tried without a time is in force over the whole window, also where the books have later cards for the same leases. A card
// without prices leaves the leases to less specific ones, and cards with one name are told apart.
func TestPriceTryBesideLaterCards(t *testing.T) {
	p := newProgram(t)
	tried(p)
	set := func(args ...string) {
		t.Helper()
		p.ok(append([]string{"price", "set", "--allow-past", "--memory-gb", "0", "--disk-gb", "0"}, args...)...)
	}
	set("--name", "Middle", "--from", "2026-06-07", "--cpu", "1")
	set("--name", "Double", "--from", "2026-06-07", "--org", "globex", "--cpu", "1")
	try := func(card, args string) string {
		t.Helper()
		r := p.reading(card).run(strings.Fields("price try - -o csv " + args + tryWindow)...)
		if r.status != exitOK {
			t.Fatal(r.stderr)
		}
		_, records, _ := strings.Cut(cardID.ReplaceAllString(r.stdout, "ID"), "\n")
		return records
	}
	equal(t, "over the whole window", try(doubleCard, "--org acme"), ",,5,147,125,-22\n")
	equal(t, "with a time before a later card", try(strings.Replace(laterDouble, "07T11", "06T11", 1), "--org acme"), ",,5,147,160,13\n")
	equal(t, "an end", try(`{"name":"over","organization":"globex"}`, "--by card --org globex"), ",Middle,1,12,0,-12\n")
	later := strings.Replace(laterDouble, "{", `{"organization":"acme",`, 1)
	equal(t, "cards with one name", try(strings.Replace(acmeCard, "Acme", "Double", 1)+later, "--by card --org acme"), ",Double ID,2,111,50,-61\n,Double ID,3,36,0,-36\n")
}

// A file of thousands of leases is read one by one; equal cards make no difference to any of them.
func TestPriceTryOfTheSamePrices(t *testing.T) {
	p := newProgram(t)
	var records strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&records, `{"org":"acme","lease_id":"00000000-0000-4000-8000-%012d","cpu_count":%d,"memory_gb":%d,"disk_gb":%d,"pipeline_name":"%d",`+
			`"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-09T10:00:00Z","duration_seconds":%d}`+"\n", i, i%7+1, i%11+1, i%13+1, i%900, i*37%5000)
	}
	p.reading(records.String()).ok("import", "-")
	const same = `{"name":"same","cpu_microcents":10000,"memory_gb_microcents":5000,"disk_gb_microcents":100}`
	lines := strings.Split(strings.TrimSpace(p.reading(same).ok(strings.Fields("price try - --by pipeline -o csv"+tryWindow)...)), "\n")[1:]
	if len(lines) != 900 {
		t.Errorf("%d pipelines", len(lines))
	}
	for _, line := range lines {
		if !strings.HasSuffix(line, ",0") {
			t.Errorf("the same prices give %s", line)
		}
	}
}

// Flags for prices give the first prices of new books, and must agree with the books later.
func TestServePrices(t *testing.T) {
	onStores(t, func(t *testing.T, p program) {
		server, _ := p.serve("--price-cpu", "20000")
		if got := p.ok("price", "list", "-o", "csv"); !strings.Contains(got, ",First prices,,,,,,,20000,5000,100,1970-01-01T00:00:00.000000Z,") {
			t.Errorf("the first prices are\n%s", got)
		}
		server.signal(os.Interrupt)
		server.wait()
		const serve = "serve --listen 127.0.0.1:0 --price-cpu "
		disagrees := func(cpu, first, card string) {
			t.Helper()
			p.fails("the prices that are given (in micro-cents a second: CPU "+cpu+", GB of memory 5000, GB of disk 100) are not those of the books "+
				"(in micro-cents a second: CPU "+first+", GB of memory 5000, GB of disk 100, by the rate card \""+card+"\"", strings.Fields(serve+cpu)...)
		}
		disagrees("10000", "20000", "First prices")
		p.ok("price", "set", "--name", "Next", "--cpu", "30000", "--memory-gb", "5000", "--disk-gb", "100")
		disagrees("10000", "30000", "Next")
		for _, cpu := range []string{"20000", "30000"} { // those of the first card and of the one in force
			agreeing, _ := p.serve("--price-cpu", cpu)
			agreeing.signal(os.Interrupt)
			agreeing.wait()
		}
		const lease = `{"org":"acme","job_id":"00000000-0000-4000-8000-000000000001","cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-06T10:00:00Z"}` + "\n"
		r := p.reading(lease+lease).run("import", "-", "--price-cpu", "10000")
		if r.status != exitFailure || r.stdout != "-: imported nothing.\n" || strings.Count(r.stderr, "the prices that are given") != 1 ||
			!strings.HasPrefix(r.stderr, "harmont-billing: -: stopped at line 1: the prices that are given (") {
			t.Errorf("import: %+v", r)
		}
	})
}

// Rate cards come along with the books, and those of other books change no price.
func TestImportOfRateCards(t *testing.T) {
	p := newProgram(t)
	tried(p)
	exported := p.ok("export")
	other := newProgram(t)
	other.reading(exported).run("import", "-")
	equal(t, "the cards of new books", other.ok("price", "list", "-o", "json"), p.ok("price", "list", "-o", "json"))
	equal(t, "the export of new books", other.ok("export"), exported)

	priced := newProgram(t)
	priced.ok("org", "create", "initech")
	priced.ok("price", "set", "--name", "own", "--cpu", "1", "--memory-gb", "1", "--disk-gb", "1")
	priced.reading(`{"org":"initech","job_id":"00000000-0000-4000-8000-000000000001","cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-06T10:00:00Z"}`).ok("import", "-")
	r := priced.reading(exported).run("import", "-")
	if r.status != exitOK || !strings.Contains(r.stderr, `the rate card "First" bills only the imported leases that name it, since the books had leases before`) {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	if got := priced.ok("price", "list"); strings.Contains(got, "imported") || !strings.Contains(got, "1 rate card\n") {
		t.Errorf("the cards are\n%s", got)
	}
	if got := priced.ok("price", "list", "--all"); !regexp.MustCompile(` First\n.*\n +imported, from 1970`).MatchString(got) {
		t.Errorf("all cards are\n%s", got)
	}
	v := priced.run("verify")
	if v.status != exitOK || !strings.Contains(v.stderr, "it was priced elsewhere") {
		t.Errorf("verify: status %d: %s", v.status, v.stderr)
	}
}

func TestDollarsPerHour(t *testing.T) {
	for microcents, want := range map[int64]string{
		0: "$0.00", 1: "$0.000036", 100: "$0.0036", 5000: "$0.18", 10_000: "$0.36", 12_345: "$0.44442", 27_778: "$1.000008",
		100_000_000: "$3,600.00", 1_200_000_000_000_000: "$43,200,000,000.00", 9_223_372_036_854_775_807: "$332,041,393,326,771.929052",
	} {
		equal(t, fmt.Sprint(microcents), dollarsPerHour(microcents), want)
	}
}

// A backup that nobody may write is read all the same.
func TestPricesOfAReadOnlyCopy(t *testing.T) {
	p := newProgram(t)
	tried(p)
	file := filepath.Join(p.dir, "copy.db")
	p.ok("backup", file)
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	copied := p.with("HARMONT_BILLING_DATABASE=sqlite:" + file)
	equal(t, "list", copied.ok("price", "list"), p.ok("price", "list"))
	got := copied.reading(doubleCard).run(strings.Fields("price try -" + tryWindow)...)
	if got.status != exitOK || !strings.Contains(got.stdout, "$1.50") {
		t.Errorf("try: %+v", got)
	}
}
