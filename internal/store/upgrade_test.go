package store

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/sqlite"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
	"github.com/harmont-dev/harmont-billing/internal/transfer"
)

// The folder testdata has, for each set of migrations that there has been, a database of each kind which that set made
// (v1.db, v1.sql) and the answers that it must give for ever (v1.json). A new migration comes with new ones, from
//
//	go test ./internal/store -run '^TestUpgrade$' -update
//
// which never changes existing ones, because they stand for databases in use.
var update = flag.Bool("update", false, "make the databases of the newest set of migrations for TestUpgrade")

// Databases of every earlier version open, and answer as they always have.
func TestUpgrade(t *testing.T) {
	files, err := fs.Glob(sqlite.Migrations, "migrations/*.sql")
	storetest.Must(t, err)
	newest := len(files)
	if *update {
		makeFixtures(t, newest)
	}
	if _, err := os.Stat(filepath.Join("testdata", fmt.Sprintf("v%d.json", newest))); err != nil {
		t.Fatalf("%v; see the comment of -update", err)
	}
	withDigests, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("v%d.json", digestsSince)))
	storetest.Must(t, err)
	for version := 1; version <= newest; version++ {
		name := filepath.Join("testdata", fmt.Sprintf("v%d", version))
		want, err := os.ReadFile(name + ".json")
		storetest.Must(t, err)
		t.Run(fmt.Sprintf("v%d/SQLite", version), func(t *testing.T) {
			old, err := os.ReadFile(name + ".db")
			storetest.Must(t, err)
			file := newFile(t)
			storetest.Must(t, os.WriteFile(file, old, 0o600))
			upgraded(t, openWithoutPrices(t, file), version, want, withDigests)
		})
		t.Run(fmt.Sprintf("v%d/PostgreSQL", version), func(t *testing.T) {
			dump, err := os.ReadFile(name + ".sql")
			storetest.Must(t, err)
			database := pgtest.Database(t)
			restore(t, pgtest.Connect(t, database), string(dump))
			upgraded(t, openWithoutPrices(t, database), version, want, withDigests)
		})
	}
}

// tree decodes answers. The lines of an export are decoded as well.
func tree(t *testing.T, answers []byte) (all map[string]any) {
	t.Helper()
	storetest.Must(t, json.Unmarshal(answers, &all))
	lines := all["export"].([]any)
	for i, line := range lines {
		var record any
		if line != "" {
			storetest.Must(t, json.Unmarshal([]byte(line.(string)), &record))
		}
		lines[i] = record
	}
	return all
}

// dropNew removes values from got that are null and that want does not have, because a later version has added them.
func dropNew(want, got any) {
	switch got := got.(type) {
	case map[string]any:
		want, _ := want.(map[string]any)
		for key, value := range got {
			if _, ok := want[key]; !ok && value == nil {
				delete(got, key)
			} else {
				dropNew(want[key], value)
			}
		}
	case []any:
		want, _ := want.([]any)
		for i := range min(len(want), len(got)) {
			dropNew(want[i], got[i])
		}
	}
}

// ratesSince is the first set of migrations with rate cards.
const ratesSince = 7

// fingerprintsSince is the first set of migrations whose fingerprints are kept by later ones.
const fingerprintsSince = 5

// digestsSince is the first set of migrations with digests of entries.
const digestsSince = 5

// grantNamesSince is the first set of migrations whose answers have the name of the token in a grant.
const grantNamesSince = 8

// dropGrantNames removes the names of the tokens from the grants, which the fixtures of earlier versions do not have.
func dropGrantNames(answers map[string]any) {
	for key, grants := range answers {
		if strings.HasPrefix(key, "token ") {
			for _, grant := range grants.(map[string]any) {
				delete(grant.(map[string]any), "Name")
			}
		}
	}
}

