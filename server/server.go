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
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
)

// Rates are the prices of a lease, in micro-cents per unit and second.
type Rates = billing.Rates

// StandardRates are Harmont's: 10 000 for a CPU, 5 000 for a gigabyte of memory, 100 for a gigabyte of disk.
var StandardRates = billing.StandardRates

// Config has the settings of a Server. Only Database, or Pool, is required.
type Config struct {
	// Database is sqlite:FILE, created where it does not exist, or the URL of a PostgreSQL database, postgres://….
	Database string
	// Pool describes a PostgreSQL database instead of Database, for settings that a URL cannot carry, such as passwords that change. It is
	// made by pgxpool.ParseConfig. Its hooks are called for each connection. MaxConns bounds all connections of the server together: it
	// must be at least 3, and 26 are the most that are used without Citus.
	Pool *pgxpool.Config
	// ReadDatabases are URLs of replicas of a PostgreSQL database. Usage, series and breakdowns are read from a replica that is at
	// most five seconds behind; balances and transactions are always read from Database.
	ReadDatabases []string
	// MustExist makes it an error that the database has no books, where otherwise they would be made.
	MustExist bool
	// ReadOnly opens also an SQLite database that this process cannot write, such as a backup. It needs MustExist.
	ReadOnly bool
	// BesideOtherTables lets the books be made in a database, or a schema of PostgreSQL, that has tables of another program.
	BesideOtherTables bool
	// Rates are the prices of the first rate card, which Open adds to books that have none for all leases of any time. Nil means
	// StandardRates. If the books have prices for all leases, and these do not agree with Rates that are given, Open fails with ErrInvalid.
	Rates *Rates
	// WithoutRateCard leaves books without a rate card as they are until Import, or another Open, adds the first one. No lease can be billed
	// before.
	WithoutRateCard bool
	// Authenticate returns the identity that belongs to a token, as in httpapi.Config, but for Value, which has no effect. Organizations
	// that the database does not have are ignored. Nil means that the tokens of the database are valid, and no others.
	Authenticate func(ctx context.Context, token string) (httpapi.Identity, error)
	// Override returns the operations to serve in place of the server's own: usually a struct that embeds them and has methods for those
	// that it replaces. The server's own operations work on the organization of the request, whichever slug they are called with. Nil
	// means that none is replaced.
	Override func(own httpapi.Backend) httpapi.Backend
	// Clock tells the time that entries and tokens are dated by, that tokens expire by and that reported leases must not be ahead of. Nil
	// means time.Now. Entries of a ledger are dated in their order even if it goes back. Import takes the time of the machine.
	Clock func() time.Time
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
	// Limits bound the time and the memory that requests may take.
	Limits httpapi.Limits
	// Observer receives the events of the server. Nil means no observer.
	Observer Observer
	// TracerProvider makes a span for each request to an operation and for its uses of the database. Nil means none.
	TracerProvider trace.TracerProvider
}

// Server is an open database and the handlers over it. It is safe for concurrent use.
type Server struct {
	store   *database.Database
	service *billing.Service
	rates   *Rates // of the configuration
	api     *httpapi.Server
}

// Open opens the database, and makes the books or brings their schema up to date as needed. It fails with ErrInvalid where there are no
// books and none may be made, and with ErrUnavailable where they cannot be written. The caller must Close the server.
func Open(ctx context.Context, config Config) (*Server, error) {
	s := &Server{rates: config.Rates}
	api := s.apiConfig(config)
	if err := api.Validate(); err != nil { // before books are made
		return nil, err
	}
	opening := database.Opening{
		Create: !config.MustExist, BesideOthers: config.BesideOtherTables, ReadOnly: config.MustExist && config.ReadOnly,
	}
	var err error
	switch {
	case config.Pool == nil:
		s.store, err = database.OpenWith(ctx, config.Database, opening)
	case config.Database == "":
		s.store, err = database.OpenPool(ctx, config.Pool, opening)
	default:
		err = billing.Faultf(ErrInvalid, "Database and Pool are both set")
	}
	if err != nil {
		return nil, err
	}
	if err := s.serve(ctx, config, api); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// apiConfig returns the settings of the API, which looks tokens up in the database unless the configuration says otherwise.
func (s *Server) apiConfig(config Config) httpapi.Config {
	api := httpapi.Config{
		Admit: s.admit, Ready: s.Ready, Logger: config.Logger, BasePath: config.BasePath, DocURL: config.DocURL, CORSOrigins: config.CORSOrigins,
		RequestsPerSecond: config.RequestsPerSecond, RequestTimeout: config.RequestTimeout, Limits: config.Limits, Observer: config.Observer,
		TracerProvider: config.TracerProvider,
	}
	if config.Authenticate != nil {
		api.Admit = s.admitOwn(config.Authenticate)
	}
	return api
}

// serve makes the API of an open database.
func (s *Server) serve(ctx context.Context, config Config, api httpapi.Config) (err error) {
	var ports billing.Store = s.store
	if config.TracerProvider != nil {
		ports = tracedStore{s.store, config.TracerProvider.Tracer(tracerName)}
	}
	s.service = billing.NewService(ports)
	if config.Clock != nil {
		s.store.SetClock(config.Clock)
		s.service.SetClock(config.Clock)
	}
	var backend httpapi.Backend = &adapter{s.service}
	if config.Override != nil {
		backend = config.Override(backend)
	}
	if s.api, err = New(backend, api); err != nil {
		return err
	}
	// Other commands, such as the revocation of a token, have to work on damaged books, too.
	if !config.MustExist {
		if err := s.store.TryWrite(ctx); err != nil {
			return fmt.Errorf("the database cannot be written: %w", err)
		}
		if err := s.store.QuickCheck(ctx); err != nil {
			return err
		}
		if !config.WithoutRateCard {
			if err := s.service.EnsureRateCard(ctx, config.Rates); err != nil {
				return err
			}
		}
	}
	log := config.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return s.store.FollowReplicas(log, config.ReadDatabases)
}

// New returns a server of the caller's own backend, with the pages for people. It differs from httpapi.New in the pages, and in that this
// package links database drivers.
func New(backend httpapi.Backend, config httpapi.Config) (*httpapi.Server, error) {
	routes := config.Routes
	config.Routes = func(e *echo.Echo) {
		servePages(e)
		if routes != nil {
			routes(e)
		}
	}
	return httpapi.New(backend, config)
}

// Handler answers the API's calls, /healthz, /readyz, /openapi.json and /openapi.yaml, and has pages for people at / and
// /docs.
//
// A program that mounts it sets the timeouts of its http.Server itself; the handler bounds the time that a body takes to
// arrive. If net/http refuses a request before it calls the handler, because of a malformed request line or header, the answer has
// the text of net/http, without the envelope and without an x-request-id. [Server.Serve] adds both, except with HTTP/2.
func (s *Server) Handler() http.Handler { return s.api.Handler() }

// Serve answers requests that come in on the listeners until the context ends. See httpapi.Server.Serve.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	return s.api.Serve(ctx, listeners...)
}

// Ready fails where the server cannot read or write its database for now, as /readyz does. It takes at most two seconds.
func (s *Server) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return cmp.Or(s.store.Ping(ctx), s.store.TryWrite(ctx))
}

// Close waits for writes under way and closes the database. Requests that come after it are answered with 503.
func (s *Server) Close() error { return s.store.Close() }
