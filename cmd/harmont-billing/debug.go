package main

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// debugConnections is the maximum number of connections to the debug address. They must not take the files of the database.
const debugConnections = 16

// serveDebug serves metrics, profiles and counters on a separate address, until the context ends. Everyone who can reach the address can
// slow the server down and see its memory, so it is never a part of the API.
func serveDebug(ctx context.Context, logger *slog.Logger, address string, observed prometheus.Collector) error {
	listener, err := listen(ctx, address)
	if err != nil {
		return fmt.Errorf("--debug-listen: %w", err)
	}
	at := slog.String("address", urlOf(listener, "/debug/"))
	logger.LogAttrs(ctx, slog.LevelInfo, "serving profiles", at)
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		logger.LogAttrs(ctx, slog.LevelWarn, "profiles are served to other machines, and need no token", at)
	}
	server := &http.Server{
		Handler: debugHandler(logger, observed), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(netutil.LimitListener(listener, debugConnections)); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("profiles are no longer served", "error", err)
		}
	}()
	return nil
}

// debugHandler leaves out the command line, which the packages would show as well: the URL of a database may hold a password.
func debugHandler(logger *slog.Logger, observed prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(observed, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector())
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/vars", writeVars)
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}))
	return mux
}

// writeVars writes the variables of expvar as JSON.
func writeVars(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, "{\n%q: %d", "goroutines", runtime.NumGoroutine())
	expvar.Do(func(v expvar.KeyValue) {
		if v.Key != "cmdline" {
			_, _ = fmt.Fprintf(w, ",\n%q: %s", v.Key, v.Value)
		}
	})
	_, _ = io.WriteString(w, "\n}\n")
}
