package server

import (
	"context"
	"crypto/sha256"
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

// admit finds what a token of the database gives. The value of the identity is the organization, or where the path names none the hash of
// the token.
func (s *Server) admit(ctx context.Context, token, org string) (identity httpapi.Identity, err error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return identity, billing.ErrUnauthorized
	}
	hash := hashToken(token)
	grant, err := s.service.Authenticate(ctx, hash, org)
	if err != nil {
		return identity, err
	}
	identity.Role = grant.Role
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

// orgOf returns the id of the organization that a request was admitted to.
func orgOf(ctx context.Context) billing.ID {
	return httpapi.IdentityOf(ctx).Value.(*billing.Organization).ID //nolint:errcheck // admit has set it
}

// tokenOf returns the hash of the token of a request without an organization.
func tokenOf(ctx context.Context) billing.TokenHash {
	return httpapi.IdentityOf(ctx).Value.(billing.TokenHash) //nolint:errcheck // admit has set it
}
