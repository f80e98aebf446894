package billing_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
)

func openService(t *testing.T, slugs ...string) (*billing.Service, []billing.Organization) {
	t.Helper()
	books, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "billing.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := books.Close(); err != nil {
			t.Error(err)
		}
	})
	var orgs []billing.Organization
	for _, slug := range slugs {
		org := billing.Organization{ID: billing.NewID(), Slug: slug, Name: slug, CreatedAt: 1}
		if err := books.CreateOrganization(t.Context(), org); err != nil {
			t.Fatal(err)
		}
		orgs = append(orgs, org)
	}
	service := billing.NewService(books)
	if err := service.EnsureRateCard(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return service, orgs
}

func postCredits(t *testing.T, s *billing.Service, org billing.ID, n int) {
	t.Helper()
	head, err := s.Head(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		op := &billing.PostCredit{AmountCents: 1, Source: billing.SourceRefund, IdempotencyKey: fmt.Sprint(head.Seq + int64(i))}
		if err := s.PostCredit(t.Context(), org, op); err != nil {
			t.Fatal(err)
		}
	}
}

func seqs(entries []billing.Entry) (seqs []int64) {
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func countdown(from, to int64) (seqs []int64) {
	for seq := from; seq >= to; seq-- {
		seqs = append(seqs, seq)
	}
	return seqs
}

func TestTransactionsPages(t *testing.T) {
	s, orgs := openService(t, "acme", "empty")
	acme, empty := orgs[0].ID, orgs[1].ID
	postCredits(t, s, acme, 120)

	for _, c := range []struct {
		name string
		org  billing.ID
		size *int64
		want []int64
		more bool
	}{
		{"no entries", empty, nil, nil, false},
		{"the default", acme, nil, countdown(120, 71), true},
		{"one", acme, new(int64(1)), []int64{120}, true},
		{"none asked for", acme, new(int64(0)), []int64{120}, true},
		{"a negative number", acme, new(int64(-1 << 63)), []int64{120}, true},
		{"the largest", acme, new(int64(100)), countdown(120, 21), true},
		{"too many", acme, new(int64(1<<63 - 1)), countdown(120, 21), true},
	} {
		page, err := s.Transactions(t.Context(), c.org, billing.EntryFilter{}, c.size, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, seqs(page.Items)); d != "" || c.more != (page.Next != nil) || page.Items == nil {
			t.Errorf("%s: a cursor is %t, the entries are %s", c.name, page.Next != nil, d)
		}
	}
}

// A walk through the pages yields each entry that existed at its start exactly once, also while entries are appended. The last page has
// no cursor.
func TestTransactionsWalk(t *testing.T) {
	s, orgs := openService(t, "acme")
	acme := orgs[0].ID
	for _, size := range []int64{1, 2, 5, 7, 10, 100} {
		postCredits(t, s, acme, 10)
		head, err := s.Head(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		var walked []int64
		var cursor *string
		for {
			page, err := s.Transactions(t.Context(), acme, billing.EntryFilter{}, &size, cursor)
			if err != nil {
				t.Fatal(err)
			}
			walked = append(walked, seqs(page.Items)...)
			if len(page.Items) == 0 {
				t.Fatalf("pages of %d: a cursor led to an empty page", size)
			}
			if cursor = page.Next; cursor == nil {
				break
			}
			postCredits(t, s, acme, 1)
		}
		if d := cmp.Diff(countdown(head.Seq, 1), walked); d != "" {
			t.Errorf("pages of %d:\n%s", size, d)
		}
	}
}

// A caller can compute the digest of a cursor. A forged cursor must only lead to another place of the same list.
func TestForgedCursors(t *testing.T) {
	s, orgs := openService(t, "acme", "globex")
	acme, globex := orgs[0].ID, orgs[1].ID
	postCredits(t, s, acme, 5)
	postCredits(t, s, globex, 5)
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme", "globex"}}
	if err := s.CreateToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	entriesAt := func(seq int64) string {
		return billing.EncodeCursor("entries", acme[:], binary.BigEndian.AppendUint64(nil, uint64(seq)))
	}
	page, err := s.Transactions(t.Context(), acme, billing.EntryFilter{}, new(int64(2)), nil)
	if err != nil || *page.Next != entriesAt(4) {
		t.Fatalf("the cursor is made in another way, so this tests nothing: %v", err)
	}

	for name, cursor := range map[string]string{
		"empty":                    "",
		"text":                     "hello",
		"a number":                 "4",
		"another organization's":   billing.EncodeCursor("entries", globex[:], binary.BigEndian.AppendUint64(nil, 4)),
		"another list's":           billing.EncodeCursor("organizations", nil, []byte("acme")),
		"no place":                 billing.EncodeCursor("entries", acme[:], nil),
		"a short place":            billing.EncodeCursor("entries", acme[:], []byte{0, 0, 0, 4}),
		"a long place":             billing.EncodeCursor("entries", acme[:], append(make([]byte, 8), 4)),
		"before the first":         entriesAt(1),
		"zero":                     entriesAt(0),
		"negative":                 entriesAt(-1),
		"the least number":         entriesAt(-1 << 63),
		"a place without a digest": base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, 4)),
	} {
		if page, err := s.Transactions(t.Context(), acme, billing.EntryFilter{}, nil, &cursor); !errors.Is(err, billing.ErrCursorInvalid) {
			t.Errorf("a cursor that is %s gives %d entries, %v", name, len(page.Items), err)
		}
	}
	if page, err := s.Transactions(t.Context(), acme, billing.EntryFilter{}, nil, new(entriesAt(1<<63-1))); err != nil || len(page.Items) != 5 {
		t.Errorf("a cursor after all entries gives %d entries, %v", len(page.Items), err)
	}

	for name, cursor := range map[string]string{
		"empty":               "",
		"a slug":              "acme",
		"of another list":     entriesAt(4),
		"no place":            billing.EncodeCursor("organizations", nil, nil),
		"not a slug":          billing.EncodeCursor("organizations", nil, []byte("a b")),
		"not UTF-8":           billing.EncodeCursor("organizations", nil, []byte("a\xff")),
		"a slug with a NUL":   billing.EncodeCursor("organizations", nil, []byte("a\x00")),
		"a slug with more":    billing.EncodeCursor("organizations", nil, []byte("acme\n")),
		"for an organization": billing.EncodeCursor("organizations", acme[:], []byte("acme")),
	} {
		if page, err := s.VisibleOrganizations(t.Context(), token.Hash, nil, &cursor); !errors.Is(err, billing.ErrCursorInvalid) {
			t.Errorf("a cursor of organizations that is %s gives %d of them, %v", name, len(page.Items), err)
		}
	}
}

