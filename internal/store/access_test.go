package store

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// broken is a database that fails every read.
type broken struct{ driver.Database }

func (broken) Query(context.Context, string, []any, func(*driver.Row) error) error {
	return errors.New("there is no database")
}

// A grant is answered from memory until the store revokes a token. That an organization does not exist is not kept.
func TestGrantsAreKept(t *testing.T) {
	s := open(t, newFile(t))
	storetest.CreateOrganization(t, s, "acme")
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}}
	storetest.Must(t, s.CreateToken(t.Context(), token))
	grant := func(slug string) error { return storetest.Second(s.Grant(t.Context(), token.Hash, slug)) }
	for _, slug := range []string{"acme", "globex", ""} {
		storetest.Must(t, grant(slug))
	}
	db := s.db
	s.db = broken{db}
	storetest.Must(t, grant("acme"))
	storetest.Must(t, grant(""))
	if err := grant("globex"); err == nil {
		t.Error("it is kept that an organization does not exist")
	}
	s.db = db
	storetest.Must(t, s.RevokeToken(t.Context(), token.Hash, 1))
	if g, err := s.Grant(t.Context(), token.Hash, "acme"); err != nil || g.RevokedAt == nil {
		t.Errorf("after the revocation the grant is %+v, %v", g, err)
	}
}

// A grant is kept for grantAge from when it was asked for, and there is a bound to how many are kept.
func TestGrantsAreForgotten(t *testing.T) {
	var g grants
	asked := time.Now()
	key := grantKey{hash: billing.TokenHash{1}, slug: "acme"}
	g.keep(key, asked, billing.Grant{Role: billing.RoleWrite})
	for _, c := range []struct {
		after time.Duration
		kept  bool
	}{{0, true}, {grantAge - 1, true}, {grantAge, false}} {
		if grant, ok := g.kept(key, asked.Add(c.after)); ok != c.kept || ok && grant.Role != billing.RoleWrite {
			t.Errorf("after %s: %+v, %t; want it kept: %t", c.after, grant, ok, c.kept)
		}
	}
	for i := range maxGrants {
		g.keep(grantKey{hash: billing.TokenHash{2, byte(i), byte(i >> 8)}}, asked, billing.Grant{})
	}
	if n := len(g.byKey); n > maxGrants {
		t.Errorf("%d grants are kept", n)
	}
}

// The store asks as often for an organization that a token may not see as for one that does not exist, and the database takes the same
// steps for both.
func TestUnseenOrganizationTakesTheSameSteps(t *testing.T) {
	onEach(t, func(t *testing.T, database string) {
		s := open(t, database)
		for _, slug := range []string{"acme", "globex"} {
			storetest.CreateOrganization(t, s, slug)
		}
		token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}}
		storetest.Must(t, s.CreateToken(t.Context(), token))
		queries := map[string]int{}
		for _, slug := range []string{"globex", "nowhere"} {
			counted := &counting{Database: s.db}
			s.db = counted
			for range 3 {
				grant, err := s.Grant(t.Context(), token.Hash, slug)
				storetest.Must(t, err)
				if grant.Organization != nil {
					t.Errorf("the token sees %+v", grant.Organization)
				}
			}
			s.db, queries[slug] = counted.Database, counted.queries
		}
		if queries["globex"] == 0 || queries["globex"] != queries["nowhere"] {
			t.Errorf("the numbers of statements are %v", queries)
		}
		if !strings.HasPrefix(database, "postgres:") {
			return // SQLite does not tell its steps
		}
		raw := pgtest.Connect(t, database)
		// The first search finds out whether there is such an organization. steps returns the others, and how many pages they look at.
		search := regexp.MustCompile(`(?s)Scan [^\n]* on (token_organizations m|organizations o) .*?Buffers: shared hit=\d+`)
		steps := func(slug string) []string {
			plan := storetest.Column[string](t, raw, `EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) `+grantQuery, slug, noID[:], token.Hash[:])
			return search.FindAllString(strings.Join(plan, "\n"), -1)
		}
		steps("globex") // reads pages into memory
		if unseen, missing := steps("globex"), steps("nowhere"); len(unseen) != 2 || !slices.Equal(unseen, missing) {
			t.Errorf("PostgreSQL takes the steps\n%q\nand\n%q", unseen, missing)
		}
	})
}

// counting is a database that counts queries.
type counting struct {
	driver.Database
	queries int
}

func (c *counting) Query(ctx context.Context, text string, args []any, scan func(*driver.Row) error) error {
	c.queries++
	return c.Database.Query(ctx, text, args, scan)
}

// panicking is a database with reads that panic.
type panicking struct{ driver.Database }

func (p panicking) ReadReplica(ctx context.Context, do func(context.Context, driver.Reader) error) error {
	return do(ctx, p)
}

func (panicking) Snapshot(context.Context, func(driver.Snapshot) error) error {
	panic("a read does this")
}

// A panic of a breakdown's read is an error of this breakdown, not the end of the process.
func TestBreakdownPanics(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	db := s.db
	s.db = panicking{db}
	if err := storetest.Last(s.Breakdown(t.Context(), org, billing.Window{From: 0, To: billing.Day})); err == nil || !strings.Contains(err.Error(), "a read does this") {
		t.Errorf("got %v", err)
	}
	s.db = db
	storetest.Must(t, storetest.Last(s.Breakdown(t.Context(), org, billing.Window{From: 0, To: billing.Day})))
}
