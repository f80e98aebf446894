package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// A breakdown begins with the list of its builds: of each only the id, the first start and the number of leases, which an index
// holds. That list is all that the database sorts. Then the leases are read part by part, and put in order here.
type partSize struct {
	leases int64 // the most of a part
	builds int   // of a part; as many keys as a statement looks up
	listed int   // how many builds of the list are in memory
}

var usualParts = partSize{leases: 2048, builds: 512, listed: 4096}

const leasesInWindow = ` WHERE org_id = $1 AND started_at >= $2 AND started_at < $3`

// windowBuild is a build by its leases in a window. Those without a build are one with no id.
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
			failed = s.streamFromReplica(ctx, func(ctx context.Context, from readings, begun *bool) error {
				return from.atOneMoment(ctx, func(r reading) error {
					b := &breakdown{reading: r, dialect: s.dialect, size: s.parts, org: org, window: w, send: func(part []*billing.BreakdownRow) error {
						*begun = true
						select {
						case parts <- part:
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					}}
					return b.read(ctx)
				})
			})
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
	reading
	dialect dialect
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
	if err := b.begin(ctx, `SELECT build_id, min(started_at) AS start, count(*) FROM leases`+b.dialect.byIndex("leases_by_start_and_build")+
		leasesInWindow+` GROUP BY build_id ORDER BY start DESC, build_id NULLS LAST`, b.args()); err != nil {
		return err
	}
	for {
		builds := []windowBuild{}
		if err := b.fetch(ctx, b.size.listed, func(r *row) error {
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
func (b *breakdown) lease(r *row) (*billing.BreakdownRow, error) {
	lease := new(billing.BreakdownRow)
	b.places = leases.into(&lease.Lease, b.places[:0])
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
	take := func(r *row) error {
		row, err := b.lease(r)
		if err == nil && row.Lease.BuildID != nil {
			if i, ok := places[*row.Lease.BuildID]; ok {
				ofBuilds[i] = append(ofBuilds[i], row)
			}
		}
		return err
	}
	// What starts at about the same time is stored together, so most leases are read by their start. They lie among leases of
	// other builds, of which not too many are read in vain.
	oldest := builds[len(builds)-1].start
	if err := b.query(ctx, `SELECT `+leases.columns+` FROM leases`+b.dialect.byIndex("leases_by_start_and_build")+leasesInWindow+
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
	for text, args := range b.dialect.lookups(leases.columns, `leases`+b.dialect.byIndex("leases_by_build")+leasesInWindow,
		b.args(), "build_id", uuids, incomplete) {
		if err := b.query(ctx, text, args, take); err != nil {
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

// sendLarge sends a build that may be longer than a part. What has no build may be any number of leases, and their sums are not
// known before all of them were read.
func (b *breakdown) sendLarge(ctx context.Context, build windowBuild) error {
	from, args := ` FROM leases`+b.dialect.byIndex("leases_by_build")+leasesInWindow, b.args()
	if build.id != nil {
		from, args = from+` AND build_id = $4`, b.args(build.id[:])
	} else {
		from += ` AND build_id IS NULL`
	}
	sums := billing.BuildUsage{StartedAt: build.start, Jobs: build.jobs}
	if err := b.query(ctx, `SELECT max(finished_at), CAST(coalesce(sum(amount_cents), 0) AS BIGINT)`+from, args, func(r *row) error {
		return r.Scan(&sums.FinishedAt, &sums.Cents)
	}); err != nil {
		return err
	}
	part := make([]*billing.BreakdownRow, 0, min(build.jobs, b.size.leases))
	if err := b.query(ctx, `SELECT `+leases.columns+from+` ORDER BY started_at, lease_id`, args, func(r *row) error {
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