func TestVisibleOrganizations(t *testing.T) {
	var slugs []string
	for i := range 120 {
		slugs = append(slugs, fmt.Sprintf("org-%03d", i))
	}
	s, _ := openService(t, append(slices.Clone(slugs), "hidden", "zzz-hidden")...)
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: slugs}
	if err := s.CreateToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	for _, size := range []*int64{nil, new(int64(1)), new(int64(7)), new(int64(60)), new(int64(1000))} {
		var walked []string
		var cursor *string
		for {
			page, err := s.VisibleOrganizations(t.Context(), token.Hash, size, cursor)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Items) == 0 {
				t.Fatal("a cursor led to an empty page")
			}
			for _, org := range page.Items {
				walked = append(walked, org.Slug)
			}
			if cursor = page.Next; cursor == nil {
				break
			}
		}
		if d := cmp.Diff(slugs, walked); d != "" {
			t.Error(d)
		}
	}
	page, err := s.VisibleOrganizations(t.Context(), billing.TokenHash{2}, nil, nil)
	if err != nil || page.Items == nil || len(page.Items) > 0 || page.Next != nil {
		t.Errorf("an unknown token sees %v, %v", page, err)
	}
}

func TestAuthenticate(t *testing.T) {
	s, orgs := openService(t, "acme", "globex")
	past, future := billing.TimeOf(time.Now())-billing.Hour, billing.TimeOf(time.Now())+billing.Hour
	for i, c := range []struct {
		name             string
		expires, revoked *billing.Time
		slug             string
		organization     *billing.Organization
		fails            bool
	}{
		{"a token", nil, nil, "acme", &orgs[0], false},
		{"an organization that it may not see", nil, nil, "globex", nil, false},
		{"an organization that does not exist", nil, nil, "Acme", nil, false},
		{"one that expires later", &future, nil, "acme", &orgs[0], false},
		{"one that has expired", &past, nil, "acme", nil, true},
		{"one that was revoked", nil, &past, "acme", nil, true},
		{"a revoked one, for another organization", nil, &past, "globex", nil, true},
	} {
		token := billing.Token{
			Hash: billing.TokenHash{byte(i)}, Name: c.name, Role: billing.RoleWrite, Organizations: []string{"acme"},
			ExpiresAt: c.expires, RevokedAt: c.revoked,
		}
		if err := s.CreateToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		grant, err := s.Authenticate(t.Context(), token.Hash, c.slug)
		if c.fails {
			if !errors.Is(err, billing.ErrUnauthorized) || grant != (billing.Grant{}) {
				t.Errorf("%s gives %+v, %v", c.name, grant, err)
			}
			continue
		}
		if err != nil || grant.Role != billing.RoleWrite || grant.Hash != token.Hash || cmp.Diff(c.organization, grant.Organization) != "" {
			t.Errorf("%s gives %+v, %v", c.name, grant, err)
		}
	}
	if _, err := s.Authenticate(t.Context(), billing.TokenHash{99}, "acme"); !errors.Is(err, billing.ErrUnauthorized) {
		t.Errorf("an unknown token gives %v", err)
	}
}

