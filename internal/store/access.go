package store

import (
	"context"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// CreateOrganization implements billing.Store.
func (s *Store) CreateOrganization(ctx context.Context, org billing.Organization) error {
	err := s.transact(ctx, func(t tx) error {
		if _, err := t.exec(ctx, `INSERT INTO organizations (org_id, slug, name, created_at) VALUES ($1, $2, $3, $4)`,
			org.ID[:], org.Slug, org.Name, int64(org.CreatedAt)); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO ledger_heads (org_id, seq, balance_cents, last_at, `+usageColumns+`)
			VALUES ($1, 0, 0, 0, 0, 0, 0, 0)`, org.ID[:])
		return err
	})
	if err != nil && s.dialect.unique(err) {
		return billing.Faultf(billing.ErrExists, "the organization %s exists", org.Slug)
	}
	return err
}

func scanOrganization(rows row) (org billing.Organization, err error) {
	err = rows.Scan(idColumn{&org.ID}, &org.Slug, &org.Name, &org.CreatedAt)
	return org, err
}

// OrganizationBySlug implements billing.Store.
func (s *Store) OrganizationBySlug(ctx context.Context, slug string) (org billing.Organization, err error) {
	found := false
	err = s.reader.query(ctx, `SELECT org_id, slug, name, created_at FROM organizations WHERE slug = $1`, []any{slug},
		func(rows row) error {
			found = true
			org, err = scanOrganization(rows)
			return err
		})
	if err == nil && !found {
		return org, billing.Faultf(billing.ErrOrganizationNotFound, "there is no organization %q", slug)
	}
	return org, s.fail(ctx, err)
}

// Organizations implements billing.Store.
func (s *Store) Organizations(ctx context.Context, after string, limit int, token *billing.TokenHash) ([]billing.Organization, error) {
	text := `SELECT org_id, slug, name, created_at FROM organizations WHERE slug > $1`
	args := []any{after, limit}
	if token != nil {
		text += ` AND org_id IN (SELECT org_id FROM token_organizations WHERE token_sha256 = $3)`
		args = append(args, token[:])
	}
	orgs := make([]billing.Organization, 0)
	err := s.reader.query(ctx, text+` ORDER BY slug LIMIT $2`, args, func(rows row) error {
		org, err := scanOrganization(rows)
		orgs = append(orgs, org)
		return err
	})
	return orgs, s.fail(ctx, err)
}

// CreateToken implements billing.Store.
func (s *Store) CreateToken(ctx context.Context, token billing.Token) error {
	err := s.transact(ctx, func(t tx) error {
		if _, err := t.exec(ctx, `INSERT INTO tokens (sha256, name, role, created_at, expires_at, revoked_at)
				VALUES ($1, $2, $3, $4, $5, $6)`, token.Hash[:], token.Name, string(token.Role), int64(token.CreatedAt),
			(*int64)(token.ExpiresAt), (*int64)(token.RevokedAt)); err != nil {
			return err
		}
		for _, slug := range token.Organizations {
			added, err := t.exec(ctx, `INSERT INTO token_organizations (token_sha256, org_id)
				SELECT $1, org_id FROM organizations WHERE slug = $2`, token.Hash[:], slug)
			if err != nil {
				return err
			}
			if added == 0 {
				return billing.Faultf(billing.ErrOrganizationNotFound, "there is no organization %q", slug)
			}
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
	tokens, err := readTokens(ctx, s.reader)
	return tokens, s.fail(ctx, err)
}

func readTokens(ctx context.Context, q querier) (tokens []billing.Token, err error) {
	err = q.query(ctx, `SELECT t.sha256, t.name, t.role, t.created_at, t.expires_at, t.revoked_at, o.slug
		FROM tokens t
		JOIN token_organizations m ON m.token_sha256 = t.sha256
		JOIN organizations o ON o.org_id = m.org_id
		ORDER BY t.created_at, t.sha256, o.slug`, nil, func(rows row) error {
		var t billing.Token
		var hash []byte
		var slug string
		if err := rows.Scan(&hash, &t.Name, &t.Role, &t.CreatedAt, &t.ExpiresAt, &t.RevokedAt, &slug); err != nil {
			return err
		}
		copy(t.Hash[:], hash)
		if n := len(tokens); n == 0 || tokens[n-1].Hash != t.Hash {
			tokens = append(tokens, t)
		}
		last := &tokens[len(tokens)-1]
		last.Organizations = append(last.Organizations, slug)
		return nil
	})
	return tokens, err
}

// RevokeToken implements billing.Store.
func (s *Store) RevokeToken(ctx context.Context, hash billing.TokenHash, at billing.Time) error {
	return s.transact(ctx, func(t tx) error {
		changed, err := t.exec(ctx, `UPDATE tokens SET revoked_at = coalesce(revoked_at, $2) WHERE sha256 = $1`, hash[:], int64(at))
		if err == nil && changed == 0 {
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
	return s.grants.read(ctx, key, s.lately, func() (grant billing.Grant, keep bool, err error) {
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
		LEFT JOIN organizations o ON o.slug = $2
			AND EXISTS (SELECT 1 FROM token_organizations m WHERE m.token_sha256 = t.sha256 AND m.org_id = o.org_id)
		WHERE t.sha256 = $1`, []any{hash[:], slug}, func(rows row) error {
		found = true
		var id *billing.ID
		var slug, name *string
		var createdAt *billing.Time
		err := rows.Scan(&grant.Role, &grant.ExpiresAt, &grant.RevokedAt, nullIDColumn{&id}, &slug, &name, &createdAt)
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
