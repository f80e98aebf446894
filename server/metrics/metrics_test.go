package metrics_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
	"github.com/harmont-dev/harmont-billing/server/metrics"
)

// served is a running server with a registry that gathers its metrics.
type served struct {
	t       *testing.T
	url     string
	token   string
	metrics *prometheus.Registry
}

func serve(t *testing.T, basePath string) served {
	t.Helper()
	m := metrics.New()
	s, err := server.Open(t.Context(), server.Config{
		Database: "sqlite:" + filepath.Join(t.TempDir(), "billing.db"), BasePath: basePath, Observer: m,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	m.Watch(s)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	if _, err := s.CreateOrganization(t.Context(), "acme", ""); err != nil {
		t.Fatal(err)
	}
	token, _, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "test", Role: server.RoleWrite, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return served{t, h.URL, token, registry}
}

func (s served) send(method, path, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		s.t.Fatal(err)
	}
}

func (s served) want(metric, series string) {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	help := ""
	for _, f := range families {
		if f.GetName() == metric {
			help = "# HELP " + metric + " " + f.GetHelp() + "\n# TYPE " + metric + " " + strings.ToLower(f.GetType().String()) + "\n"
		}
	}
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(help+series), metric); err != nil {
		s.t.Error(err)
	}
}

func TestRequestsAreCountedByOperation(t *testing.T) {
	for _, base := range []string{"", "/billing"} {
		t.Run(base, func(t *testing.T) {
			s := serve(t, base)
			api := base + "/api/v0/billing/"
			s.send(http.MethodGet, api+"balance/acme", "")
			s.send(http.MethodHead, api+"balance/acme/", "")
			s.send(http.MethodGet, api+"balance/globex", "")
			s.send(http.MethodGet, api+"balance/acme/more", "")
			s.send(http.MethodPost, api+"balance/acme", "")
			s.send(http.MethodPost, api+"leases/acme", `{"leases":`)
			s.send(http.MethodPost, api+"leases/acme", `{"leases":[]}`)
			s.send(http.MethodGet, api+"leases/acme", "")
			s.send(http.MethodGet, api+"usage/acme/breakdown?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", "")
			s.send(http.MethodGet, base+"/readyz", "")
			s.send(http.MethodGet, "/elsewhere/api/v0/billing/balance/acme", "")
			s.want("harmont_billing_requests_total", `
				harmont_billing_requests_total{operation="getBillingBalance",status="200"} 2
				harmont_billing_requests_total{operation="getBillingBalance",status="404"} 1
				harmont_billing_requests_total{operation="getBillingUsageBreakdown",status="200"} 1
				harmont_billing_requests_total{operation="listBillingLeases",status="200"} 1
				harmont_billing_requests_total{operation="other",status="200"} 1
				harmont_billing_requests_total{operation="other",status="404"} 2
				harmont_billing_requests_total{operation="other",status="405"} 1
				harmont_billing_requests_total{operation="recordLeases",status="400"} 1
				harmont_billing_requests_total{operation="recordLeases",status="422"} 1
				`)
			s.want("harmont_billing_requests_in_flight", "harmont_billing_requests_in_flight 0\n")
		})
	}
}

// values returns the values of the metric, by the values of its labels.
func (s served) values(metric string) map[string]float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == metric {
				labels := ""
				for _, l := range m.GetLabel() {
					labels += l.GetValue()
				}
				values[labels] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return values
}

func TestWritesAreCounted(t *testing.T) {
	s := serve(t, "")
	const lease = `{"leases":[{"lease_id":"01994f00-0000-7000-8000-000000000001","cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-06T10:00:00Z"}]}`
	before := s.values("harmont_billing_write_transactions_total")
	s.send(http.MethodPost, "/api/v0/billing/leases/acme", lease)
	s.send(http.MethodPost, "/api/v0/billing/leases/acme", lease) // which changes nothing
	s.send(http.MethodGet, "/api/v0/billing/balance/acme", "")
	s.want("harmont_billing_writes_total", "harmont_billing_writes_total 2\n")
	s.want("harmont_billing_writes_in_progress", "harmont_billing_writes_in_progress 0\n")
	after := s.values("harmont_billing_write_transactions_total")
	for outcome, want := range map[string]float64{"committed": 1, "rolled_back": 1, "failed": 0} {
		if got := after[outcome] - before[outcome]; got != want {
			t.Errorf("%v transactions are %s, want %v", got, outcome, want)
		}
	}
	if s.values("harmont_billing_write_transaction_seconds_total")[""] <= 0 {
		t.Error("the transactions took no time")
	}
}

