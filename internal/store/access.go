package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// CreateOrganization implements billing.Store.
func (s *Store) CreateOrganization(ctx context.Context, org billing.Organization) error {
	err := s.transact(ctx, func(tx driver.Tx) error {
		s.insert(tx, &organizationTable.Table, [][]any{organizationTable.values(&org, nil)}, ``)
		s.insert(tx, &headTable.Table, headTable.rows(org.ID, []billing.Head{{Digest: org.Digest()}}), ``)
		return nil
	})
	if s.db.Classify(err) == driver.Duplicate {
		return billing.Faultf(billing.ErrExists, "the organization %s exists", org.Slug)
	}
	return err
}

// OrganizationBySlug implements billing.Store.
func (s *Store) OrganizationBySlug(ctx context.Context, slug string) (org billing.Organization, err error) {
	found := false
	err = s.db.Query(ctx, `SELECT `+organizationTable.columns+` FROM organizations WHERE slug = $1`, []any{slug},
		func(r *driver.Row) error {
			found = true
			return organizationTable.scan(r, &org)
		})
	if err == nil && !found {
		return org, billing.Faultf(billing.ErrOrganizationNotFound, "there is no organization %q", slug)
	}
	return org, s.fail(ctx, err)
}

// Organizations implements billing.Store.
func (s *Store) Organizations(ctx context.Context, after string, limit int, token *billing.TokenHash) ([]billing.Organization, error) {
	text := `SELECT ` + organizationTable.columns + ` FROM organizations WHERE slug > $1`
	args := []any{after}
	if token != nil {
		args = append(args, token[:])
		text += ` AND org_id IN (SELECT org_id FROM token_organizations WHERE token_sha256 = $2)`
	}
	args = append(args, int64(limit))
	orgs := make([]billing.Organization, 0)
	err := s.db.Query(ctx, text+fmt.Sprintf(` ORDER BY slug LIMIT $%d`, len(args)), args, func(r *driver.Row) error {
		var org billing.Organization
		err := organizationTable.scan(r, &org)
		orgs = append(orgs, org)
		return err
	})
	return orgs, s.fail(ctx, err)
}

// CreateToken implements billing.Store.
func (s *Store) CreateToken(ctx context.Context, token billing.Token) error {
	err := s.transact(ctx, func(tx driver.Tx) error {
		s.insert(tx, &tokenTable.Table, [][]any{tokenTable.values(&token, nil)}, ``)
		added := make([]bool, len(token.Organizations))
		for i, slug := range token.Organizations {
			tx.Query(`INSERT INTO token_organizations (token_sha256, org_id)
				SELECT $1, org_id FROM organizations WHERE slug = $2 RETURNING org_id`, []any{token.Hash[:], slug},
				func(*driver.Row) error {
					added[i] = true
					return nil
				})
		}
		if err := tx.Run(ctx); err != nil {
			return err
		}
		if i := slices.Index(added, false); i >= 0 {
			return billing.Faultf(billing.ErrOrganizationNotFound, "there is no organization %q", token.Organizations[i])
		}
		return nil
	})
	if s.db.Classify(err) == driver.Duplicate {
		return billing.Faultf(billing.ErrExists, "the token exists")
	}
	return err
}

// Tokens implements billing.Store.
func (s *Store) Tokens(ctx context.Context) ([]billing.Token, error) {
	list, err := readTokens(ctx, s.db)
	return list, s.fail(ctx, err)
}

func readTokens(ctx context.Context, q driver.Querier) (list []billing.Token, err error) {
	err = q.Query(ctx, `SELECT `+tokenTable.columns+`, org_slug FROM tokens
		JOIN (SELECT token_sha256, slug AS org_slug FROM token_organizations JOIN organizations USING (org_id)) AS seen ON token_sha256 = sha256
		ORDER BY created_at, sha256, org_slug`, nil, func(r *driver.Row) error {
		var t billing.Token
		var slug string
		if err := tokenTable.scan(r, &t, &slug); err != nil {
			return err
		}
		if n := len(list); n == 0 || list[n-1].Hash != t.Hash {
			list = append(list, t)
		}
		last := &list[len(list)-1]
		last.Organizations = append(last.Organizations, slug)
		return nil
	})
	return list, err
}

