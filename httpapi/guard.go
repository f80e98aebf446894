package httpapi

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// guards makes the middleware that stands before each operation: token, organization, role, the body, parameters, media type, in this
// order. But a malformed body that is short is reported before all of these.
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
	ctx, end := s.limited(c.Request().Context(), op)
	defer func() { end() }() //nolint:gocritic // end may be another one by then
	call := &call{}
	err := s.admit(ctx, c, op, call)
	if err == nil {
		setEvictable(c.Request(), false)
	}
	if op.MaxBodyBytes > 0 {
		if malformed := s.readEarly(c, err != nil); malformed != nil {
			return malformed
		}
	}
	if err != nil {
		return err
	}
	if s.tracer != nil {
		traceOrganization(ctx, c.Param("org"))
	}
	if op.MaxBodyBytes > 0 {
		text, decoding, err := s.readRest(c, op.MaxBodyBytes, call.holder)
		if err != nil {
			return err
		}
		if call.body = text; decoding != nil {
			defer decoding.releaseMemory()
			c.Set(bodyKey, nil)
		}
		end() // the time that the sender took is not the operation's
		ctx, end = s.limited(c.Request().Context(), op)
	}
	if err := op.CheckParameters(c); err != nil {
		return err
	}
	if op.MaxBodyBytes > 0 {
		if _, err := checkMediaType(c.Request().Header); err != nil {
			return err
		}
	}
	if op.Streamed {
		release, err := s.streams.acquire(ctx, call.holder, c.Param("org"))
		if err != nil {
			return err
		}
		defer release()
	}
	c.SetRequest(c.Request().WithContext(context.WithValue(ctx, callKey{}, call)))
	return next(c)
}

// limited gives an operation the time that it may take, unless its answer takes as long as its receiver does.
func (s *Server) limited(request context.Context, op *wire.Operation) (context.Context, context.CancelFunc) {
	if op.Streamed {
		return context.WithCancel(request)
	}
	return context.WithTimeout(request, s.requestTimeout)
}

// call has the results of the guard that an operation needs.
type call struct {
	identity Identity
	holder   billing.TokenHash // identifies who shares limits: the subject, or the token where it has none
	body     []byte            // decompressed
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	return ctx.Value(callKey{}).(*call) //nolint:errcheck // only the guard calls operations
}

// admit checks the token, the organization and the role.
func (s *Server) admit(ctx context.Context, c echo.Context, op *wire.Operation, call *call) error {
	err := s.authenticate(ctx, c, call)
	if err != nil && CodeOf(err) != gen.CodeOrganizationNotFound {
		return err
	}
	if s.limiter != nil {
		if allowed, err := s.limiter.Allow(string(call.holder[:])); err != nil || !allowed {
			return fail(gen.CodeRateLimited, "")
		}
	}
	if err != nil {
		return err
	}
	if role := call.identity.Role; !role.Includes(billing.Role(op.Role)) {
		has := "no role"
		if role != "" {
			has = "the role " + string(role)
		}
		return fail(gen.CodeForbidden, "the token has "+has+"; this call needs "+op.Role)
	}
	return nil
}

// unlogged is the key in the context of a request that has no line of its own in the log, unless the log has every request.
const unlogged = "unlogged"

// authenticate finds the identity that belongs to the token. It limits requests with tokens that are not valid by the address of the client. It fails with
// the code organization_not_found if the token is valid, but does not give access to the organization.
func (s *Server) authenticate(ctx context.Context, c echo.Context, call *call) error {
	token, formed := bearer(c.Request().Header)
	hash := hashToken(token)
	admit := func() (err error) {
		if call.identity, err = s.admission(ctx, token, c.Param("org")); call.identity.Subject == "" {
			call.holder = hash
		} else {
			call.holder = hashToken(call.identity.Subject)
		}
		return err
	}
	known := formed && s.failures.isKnown(hash)
	if known {
		err := admit()
		if err == nil || CodeOf(err) != gen.CodeUnauthorized {
			return err
		}
		s.failures.setKnown(hash, false)
	}
	address := addressOf(c.Request().RemoteAddr)
	fails := func(err error) error {
		if !s.failures.logs(address) {
			c.Set(unlogged, true)
		}
		return err
	}
	if len(c.Request().Header[echo.HeaderAuthorization]) == 0 { // it is no guess, and costs no more than to be refused for other reasons
		return fails(billing.ErrUnauthorized)
	}
	if !s.failures.allows(address, time.Now()) {
		return fails(fail(gen.CodeRateLimited, ""))
	}
	if !formed || known {
		s.failures.count(address, time.Now())
		return fails(billing.ErrUnauthorized)
	}
	err := admit()
	switch {
	case err == nil || CodeOf(err) == gen.CodeOrganizationNotFound:
		s.failures.setKnown(hash, true)
	case CodeOf(err) == gen.CodeUnauthorized:
		s.failures.count(address, time.Now())
		return fails(err)
	}
	return err
}

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
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}
