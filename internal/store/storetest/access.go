package storetest

import (
	"errors"
	"slices"
	"sync"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var accessTests = []test{
	{"Organizations", testOrganizations},
	{"OrganizationTaken", testOrganizationTaken},
	{"OrganizationOrder", testOrganizationOrder},
	{"Tokens", testTokens},
	{"TokenTaken", testTokenTaken},
	{"TokenOfUnknownOrganization", testTokenOfUnknownOrganization},
	{"Grants", testGrants},
	{"Revocation", testRevocation},
	{"SameNameAtOnce", testSameNameAtOnce},
	{"Ping", testPing},
}

func testOrganizations(s *suite) {
	want := billing.Organization{ID: billing.NewID(), Slug: "Acme.Inc_2", Name: "Ácme, “Inc” 🏗", CreatedAt: someDay + 123_456}
	s.must(s.store.CreateOrganization(s.Context(), want))
	got, err := s.store.OrganizationBySlug(s.Context(), want.Slug)
	s.must(err)
	s.same("the organization", want, got)
	s.same("its head", billing.Head{Digest: want.Digest()}, s.head(want))
	s.same("its entries", []billing.Entry{}, s.ledger(want))

	for _, slug := range []string{"acme.inc_2", "ACME.INC_2", "Acme.Inc_", "Acme.Inc_2 ", "Acme%", "", "' OR 1=1 --"} {
		_, err := s.store.OrganizationBySlug(s.Context(), slug)
		s.wantError("the slug "+slug, err, billing.ErrOrganizationNotFound)
	}
	_, err = s.store.Head(s.Context(), billing.NewID())
	s.wantError("the head of nobody", err, billing.ErrOrganizationNotFound)

	again, err := s.open().OrganizationBySlug(s.Context(), want.Slug)
	s.must(err)
	s.same("the organization, seen by another process", want, again)
}

func testOrganizationTaken(s *suite) {
	acme := s.organization("acme")
	s.credit(acme, 5, "key")
	for name, org := range map[string]billing.Organization{
		"slug":          {ID: billing.NewID(), Slug: "acme", Name: "Another", CreatedAt: 1},
		"id":            {ID: acme.ID, Slug: "globex", Name: "Globex", CreatedAt: 1},
		"slug and id":   acme,
		"id, elsewhere": {ID: acme.ID, Slug: "Acme", Name: acme.Name, CreatedAt: acme.CreatedAt},
	} {
		s.unchanged("a taken "+name, func() {
			s.wantError("a taken "+name, s.store.CreateOrganization(s.Context(), org), billing.ErrExists)
		})
	}
	s.organization("Acme")
}

// The order is that of the bytes, not of a language.
func testOrganizationOrder(s *suite) {
	slugs := []string{"0", "9", "A", "Z", "Za", "a", "a-b", "a.b", "a0", "aZ", "a_b", "ab", "z"}
	for _, i := range []int{5, 12, 0, 3, 8, 1, 10, 2, 7, 4, 11, 6, 9} {
		s.organization(slugs[i])
	}
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"a", "Z", "a_b"}}
	s.must(s.store.CreateToken(s.Context(), token))

	list := func(after string, limit int, token *billing.TokenHash) (got []string) {
		orgs, err := s.store.Organizations(s.Context(), after, limit, token)
		s.must(err)
		for _, org := range orgs {
			got = append(got, org.Slug)
		}
		return got
	}
	s.same("all", slugs, list("", 100, nil))
	s.same("the first three", slugs[:3], list("", 3, nil))
	s.same("those after a", slugs[6:], list("a", 100, nil))
	s.same("those after one that does not exist", slugs[8:], list("a.c", 100, nil))
	s.same("those after the last", []string{}, list("z", 100, nil))
	s.same("a token's", []string{"Z", "a", "a_b"}, list("", 100, &token.Hash))
	s.same("a token's first two", []string{"Z", "a"}, list("", 2, &token.Hash))
	s.same("a token's after a", []string{"a_b"}, list("a", 100, &token.Hash))
	s.same("an unknown token's", []string{}, list("", 100, &billing.TokenHash{2}))
}

func testTokens(s *suite) {
	for _, slug := range []string{"acme", "globex", "Initech"} {
		s.organization(slug)
	}
	tokens := []billing.Token{
		{Hash: billing.TokenHash{9}, Name: "old", Role: billing.RoleAdmin, Organizations: []string{"acme"}, CreatedAt: 5},
		{Hash: billing.TokenHash{1}, Name: "same", Role: billing.RoleRead, Organizations: []string{"acme", "globex"}, CreatedAt: 7,
			ExpiresAt: new(endOfTime)},
		{Hash: billing.TokenHash{2, 0, 255}, Name: "same", Role: billing.RoleWrite, Organizations: []string{"Initech", "acme", "globex"}, CreatedAt: 7,
			ExpiresAt: new(billing.Time(8)), RevokedAt: new(billing.Time(9))},
		{Hash: billing.TokenHash{0}, Name: "ключ", Role: billing.RoleRead, Organizations: []string{"globex"}, CreatedAt: 8},
	}
	for _, i := range []int{2, 0, 3, 1} {
		token := tokens[i]
		token.Organizations = slices.Clone(token.Organizations)
		slices.Reverse(token.Organizations)
		s.must(s.store.CreateToken(s.Context(), token))
	}
	got, err := s.store.Tokens(s.Context())
	s.must(err)
	s.same("the tokens, oldest first", tokens, got)
}