// RevokeToken implements billing.Store.
func (s *Store) RevokeToken(ctx context.Context, hash billing.TokenHash, at billing.Time) error {
	defer s.grants.forget()
	return s.transact(ctx, func(tx driver.Tx) error {
		found := false
		tx.Query(`UPDATE tokens SET revoked_at = coalesce(revoked_at, $1) WHERE sha256 = $2 RETURNING sha256`, []any{int64(at), hash[:]},
			func(*driver.Row) error {
				found = true
				return nil
			})
		err := tx.Run(ctx)
		if err == nil && !found {
			err = billing.ErrTokenNotFound
		}
		return err
	})
}

// Grant implements billing.Store. A grant is kept for grantAge.
func (s *Store) Grant(ctx context.Context, hash billing.TokenHash, slug string) (billing.Grant, error) {
	asked := time.Now()
	if grant, ok := s.grants.kept(grantKey{hash, slug}, asked); ok && ctx.Err() == nil {
		return grant, nil
	}
	grant, err := s.readGrant(ctx, hash, slug)
	if err == nil && (grant.Organization != nil || slug == "") { // there is no end of organizations that do not exist
		s.grants.keep(grantKey{hash, strings.Clone(slug)}, asked, grant) // the slug may be a part of a whole request
	}
	return grant, err
}

// grantQuery finds a token and the organization with a slug, if the token may see it. If the token may not see it, the database takes the
// same steps as if there were no such organization, so that the time of the answer does not tell the two apart: $2 is the id of no
// organization, so every search is made in any case.
const grantQuery = `SELECT t.name, t.role, t.expires_at, t.revoked_at, o.org_id, o.slug, o.name, o.created_at
	FROM tokens t
	LEFT JOIN organizations named ON named.slug = $1
	LEFT JOIN token_organizations m ON m.token_sha256 = t.sha256 AND m.org_id = coalesce(named.org_id, $2)
	LEFT JOIN organizations o ON o.org_id = coalesce(m.org_id, $2)
	WHERE t.sha256 = $3`

func (s *Store) readGrant(ctx context.Context, hash billing.TokenHash, slug string) (billing.Grant, error) {
	grant := billing.Grant{Hash: hash}
	found := false
	err := s.db.Query(ctx, grantQuery, []any{slug, noID[:], hash[:]}, func(r *driver.Row) error {
		found = true
		var id *billing.ID
		var storedSlug, orgName *string
		var createdAt *billing.Time
		err := r.Scan(&grant.Name, &grant.Role, &grant.ExpiresAt, &grant.RevokedAt, &id, &storedSlug, &orgName, &createdAt)
		if err == nil && id != nil {
			grant.Organization = &billing.Organization{ID: *id, Slug: *storedSlug, Name: *orgName, CreatedAt: *createdAt}
		}
		return err
	})
	if err == nil && !found {
		err = billing.ErrUnauthorized
	}
	return grant, s.fail(ctx, err)
}

// noID is the id of nothing.
var noID billing.ID

// grantAge is for how long a grant is kept. A token that another process revokes is accepted until then. grantAge is well below five
// seconds, the time within which every server must refuse a revoked token.
const grantAge = 2 * time.Second

// maxGrants bounds how many grants are kept. Beyond it, all are forgotten.
const maxGrants = 10_000

// grants keeps grants in memory for grantAge.
type grants struct {
	mu        sync.RWMutex
	byKey     map[grantKey]keptGrant
	forgotten time.Time // when forget was called last
}

type grantKey struct {
	hash billing.TokenHash
	slug string
}

type keptGrant struct {
	asked time.Time
	grant billing.Grant
}

func (g *grants) kept(key grantKey, now time.Time) (billing.Grant, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	k, ok := g.byKey[key]
	return k.grant, ok && now.Sub(k.asked) < grantAge
}

func (g *grants) keep(key grantKey, asked time.Time, grant billing.Grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if asked.Before(g.forgotten) { // it may have been read before a token was revoked
		return
	}
	if g.byKey == nil || len(g.byKey) >= maxGrants {
		g.byKey = map[grantKey]keptGrant{}
	}
	g.byKey[key] = keptGrant{asked, grant}
}

func (g *grants) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byKey, g.forgotten = nil, time.Now()
}
