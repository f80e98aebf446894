// Package server serves the billing API. The program harmont-billing runs it; another Go program can mount it, and a test can start it:
//
//	s, err := server.Open(ctx, server.Config{Database: "sqlite:billing.db"})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	http.ListenAndServe("127.0.0.1:8080", s.Handler()) // or s.Serve
package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
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
	"github.com/harmont-dev/harmont-billing/internal/database"
)

// Rates are the prices of a lease, in micro-cents per unit and second.
type Rates = billing.Rates

// StandardRates are Harmont's: 10 000 for a CPU, 5 000 for a gigabyte of memory, 100 for a gigabyte of disk.
var StandardRates = billing.StandardRates

// Config has the settings of a Server. Only Database is required.
type Config struct {
	// Database is sqlite:FILE, created where it does not exist, or the URL of a PostgreSQL database, postgres://….
	Database string
	// ReadDatabases are URLs of replicas of a PostgreSQL database. Usage, series and breakdowns are read from a replica that is at
	// most five seconds behind; balances and transactions are always read from Database.
	ReadDatabases []string
	// MustExist makes it an error that the database has no books, where otherwise they would be made.
	MustExist bool
	// ReadOnly opens also an SQLite database that this process cannot write, such as a backup. It needs MustExist.
	ReadOnly bool
	// BesideOtherTables lets the books be made in a database, or a schema of PostgreSQL, that has tables of another program.
	BesideOtherTables bool
	// Rates are the prices of leases that finish from now on. Leases that are billed already keep their cost. Nil means StandardRates.
	Rates *Rates
	// Logger gets a line for each request, and the cause of each failure. Nil means none.
	Logger *slog.Logger
	// BasePath is the path that everything is served below, such as /billing. Empty means /.
	BasePath string
	// DocURL is the beginning of the doc_url of an error; the error's code follows. Empty means the pages of the server, at the Host of
	// the request, with https if the request came by TLS or has the header X-Forwarded-Proto: https.
	DocURL string
	// CORSOrigins are the origins, such as https://app.example.com, of pages that may call the API from a browser. * means all origins.
	CORSOrigins []string
	// RequestsPerSecond is how many requests a token may make over time. Zero means any number.
	RequestsPerSecond int
	// RequestTimeout bounds the work on a request, but for a breakdown, which lasts while its receiver keeps reading. Zero
	// means 30 seconds.
	RequestTimeout time.Duration
	// Observer receives the events of the server. Nil means no observer.
	Observer Observer
	// TracerProvider makes a span for each request to an operation and for its uses of the database. Nil means none.
	TracerProvider trace.TracerProvider
}

// Server is an open database and the handlers over it. It is safe for concurrent use.
type Server struct {
	store          *database.Database
	service        *billing.Service
	log            *slog.Logger
	docURL         string
	basePath       string
	requestTimeout time.Duration
	bodyTime       time.Duration
	bodyStall      time.Duration
	limiter        *middleware.RateLimiterMemoryStore
	observer       Observer
	tracer         trace.Tracer // nil where nothing is traced
	underWay       atomic.Int64 // requests
	failures       *failures
	bodies         *bodyBudget
	streams        *streamBudget
	connections    int // how many clients may have
	handler        http.Handler
}

// Open opens the database, and makes the books or brings their schema up to date as needed. It fails with ErrInvalid where there are no
// books and none may be made, and with ErrUnavailable where they cannot be written. The caller must Close the server.
func Open(ctx context.Context, config Config) (*Server, error) {
	rates := StandardRates
	if config.Rates != nil {
		rates = *config.Rates
	}
	if min(rates.CPU, rates.MemoryGB, rates.DiskGB) < 0 {
		return nil, billing.Faultf(ErrInvalid, "a rate is negative")
	}
	basePath, err := checkBasePath(config.BasePath)
	if err != nil {
		return nil, err
	}
	for _, origin := range config.CORSOrigins {
		if origin != "*" && !isOrigin(origin) {
			return nil, billing.Faultf(ErrInvalid, "the origin %q must be like https://app.example.com: in lower case, without a slash at its end and without the usual port", origin)
		}
	}
	books, err := database.OpenWith(ctx, config.Database, database.Opening{
		Create: !config.MustExist, BesideOthers: config.BesideOtherTables, ReadOnly: config.MustExist && config.ReadOnly,
	})
	if err != nil {
		return nil, err
	}
	var ports billing.Store = books
	var tracer trace.Tracer
	if config.TracerProvider != nil {
		tracer = config.TracerProvider.Tracer(tracerName)
		ports = tracedStore{books, tracer}
	}
	s := &Server{
		store: books, service: billing.NewService(ports, rates), tracer: tracer,
		log: config.Logger, docURL: config.DocURL, basePath: basePath, requestTimeout: config.RequestTimeout, bodyTime: bodyTime,
		observer:  config.Observer,
		bodyStall: bodyStall, bodies: newBodyBudget(receivingBytes, decodingBytes, overloadWait),
		streams:     newStreamBudget(streamsOfToken, streamsOfOrganization, overloadWait),
		connections: connectionLimit(openFiles()),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.failures = newFailures(s.log)
	if !config.MustExist {
		if err := books.TryWrite(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("the database cannot be written: %w", err), s.Close())
		}
		if err := books.QuickCheck(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := books.FollowReplicas(s.log, config.ReadDatabases); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.requestTimeout == 0 {
		s.requestTimeout = 30 * time.Second
	}
	if config.RequestsPerSecond > 0 {
		s.limiter = middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
			Rate: rate.Limit(config.RequestsPerSecond), Burst: 2 * config.RequestsPerSecond,
		})
	}
	if err := s.route(config); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
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

// Handler answers the API's calls, /healthz, /readyz, /openapi.json and /openapi.yaml, and has pages for people at / and
// /docs.
//
// A program that mounts it sets the timeouts of its http.Server itself; the handler bounds the time that a body takes to
// arrive. If net/http refuses a request before it calls the handler, because of a malformed request line or header, the answer has
// the text of net/http, without the envelope and without an x-request-id. [Server.Serve] adds both, except with HTTP/2.
func (s *Server) Handler() http.Handler { return s.handler }

// Ready fails where the server cannot read or write its database for now, as /readyz does. It takes at most two seconds.
func (s *Server) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return cmp.Or(s.store.Ping(ctx), s.store.TryWrite(ctx))
}

// Close waits for writes under way and closes the database. Requests that come after it are answered with 503.
func (s *Server) Close() error { return s.store.Close() }

func (s *Server) route(config Config) error {
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

	httpserver.RegisterHandlersWithOptions(e, httpserver.NewStrictHandler(&adapter{s.service}, nil),
		httpserver.RegisterHandlersOptions{OperationMiddlewares: s.guards()})
	e.GET("/healthz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	e.GET("/readyz", func(c echo.Context) error {
		if err := s.Ready(c.Request().Context()); err != nil {
			return billing.Faultf(billing.ErrUnavailable, "%w", err)
		}
		return c.NoContent(http.StatusOK)
	})
	servePages(e)
	e.GET("/openapi.json", func(c echo.Context) error { return c.JSONBlob(http.StatusOK, specJSON) })
	e.GET("/openapi.yaml", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/yaml", specYAML)
	})
	s.handler, err = compressed(s.routable(identified(e)))
	return err
}

// otherOptions tells whether a request is an OPTIONS that is no browser's preflight.
func otherOptions(c echo.Context) bool {
	r := c.Request()
	return r.Method == http.MethodOptions &&
		(r.Header.Get(echo.HeaderOrigin) == "" || r.Header.Get(echo.HeaderAccessControlRequestMethod) == "")
}