func testTokenTaken(s *suite) {
	s.organization("acme")
	s.organization("globex")
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}, CreatedAt: 1}
	s.must(s.store.CreateToken(s.Context(), token))
	other := billing.Token{Hash: token.Hash, Name: "other", Role: billing.RoleAdmin, Organizations: []string{"globex"}, CreatedAt: 2}
	s.unchanged("a token that exists", func() {
		s.wantError("the token", s.store.CreateToken(s.Context(), token), billing.ErrExists)
		s.wantError("another with its hash", s.store.CreateToken(s.Context(), other), billing.ErrExists)
	})
}

func testTokenOfUnknownOrganization(s *suite) {
	s.organization("acme")
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme", "globex"}}
	s.unchanged("a token of an unknown organization", func() {
		s.wantError("the token", s.store.CreateToken(s.Context(), token), billing.ErrOrganizationNotFound)
	})
	_, err := s.store.Grant(s.Context(), token.Hash, "acme")
	s.wantError("its grant", err, billing.ErrUnauthorized)
	token.Organizations = []string{"acme"}
	s.must(s.store.CreateToken(s.Context(), token))
}

func testGrants(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	s.organization("initech")
	both := billing.Token{
		Hash: billing.TokenHash{1}, Name: "both", Role: billing.RoleWrite, Organizations: []string{"acme", "globex"},
		ExpiresAt: new(someDay),
	}
	one := billing.Token{
		Hash: billing.TokenHash{2}, Name: "one", Role: billing.RoleRead, Organizations: []string{"acme"}, RevokedAt: new(billing.Time(1)),
	}
	s.must(s.store.CreateToken(s.Context(), both))
	s.must(s.store.CreateToken(s.Context(), one))
	for _, c := range []struct {
		token billing.Token
		slug  string
		sees  *billing.Organization
	}{
		{both, "acme", &acme},
		{both, "globex", &globex},
		{both, "initech", nil},
		{both, "nobody", nil},
		{both, "Acme", nil},
		{both, "", nil},
		{one, "acme", &acme},
		{one, "globex", nil},
	} {
		got, err := s.store.Grant(s.Context(), c.token.Hash, c.slug)
		s.must(err)
		s.same(c.token.Name+" for "+c.slug, billing.Grant{
			Hash: c.token.Hash, Name: c.token.Name, Role: c.token.Role, ExpiresAt: c.token.ExpiresAt, RevokedAt: c.token.RevokedAt, Organization: c.sees,
		}, got)
	}
	for _, hash := range []billing.TokenHash{{}, {1, 1}, {3}} {
		_, err := s.store.Grant(s.Context(), hash, "acme")
		s.wantError("an unknown token", err, billing.ErrUnauthorized)
	}
}

func testRevocation(s *suite) {
	s.organization("acme")
	kept := billing.Token{Hash: billing.TokenHash{1}, Name: "kept", Role: billing.RoleRead, Organizations: []string{"acme"}}
	revoked := billing.Token{Hash: billing.TokenHash{2}, Name: "revoked", Role: billing.RoleRead, Organizations: []string{"acme"}}
	s.must(s.store.CreateToken(s.Context(), kept))
	s.must(s.store.CreateToken(s.Context(), revoked))
	other := s.open()
	s.must(other.RevokeToken(s.Context(), revoked.Hash, 100))
	for _, at := range []billing.Time{50, 100, 200} { // the first revocation stays
		s.must(s.store.RevokeToken(s.Context(), revoked.Hash, at))
	}
	for _, store := range []billing.Store{s.store, other} {
		grant, err := store.Grant(s.Context(), revoked.Hash, "acme")
		s.must(err)
		s.same("the revocation", new(billing.Time(100)), grant.RevokedAt)
		grant, err = store.Grant(s.Context(), kept.Hash, "acme")
		s.must(err)
		s.same("the other token's revocation", (*billing.Time)(nil), grant.RevokedAt)
	}
	s.unchanged("revoking an unknown token", func() {
		s.wantError("it", s.store.RevokeToken(s.Context(), billing.TokenHash{3}, 1), billing.ErrTokenNotFound)
	})
}

// If several callers create the same organization or token concurrently, one of them succeeds.
func testSameNameAtOnce(s *suite) {
	stores := []billing.Store{s.store, s.open()}
	const each = 16
	s.organization("acme")
	orgErrs, tokenErrs := make([]error, 2*each), make([]error, 2*each)
	var all sync.WaitGroup
	for i := range 2 * each {
		all.Go(func() {
			orgErrs[i] = stores[i%2].CreateOrganization(s.Context(), billing.Organization{ID: billing.NewID(), Slug: "globex", Name: "Globex"})
			tokenErrs[i] = stores[i%2].CreateToken(s.Context(), billing.Token{
				Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"},
			})
		})
	}
	all.Wait()
	for what, errs := range map[string][]error{"the organization": orgErrs, "the token": tokenErrs} {
		created := 0
		for _, err := range errs {
			if err == nil {
				created++
			} else if !errors.Is(err, billing.ErrExists) {
				s.Error(err)
			}
		}
		if created != 1 {
			s.Errorf("%s was created %d times", what, created)
		}
	}
	s.audit()
}

func testPing(s *suite) {
	s.must(s.store.Ping(s.Context()))
	s.must(s.store.Close())
	s.wantError("after Close", s.store.Ping(s.Context()), billing.ErrUnavailable)
}
