package server

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Tokens are this prefix and 43 characters of base64url, 256 bits.
const (
	tokenPrefix = "hmt_"
	tokenBytes  = 32
)

func hashToken(token string) billing.TokenHash {
	var space [64]byte // as long as no token is longer, nothing is allocated
	return sha256.Sum256(append(space[:0], token...))
}

// admit returns the identity of a token of the database. The value of the identity is the organization, or the hash of the token if the
// path names no organization.
func (s *Server) admit(ctx context.Context, token, org string) (identity httpapi.Identity, err error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return identity, billing.ErrUnauthorized
	}
	hash := hashToken(token)
	grant, err := s.service.Authenticate(ctx, hash, org)
	if err != nil {
		return identity, err
	}
	identity.Name, identity.Role = grant.Name, grant.Role
	switch {
	case org == "":
		identity.Value = hash
	case grant.Organization == nil:
		return identity, billing.ErrOrganizationNotFound
	default:
		identity.Value = grant.Organization
	}
	return identity, nil
}

// admitOwn admits tokens with Config.Authenticate. The value of the identity is the organization, or all organizations of the token if the
// path names none.
func (s *Server) admitOwn(authenticate func(context.Context, string) (httpapi.Identity, error)) func(context.Context, string, string) (httpapi.Identity, error) {
	return func(ctx context.Context, token, org string) (httpapi.Identity, error) {
		identity, err := authenticate(ctx, token)
		switch {
		case err != nil:
			return httpapi.Identity{}, err
		case org == "":
			identity.Value = slugs(identity.Organizations)
			return identity, nil
		case !slices.Contains(identity.Organizations, org):
			return identity, billing.ErrOrganizationNotFound
		}
		organization, err := s.service.OrganizationBySlug(ctx, org)
		identity.Value = &organization
		return identity, err
	}
}

// slugs are organizations that a token gives access to.
type slugs []string

// orgOf returns the id of the organization that a request was admitted to.
func orgOf(ctx context.Context) billing.ID {
	return httpapi.IdentityOf(ctx).Value.(*billing.Organization).ID //nolint:errcheck // admit has set it
}

// visibleOrganizations returns a page of the organizations that a token gives access to.
func visibleOrganizations(ctx context.Context, service *billing.Service, limit *int64, cursor *string) (billing.Page[billing.Organization], error) {
	switch seen := httpapi.IdentityOf(ctx).Value.(type) {
	case slugs:
		return service.OrganizationsBySlugs(ctx, seen, limit, cursor)
	default:
		return service.VisibleOrganizations(ctx, seen.(billing.TokenHash), limit, cursor) //nolint:errcheck // admit has set it
	}
}
