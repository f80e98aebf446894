package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var questionRow = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `([^`]+)` \\| [^|]+ \\|$")

// Each command of the table in the documentation answers its question.
func TestQuestions(t *testing.T) {
	page, err := os.ReadFile("../../docs/questions.md")
	if err != nil {
		t.Fatal(err)
	}
	// Beside the accounts, whose months are past: leases of this month and of the month before, of two pipelines.
	now := time.Now().UTC().Truncate(time.Second)
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	var recent strings.Builder
	for _, l := range []struct {
		start    time.Time
		pipeline string
		cpus     int
	}{{now, "Docs", 1000}, {now, "Release", 8000}, {month.Add(-time.Hour), "Docs", 4000}} {
		fmt.Fprintf(&recent, `{"type":"lease","org":"acme","pipeline_name":%q,"job_id":%q,"cpu_count":%d,"memory_gb":1,"disk_gb":1,"started_at":%q,"finished_at":%q}`+"\n",
			l.pipeline, uuid.New(), l.cpus, l.start.Format(time.RFC3339), l.start.Add(time.Second).Format(time.RFC3339))
	}
	p := newProgram(t)
	p.reading(accounts+recent.String()).ok("import", "-")
	p = p.asking()

	answers := map[string]string{ // what the answer has, as a regular expression
		"What did we spend this month?":        `\$0\.90\n`,
		"Which pipeline cost most last week?":  `^.*\n +1 .*\$0\.80 .* Release\n`,
		"Why this cost on a day?":              `(?s)Web #7.*\$0\.25.* 2x4x20 `,
		"Why this charge?":                     `Lease +00000000-0000-4000-8000-0000000000a2\n`,
		"What runs now, and what has it cost?": `(?s)Soak.*\$\d`,
		"How long does the credit last?":       `last 30 days .*\d+ of 30 (?s:.*)The balance is \$3,013\.05\.`,
		"October as CSV":                       `(?s)^id,amount_cents,source,description,created_at\n.*-60,vm_lease_debit,.*-25,vm_lease_debit`,
		"Who topped up, and when?":             `2026-09-30 22:00:00 +\$3,000\.00 .* Finance `,
		"This month against last month":        `(?s)BEFORE +WINDOW +CHANGE\n.*COST +\$\d+\.\d\d +\$0\.90 `,
		"Which shape of machines costs most?":  `^.*\n +1 .*\$0\.80 .* 8000x1x1\n`,
		"Was my lease recorded?":               `(?s)00000000-0000-4000-8000-0000000000a4.*The lease runs`,
		"What goes to the accounts?":           `(?s)Opening balance.*Closing balance.*USAGE BY PIPELINE.*acme:\d+:[0-9a-f]{64}`,
	}
	rows := questionRow.FindAllStringSubmatch(string(page), -1)
	for _, row := range rows {
		question, command := row[1], row[2]
		want, ok := answers[question]
		if !ok {
			t.Errorf("no answer is known to %q", question)
			continue
		}
		// A note about a window that is not over goes to standard error.
		if r := p.run(strings.Fields(command)...); r.status != exitOK || !regexp.MustCompile(want).MatchString(r.stdout) {
			t.Errorf("%s: harmont-billing %s ends with %d and answers\n%s%s\nwant %s", question, command, r.status, r.stdout, r.stderr, want)
		}
	}
	if len(rows) != len(answers) {
		t.Errorf("the table has %d questions; want %d", len(rows), len(answers))
	}
}
