package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"time"

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

// The receiver of a breakdown may take its time, so a breakdown gives its snapshot back where the receiver is slower than the database.
const (
	// receiverPatience is how long a breakdown waits for its receiver in all, before it ends its snapshot.
	receiverPatience = 2 * time.Second
	// maxListed bounds the lists of builds that breakdowns without a snapshot keep in memory, all together. A build takes 40 bytes.
	maxListed = 1 << 20
)

var (
	// errSlow is the error of a part that the receiver did not take in time. It ends the snapshot, not the breakdown.
	errSlow = errors.New("the receiver is slower than the database")
	// errChanged ends a breakdown whose large build was changed after its sums were sent.
	errChanged = errors.New("the leases of a build changed while they were read without a snapshot")
)

// Breakdown implements billing.Store. It reads at most two parts ahead. It begins in one snapshot. After it has waited for the receiver
// for too long, or when other breakdowns need the connection, it reads the rest of the list of builds, ends the snapshot, and reads
// each further part in a snapshot of its own.
func (s *Store) Breakdown(ctx context.Context, org billing.ID, w billing.Window) iter.Seq2[*billing.BreakdownRow, error] {
	return func(yield func(*billing.BreakdownRow, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		b := &breakdown{store: s, size: s.parts, patience: s.patience, org: org, window: w, parts: make(chan []*billing.BreakdownRow, 1)}
		var failed error
		go func() {
			defer close(b.parts)
			defer func() {
				s.listed.Add(-b.listed)
				if cause := recover(); cause != nil { // no request recovers in this goroutine
					failed = fmt.Errorf("the breakdown panicked: %v\n%s", cause, debug.Stack())
				}
			}()
			err := b.readTogether(ctx)
			if err == nil {
				err = b.readApart(ctx)
			}
			failed = s.fail(ctx, err)
		}()
		defer func() {
			stop()
			for range b.parts { // the reading holds a connection until it ends
			}
		}()
		for part := range b.parts {
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

// onSnapshot runs do on a snapshot, of a replica where one is fresh, as soon as there is a connection for it.
func (s *Store) onSnapshot(ctx context.Context, do func(context.Context, driver.Snapshot) error) error {
	return s.db.ReadReplica(ctx, func(ctx context.Context, db driver.Reader) error {
		if err := s.takeTurn(ctx); err != nil {
			return err
		}
		defer func() { <-s.turns }()
		return db.Snapshot(ctx, func(snapshot driver.Snapshot) error { return do(ctx, snapshot) })
	})
}

// takeTurn waits for a turn to use a connection for snapshots. It asks breakdowns that wait for their receivers to give theirs back, one
// after another.
func (s *Store) takeTurn(ctx context.Context) error {
	wanted := s.wanted
	for {
		select {
		case s.turns <- struct{}{}:
			return nil
		default:
		}
		var again <-chan time.Time
		if wanted == nil {
			again = time.After(100 * time.Millisecond)
		}
		select {
		case s.turns <- struct{}{}:
			return nil
		case wanted <- struct{}{}:
			wanted = nil // it takes a moment to give a connection back
		case <-again:
			wanted = s.wanted
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// breakdown is the reading of one.
type breakdown struct {
	driver.Snapshot // that is read at the moment
	store           *Store
	size            partSize
	patience        time.Duration // that is left
	org             billing.ID
	window          billing.Window
	parts           chan []*billing.BreakdownRow

	builds  []windowBuild           // that were listed and not read
	listed  int64                   // how many of them count in Store.listed
	large   *largeBuild             // that is being read
	unsent  []*billing.BreakdownRow // the part with which the receiver turned out to be slow
	begun   bool                    // whether rows have been sent, or are unsent
	apart   bool                    // whether each part has a snapshot of its own
	places  []any                   // of the row that is being read
	unread  billing.Time            // the leases of small builds that start from then on were read, or are looked up by their builds
	failure error                   // of a snapshot from which rows have been sent
}

// largeBuild is a build that is longer than a part, or the leases without a build.
type largeBuild struct {
	windowBuild
	sums billing.BuildUsage    // of all leases
	read billing.BuildUsage    // of the leases that were read
	last *billing.BreakdownRow // that was read
}

// readTogether reads parts in one snapshot, builds newest first, until all is read or the receiver is slow.
func (b *breakdown) readTogether(ctx context.Context) error {
	return b.store.onSnapshot(ctx, func(ctx context.Context, snapshot driver.Snapshot) error {
		if b.begun { // rows have been handed on, so the read cannot start again
			return b.failure
		}
		b.Snapshot, b.builds, b.large, b.unread = snapshot, nil, nil, b.window.To
		b.failure = b.readAll(ctx)
		return b.failure
	})
}

func (b *breakdown) readAll(ctx context.Context) error {
	if err := b.Start(ctx, `SELECT build_id, min(started_at) AS start, count(*) FROM leases`+b.store.db.ByIndex("leases_by_start_and_build")+
		leasesInWindow+` GROUP BY build_id ORDER BY start DESC, build_id NULLS LAST`, b.args()); err != nil {
		return err
	}
	for {
		if b.large == nil && len(b.builds) == 0 {
			if more, err := b.list(ctx); err != nil || !more {
				return err
			}
		}
		part, err := b.nextPart(ctx)
		if err == nil {
			err = b.send(ctx, part)
		}
		if errors.Is(err, errSlow) {
			return b.listAll(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// list reads more of the list of builds, if there is more.
func (b *breakdown) list(ctx context.Context) (more bool, err error) {
	before := len(b.builds)
	err = b.Next(ctx, b.size.listed, func(r *driver.Row) error {
		var build windowBuild
		err := r.Scan(&build.id, &build.start, &build.jobs)
		b.builds = append(b.builds, build)
		return err
	})
	return len(b.builds) > before, err
}

// listAll reads the rest of the list of builds, so that the snapshot can end.
func (b *breakdown) listAll(ctx context.Context) error {
	b.builds = slices.Clone(b.builds)
	for {
		n := int64(len(b.builds)) - b.listed
		b.listed += n
		if b.store.listed.Add(n) > maxListed {
			return billing.Faultf(billing.ErrUnavailable, "%w, and the answer has too many builds for that", errSlow)
		}
		if more, err := b.list(ctx); err != nil || !more {
			return err
		}
	}
}

// readApart reads what readTogether has left, each part in a snapshot of its own. The list of builds is that of the first snapshot.
func (b *breakdown) readApart(ctx context.Context) error {
	b.apart = true
	for part := b.unsent; ; {
		if len(part) > 0 {
			select {
			case b.parts <- part:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if b.large == nil && len(b.builds) == 0 {
			return nil
		}
		if err := b.store.onSnapshot(ctx, func(ctx context.Context, snapshot driver.Snapshot) (err error) {
			b.Snapshot = snapshot
			part, err = b.nextPart(ctx)
			return err
		}); err != nil {
			return err
		}
	}
}

// send hands a part to the receiver. It fails with errSlow, and keeps the part, if the receiver does not take it in time.
func (b *breakdown) send(ctx context.Context, part []*billing.BreakdownRow) error {
	b.begun = true
	select {
	case b.parts <- part:
		return nil
	default:
	}
	waiting, timer := time.Now(), time.NewTimer(b.patience)
	defer timer.Stop()
	select {
	case b.parts <- part:
		b.patience -= time.Since(waiting)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	case <-b.store.wanted:
	}
	b.unsent = part
	return errSlow
}

// nextPart reads the next part. If it fails, it can be called again with another snapshot.
func (b *breakdown) nextPart(ctx context.Context) ([]*billing.BreakdownRow, error) {
	if b.large != nil {
		return b.partOfLarge(ctx, b.large)
	}
	if n := b.size.part(b.builds); n > 0 {
		part, err := b.smallBuilds(ctx, b.builds[:n])
		if err == nil {
			b.builds = b.builds[n:]
		}
		return part, err
	}
	large, err := b.sumUp(ctx, b.builds[0])
	if err != nil {
		return nil, err
	}
	part, err := b.partOfLarge(ctx, large)
	if err == nil {
		b.builds = b.builds[1:]
	}
	return part, err
}

// args are the parameters of leasesInWindow.
func (b *breakdown) args() []any { return []any{b.org[:], int64(b.window.From), int64(b.window.To)} }

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

// smallBuilds reads builds that make up a part.
func (b *breakdown) smallBuilds(ctx context.Context, builds []windowBuild) ([]*billing.BreakdownRow, error) {
	places, jobs := make(map[billing.ID]int, len(builds)), int64(0)
	for i, build := range builds {
		places[*build.id] = i
		jobs += build.jobs
	}
	ofBuilds := make([][]*billing.BreakdownRow, len(builds))
	take := func(r *driver.Row) error {
		row, err := b.lease(r)
		if err == nil && row.Lease.BuildID != nil {
			// Without a snapshot, there may be leases that were recorded after the list was read. Those that start before the build as it
			// was listed would contradict the order of the builds.
			if i, ok := places[*row.Lease.BuildID]; ok && row.Lease.StartedAt >= builds[i].start {
				ofBuilds[i] = append(ofBuilds[i], row)
			}
		}
		return err
	}
	if !b.apart {
		// Leases that start at about the same time are stored together, so most leases are read by their start. Leases of other
		// builds lie between them; the limit bounds how many of these are read in vain.
		oldest := builds[len(builds)-1].start
		if err := b.Query(ctx, `SELECT `+leaseTable.columns+` FROM leases`+b.store.db.ByIndex("leases_by_start_and_build")+leasesInWindow+
			` ORDER BY started_at DESC LIMIT $4`, []any{b.org[:], int64(oldest), int64(b.unread), 2 * jobs}, take); err != nil {
			return nil, err
		}
		b.unread = oldest + 1 // others may start with the oldest
	}
	var incomplete []any
	for i, build := range builds {
		if int64(len(ofBuilds[i])) < build.jobs {
			ofBuilds[i] = nil
			incomplete = append(incomplete, build.id[:])
		}
	}
	for text, args := range b.store.db.Lookup(driver.Lookup{
		Select: leaseTable.columns, From: `leases` + b.store.db.ByIndex("leases_by_build") + leasesInWindow, Args: b.args(),
		Column: "build_id", Type: driver.UUID, Keys: incomplete,
	}) {
		if err := b.Query(ctx, text, args, take); err != nil {
			return nil, err
		}
	}
	part := make([]*billing.BreakdownRow, 0, jobs)
	for i, build := range builds {
		if n := int64(len(ofBuilds[i])); n < build.jobs || n > build.jobs && !b.apart {
			return nil, fmt.Errorf("build %s has %d leases, and %d when it was read", build.id, build.jobs, n)
		}
		slices.SortFunc(ofBuilds[i], func(a, b *billing.BreakdownRow) int {
			return cmp.Or(cmp.Compare(a.Lease.StartedAt, b.Lease.StartedAt), bytes.Compare(a.Lease.ID[:], b.Lease.ID[:]))
		})
		sums := billing.BuildUsage{StartedAt: build.start}
		for _, row := range ofBuilds[i] {
			addTo(&sums, &row.Lease)
		}
		for _, row := range ofBuilds[i] {
			row.Build = sums
		}
		part = append(part, ofBuilds[i]...)
	}
	return part, nil
}

// addTo adds a lease to the sums of its build.
func addTo(sums *billing.BuildUsage, l *billing.Lease) {
	sums.Jobs++
	if l.FinishedAt == nil {
		return
	}
	sums.Cents += *l.AmountCents
	if sums.FinishedAt == nil || *l.FinishedAt > *sums.FinishedAt {
		sums.FinishedAt = l.FinishedAt
	}
}

// ofBuild returns the FROM clause and the condition of the leases of one build that start at a time or later, or of the leases without a
// build, with the parameters.
func (b *breakdown) ofBuild(id *billing.ID, from billing.Time) (text string, args []any) {
	text, args = ` FROM leases`+b.store.db.ByIndex("leases_by_build")+leasesInWindow, []any{b.org[:], int64(from), int64(b.window.To)}
	if id != nil {
		return text + ` AND build_id = $4`, append(args, id[:])
	}
	return text + ` AND build_id IS NULL`, args
}

// sumUp begins to read a build that may be longer than a part, or the leases without a build, of which there may be any number. Its sums
// come from a statement of their own, because every row carries them, the first one too.
func (b *breakdown) sumUp(ctx context.Context, build windowBuild) (*largeBuild, error) {
	large := &largeBuild{windowBuild: build}
	large.sums.StartedAt = build.start
	text, args := b.ofBuild(build.id, build.start)
	err := b.Query(ctx, `SELECT count(*), max(finished_at), CAST(coalesce(sum(amount_cents), 0) AS BIGINT)`+text, args, func(r *driver.Row) error {
		return r.Scan(&large.sums.Jobs, &large.sums.FinishedAt, &large.sums.Cents)
	})
	if err == nil && large.sums.Jobs == 0 {
		err = errChanged
	}
	return large, err
}

// partOfLarge reads the next part of a large build. It sets b.large to what is left of the build after it.
func (b *breakdown) partOfLarge(ctx context.Context, large *largeBuild) ([]*billing.BreakdownRow, error) {
	from := large.start
	if large.last != nil {
		from = large.last.Lease.StartedAt
	}
	text, args := b.ofBuild(large.id, from)
	if large.last != nil {
		args = append(args, large.last.Lease.ID[:])
		text += fmt.Sprintf(` AND (started_at > $2 OR lease_id > $%d)`, len(args))
	}
	n := min(b.size.leases, large.sums.Jobs-large.read.Jobs)
	args = append(args, n)
	text += fmt.Sprintf(` ORDER BY started_at, lease_id LIMIT $%d`, len(args))
	after := *large
	part := make([]*billing.BreakdownRow, 0, n)
	if err := b.Query(ctx, `SELECT `+leaseTable.columns+text, args, func(r *driver.Row) error {
		row, err := b.lease(r)
		if err == nil {
			row.Build = large.sums
			addTo(&after.read, &row.Lease)
			part = append(part, row)
		}
		return err
	}); err != nil {
		return nil, err
	}
	if int64(len(part)) < n {
		return nil, errChanged
	}
	after.last = part[n-1]
	if after.read.Jobs < after.sums.Jobs {
		b.large = &after
		return part, nil
	}
	sameFinish := after.read.FinishedAt == after.sums.FinishedAt ||
		after.read.FinishedAt != nil && after.sums.FinishedAt != nil && *after.read.FinishedAt == *after.sums.FinishedAt
	if after.read.Cents != after.sums.Cents || !sameFinish {
		return nil, errChanged
	}
	b.large = nil
	return part, nil
}
