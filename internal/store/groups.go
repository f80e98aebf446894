package store

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// The sums of groups follow the ledger, a number of entries at a time, because a lease changes ten sums or more: to add each lease to them in
// the transaction that bills it would take longer than to bill it. Whoever reads them adds the leases of the entries that follow.
const (
	// addedTogether is how many entries addGroups adds to the sums in one transaction. When a commit takes the number of a ledger's newest
	// entry past a multiple of it, the entries are added.
	addedTogether = 1024
	// maxUnadded is with how many entries that are not in the sums usage by group is still answered. They take a second to read.
	maxUnadded = 200_000
)

// followers adds entries to the sums of groups in a goroutine, one organization after another.
type followers struct {
	mu      sync.Mutex
	waiting []billing.ID // each at most once
	running bool
	done    sync.WaitGroup
	ctx     context.Context // ended by stop
	stop    context.CancelFunc
}

func newFollowers(ctx context.Context) *followers {
	untilClosed, stop := context.WithCancel(context.WithoutCancel(ctx))
	return &followers{ctx: untilClosed, stop: stop}
}

// follow adds the entries of organizations to the sums of groups, soon.
func (s *Store) follow(orgs ...billing.ID) {
	f := s.followers
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, org := range orgs {
		if !slices.Contains(f.waiting, org) {
			f.waiting = append(f.waiting, org)
		}
	}
	if len(f.waiting) == 0 || f.running || f.ctx.Err() != nil {
		return
	}
	f.running = true
	f.done.Go(func() {
		for org, ok := f.next(); ok; org, ok = f.next() {
			for more, err := true, error(nil); more && err == nil; {
				// A failure leaves the entries for the next time. Until then they are read from the ledger.
				more, err = s.addGroups(f.ctx, org)
			}
		}
	})
}

// next takes an organization. It reports false when there are none, or the store closes, and then the goroutine ends.
func (f *followers) next() (org billing.ID, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running = len(f.waiting) > 0 && f.ctx.Err() == nil; f.running {
		org, f.waiting = f.waiting[0], f.waiting[1:]
	}
	return org, f.running
}

// end stops the goroutine and waits for its end. follow starts no other one.
func (f *followers) end() {
	f.mu.Lock()
	f.stop()
	f.mu.Unlock()
	f.done.Wait()
}

// followAll adds the entries of all organizations that are behind, as after an upgrade.
func (s *Store) followAll(ctx context.Context) error {
	var behind []billing.ID
	err := s.db.Query(ctx, `SELECT h.org_id FROM ledger_heads AS h LEFT JOIN usage_progress AS p ON p.org_id = h.org_id
			WHERE h.seq - coalesce(p.seq, 0) >= $1`, []any{int64(addedTogether)}, func(r *driver.Row) error {
		var org billing.ID
		err := r.Scan(&org)
		behind = append(behind, org)
		return err
	})
	s.follow(behind...)
	return s.fail(ctx, err)
}

// addGroups adds at most addedTogether entries to the sums of groups. It reports whether there may be more.
func (s *Store) addGroups(ctx context.Context, org billing.ID) (more bool, err error) {
	// The other organizations wait for this one. A node of a cluster that does not answer must not keep them waiting.
	ctx, end := context.WithTimeout(ctx, s.commitTimeout)
	defer end()
	err = s.transact(ctx, func(tx driver.Tx) error {
		// The row of the organization is the lock, so that each entry is added once.
		tx.Exec(`INSERT INTO usage_progress (org_id, seq) VALUES ($1, 0) ON CONFLICT (org_id) DO NOTHING`, []any{org[:]})
		var progress int64
		for text, args := range s.db.Lock(`seq`, `usage_progress`, []any{org[:]}, true) {
			tx.Query(text, args, func(r *driver.Row) error { return r.Scan(&progress) })
		}
		values := billing.NewGroupValues()
		tx.Query(groupValuesQuery, []any{org[:]}, loadValue(values))
		if err := tx.Run(ctx); err != nil {
			return err
		}
		var part []billedEntry
		tx.Query(entriesAfter, []any{org[:], progress, progress + addedTogether}, func(r *driver.Row) error {
			var b billedEntry
			err := b.scan(r)
			part = append(part, b)
			return err
		})
		if err := tx.Run(ctx); err != nil {
			return err
		}
		if more = len(part) == addedTogether; len(part) == 0 {
			return nil
		}
		sums := billing.GroupSums{}
		for i := range part {
			if lease := part[i].lease; lease != nil && lease.FinishedAt != nil {
				values.Learn(lease)
				if err := sums.Add(lease, values); err != nil {
					return err
				}
			}
		}
		rows := make([]billing.GroupSum, 0, len(sums))
		for _, period := range slices.SortedFunc(maps.Keys(sums), billing.GroupPeriod.Compare) {
			rows = append(rows, billing.GroupSum{GroupPeriod: period, GroupUsage: sums[period]})
		}
		s.insert(tx, &groupValueTable.Table, groupValueTable.rows(org, values.Changed()), renameValue)
		s.insert(tx, &groupSumTable.Table, groupSumTable.rows(org, rows), addToGroup)
		tx.Exec(`UPDATE usage_progress SET seq = $1 WHERE org_id = $2`, []any{part[len(part)-1].entry.Seq, org[:]})
		return nil
	})
	return more, err
}

