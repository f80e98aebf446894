// Package httpapi serves a [Backend], an implementation of the operations of openapi.yaml, over HTTP as the contract demands. It gives
// each answer its request id, its headers and its encoding, and each error the envelope. It checks requests in the order of the contract:
// whether they can be read, the route, the token, the organization, the role, and then parameters and bodies against the document. The
// backend gets requests that have passed all of that, and returns models or errors. Package server serves its own books with it:
//
//	api, err := httpapi.New(backend, httpapi.Config{Authenticate: authenticate})
//	if err != nil {
//		return err
//	}
//	http.ListenAndServe("127.0.0.1:8080", api.Handler()) // or api.Serve
package httpapi

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	harmontbilling "github.com/harmont-dev/harmont-billing"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Backend does the work of the operations. Its methods fail with an [Error], or with any other error, which is answered with 500 and
// logged. Embed a backend in a struct to override some of its operations, or [Unimplemented] to leave some out.
type Backend = httpserver.Backend

// Unimplemented answers every operation with 404 route_not_found.
type Unimplemented = httpserver.Unimplemented

// The results of operations that are no models: one with a header, and one that is streamed.
type (
	PostCreditResult = httpserver.PostCreditResult
	// SetRateCardResult is the answer of setRateCard.
	SetRateCardResult = httpserver.SetRateCardResult
	Streamed          = httpserver.Streamed
)

// Config has the settings of a Server. Either Authenticate or Admit is required.
type Config struct {
	// Authenticate returns the identity that belongs to a token, the text after Bearer in the Authorization header. It is called for each
	// request, so a slow look-up should be cached. It fails with an Error of the code unauthorized if the token is not valid.
	Authenticate func(ctx context.Context, token string) (Identity, error)
	// Admit is set instead of Authenticate if the role of a token depends on the organization, or if a token has access to more
	// organizations than can be listed. The organization is the slug in the path of the request, and empty if the path has none. Admit
	// fails like Authenticate, and with the code organization_not_found if the organization does not exist or the token has no access to
	// it. Organizations of the Identity has no effect.
	Admit func(ctx context.Context, token, org string) (Identity, error)
	// Ready fails if the backend cannot do its work for now, which is the answer of /readyz. Nil means that it always can.
	Ready func(ctx context.Context) error
	// Logger gets a line for each request, and the cause of each failure. Nil means none.
	Logger *slog.Logger
	// BasePath is the path that everything is served below, such as /billing. Empty means /.
	BasePath string
	// DocURL is the beginning of the doc_url of an error; the error's code follows. Empty means /docs/errors/ at the Host of the request,
	// where server.New has pages, with https if the request came by TLS or has the header X-Forwarded-Proto: https.
	DocURL string
	// CORSOrigins are the origins, such as https://app.example.com, of pages that may call the API from a browser. * means all origins.
	CORSOrigins []string
	// RequestsPerSecond is how many requests a token may make over time. Zero means any number.
	RequestsPerSecond int
	// RequestTimeout bounds the work on a request, but for a breakdown, which lasts while its receiver keeps reading. Zero
	// means 30 seconds.
	RequestTimeout time.Duration
	// Limits bound the time and the memory that requests may take.
	Limits Limits
	// Observer receives the events of the server. Nil means no observer.
	Observer Observer
	// TracerProvider makes a span for each request to an operation. Nil means none.
	TracerProvider trace.TracerProvider
	// Routes adds routes to the API's. Their answers have request ids, the envelope of errors and lines in the log as well, but no token
	// is checked. Nil means none.
	Routes func(*echo.Echo)
}

// Identity is the holder of a token and the access that the token gives.
type Identity struct {
	// Subject names the holder of the token. Requests of one subject share RequestsPerSecond and the limits of memory. Empty means that
	// each token has its own.
	Subject string
	// Name is recorded as the author of the credits that are posted with the token, which whoever reads the ledger sees. It has at most 255
	// characters. Empty means that the author is not recorded.
	Name string
	// Role says what the token may do in its organizations. The zero value allows nothing.
	Role Role
	// Organizations are the slugs of the organizations that the token gives access to. Each of them must exist.
	Organizations []string
	// Value is for the backend, which gets it from IdentityOf.
	Value any
}