// dropDigests removes the digests, which the fixtures of earlier versions do not have, and returns those of the heads.
func dropDigests(answers map[string]any) (digests map[string]any) {
	digests = map[string]any{}
	for key, books := range answers {
		if org, ok := strings.CutPrefix(key, "books of "); ok {
			digests[org] = books.(map[string]any)["head"].(map[string]any)["Digest"]
		}
	}
	answers["export"] = slices.DeleteFunc(answers["export"].([]any), func(line any) bool {
		record, ok := line.(map[string]any)
		return ok && record["type"] == "head"
	})
	var drop func(any)
	drop = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			delete(value, "Digest")
			for _, v := range value {
				drop(v)
			}
		case []any:
			for _, v := range value {
				drop(v)
			}
		}
	}
	drop(answers)
	return digests
}

// dropFingerprints removes the fingerprints of an audit, which a new value changes.
func dropFingerprints(answers map[string]any) {
	for _, report := range answers["audit"].([]any) {
		delete(report.(map[string]any), "Fingerprint")
	}
}

// upgraded checks a database that an earlier version has made and this one has opened.
func upgraded(t *testing.T, s *Store, version int, stored, withDigests []byte) {
	t.Helper()
	want, got := tree(t, stored), tree(t, answers(t, s))
	if version < digestsSince {
		// The books of these versions are the same, so they have the same digests.
		wantDigests, digests := dropDigests(tree(t, withDigests)), dropDigests(got)
		if len(digests) != 3 || !reflect.DeepEqual(digests, wantDigests) {
			t.Errorf("the digests are %v, want %v", digests, wantDigests)
		}
	}
	if version < grantNamesSince {
		dropGrantNames(got)
	}
	dropNew(want, got)
	if version < fingerprintsSince {
		dropFingerprints(want)
		dropFingerprints(got)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("it answers otherwise than it did (-):\n%s", diff)
	}
	storetest.WantClean(t, s)

	// The first rate card is the one of leases that were billed before there were any.
	service := billing.NewService(s)
	storetest.Must(t, service.EnsureRateCard(t.Context(), nil))
	cards, err := service.RateCards(t.Context())
	storetest.Must(t, err)
	for _, line := range got["export"].([]any) {
		record, _ := line.(map[string]any)
		if record["type"] != "entry" || record["lease_id"] == nil {
			continue
		}
		org, err := s.OrganizationBySlug(t.Context(), record["org"].(string))
		storetest.Must(t, err)
		id, err := billing.ParseID(record["id"].(string))
		storetest.Must(t, err)
		detail, err := service.Transaction(t.Context(), org.ID, id)
		storetest.Must(t, err)
		if detail.Card == nil || detail.Cost == nil || detail.Cost.Cents != -detail.Entry.AmountCents {
			t.Errorf("the entry %s has the cost %+v and the card %+v", id, detail.Cost, detail.Card)
		} else if version < ratesSince && detail.Card.ID != cards.All()[0].ID {
			t.Errorf("the entry %s has the card %+v", id, detail.Card)
		}
	}

	// Repeated requests are recognized, and a running lease can finish.
	acme, err := s.OrganizationBySlug(t.Context(), "acme")
	storetest.Must(t, err)
	before, err := s.Head(t.Context(), acme.ID)
	storetest.Must(t, err)
	again := fixtureCredit()
	storetest.Must(t, service.PostCredit(t.Context(), acme.ID, again))
	if !again.Replayed {
		t.Error("a credit was posted twice")
	}
	finished, running := fixtureLeases()
	finished.BuildExternalID = nil // it is no UUID, which only earlier versions accepted; a missing value does not change
	results, err := service.RecordLeases(t.Context(), acme.ID, []billing.Lease{finished, running})
	storetest.Must(t, err)
	if results[0].Status != billing.LeaseDuplicate || results[1].Status != billing.LeaseDuplicate {
		t.Errorf("leases that were sent again are %+v", results)
	}
	running.FinishedAt = new(running.StartedAt + 300*billing.Second)
	results, err = service.RecordLeases(t.Context(), acme.ID, []billing.Lease{running})
	storetest.Must(t, err)
	after, err := s.Head(t.Context(), acme.ID)
	storetest.Must(t, err)
	if results[0].Status != billing.LeaseBilled || after.Seq != before.Seq+1 || after.BalanceCents != before.BalanceCents-12 {
		t.Errorf("the lease that finished is %+v, the head went from %+v to %+v", results, before, after)
	}
	storetest.WantClean(t, s)
}