// entriesAfter selects the entries after the number $2 up to $3, with their leases. A database that has statistics about numbers, but not for
// each organization, knows from both bounds that these are few; from the first alone it may expect most of a small ledger, and read all of it.
var entriesAfter = entriesAndLeases + ` AND seq > $2 AND seq <= $3 ORDER BY seq`

var groupValuesQuery = `SELECT ` + groupValueTable.columns + ` FROM usage_values WHERE org_id = $1`

func loadValue(into *billing.GroupValues) func(*driver.Row) error {
	return func(r *driver.Row) error {
		var v billing.GroupValue
		err := groupValueTable.scan(r, &v)
		into.Load(v)
		return err
	}
}

// groupSumsQuery selects sums of a grouping in a span, whose starts lie in a window.
const groupSumsQuery = ` FROM usage_groups WHERE org_id = $1 AND grouped_by = $2 AND span = $3 AND start_at >= $4 AND start_at < $5`

// UsageByGroup implements billing.Store. All of it is of one snapshot: the sums of groups, and the leases that are not in them.
func (s *Store) UsageByGroup(ctx context.Context, org billing.ID, query billing.GroupQuery) (groups billing.Groups, err error) {
	err = s.onSnapshot(ctx, func(ctx context.Context, q driver.Snapshot) error {
		r := groupReader{snapshot: snapshot{q, s}, org: org, query: query}
		groups, err = r.read(ctx)
		return err
	})
	return groups, s.fail(ctx, err)
}

// groupReader reads the usage of a window by group.
type groupReader struct {
	snapshot
	org    billing.ID
	query  billing.GroupQuery
	values *billing.GroupValues
	added  []billing.Lease // those that are billed, but not in the sums yet
}

func (r *groupReader) read(ctx context.Context) (billing.Groups, error) {
	head, err := readHead(ctx, r, r.org)
	if err != nil {
		return billing.Groups{}, err
	}
	if err := r.readNew(ctx, head.Seq); err != nil {
		return billing.Groups{}, err
	}
	complete, err := r.isComplete(ctx, &head)
	if err != nil {
		return billing.Groups{}, err
	}
	if complete {
		covered, err := r.wholeDays(ctx, !head.Lifetime.IsFull())
		if err != nil {
			return billing.Groups{}, err
		}
		return r.query.Groups(r.values, func(take billing.TakePart) error { return r.parts(ctx, covered, take) })
	}
	err = r.leases(ctx, r.query.Window, func(l *billing.Lease) error {
		r.values.Learn(l)
		return nil
	})
	if err != nil {
		return billing.Groups{}, err
	}
	return r.query.Groups(r.values, func(take billing.TakePart) error { return r.leaseParts(ctx, r.query.Window, take) })
}

// readNew reads the values, and the leases of the entries that are not in the sums yet.
func (r *groupReader) readNew(ctx context.Context, newest int64) error {
	var progress int64
	err := r.Query(ctx, `SELECT seq FROM usage_progress WHERE org_id = $1`, []any{r.org[:]}, func(row *driver.Row) error { return row.Scan(&progress) })
	if err != nil {
		return err
	}
	if newest-progress > r.store.maxUnadded {
		return billing.Faultf(billing.ErrUnavailable, "the usage of groups is being summed: %d of %d entries are done", progress, newest)
	}
	text, args := groupValuesQuery, []any{r.org[:]}
	if !r.query.Grouping.IsLabel() { // the values of all labels have one bound, so whether there is room for one depends on all
		text, args = text+` AND grouped_by = $2`, append(args, string(r.query.Grouping))
	}
	r.values, r.added = billing.NewGroupValues(), nil
	if err := r.Query(ctx, text, args, loadValue(r.values)); err != nil {
		return err
	}
	return r.Query(ctx, entriesAfter, []any{r.org[:], progress, newest}, func(row *driver.Row) error {
		var b billedEntry
		err := b.scan(row)
		if err == nil && b.lease != nil && b.lease.FinishedAt != nil {
			r.values.Learn(b.lease)
			r.added = append(r.added, *b.lease)
		}
		return err
	})
}

// isComplete reports whether the sums and the new leases are all that was billed. They are not while an import has added leases, but not
// the entries that bill them; then the leases have to be read themselves.
func (r *groupReader) isComplete(ctx context.Context, head *billing.Head) (bool, error) {
	var sum billing.Usage
	args := []any{r.org[:], string(billing.GroupByShape), string(billing.GroupMonth), int64(always.From), int64(always.To)}
	err := r.Query(ctx, `SELECT `+usageSums+groupSumsQuery, args, func(row *driver.Row) error { return scanUsage(row, &sum) })
	for i := range r.added {
		if err == nil {
			sum, err = sum.Add(r.added[i])
		}
	}
	return sum == head.Lifetime, err
}

