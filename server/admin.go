package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/models"
)

// The errors of the methods below that callers can correct. Compare with errors.Is.
var (
	ErrExists               = billing.ErrExists               // the name is taken
	ErrOrganizationNotFound = billing.ErrOrganizationNotFound // no organization has the slug
	ErrTokenNotFound        = billing.ErrTokenNotFound        // no token has the id or name
	ErrInvalid              = billing.ErrInvalid              // a value is out of bounds
	ErrUnavailable          = billing.ErrUnavailable          // the database cannot be reached, is busy or is out of space
)

// Organization is who is billed.
type Organization struct {
	Slug      string // the name in paths, case-sensitive
	Name      string // the name for people
	CreatedAt time.Time
}

func toOrganization(o billing.Organization) Organization {
	return Organization{Slug: o.Slug, Name: o.Name, CreatedAt: o.CreatedAt.Std()}
}

// CreateOrganization adds an organization with an empty ledger. An empty name means the slug. It fails with ErrInvalid or
// ErrExists.
func (s *Server) CreateOrganization(ctx context.Context, slug, name string) (Organization, error) {
	org := billing.Organization{ID: billing.NewID(), Slug: slug, Name: name, CreatedAt: s.service.Now()}
	if org.Name == "" {
		org.Name = slug
	}
	if err := s.service.CreateOrganization(ctx, org); err != nil {
		return Organization{}, err
	}
	return toOrganization(org), nil
}

// Organizations lists all organizations by slug.
func (s *Server) Organizations(ctx context.Context) ([]Organization, error) {
	orgs, err := s.service.Organizations(ctx)
	list := make([]Organization, len(orgs))
	for i, o := range orgs {
		list[i] = toOrganization(o)
	}
	return list, err
}

// Role says what a token may do in its organizations.
type Role = billing.Role

// The roles; each includes the one before.
const (
	RoleRead  = billing.RoleRead  // every GET
	RoleWrite = billing.RoleWrite // and record leases
	RoleAdmin = billing.RoleAdmin // and post credits and set prices
)

// Token describes a bearer token. The token itself is not stored.
type Token struct {
	ID            string // names the token to people; it gives no access
	Name          string
	Role          Role
	Organizations []string // slugs
	CreatedAt     time.Time
	ExpiresAt     *time.Time // nil: never
	RevokedAt     *time.Time // nil: not revoked
}

// tokenIDBytes is how much of a token's hash is its id.
const tokenIDBytes = 6

func toToken(t billing.Token) Token {
	return Token{
		ID: hex.EncodeToString(t.Hash[:tokenIDBytes]), Name: t.Name, Role: t.Role, Organizations: t.Organizations,
		CreatedAt: t.CreatedAt.Std(), ExpiresAt: models.ToTime(t.ExpiresAt), RevokedAt: models.ToTime(t.RevokedAt),
	}
}

// TokenOptions describes a token to make.
type TokenOptions struct {
	Name          string
	Role          Role
	Organizations []string      // slugs, at least one
	ExpiresIn     time.Duration // zero: never
}

// CreateToken makes a bearer token. Callers send the secret with each request. Only its hash is stored, so the secret cannot be read
// again. It fails with ErrInvalid or ErrOrganizationNotFound.
func (s *Server) CreateToken(ctx context.Context, options TokenOptions) (secret string, token Token, err error) {
	random := make([]byte, tokenBytes)
	rand.Read(random)
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	now := s.service.Now()
	stored := billing.Token{
		Hash: hashToken(secret), Name: options.Name, Role: options.Role, Organizations: options.Organizations,
		CreatedAt: now,
	}
	if options.ExpiresIn < 0 {
		return "", Token{}, billing.Faultf(ErrInvalid, "the token would expire in the past")
	}
	if options.ExpiresIn > 0 {
		expires := billing.TimeOf(now.Std().Add(options.ExpiresIn))
		stored.ExpiresAt = &expires
	}
	if err := s.service.CreateToken(ctx, stored); err != nil {
		return "", Token{}, err
	}
	return secret, toToken(stored), nil
}

// Tokens lists all tokens, including expired and revoked ones, oldest first.
func (s *Server) Tokens(ctx context.Context) ([]Token, error) {
	tokens, err := s.service.Tokens(ctx)
	list := make([]Token, len(tokens))
	for i, t := range tokens {
		list[i] = toToken(t)
	}
	return list, err
}

// RevokeToken revokes the token with the id, or with the name where only one token has it. It fails with
// ErrTokenNotFound, or ErrInvalid where several tokens have the name. A token that is revoked already stays so.
func (s *Server) RevokeToken(ctx context.Context, idOrName string) (Token, error) {
	tokens, err := s.service.Tokens(ctx)
	if err != nil {
		return Token{}, err
	}
	var named []billing.Token
	var ids []string
	for _, t := range tokens {
		if id := toToken(t).ID; id == idOrName {
			named, ids = []billing.Token{t}, nil
			break
		} else if t.Name == idOrName && t.RevokedAt == nil {
			named, ids = append(named, t), append(ids, id)
		}
	}
	switch len(named) {
	case 0:
		return Token{}, billing.Faultf(ErrTokenNotFound, "there is no token %q that is not revoked", idOrName)
	case 1:
	default:
		return Token{}, billing.Faultf(ErrInvalid, "%d tokens are named %q; name one by its id: %s", len(named), idOrName, strings.Join(ids, ", "))
	}
	now := s.service.Now()
	if err := s.service.RevokeToken(ctx, named[0].Hash, now); err != nil {
		return Token{}, err
	}
	if named[0].RevokedAt == nil {
		named[0].RevokedAt = &now
	}
	return toToken(named[0]), nil
}