// Role says what a token may do in an organization.
type Role = billing.Role

// The roles; each includes the one before.
const (
	RoleRead  = billing.RoleRead  // every GET
	RoleWrite = billing.RoleWrite // and record leases
	RoleAdmin = billing.RoleAdmin // and post credits
)

// IdentityOf returns the identity that a request was admitted with. The context is that of a call of a Backend.
func IdentityOf(ctx context.Context) *Identity { return &callOf(ctx).identity }

// Server serves a backend. It is safe for concurrent use.
type Server struct {
	admission      func(ctx context.Context, token, org string) (Identity, error)
	ready          func(ctx context.Context) error
	log            *slog.Logger
	docURL         string
	basePath       string
	requestTimeout time.Duration
	bodyTime       time.Duration
	// refusedBodyTime is how long the body of a refused request may take.
	refusedBodyTime time.Duration
	bodyStall       time.Duration
	limiter         *middleware.RateLimiterMemoryStore
	observer        Observer
	tracer          trace.Tracer // nil where nothing is traced
	underWay        atomic.Int64 // requests
	failures        *failures
	bodies          *bodyBudget
	streams         *streamBudget
	connections     *connections
	handler         http.Handler
}

// Validate fails if a setting is invalid. New calls it.
func (c Config) Validate() error {
	if (c.Authenticate == nil) == (c.Admit == nil) {
		return billing.Faultf(billing.ErrInvalid, "either Authenticate or Admit must be set")
	}
	for _, origin := range c.CORSOrigins {
		if origin != "*" && !isOrigin(origin) {
			return billing.Faultf(billing.ErrInvalid, "the origin %q must be like https://app.example.com: in lower case, without a slash at its end and without the usual port", origin)
		}
	}
	if files := openFiles(); files < minFiles {
		return billing.Faultf(billing.ErrInvalid, "this process may open only %d files, and the database needs more; allow at least %d, with 'ulimit -n' or LimitNOFILE of systemd", files, minFiles)
	}
	_, err := checkBasePath(c.BasePath)
	return err
}

// New returns a server of the backend. It fails if a setting is invalid.
func New(backend Backend, config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if backend == nil {
		return nil, billing.Faultf(billing.ErrInvalid, "there is no backend")
	}
	basePath, err := checkBasePath(config.BasePath)
	if err != nil {
		return nil, err
	}
	limits := config.Limits.orDefaults()
	s := &Server{
		admission: config.Admit, ready: config.Ready, log: config.Logger, docURL: config.DocURL, basePath: basePath,
		requestTimeout: config.RequestTimeout, bodyTime: limits.BodyTime, refusedBodyTime: limits.RefusedBodyTime, bodyStall: limits.BodyStall,
		observer: config.Observer,
		bodies:   newBodyBudget(limits.ReceivingBytes, limits.DecodingBytes, limits.Wait),
		streams:  newStreamBudget(limits.StreamsOfToken, limits.StreamsOfOrganization, limits.Wait),
	}
	if s.admission == nil {
		s.admission = listed(config.Authenticate)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.connections = newConnections(connectionLimit(openFiles()), s.log)
	s.failures = newFailures(s.log)
	if config.TracerProvider != nil {
		s.tracer = config.TracerProvider.Tracer(tracerName)
	}
	if s.requestTimeout == 0 {
		s.requestTimeout = 30 * time.Second
	}
	if config.RequestsPerSecond > 0 {
		s.limiter = middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
			Rate: rate.Limit(config.RequestsPerSecond), Burst: 2 * config.RequestsPerSecond,
		})
	}
	if err := s.route(backend, config); err != nil {
		return nil, err
	}
	return s, nil
}