// A bucket for each day from that of the start to that of the end, the latter included even where the window ends at its
// midnight.
func TestUsageSeries(t *testing.T) {
	s, orgs := openService(t, "acme")
	const day0 = 20_000 * billing.Day
	var leases []billing.Lease
	for _, start := range []billing.Time{day0, day0 + billing.Day - 1, day0 + 2*billing.Day} {
		leases = append(leases, billing.Lease{
			ID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start + billing.Hour),
		})
	}
	if _, err := s.RecordLeases(t.Context(), orgs[0].ID, leases); err != nil {
		t.Fatal(err)
	}
	one := billing.Usage{CPUSeconds: 7200, MemoryGBSeconds: 14_400, DiskGBSeconds: 72_000, Cents: 151}
	two := billing.Usage{CPUSeconds: 14_400, MemoryGBSeconds: 28_800, DiskGBSeconds: 144_000, Cents: 302}
	none := billing.Usage{}
	for _, c := range []struct {
		name     string
		from, to billing.Time
		want     []billing.Usage
	}{
		{"midnight to midnight", day0, day0 + 3*billing.Day, []billing.Usage{two, none, one, none}},
		{"within a day", day0 + 1, day0 + 2, []billing.Usage{none}},
		{"to the microsecond before a midnight", day0, day0 + billing.Day - 1, []billing.Usage{one}},
		{"to midnight", day0, day0 + billing.Day, []billing.Usage{two, none}},
		{"a microsecond beyond", day0 + 1, day0 + 2*billing.Day + 1, []billing.Usage{one, none, one}},
		{"before all", day0 - 2*billing.Day, day0, []billing.Usage{none, none, none}},
		{"before 1970", -2 * billing.Day, -billing.Day - 1, []billing.Usage{none}},
	} {
		series, err := s.UsageSeries(t.Context(), orgs[0].ID, billing.Window{From: c.from, To: c.to})
		if err != nil {
			t.Fatal(err)
		}
		var want []billing.DayUsage
		for i, usage := range c.want {
			want = append(want, billing.DayUsage{Day: c.from.Floor(billing.Day) + billing.Time(i)*billing.Day, Usage: usage})
		}
		if d := cmp.Diff(want, series); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}