// answers returns the answers of all reads as text.
func answers(t *testing.T, s *Store) []byte {
	t.Helper()
	ctx := t.Context()
	service := billing.NewService(s)
	type object map[string]any
	orgs, err := s.Organizations(ctx, "", 100, nil)
	storetest.Must(t, err)
	tokens, err := s.Tokens(ctx)
	storetest.Must(t, err)
	var export strings.Builder
	storetest.Must(t, transfer.Export(ctx, s, &export))
	type report struct {
		Organization                                   string
		Leases, Entries, Hours, BalanceCents, Findings int64
		Fingerprint                                    string
	}
	var reports []report
	storetest.Must(t, audit.Verify(ctx, s, func(string, string) {}, func(r audit.Report) {
		reports = append(reports, report{r.Organization, r.Leases, r.Entries, r.Hours, r.BalanceCents, r.Findings, r.Fingerprint})
	}))
	all := object{"organizations": orgs, "tokens": tokens, "export": strings.Split(export.String(), "\n"), "audit": reports}
	for _, token := range tokens {
		page, err := service.VisibleOrganizations(ctx, token.Hash, new(int64(1)), nil)
		storetest.Must(t, err)
		grants := object{"first organization": page}
		for _, org := range orgs {
			grants[org.Slug], err = s.Grant(ctx, token.Hash, org.Slug)
			storetest.Must(t, err)
		}
		all["token "+token.Name] = grants
	}
	for _, org := range orgs {
		books := object{}
		books["head"], err = s.Head(ctx, org.ID)
		storetest.Must(t, err)
		var pages []any
		for cursor := (*string)(nil); ; {
			page, err := service.Transactions(ctx, org.ID, billing.EntryFilter{}, new(int64(2)), cursor)
			storetest.Must(t, err)
			pages = append(pages, page)
			if cursor = page.Next; cursor == nil {
				break
			}
		}
		books["transactions"] = pages
		for name, w := range map[string]billing.Window{
			"the whole":  {From: fixtureDay, To: fixtureDay + 3*billing.Day},
			"cut hours":  {From: fixtureDay + 90*60*billing.Second, To: fixtureDay + 27*billing.Hour + 1},
			"in an hour": {From: fixtureDay + 1, To: fixtureDay + billing.Hour/2},
		} {
			usage, err := s.Usage(ctx, org.ID, w)
			storetest.Must(t, err)
			series, err := service.UsageSeries(ctx, org.ID, w)
			storetest.Must(t, err)
			var breakdown []*billing.BreakdownRow
			for row, err := range s.Breakdown(ctx, org.ID, w) {
				storetest.Must(t, err)
				breakdown = append(breakdown, row)
			}
			books[name] = object{"usage": usage, "series": series, "breakdown": breakdown}
		}
		all["books of "+org.Slug] = books
	}
	text, err := json.Marshal(all, json.Deterministic(true), jsontext.WithIndent("  "), json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, id billing.ID) error { return enc.WriteToken(jsontext.String(id.String())) }),
		json.MarshalToFunc(func(enc *jsontext.Encoder, t billing.Time) error { return enc.WriteToken(jsontext.String(t.String())) }),
		json.MarshalToFunc(func(enc *jsontext.Encoder, d billing.Digest) error {
			return enc.WriteToken(jsontext.String(d.String()))
		}),
	)))
	storetest.Must(t, err)
	return append(text, '\n')
}

// The books of the fixtures. Times and ids are given, so that both databases have the same.
var fixtureDay = 20_610 * billing.Day // 2026-06-06

// fixtureID is a UUID that is the same each time.
func fixtureID(kind, n byte) *billing.ID {
	return &billing.ID{0x01, 0x97, kind, 6: 0x70, 8: 0x80, 15: n}
}

func fixtureCredit() *billing.PostCredit {
	return &billing.PostCredit{
		AmountCents: 10_000, Source: billing.SourceAdminGrant, Description: new("Welcome to “Harmont” ☕"), IdempotencyKey: "welcome",
	}
}

