package main

import (
	"encoding/csv"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestExportFocus(t *testing.T) {
	p := newProgram(t)
	if got := p.reading(read(t, "../../internal/focus/testdata/books.ndjson")).run("import", "-"); got.status != 0 {
		t.Fatalf("import: %+v", got)
	}
	column := func(stdout, name string) (values []string) {
		t.Helper()
		rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		at := slices.Index(rows[0], name)
		if at < 0 {
			t.Fatalf("there is no column %s", name)
		}
		for _, row := range rows[1:] {
			values = append(values, row[at])
		}
		return values
	}
	export := func(args ...string) result {
		t.Helper()
		return p.run(append([]string{"export", "--focus"}, args...)...)
	}

	may := export("--month", "2026-05")
	equal(t, "the sources of May", strings.Join(column(may.stdout, "x_EntrySource"), " "),
		"stripe_topup stripe_topup coupon_redemption admin_grant")
	equal(t, "standard error of May", may.stderr, "")
	// A lease that ran into June was billed then.
	june := export("--month", "2026-06", "--org", "acme").stdout
	equal(t, "the first lease of June", column(june, "ChargePeriodStart")[0], "2026-05-31T23:58:00Z")
	equal(t, "the organizations of June", strings.Join(slices.Compact(column(june, "x_OrganizationSlug")), " "), "acme")
	both := export("--from", "2026-05-01", "--to", "2026-07-01").stdout
	equal(t, "the organizations", strings.Join(slices.Compact(column(both, "x_OrganizationSlug")), " "), "acme globex")
	// These months begin two hours earlier, and their billing periods do not.
	berlin := export("--month", "2026-06", "--tz", "Europe/Berlin", "--org", "acme").stdout
	equal(t, "June in Berlin", berlin, june)
	equal(t, "May in Berlin", export("--month", "2026-05", "--tz", "Europe/Berlin").stdout, may.stdout)

	empty := export("--month", "2025-01")
	equal(t, "the rows of an empty month", strings.Join(column(empty.stdout, "x_EntryId"), " "), "")
	equal(t, "the note on an empty month", empty.stderr, "note: no ledger entry was created from 2025-01-01T00:00:00.000000Z to 2025-02-01T00:00:00.000000Z\n")
	if today := export("--month", "this"); !regexp.MustCompile(`(?m)^note: the window is not over: `).MatchString(today.stderr) {
		t.Errorf("of this month it says %q", today.stderr)
	}

	for _, c := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"export", "--month", "2026-05"}, exitUsage, "--month needs --focus"},
		{[]string{"export", "--org", "acme"}, exitUsage, "--org needs --focus"},
		{[]string{"export", "--focus", "--month", "2026-13"}, exitUsage, "must be this, last or an existing month"},
		{[]string{"export", "--focus", "--month", "2026-05", "--last", "7d"}, exitUsage, "--month goes without --last"},
		{[]string{"export", "--focus", "--org", "initech"}, exitFailure, `there is no organization "initech"`},
		{[]string{"export", "--focus", "--database", "sqlite:none.db"}, exitFailure, "none.db"},
	} {
		if got := p.run(c.args...); got.status != c.status || got.stdout != "" || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
}