func TestRecordLeasesBounds(t *testing.T) {
	s, orgs := openService(t, "acme")
	lease := func() billing.Lease {
		return billing.Lease{JobID: new(billing.NewID()), CPUCount: 1, MemoryGB: 1, DiskGB: 1, StartedAt: 0, FinishedAt: new(billing.Time(0))}
	}
	many := func(n int) (leases []billing.Lease) {
		for range n {
			leases = append(leases, lease())
		}
		return leases
	}
	for _, n := range []int{0, billing.RecordLeasesRequestLeasesMaxItems + 1} {
		if _, err := s.RecordLeases(t.Context(), orgs[0].ID, many(n)); !errors.Is(err, billing.ErrInvalid) {
			t.Errorf("%d leases: %v", n, err)
		}
	}
	results, err := s.RecordLeases(t.Context(), orgs[0].ID, many(billing.RecordLeasesRequestLeasesMaxItems))
	if err != nil || len(results) != billing.RecordLeasesRequestLeasesMaxItems {
		t.Errorf("%d leases were recorded, %v", len(results), err)
	}
	bad := many(3)
	bad[2].CPUCount = 0
	if _, err := s.RecordLeases(t.Context(), orgs[0].ID, bad); !errors.Is(err, billing.ErrLeaseInvalid) || err.Error()[:len("leases[2]: cpu_count")] != "leases[2]: cpu_count" {
		t.Errorf("a bad lease gives %v", err)
	}
	head, err := s.Head(t.Context(), orgs[0].ID)
	if err != nil || head.Seq != billing.RecordLeasesRequestLeasesMaxItems {
		t.Errorf("%d leases were billed, %v", head.Seq, err)
	}
}

// A running lease in a list has accrued what the most specific card in force at its start gives up to the time of the service. It is in no
// sum and no balance.
func TestAccruedInLists(t *testing.T) {
	s, orgs := openService(t, "acme", "globex")
	now := billing.TimeOf(time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC))
	s.SetClock(func() time.Time { return now.Std() })
	dear := billing.RateCard{OrgID: &orgs[0].ID, Name: "GPU", LabelKey: new("gpu"), LabelValue: new("l4")}
	dear.SetRates(billing.Rates{CPU: 1_000_000})
	if _, _, err := s.SetRateCard(t.Context(), billing.NewCard{Card: dear, EffectiveFrom: new(now - billing.Hour), Backdated: true}); err != nil {
		t.Fatal(err)
	}
	lease := func(before billing.Time, labels *string) billing.Lease {
		return billing.Lease{ID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: now - before, Labels: labels}
	}
	finished := lease(3*billing.Hour, nil)
	finished.FinishedAt = new(finished.StartedAt + billing.Second)
	gpu := billing.FormatLabels(map[string]string{"gpu": "l4"})
	leases := []billing.Lease{
		lease(10*billing.Second, gpu), lease(1000*billing.Second, nil), lease(2*billing.Hour, gpu), finished, // latest start first
	}
	want := []*int64{new(int64(-20)), new(int64(-42)), new(int64(-302)), nil}
	wantOther := []*int64{new(int64(0)), new(int64(-42)), new(int64(-302)), nil}
	for i, org := range orgs {
		if _, err := s.RecordLeases(t.Context(), org.ID, slices.Clone(leases)); err != nil {
			t.Fatal(err)
		}
		page, err := s.Leases(t.Context(), org.ID, billing.LeaseFilter{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []*int64
		for _, l := range page.Items {
			got = append(got, l.AccruedCents)
		}
		if d := cmp.Diff([][]*int64{want, wantOther}[i], got); d != "" {
			t.Errorf("%s: %s", org.Slug, d)
		}
		head, err := s.Head(t.Context(), org.ID)
		if err != nil {
			t.Fatal(err)
		}
		usage, err := s.Usage(t.Context(), org.ID, billing.Window{From: now - billing.Day, To: now})
		if err != nil {
			t.Fatal(err)
		}
		if head.BalanceCents != 0 || usage.Cents != 0 {
			t.Errorf("%s: the balance is %d, and the usage %d", org.Slug, head.BalanceCents, usage.Cents)
		}
	}
}