// fixtureLeases are a lease that has finished and one that is running.
func fixtureLeases() (finished, running billing.Lease) {
	finished = billing.Lease{
		ID: fixtureID(2, 1), JobID: fixtureID(3, 1), JobName: new("test: go ✓"), StepKey: new("test"), VMHandle: new("vm-1"),
		BuildID: fixtureID(4, 1), BuildNumber: new(int64(17)), BuildExternalID: new("ext/17"),
		PipelineID: fixtureID(5, 1), PipelineName: new("Main"), PipelineSlug: new("main"),
		CPUCount: 2, MemoryGB: 4, DiskGB: 20,
		StartedAt: fixtureDay + 1, FinishedAt: new(fixtureDay + 300*billing.Second + 1), DurationSeconds: new(int64(300)),
	}
	running = billing.Lease{
		ID: fixtureID(2, 2), JobID: fixtureID(3, 2), JobName: new("deploy"), BuildID: fixtureID(4, 1), BuildNumber: new(int64(17)),
		CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: fixtureDay + 2*billing.Hour,
	}
	return finished, running
}

// fixtureCards are a rate card for all leases and one for some of an organization.
func fixtureCards() (standard, mac billing.RateCard) {
	standard, mac = billing.RateCard{Name: "Standard", CreatedAt: 3}, billing.RateCard{
		Name: "Macs ☕", OrgID: fixtureID(1, 1), CPUCount: new(int64(2)), MemoryGB: new(int64(4)), DiskGB: new(int64(20)),
		LabelKey: new("os"), LabelValue: new("mac"), EffectiveFrom: 5, CreatedAt: 4, IdempotencyKey: new("macs"),
	}
	standard.SetRates(billing.StandardRates)
	mac.SetRates(billing.Rates{CPU: 20_000, MemoryGB: 5_000, DiskGB: 100})
	return standard, mac
}

// makeBooks fills an empty database.
func makeBooks(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	orgs := map[string]*billing.ID{"acme": fixtureID(1, 1), "Globex.Corp": fixtureID(1, 2), "empty": fixtureID(1, 3)}
	for slug, id := range orgs {
		storetest.Must(t, s.CreateOrganization(ctx, billing.Organization{ID: *id, Slug: slug, Name: slug + ", Inc. ☕", CreatedAt: fixtureDay - billing.Day}))
	}
	for i, token := range []billing.Token{
		{Name: "reader", Role: billing.RoleRead, Organizations: []string{"acme"}},
		{Name: "scheduler", Role: billing.RoleWrite, Organizations: []string{"Globex.Corp", "acme"}, ExpiresAt: new(fixtureDay + 1)},
		{Name: "admin", Role: billing.RoleAdmin, Organizations: []string{"Globex.Corp", "acme", "empty"}, RevokedAt: new(fixtureDay + 2)},
	} {
		token.Hash, token.CreatedAt = billing.TokenHash{byte(i)}, fixtureDay+billing.Time(i)
		storetest.Must(t, s.CreateToken(ctx, token))
	}

	service := billing.NewService(s)
	standard, mac := fixtureCards()
	for _, card := range []billing.RateCard{standard, mac} {
		_, _, err := service.ImportRateCard(ctx, card, false)
		storetest.Must(t, err)
	}

	finished, running := fixtureLeases()
	leases := []billing.Lease{finished, running}
	for i, more := range []struct {
		start   billing.Time
		seconds int64
	}{
		{billing.Hour - 1, 24}, {billing.Hour, 23}, {90 * 60 * billing.Second, 3600}, {25 * billing.Hour, 86_400}, {27 * billing.Hour, 0},
	} {
		l := finished
		l.ID, l.JobID, l.VMHandle = fixtureID(2, byte(10+i)), fixtureID(3, byte(10+i)), nil
		if i%2 == 0 { // without a build, and known only by its own id
			l.JobID, l.BuildID, l.BuildNumber, l.BuildExternalID, l.PipelineID = nil, nil, nil, nil, nil
		}
		if i == 3 {
			l.Labels, l.Author = new(`{"os":"mac"}`), new("Mara “M.”")
		}
		l.StartedAt += more.start
		l.FinishedAt, l.DurationSeconds = new(l.StartedAt+billing.Time(more.seconds)*billing.Second), &more.seconds
		leases = append(leases, l)
	}
	at := fixtureDay
	n := byte(0)
	for _, slug := range []string{"acme", "Globex.Corp"} {
		var ops []billing.Operation
		entry := func(e billing.Entry) {
			n++
			at += billing.Second
			e.ID, e.CreatedAt = *fixtureID(6, n), at
			ops = append(ops, &billing.ImportEntry{Entry: e})
		}
		welcome := fixtureCredit()
		entry(billing.Entry{
			AmountCents: welcome.AmountCents, Source: welcome.Source, Description: welcome.Description, IdempotencyKey: &welcome.IdempotencyKey,
			Author: new("Ops ☕"),
		})
		for _, l := range leases {
			if l.FinishedAt != nil {
				card := standard
				if l.Labels != nil && slug == "acme" {
					card = mac
				}
				cost, err := card.Rates().Cost(l.CPUCount, l.MemoryGB, l.DiskGB, *l.DurationSeconds)
				storetest.Must(t, err)
				if l.AmountCents = new(-cost); slug == "acme" { // leases of the other one are from before there were cards
					l.CardID = new(card.Identify())
				}
			}
			imported := &billing.ImportLease{Lease: l}
			storetest.Must(t, imported.Validate())
			ops = append(ops, imported)
			if l.FinishedAt != nil {
				entry(billing.Entry{AmountCents: *l.AmountCents, Source: billing.SourceVMLeaseDebit, Description: l.Describe(), LeaseID: l.ID})
			}
		}
		for _, source := range []billing.Source{billing.SourceStripeTopup, billing.SourceCouponRedemption, billing.SourceRefund} {
			entry(billing.Entry{AmountCents: int64(n), Source: source})
		}
		storetest.Must(t, errors.Join(storetest.First(s.Write(ctx, *orgs[slug], ops...))...))
	}
}