// Requests for unknown organizations, paths and methods add no time series.
func TestSeriesAreBounded(t *testing.T) {
	s := serve(t, "")
	ask := func(from, to int) int {
		for i := from; i < to; i++ {
			name := "org-" + strconv.Itoa(i)
			s.send(http.MethodGet, "/api/v0/billing/balance/"+name, "")
			s.send(http.MethodGet, "/"+name, "")
			s.send("METHOD"+strconv.Itoa(i), "/api/v0/billing/balance/"+name, "")
		}
		n, err := testutil.GatherAndCount(s.metrics)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if first, later := ask(0, 1), ask(1, 20); first != later {
		t.Errorf("%d time series became %d", first, later)
	}
}

func TestLoad(t *testing.T) {
	m := metrics.New()
	m.WatchLoad(server.Load{
		Load: httpapi.Load{
			Connections: 5, ConnectionsLimit: 128, ConnectionsRefused: 6,
			BodyBytes: 70_000, BodyBytesLimit: 1 << 20, BodiesRefused: 2, Streams: 3, StreamsRefused: 4,
		},
		Pools: []server.Pool{
			{Name: "reads", InUse: 3, Idle: 2, Max: 16, Waits: 7, Waited: 1500 * time.Millisecond}, {Server: "replica:5432/billing", Name: "reads", Max: 8},
		},
		Replicas: []server.Replica{
			{Name: "replica:5432/billing", Used: true, Behind: 250 * time.Millisecond}, {Name: "lost:5432/billing", Behind: -1}, {Name: "lost:5432/billing", Behind: -1},
		},
	})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	s := served{t: t, metrics: registry}
	s.want("harmont_billing_pool_connections_in_use", `
		harmont_billing_pool_connections_in_use{pool="reads",server="primary"} 3
		harmont_billing_pool_connections_in_use{pool="reads",server="replica:5432/billing"} 0
		`)
	s.want("harmont_billing_pool_wait_seconds_total", `
		harmont_billing_pool_wait_seconds_total{pool="reads",server="primary"} 1.5
		harmont_billing_pool_wait_seconds_total{pool="reads",server="replica:5432/billing"} 0
		`)
	s.want("harmont_billing_connections", "harmont_billing_connections 5\n")
	s.want("harmont_billing_connections_limit", "harmont_billing_connections_limit 128\n")
	s.want("harmont_billing_connections_refused_total", "harmont_billing_connections_refused_total 6\n")
	s.want("harmont_billing_body_bytes", "harmont_billing_body_bytes 70000\n")
	s.want("harmont_billing_body_bytes_limit", "harmont_billing_body_bytes_limit 1.048576e+06\n")
	s.want("harmont_billing_bodies_refused_total", "harmont_billing_bodies_refused_total 2\n")
	s.want("harmont_billing_streams_open", "harmont_billing_streams_open 3\n")
	s.want("harmont_billing_streams_refused_total", "harmont_billing_streams_refused_total 4\n")
	s.want("harmont_billing_replica_lag_seconds", `
		harmont_billing_replica_lag_seconds{server="lost:5432/billing"} NaN
		harmont_billing_replica_lag_seconds{server="replica:5432/billing"} 0.25
		`)
	s.want("harmont_billing_replica_used", `
		harmont_billing_replica_used{server="lost:5432/billing"} 0
		harmont_billing_replica_used{server="replica:5432/billing"} 1
		`)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// A server of someone else's books has the metrics of its requests and none of a database.
func TestWatchAPI(t *testing.T) {
	m := metrics.New()
	api, err := httpapi.New(httpapi.Unimplemented{}, httpapi.Config{
		Observer: m,
		Authenticate: func(context.Context, string) (httpapi.Identity, error) {
			return httpapi.Identity{Role: httpapi.RoleRead, Organizations: []string{"acme"}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.WatchAPI(api)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	h := httptest.NewServer(api.Handler())
	t.Cleanup(h.Close)
	s := served{t, h.URL, "x", registry}
	s.send(http.MethodGet, "/api/v0/billing/balance/acme", "")
	s.want("harmont_billing_requests_total", `harmont_billing_requests_total{operation="getBillingBalance",status="404"} 1`+"\n")
	s.want("harmont_billing_requests_in_flight", "harmont_billing_requests_in_flight 0\n")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.Contains(name, "_write") || strings.Contains(name, "_pool") || strings.Contains(name, "_replica") {
			t.Errorf("there is %s", name)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestLint(t *testing.T) {
	s := serve(t, "")
	s.send(http.MethodGet, "/api/v0/billing/balance/acme", "")
	problems, err := testutil.GatherAndLint(s.metrics)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
