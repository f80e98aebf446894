package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// operation is what the contract says about who may make a call and with which parameters.
type operation struct {
	id         string
	role       billing.Role
	inOrg      bool                  // whether the path names an organization
	maxBody    int64                 // in bytes; 0 where a request has no body
	parameters []*openapi3.Parameter // in the query and the header
}

// operations reads the contract, by operationId.
func operations() (map[string]operation, error) {
	spec, err := httpserver.GetSpec()
	if err != nil {
		return nil, err
	}
	ops := map[string]operation{}
	for _, path := range spec.Paths.Map() {
		for _, o := range path.Operations() {
			role, _ := o.Extensions["x-required-role"].(string)
			op := operation{id: o.OperationID, role: billing.Role(role)}
			if o.RequestBody != nil {
				if op.maxBody, err = maxBody(o.RequestBody.Value); err != nil {
					return nil, fmt.Errorf("%s: %w", op.id, err)
				}
			}
			for _, p := range append(path.Parameters, o.Parameters...) {
				if p.Value.In == openapi3.ParameterInPath {
					op.inOrg = true
				} else {
					op.parameters = append(op.parameters, p.Value)
				}
			}
			ops[op.id] = op
		}
	}
	return ops, nil
}

// maxBody reads how long a body may be, as the contract says it.
func maxBody(body *openapi3.RequestBody) (int64, error) {
	number, err := json.Marshal(body.Extensions["x-max-body-bytes"])
	if err != nil {
		return 0, err
	}
	limit, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || limit < 1 {
		return 0, fmt.Errorf("x-max-body-bytes is %s", number)
	}
	return limit, nil
}

// streamed is the operation whose answer may take as long as its receiver does, so that no timeout bounds it as a whole.
const streamed = "getBillingUsageBreakdown"

// guards makes the middleware that stands before each operation: token, organization, role, the body where it is long,
// parameters, media type, in this order.
func (s *Server) guards() (map[string][]echo.MiddlewareFunc, error) {
	ops, err := operations()
	if err != nil {
		return nil, err
	}
	guards := map[string][]echo.MiddlewareFunc{}
	for id, op := range ops {
		guards[id] = []echo.MiddlewareFunc{func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				timeout := s.requestTimeout
				if op.id == streamed {
					timeout = 0
				}
				ctx := newOperationContext(c.Request().Context(), timeout)
				defer ctx.end()
				grant, err := s.admit(ctx, c, op)
				if err != nil {
					return err
				}
				ctx.grant = grant
				if op.maxBody > 0 {
					text, late, err := readRest(c, op.maxBody)
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
				if op.maxBody > 0 {
					if _, err := checkMediaType(c.Request().Header); err != nil {
						return err
					}
				}
				c.SetRequest(c.Request().WithContext(ctx))
				return next(c)
			}
		}}
	}
	return guards, nil
}

// admit checks the token, the organization and the role.
func (s *Server) admit(ctx context.Context, c echo.Context, op operation) (billing.Grant, error) {
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
			return billing.Grant{}, rateLimited.with("")
		}
	}
	if op.inOrg && grant.Organization == nil {
		return billing.Grant{}, billing.ErrOrganizationNotFound
	}
	if !grant.Role.Includes(op.role) {
		return billing.Grant{}, forbidden.with("the token has the role " + string(grant.Role) + "; this call needs " + string(op.role))
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

// parameterFailures says which failure goes with a parameter.
var parameterFailures = map[string]*failure{
	"limit": limitInvalid, "cursor": cursorInvalid, "from": windowInvalid, "to": windowInvalid,
	"Idempotency-Key": bodyInvalid,
}

// checkParameters checks what the generated code would otherwise refuse without saying what is wrong in the contract's
// terms: required parameters, those that come twice, and integers.
func checkParameters(c echo.Context, op operation) error {
	for _, p := range op.parameters {
		values := c.QueryParams()[p.Name]
		if p.In == openapi3.ParameterInHeader {
			values = c.Request().Header.Values(p.Name)
		}
		failure := parameterFailures[p.Name]
		switch {
		case len(values) == 0 && p.Required:
			return failure.with(p.Name + " is required")
		case len(values) == 0:
		case len(values) > 1:
			return failure.with(p.Name + " is given more than once")
		case p.Schema.Value.Type.Is("integer"):
			n, err := strconv.ParseInt(values[0], 10, 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return failure.with(p.Name + " must be an integer")
			}
			// Beyond 64 bits it is still an integer, of which the nearest is n.
			c.QueryParams().Set(p.Name, strconv.FormatInt(n, 10))
		}
	}
	return nil
}

// checkQuery tells whether the query can be read at all.
func checkQuery(u *url.URL) error {
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return badRequest.with("the query is malformed: " + err.Error())
	}
	return nil
}