// makeFixtures writes the databases and the answers of a version for which there are none.
func makeFixtures(t *testing.T, version int) {
	t.Helper()
	name := filepath.Join("testdata", fmt.Sprintf("v%d", version))
	for _, kind := range []string{".json", ".db", ".sql"} {
		if _, err := os.Stat(name + kind); err == nil {
			t.Fatalf("%s%s exists. It stands for the databases that are in use, so it stays as it is.", name, kind)
		}
	}
	storetest.Must(t, os.MkdirAll("testdata", 0o755))

	file := newFile(t)
	s, err := openStore(t.Context(), file)
	storetest.Must(t, err)
	makeBooks(t, s)
	storetest.Must(t, os.WriteFile(name+".json", answers(t, s), 0o644)) //nolint:gosec // it is committed
	storetest.Must(t, s.Close())
	if _, err := os.Stat(file + "-wal"); err == nil {
		t.Fatal("not all is in the one file")
	}
	data, err := os.ReadFile(file)
	storetest.Must(t, err)
	storetest.Must(t, os.WriteFile(name+".db", data, 0o644))

	database := pgtest.Database(t)
	makeBooks(t, openWithoutPrices(t, database))
	cmd := exec.CommandContext(t.Context(), pgtest.Program(t, "pg_dump"), "--inserts", "--no-owner", "--no-privileges", "--dbname="+database)
	cmd.Stderr = os.Stderr
	dump, err := cmd.Output()
	storetest.Must(t, err)
	storetest.Must(t, os.WriteFile(name+".sql", []byte(ownDump(string(dump))), 0o644))
}

// passing are the lines of a dump that speak of the program or the session that made it.
var passing = regexp.MustCompile(`(?m)^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\.*)\n`)

func ownDump(dump string) string {
	return regexp.MustCompile(`\n{2,}`).ReplaceAllString(strings.TrimSpace(passing.ReplaceAllString(dump, "")), "\n\n") + "\n"
}

// restore runs a dump, which has several statements.
func restore(t *testing.T, db *sql.DB, dump string) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	storetest.Must(t, err)
	defer conn.Close()
	storetest.Must(t, conn.Raw(func(driver any) error {
		pg, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver's connection is a %T", driver)
		}
		return pg.Conn().PgConn().Exec(t.Context(), dump).Close()
	}))
}
