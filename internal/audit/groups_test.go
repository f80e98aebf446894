package audit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// Each change of a sum of a group, of a value and of the progress is found, and nothing else is.
func TestGroupsAreRecomputed(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		// The first 1 024 entries are in the sums; the others are not.
		service := billing.NewService(b.store)
		leases := make([]billing.Lease, 0, 1000)
		for i := range cap(leases) + 30 {
			l := lease(billing.NewID(), billing.Time(i)*billing.Hour, 300)
			l.JobID, l.PipelineID, l.PipelineName = new(billing.NewID()), nil, nil
			l.PipelineSlug, l.Author = new(fmt.Sprint("pipeline-", i%3)), new("mara")
			if leases = append(leases, l); len(leases) == cap(leases) {
				b.record(service, acme, leases...)
				leases = leases[:0]
			}
		}
		b.record(service, acme, leases...)
		storetest.Eventually(b.T, "the entries are in the sums", func() bool {
			return len(b.strings(`SELECT CAST(seq AS TEXT) FROM usage_progress WHERE seq >= 1024`)) > 0
		})
		if findings, _ := b.verify(); len(findings) > 0 {
			b.Fatalf("before any change: %q", findings)
		}
		tables := []string{"usage_groups", "usage_values", "usage_progress"}
		for _, table := range tables {
			b.exec(`CREATE TABLE copy_of_` + table + ` AS SELECT * FROM ` + table)
		}
		type change struct{ text, want string }
		// Each of these changes is of another row, so one audit finds all of them.
		var together []change
		for i, set := range []string{
			`UPDATE usage_groups SET lease_count = lease_count + 1`, `UPDATE usage_groups SET cpu_seconds = cpu_seconds + 1`,
			`UPDATE usage_groups SET memory_gb_seconds = 1`, `UPDATE usage_groups SET disk_gb_seconds = 1`,
			`UPDATE usage_groups SET total_cents = total_cents - 1`, `UPDATE usage_groups SET number = 2`,
			`UPDATE usage_groups SET start_at = start_at + 864000000000000`, `UPDATE usage_groups SET start_at = start_at + 1`,
			`UPDATE usage_groups SET grouped_by = 'label.author'`, `DELETE FROM usage_groups`,
		} {
			day := billing.Time(i+1) * billing.Day
			row := fmt.Sprintf("usage_groups, author 1, day of %s: it ", day)
			want := row + "is missing"
			if i < 5 {
				want = row + "has"
			}
			together = append(together, change{set + fmt.Sprintf(` WHERE org_id = $1 AND grouped_by = 'author' AND span = 'day' AND start_at = %d`, day), want})
		}
		const value = `WHERE org_id = $1 AND grouped_by = 'pipeline' AND value = `
		together = append(together,
			change{`DELETE FROM usage_groups WHERE org_id = $1 AND grouped_by = 'shape' AND span = 'month' AND start_at = 0`, "usage_groups, shape 1, month of 1970-01-01T00:00:00.000000Z: it is missing"},
			change{`INSERT INTO usage_groups (org_id, grouped_by, span, start_at, number, lease_count, cpu_seconds, memory_gb_seconds, disk_gb_seconds, total_cents)
				VALUES ($1, 'author', 'month', 946684800000000, 1, 1, 0, 0, 0, 0)`, "usage_groups, author 1, month of 2000-01-01T00:00:00.000000Z: no lease"},
			change{`UPDATE usage_values SET name = 'other' ` + value + `'pipeline-0'`, `usage_values, pipeline 2: "pipeline-0" named "other" is not what`},
		)
		for _, round := range [][]change{
			together,
			{{`DELETE FROM usage_values WHERE org_id = $1 AND grouped_by = 'author'`, `usage_values, author 1: "mara" named "mara" is missing`}},
			{{`UPDATE usage_values SET value = 'other' ` + value + `'pipeline-1'`, `usage_values, pipeline 3: "other" named "pipeline-1" is not what`}},
			{{`UPDATE usage_values SET number = 9 ` + value + `'pipeline-1'`, `usage_values, pipeline 9: "pipeline-1" named "pipeline-1" is not what`}},
			{{`UPDATE usage_progress SET seq = 500 WHERE org_id = $1`, "usage_groups, author 1, month of 1970-01-01T00:00:00.000000Z: it has"}},
			{{`UPDATE usage_progress SET seq = 2000 WHERE org_id = $1`, "usage_progress: seq 2000 is beyond the newest entry, 1036"}},
			{{`DELETE FROM usage_progress WHERE org_id = $1`, "usage_groups, author 1, month of 1970-01-01T00:00:00.000000Z: no lease"}},
		} {
			for _, c := range round {
				if b.exec(c.text, acme[:]) != 1 {
					b.Errorf("%s has not changed one row", c.text)
				}
			}
			findings, _ := b.verify()
			all := strings.Join(findings, "\n")
			for _, c := range round {
				if strings.Count(all, c.want) != 1 {
					b.Errorf("after %s it finds\n%s\nwant %q once", c.text, all, c.want)
				}
			}
			for _, table := range tables {
				b.exec(`DELETE FROM ` + table)
				b.exec(`INSERT INTO ` + table + ` SELECT * FROM copy_of_` + table)
			}
		}
	})
}