// parts hands over the sums of the covered months and days, the leases that are not in the sums yet, and the leases at the edges of the window.
// Those that started in the window outside of the covered days are added, and those that started on covered days outside of the window are
// taken back.
func (r *groupReader) parts(ctx context.Context, covered billing.Window, take billing.TakePart) error {
	w := r.query.Window
	if covered.From >= covered.To {
		return r.leaseParts(ctx, w, take)
	}
	months := billing.Window{From: covered.From, To: covered.From}
	if first, end := billing.GroupMonth.Ceil(covered.From), billing.GroupMonth.Floor(covered.To); first < end && r.query.Interval != billing.IntervalDay {
		months = billing.Window{From: first, To: end}
	}
	for _, part := range []struct {
		span   billing.GroupSpan
		window billing.Window
	}{
		{billing.GroupDay, billing.Window{From: covered.From, To: months.From}},
		{billing.GroupMonth, months},
		{billing.GroupDay, billing.Window{From: months.To, To: covered.To}},
	} {
		if err := r.sums(ctx, part.span, part.window, take); err != nil {
			return err
		}
	}
	for i := range r.added {
		if at := r.added[i].StartedAt; at >= covered.From && at < covered.To {
			if err := r.query.LeaseParts(&r.added[i], r.values, take); err != nil {
				return err
			}
		}
	}
	takeBack := func(number int64, start billing.Time, u billing.GroupUsage) error {
		return take(number, start, u.Negated())
	}
	for _, edge := range []struct {
		window billing.Window // empty where it ends before it begins
		take   billing.TakePart
	}{
		{billing.Window{From: w.From, To: covered.From}, take},
		{billing.Window{From: covered.To, To: w.To}, take},
		{billing.Window{From: covered.From, To: w.From}, takeBack},
		{billing.Window{From: w.To, To: covered.To}, takeBack},
	} {
		if err := r.leaseParts(ctx, edge.window, edge.take); err != nil {
			return err
		}
	}
	return nil
}

// wholeDays returns the days whose sums are read. The day in which the window begins is one of them if no lease started in the rest of it, and
// so is the day in which it ends, as is the case where the window ends now. If leases can be taken back, a day is also one of them if most of
// it is in the window.
func (r *groupReader) wholeDays(ctx context.Context, canTakeBack bool) (billing.Window, error) {
	w := r.query.Window
	days := billing.Window{From: w.From.Floor(billing.Day), To: w.To.Ceil(billing.Day)}
	inOneDay := days.To-days.From == billing.Day
	isWhole := func(rest billing.Window) (bool, error) {
		if canTakeBack && !inOneDay && rest.To-rest.From <= billing.Day/2 {
			return true, nil
		}
		found, err := r.hasLease(ctx, rest)
		return !found, err
	}
	whole, err := isWhole(billing.Window{From: days.From, To: w.From})
	if err != nil {
		return days, err
	}
	if !whole {
		days.From = w.From.Ceil(billing.Day)
	}
	if whole, err = isWhole(billing.Window{From: w.To, To: days.To}); !whole {
		days.To = w.To.Floor(billing.Day)
	}
	return days, err
}

// hasLease reports whether a lease started in a window.
func (r *groupReader) hasLease(ctx context.Context, w billing.Window) (found bool, err error) {
	if w.From >= w.To {
		return false, nil
	}
	err = r.Query(ctx, `SELECT 1 FROM leases WHERE org_id = $1 AND started_at >= $2 AND started_at < $3 LIMIT 1`,
		[]any{r.org[:], int64(w.From), int64(w.To)}, func(*driver.Row) error {
			found = true
			return nil
		})
	return found, err
}

// sums hands over the sums of a span in a window: those of the groups, and those of all leases, which are the sums of the shapes.
func (r *groupReader) sums(ctx context.Context, span billing.GroupSpan, w billing.Window, take billing.TakePart) error {
	if w.From >= w.To {
		return nil
	}
	for _, all := range []bool{false, true} {
		grouping := r.query.Grouping
		if all {
			grouping = billing.GroupByShape
		}
		args := []any{r.org[:], string(grouping), string(span), int64(w.From), int64(w.To)}
		err := r.Query(ctx, `SELECT `+groupSumTable.columns+groupSumsQuery, args, func(row *driver.Row) error {
			var sum billing.GroupSum
			if err := groupSumTable.scan(row, &sum); err != nil {
				return err
			}
			if all {
				sum.Number = billing.AllLeases
			}
			return take(sum.Number, sum.Start, sum.GroupUsage)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// leaseParts hands over the finished leases of a window.
func (r *groupReader) leaseParts(ctx context.Context, w billing.Window, take billing.TakePart) error {
	if w.From >= w.To {
		return nil
	}
	return r.leases(ctx, w, func(l *billing.Lease) error { return r.query.LeaseParts(l, r.values, take) })
}

// leases hands over the finished leases of a window.
func (r *groupReader) leases(ctx context.Context, w billing.Window, take func(*billing.Lease) error) error {
	return r.snapshot.leases(ctx, r.org, w, "", nil, func(l *billing.Lease) error {
		if l.FinishedAt == nil {
			return nil
		}
		return take(l)
	})
}
