package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// partSize bounds how much of a breakdown is in memory. A breakdown begins with the list of its builds: the id, the first start and
// the number of leases of each, which an index holds. The database sorts only this list. The leases follow part by part, and
// this package puts them in order.
type partSize struct {
	leases int64 // the most of a part
	builds int   // of a part; as many keys as a statement looks up
	listed int   // how many builds of the list are in memory
}

var usualParts = partSize{leases: 2048, builds: 512, listed: 4096}

const leasesInWindow = ` WHERE org_id = $1 AND started_at >= $2 AND started_at < $3`

// windowBuild describes the leases of one build in a window. The leases without a build form one windowBuild with no id.
type windowBuild struct {
	id    *billing.ID
	start billing.Time
	jobs  int64
}

// Breakdown implements billing.Store. It reads at most two parts ahead.
func (s *Store) Breakdown(ctx context.Context, org billing.ID, w billing.Window) iter.Seq2[*billing.BreakdownRow, error] {
	return func(yield func(*billing.BreakdownRow, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		parts := make(chan []*billing.BreakdownRow, 1)
		var failed error
		go func() {
			defer close(parts)
			defer func() {
				if cause := recover(); cause != nil { // no request recovers in this goroutine
					failed = fmt.Errorf("the breakdown panicked: %v\n%s", cause, debug.Stack())
				}
			}()
			sent := false
			err := s.db.ReadReplica(ctx, func(ctx context.Context, db driver.Reader) error {
				if sent { // rows have been handed on, so the read cannot start again
					return failed
				}
				failed = db.Snapshot(ctx, func(snapshot driver.Snapshot) error {
					b := &breakdown{Snapshot: snapshot, dialect: s.db, size: s.parts, org: org, window: w, send: func(part []*billing.BreakdownRow) error {
						select {
						case parts <- part:
							sent = true
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					}}
					return b.read(ctx)
				})
				return failed
			})
			failed = s.fail(ctx, err)
		}()
		defer func() {
			stop()
			for range parts { // the reading holds a connection until it ends
			}
		}()
		for part := range parts {
			for _, row := range part {
				if !yield(row, nil) {
					return
				}
			}
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// breakdown is the reading of one.
type breakdown struct {
	driver.Snapshot
	dialect driver.Dialect
	size    partSize
	org     billing.ID
	window  billing.Window
	send    func(part []*billing.BreakdownRow) error

	places []any        // of the row that is being read
	unread billing.Time // the leases of small builds that start from then on were read, or are looked up by their builds
}

// read sends all parts, builds newest first.
func (b *breakdown) read(ctx context.Context) error {
	b.unread = b.window.To
	if err := b.Start(ctx, `SELECT build_id, min(started_at) AS start, count(*) FROM leases`+b.dialect.ByIndex("leases_by_start_and_build")+
		leasesInWindow+` GROUP BY build_id ORDER BY start DESC, build_id NULLS LAST`, b.args()); err != nil {
		return err
	}
	for {
		builds := []windowBuild{}
		if err := b.Next(ctx, b.size.listed, func(r *driver.Row) error {
			var build windowBuild
			err := r.Scan(&build.id, &build.start, &build.jobs)
			builds = append(builds, build)
			return err
		}); err != nil || len(builds) == 0 {
			return err
		}
		for len(builds) > 0 {
			n := b.size.part(builds)
			var err error
			if n == 0 {
				n, err = 1, b.sendLarge(ctx, builds[0])
			} else {
				err = b.sendSmall(ctx, builds[:n])
			}
			if err != nil {
				return err
			}
			builds = builds[n:]
		}
	}
}

// args are the parameters of leasesInWindow.
func (b *breakdown) args(more ...any) []any {
	return append([]any{b.org[:], int64(b.window.From), int64(b.window.To)}, more...)
}

// lease reads a row with the columns of a lease, and nothing of its build.
func (b *breakdown) lease(r *driver.Row) (*billing.BreakdownRow, error) {
	lease := new(billing.BreakdownRow)
	b.places = leaseTable.into(&lease.Lease, b.places[:0])
	return lease, r.Scan(b.places...)
}

// part is how many of the builds at the front make up a part; none where the first is large.
func (size partSize) part(builds []windowBuild) (n int) {
	jobs := int64(0)
	for n < min(len(builds), size.builds) && builds[n].id != nil {
		if jobs += builds[n].jobs; jobs > size.leases {
			break
		}
		n++
	}
	return n
}

// sendSmall sends builds that make up a part.
func (b *breakdown) sendSmall(ctx context.Context, builds []windowBuild) error {
	places, jobs := make(map[billing.ID]int, len(builds)), int64(0)
	for i, build := range builds {
		places[*build.id] = i
		jobs += build.jobs
	}
	ofBuilds := make([][]*billing.BreakdownRow, len(builds))
	take := func(r *driver.Row) error {
		row, err := b.lease(r)
		if err == nil && row.Lease.BuildID != nil {
			if i, ok := places[*row.Lease.BuildID]; ok {
				ofBuilds[i] = append(ofBuilds[i], row)
			}
		}
		return err
	}
	// Leases that start at about the same time are stored together, so most leases are read by their start. Leases of other
	// builds lie between them; the limit bounds how many of these are read in vain.
	oldest := builds[len(builds)-1].start
	if err := b.Query(ctx, `SELECT `+leaseTable.columns+` FROM leases`+b.dialect.ByIndex("leases_by_start_and_build")+leasesInWindow+
		` ORDER BY started_at DESC LIMIT $4`, []any{b.org[:], int64(oldest), int64(b.unread), 2 * jobs}, take); err != nil {
		return err
	}
	b.unread = oldest + 1 // others may start with the oldest
	var incomplete []any
	for i, build := range builds {
		if int64(len(ofBuilds[i])) < build.jobs {
			ofBuilds[i] = nil
			incomplete = append(incomplete, build.id[:])
		}
	}
	for text, args := range b.dialect.Lookup(driver.Lookup{
		Select: leaseTable.columns, From: `leases` + b.dialect.ByIndex("leases_by_build") + leasesInWindow, Args: b.args(),
		Column: "build_id", Type: driver.UUID, Keys: incomplete,
	}) {
		if err := b.Query(ctx, text, args, take); err != nil {
			return err
		}
	}
	part := make([]*billing.BreakdownRow, 0, jobs)
	for i, build := range builds {
		if int64(len(ofBuilds[i])) != build.jobs {
			return fmt.Errorf("build %s has %d leases, and %d when it was read", build.id, build.jobs, len(ofBuilds[i]))
		}
		slices.SortFunc(ofBuilds[i], func(a, b *billing.BreakdownRow) int {
			return cmp.Or(cmp.Compare(a.Lease.StartedAt, b.Lease.StartedAt), bytes.Compare(a.Lease.ID[:], b.Lease.ID[:]))
		})
		sums := billing.BuildUsage{StartedAt: build.start, Jobs: build.jobs}
		for _, row := range ofBuilds[i] {
			if l := &row.Lease; l.FinishedAt != nil {
				sums.Cents += *l.AmountCents
				if sums.FinishedAt == nil || *l.FinishedAt > *sums.FinishedAt {
					sums.FinishedAt = l.FinishedAt
				}
			}
		}
		for _, row := range ofBuilds[i] {
			row.Build = sums
		}
		part = append(part, ofBuilds[i]...)
	}
	return b.send(part)
}

// sendLarge sends a build that may be longer than a part, or the leases without a build, of which there may be any number. Its
// sums come from a statement of their own, because every row carries them, the first one too.
func (b *breakdown) sendLarge(ctx context.Context, build windowBuild) error {
	from, args := ` FROM leases`+b.dialect.ByIndex("leases_by_build")+leasesInWindow, b.args()
	if build.id != nil {
		from, args = from+` AND build_id = $4`, b.args(build.id[:])
	} else {
		from += ` AND build_id IS NULL`
	}
	sums := billing.BuildUsage{StartedAt: build.start, Jobs: build.jobs}
	if err := b.Query(ctx, `SELECT max(finished_at), CAST(coalesce(sum(amount_cents), 0) AS BIGINT)`+from, args, func(r *driver.Row) error {
		return r.Scan(&sums.FinishedAt, &sums.Cents)
	}); err != nil {
		return err
	}
	part := make([]*billing.BreakdownRow, 0, min(build.jobs, b.size.leases))
	if err := b.Query(ctx, `SELECT `+leaseTable.columns+from+` ORDER BY started_at, lease_id`, args, func(r *driver.Row) error {
		row, err := b.lease(r)
		if err != nil {
			return err
		}
		row.Build = sums
		if part = append(part, row); int64(len(part)) == b.size.leases {
			full := part
			part = make([]*billing.BreakdownRow, 0, b.size.leases)
			return b.send(full)
		}
		return nil
	}); err != nil {
		return err
	}
	return b.send(part)
}
