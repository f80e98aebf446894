package server

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// guards makes the middleware that stands before each operation: token, organization, role, the body where it is long,
// parameters, media type, in this order.
func (s *Server) guards() map[string][]echo.MiddlewareFunc {
	guards := map[string][]echo.MiddlewareFunc{}
	for id, op := range httpserver.Operations {
		guards[id] = []echo.MiddlewareFunc{func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error { return s.guard(c, op, next) }
		}}
	}
	return guards
}

func (s *Server) guard(c echo.Context, op *wire.Operation, next echo.HandlerFunc) error {
	timeout := s.requestTimeout
	if op.Streamed {
		timeout = 0 // such an answer may take as long as its receiver does
	}
	ctx := newOperationContext(c.Request().Context(), timeout)
	defer ctx.end()
	grant, err := s.admit(ctx, c, op)
	if err != nil {
		return err
	}
	ctx.grant = grant
	if op.MaxBodyBytes > 0 {
		text, late, err := readRest(c, op.MaxBodyBytes)
		if err != nil {
			return err
		}
		if ctx.body = text; late {
			ctx.end()
			ctx.begin(timeout) // the time that the sender took is not the operation's
		}
	}
	if err := checkParameters(c, op); err != nil {
		return err
	}
	if op.MaxBodyBytes > 0 {
		if _, err := checkMediaType(c.Request().Header); err != nil {
			return err
		}
	}
	c.SetRequest(c.Request().WithContext(ctx))
	return next(c)
}

// admit checks the token, the organization and the role.
func (s *Server) admit(ctx context.Context, c echo.Context, op *wire.Operation) (billing.Grant, error) {
	token, ok := bearer(c.Request().Header)
	if !ok {
		return billing.Grant{}, billing.ErrUnauthorized
	}
	grant, err := s.service.Authenticate(ctx, hashToken(token), c.Param("org"))
	if err != nil {
		return billing.Grant{}, err
	}
	if s.limiter != nil {
		if allowed, err := s.limiter.Allow(string(grant.Hash[:])); err != nil || !allowed {
			return billing.Grant{}, fail(gen.CodeRateLimited, "")
		}
	}
	if op.InOrganization && grant.Organization == nil {
		return billing.Grant{}, billing.ErrOrganizationNotFound
	}
	if !grant.Role.Includes(billing.Role(op.Role)) {
		return billing.Grant{}, fail(gen.CodeForbidden, "the token has the role "+string(grant.Role)+"; this call needs "+op.Role)
	}
	return grant, nil
}

// Tokens are this prefix and 43 characters of base64url, 256 bits.
const (
	tokenPrefix = "hmt_"
	tokenBytes  = 32
)

func hashToken(token string) billing.TokenHash {
	var space [64]byte // as long as no token is longer, nothing is allocated
	return sha256.Sum256(append(space[:0], token...))
}

// bearer returns the token of the Authorization header.
func bearer(header http.Header) (string, bool) {
	values := header[echo.HeaderAuthorization]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(token, tokenPrefix)
}

// checkParameters checks parameters against the contract, and puts the values to use where the generated code reads them:
// defaults, and integers beyond 64 bits as the nearest one within.
func checkParameters(c echo.Context, op *wire.Operation) error {
	for i := range op.PathParameters {
		p := &op.PathParameters[i]
		if _, _, err := p.Check([]string{c.Param(p.Name)}); err != nil {
			return err
		}
	}
	for i := range op.Parameters {
		p := &op.Parameters[i]
		given := c.QueryParams()[p.Name]
		if p.Header {
			given = c.Request().Header.Values(p.Name)
		}
		value, ok, err := p.Check(given)
		switch {
		case err != nil:
			return err
		case !ok || len(given) > 0 && given[0] == value:
		case p.Header:
			c.Request().Header.Set(p.Name, value)
		default:
			c.QueryParams().Set(p.Name, value)
		}
	}
	return nil
}

// checkQuery tells whether the query can be read at all.
func checkQuery(u *url.URL) error {
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return fail(gen.CodeBadRequest, "the query is malformed: "+err.Error())
	}
	return nil
}