// listed admits a token to the organizations that its identity lists.
func listed(authenticate func(ctx context.Context, token string) (Identity, error)) func(context.Context, string, string) (Identity, error) {
	return func(ctx context.Context, token, org string) (Identity, error) {
		identity, err := authenticate(ctx, token)
		if err == nil && org != "" && !slices.Contains(identity.Organizations, org) {
			err = billing.ErrOrganizationNotFound
		}
		return identity, err
	}
}

// isOrigin reports whether a browser sends the text as an Origin.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Host != strings.ToLower(u.Host) || text != u.Scheme+"://"+u.Host {
		return false
	}
	switch u.Scheme {
	case "http":
		return u.Port() != "80"
	case "https":
		return u.Port() != "443"
	}
	return true
}

// Handler answers the API's calls, /healthz, /readyz, /openapi.json, /openapi.yaml and the routes of Config.Routes.
//
// A program that mounts it sets the timeouts of its http.Server itself; the handler bounds the time that a body takes to
// arrive. If net/http refuses a request before it calls the handler, because of a malformed request line or header, the answer has
// the text of net/http, without the envelope and without an x-request-id. [Server.Serve] adds both, except with HTTP/2.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) route(backend Backend, config Config) error {
	specJSON, err := httpserver.GetSpecJSON()
	if err != nil {
		return err
	}
	specYAML := harmontbilling.OpenAPI
	if s.basePath != "" { // a document that is read from here names the server that it was read from
		specJSON = bytes.Replace(specJSON, []byte(`"url":"/"`), []byte(`"url":"`+s.basePath+`"`), 1)
		specYAML = bytes.Replace(specYAML, []byte("- url: /\n"), []byte("- url: "+s.basePath+"\n"), 1)
	}
	e := echo.New()
	e.Binder = strictBinder{}
	e.HTTPErrorHandler = s.renderError
	if s.tracer != nil {
		e.Pre(s.traced)
	}
	e.Pre(s.logRequests)
	if len(config.CORSOrigins) > 0 {
		e.Pre(middleware.CORSWithConfig(middleware.CORSConfig{
			Skipper:       otherOptions,
			AllowOrigins:  config.CORSOrigins,
			AllowMethods:  []string{http.MethodGet, http.MethodHead, http.MethodPost},
			AllowHeaders:  []string{echo.HeaderAuthorization, echo.HeaderContentType, "Idempotency-Key", echo.HeaderXRequestID},
			ExposeHeaders: []string{"x-request-id", "retry-after", "idempotency-replayed"},
			MaxAge:        600,
		}))
	}
	if s.basePath != "" {
		e.Pre(underBase(s.basePath))
	}
	e.Pre(s.refuseMalformed)
	e.Use(routed)

	httpserver.RegisterHandlersWithOptions(e, httpserver.NewHandler(backend),
		httpserver.RegisterHandlersOptions{OperationMiddlewares: s.guards()})
	e.GET("/healthz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	e.GET("/readyz", func(c echo.Context) error {
		if s.ready != nil {
			if err := s.ready(c.Request().Context()); err != nil {
				return billing.Faultf(billing.ErrUnavailable, "%w", err)
			}
		}
		return c.NoContent(http.StatusOK)
	})
	e.GET("/openapi.json", func(c echo.Context) error { return c.JSONBlob(http.StatusOK, specJSON) })
	e.GET("/openapi.yaml", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/yaml", specYAML)
	})
	if config.Routes != nil {
		config.Routes(e)
	}
	s.handler, err = compressed(s.routable(identified(e)))
	return err
}

// otherOptions tells whether a request is an OPTIONS that is no browser's preflight.
func otherOptions(c echo.Context) bool {
	r := c.Request()
	return r.Method == http.MethodOptions &&
		(r.Header.Get(echo.HeaderOrigin) == "" || r.Header.Get(echo.HeaderAccessControlRequestMethod) == "")
}
