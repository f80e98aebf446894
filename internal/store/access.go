package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// CreateOrganization implements billing.Store.
func (s *Store) CreateOrganization(ctx context.Context, org billing.Organization) error {
	err := s.transact(ctx, func(p pipeline) error {
		p.exec(`INSERT INTO organizations (`+organizations.columns+`) VALUES `+
			s.dialect.placeholders(1, len(organizations.fields)), organizations.values(&org, nil))
		insert(s.dialect, p, org.ID, heads, []billing.Head{{}}, ``)
		return p.run(ctx)
	})
	if err != nil && s.dialect.unique(err) {
		return billing.Faultf(billing.ErrExists, "the organization %s exists", org.Slug)
	}
	return err
}

// OrganizationBySlug implements billing.Store.
func (s *Store) OrganizationBySlug(ctx context.Context, slug string) (org billing.Organization, err error) {
	found := false
	err = s.reader.query(ctx, `SELECT `+organizations.columns+` FROM organizations WHERE slug = $1`, []any{slug},
		func(r *row) error {
			found = true
			return organizations.scan(r, &org)
		})
	if err == nil && !found {
		return org, billing.Faultf(billing.ErrOrganizationNotFound, "there is no organization %q", slug)
	}
	return org, s.fail(ctx, err)
}

// Organizations implements billing.Store.
func (s *Store) Organizations(ctx context.Context, after string, limit int, token *billing.TokenHash) ([]billing.Organization, error) {
	text := `SELECT ` + organizations.columns + ` FROM organizations WHERE slug > $1`
	args := []any{after}
	if token != nil {
		args = append(args, token[:])
		text += ` AND org_id IN (SELECT org_id FROM token_organizations WHERE token_sha256 = $2)`
	}
	args = append(args, int64(limit))
	orgs := make([]billing.Organization, 0)
	err := s.reader.query(ctx, text+fmt.Sprintf(` ORDER BY slug LIMIT $%d`, len(args)), args, func(r *row) error {
		var org billing.Organization
		err := organizations.scan(r, &org)
		orgs = append(orgs, org)
		return err
	})
	return orgs, s.fail(ctx, err)
}

// CreateToken implements billing.Store.
func (s *Store) CreateToken(ctx context.Context, token billing.Token) error {
	err := s.transact(ctx, func(p pipeline) error {
		p.exec(`INSERT INTO tokens (`+tokens.columns+`) VALUES `+
			s.dialect.placeholders(1, len(tokens.fields)), tokens.values(&token, nil))
		added := make([]bool, len(token.Organizations))
		for i, slug := range token.Organizations {
			p.query(`INSERT INTO token_organizations (token_sha256, org_id)
				SELECT $1, org_id FROM organizations WHERE slug = $2 RETURNING org_id`, []any{token.Hash[:], slug},
				func(*row) error {
					added[i] = true
					return nil
				})
		}
		if err := p.run(ctx); err != nil {
			return err
		}
		if i := slices.Index(added, false); i >= 0 {
			return billing.Faultf(billing.ErrOrganizationNotFound, "there is no organization %q", token.Organizations[i])
		}
		return nil
	})
	if err != nil && s.dialect.unique(err) {
		return billing.Faultf(billing.ErrExists, "the token exists")
	}
	return err
}

// Tokens implements billing.Store.
func (s *Store) Tokens(ctx context.Context) ([]billing.Token, error) {
	list, err := readTokens(ctx, s.reader)
	return list, s.fail(ctx, err)
}

func readTokens(ctx context.Context, q querier) (list []billing.Token, err error) {
	err = q.query(ctx, `SELECT `+tokens.columns+`, org_slug FROM tokens
		JOIN (SELECT token_sha256, slug AS org_slug FROM token_organizations JOIN organizations USING (org_id)) AS seen ON token_sha256 = sha256
		ORDER BY created_at, sha256, org_slug`, nil, func(r *row) error {
		var t billing.Token
		var slug string
		if err := tokens.scan(r, &t, &slug); err != nil {
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
	return s.transact(ctx, func(p pipeline) error {
		found := false
		p.query(`UPDATE tokens SET revoked_at = coalesce(revoked_at, $1) WHERE sha256 = $2 RETURNING sha256`, []any{int64(at), hash[:]},
			func(*row) error {
				found = true
				return nil
			})
		err := p.run(ctx)
		if err == nil && !found {
			err = billing.ErrTokenNotFound
		}
		return err
	})
}

type grantKey struct {
	hash billing.TokenHash
	slug string
}

// Grant implements billing.Store.
func (s *Store) Grant(ctx context.Context, hash billing.TokenHash, slug string) (billing.Grant, error) {
	// What is kept must not keep the whole of a request with it.
	key := grantKey{hash, strings.Clone(slug)}
	return s.grants.read(ctx, key, s.grantStamp, func() (grant billing.Grant, keep bool, err error) {
		grant, err = s.readGrant(ctx, hash, slug)
		// There is no end of organizations that do not exist.
		return grant, grant.Organization != nil || slug == "", err
	})
}

func (s *Store) readGrant(ctx context.Context, hash billing.TokenHash, slug string) (billing.Grant, error) {
	grant := billing.Grant{Hash: hash}
	found := false
	err := s.reader.query(ctx, `SELECT t.role, t.expires_at, t.revoked_at, o.org_id, o.slug, o.name, o.created_at
		FROM tokens t
		LEFT JOIN organizations o ON o.slug = $1
			AND EXISTS (SELECT 1 FROM token_organizations m WHERE m.token_sha256 = t.sha256 AND m.org_id = o.org_id)
		WHERE t.sha256 = $2`, []any{slug, hash[:]}, func(r *row) error {
		found = true
		var id *billing.ID
		var slug, name *string
		var createdAt *billing.Time
		err := r.Scan(&grant.Role, &grant.ExpiresAt, &grant.RevokedAt, &id, &slug, &name, &createdAt)
		if err == nil && id != nil {
			grant.Organization = &billing.Organization{ID: *id, Slug: *slug, Name: *name, CreatedAt: *createdAt}
		}
		return err
	})
	if err == nil && !found {
		err = billing.ErrUnauthorized
	}
	return grant, s.fail(ctx, err)
}
