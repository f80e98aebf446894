package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/internal/demo"
	"github.com/harmont-dev/harmont-billing/server"
	"github.com/harmont-dev/harmont-billing/server/metrics"
)

const defaultListen = "127.0.0.1:8080"

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Serve the API on a database",
		GroupID: groupServe,
		Args:    cobra.NoArgs,
		Long: `Serves the API, and pages for people, until it is interrupted or hung up on;
requests under way are finished first.
The database is created where it does not exist, but not in a file or schema
that has tables of another program. Organizations and tokens are
made with 'harmont-billing org' and 'harmont-billing token', also while the
server runs. Traces are sent to the OpenTelemetry collector that
OTEL_EXPORTER_OTLP_ENDPOINT names.

Prices are in the database, as rate cards. The flags for prices give only those
of books that have none yet, and 'harmont-billing price set' sets later ones. If
the books have other prices than the flags, the server does not start.`,
		Example: `  harmont-billing serve
  harmont-billing serve --listen 127.0.0.1:9000 --database sqlite:/srv/b.db
  harmont-billing serve --listen unix:/run/harmont-billing/api.sock
  harmont-billing serve --base-path /billing`,
	}
	flags := cmd.Flags()
	database, beside := databaseFlag(cmd), besideFlag(cmd)
	readDatabases := readDatabaseFlag(cmd)
	listen := envFlag(cmd, "listen", "HARMONT_BILLING_LISTEN", defaultListen, "the address to serve on, HOST:PORT or unix:PATH, unless systemd hands over sockets")
	logFormat := choiceFlag(cmd, "log-format", "", "text", "the `FORM` of the log on standard error: text or json", "text", "json")
	logLevel := choiceFlag(cmd, "log-level", "", "info", "the lowest `LEVEL` that is logged: debug (each request), info (those that are refused), warn or error", "debug", "info", "warn", "error")
	corsOrigins := flags.StringSlice("cors-origin", nil, "an origin whose pages may call the API, such as https://app.example.com; may be repeated")
	var rateLimit int64
	flags.Func("rate-limit", "how many requests a second a token may make, `N`; any number where absent", parseInto(&rateLimit, atLeast(1)))
	debugListen := flags.String("debug-listen", "", "an `ADDRESS` to serve metrics (Prometheus), profiles (pprof) and counters (expvar) on, to whoever reaches it; nowhere where absent")
	docURL := flags.String("doc-url", "", "what the doc_url of errors begins with; where absent, it leads to this server's pages")
	basePath := flags.String("base-path", "", "the `PATH` below which all is served, such as /billing")
	rates := ratesFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch *listen {
		case "":
			return errNoAddress
		case "unix:":
			return usagef("unix: needs the path of a socket after it, such as unix:/run/harmont-billing/api.sock")
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
		defer stop()
		logger := newLogger(cmd.ErrOrStderr(), *logFormat, *logLevel)
		config := server.Config{
			Database: *database, BesideOtherTables: *beside, ReadDatabases: *readDatabases, Rates: rates(), Logger: logger, DocURL: *docURL, BasePath: *basePath, CORSOrigins: *corsOrigins,
			RequestsPerSecond: int(rateLimit),
		}
		observed := metrics.New()
		if *debugListen != "" {
			config.Observer = observed
		}
		spans, finish, err := traces(ctx, logger)
		if err != nil {
			return err
		}
		defer finish()
		config.TracerProvider = spans
		collectLessOften()
		return withServer(ctx, config, func(s *server.Server) error {
			open, err := listeners(ctx, *listen)
			if err != nil {
				return err
			}
			if *debugListen != "" {
				observed.Watch(s)
				if err := serveDebug(ctx, logger, *debugListen, observed); err != nil {
					for _, listener := range open {
						err = errors.Join(err, listener.Close())
					}
					return err
				}
			}
			for _, listener := range open {
				logger.Info("serving", "address", urlOf(listener, strings.TrimSuffix(*basePath, "/")), "version", version())
			}
			tellSystemd(logger, daemon.SdNotifyReady)
			go feedWatchdog(ctx, logger, s.Ready)
			told := make(chan struct{})
			neverStops := context.AfterFunc(ctx, func() {
				defer close(told)
				logger.Info("stopping")
				tellSystemd(logger, daemon.SdNotifyStopping)
			})
			err = s.Serve(ctx, open...)
			if !neverStops() {
				<-told // an idle server ends sooner than the message is sent
			}
			return err
		})
	}
	return cmd
}

// errNoAddress refuses an empty address, with which the server would listen on all interfaces at a random port.
var errNoAddress = &usageError{errors.New("the address to serve on is empty")}

// collectLessOften lets garbage grow to twice the memory in use before it is collected, unless GOGC says otherwise. A server has a few
// megabytes in use, and would otherwise collect garbage dozens of times a second under load.
func collectLessOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// ratesFlags adds the prices of the first rate card. The function returns them, or nil if no flag is given.
func ratesFlags(cmd *cobra.Command) func() *server.Rates {
	rates := server.StandardRates
	for _, price := range []struct {
		name, of string
		rate     *int64
	}{
		{"price-cpu", "one CPU", &rates.CPU}, {"price-memory-gb", "one gigabyte of memory", &rates.MemoryGB},
		{"price-disk-gb", "one gigabyte of disk", &rates.DiskGB},
	} {
		cmd.Flags().Func(price.name, fmt.Sprintf("the first price of new books, in `MICROCENTS` for %s for one second (default %d)", price.of, *price.rate),
			parseInto(price.rate, atLeast(0)))
	}
	return func() *server.Rates {
		if flags := cmd.Flags(); flags.Changed("price-cpu") || flags.Changed("price-memory-gb") || flags.Changed("price-disk-gb") {
			return &rates
		}
		return nil
	}
}

// newLogger takes the words of --log-format and --log-level.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	var minimum slog.Level
	if err := minimum.UnmarshalText([]byte(level)); err != nil {
		panic(err)
	}
	options := slog.HandlerOptions{Level: minimum}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &options))
	}
	return slog.New(slog.NewTextHandler(w, &options))
}

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Serve made-up data, to look around",
		GroupID: groupServe,
		Args:    cobra.NoArgs,
		Long: `Serves a fresh database with an organization acme and 90 days of usage up to
now. The database is deleted when the demo is interrupted.`,
		Example: `  harmont-billing demo`,
	}
	listen := envFlag(cmd, "listen", "HARMONT_BILLING_LISTEN", defaultListen, "the address to serve on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *listen == "" {
			return errNoAddress
		}
		chosen := cmd.Flags().Changed("listen") || os.Getenv("HARMONT_BILLING_LISTEN") != ""
		// Closing the terminal ends a demo like Ctrl-C does, or its data would stay behind.
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
		defer stop()
		return runDemo(ctx, cmd.OutOrStdout(), *listen, chosen)
	}
	return cmd
}

// runDemo takes any free port where the default one is taken.
func runDemo(ctx context.Context, out io.Writer, listen string, chosen bool) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if errors.Is(err, syscall.EADDRINUSE) && !chosen {
		listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "harmont-billing-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a leftover in the system's temporary folder
	logger := newLogger(os.Stderr, "text", "warn")
	config := server.Config{Database: "sqlite:" + filepath.Join(folder, "demo.db"), Logger: logger}
	return withServer(ctx, config, func(s *server.Server) error {
		if err := demo.Fill(ctx, s, "acme", "Acme", time.Now()); err != nil {
			return err
		}
		token, _, err := s.CreateToken(ctx, server.TokenOptions{Name: "demo", Role: server.RoleAdmin, Organizations: []string{"acme"}})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, `Serving the organization acme, with 90 days of made-up usage, at http://%[1]s

In a browser, signed in:

  http://%[1]s/#token=%[2]s

In another terminal:

  export HARMONT_API_URL=http://%[1]s
  export HARMONT_TOKEN=%[2]s

  %[3]s balance acme
  %[3]s series acme --last 30d
  curl -H "Authorization: Bearer $HARMONT_TOKEN" "$HARMONT_API_URL/api/v0/billing/transactions/acme?limit=3"

Interrupt with Ctrl-C; the data is deleted then.
`, listener.Addr(), token, os.Args[0]); err != nil {
			return err
		}
		return s.Serve(ctx, listener)
	})
}
