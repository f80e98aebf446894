// Package metrics exports the activity of a server as Prometheus metrics:
//
//	m := metrics.New()
//	s, err := server.Open(ctx, server.Config{Database: "sqlite:billing.db", Observer: m})
//	if err != nil {
//		return err
//	}
//	m.Watch(s)
//	prometheus.MustRegister(m)
//
// A server of httpapi.New or server.New is watched in the same way, with [Metrics.WatchAPI].
//
// The number of time series is bounded: labels are operations and statuses of the contract, never organizations, tokens or paths.
package metrics

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
)

const namespace = "harmont_billing"

// other labels requests that match no operation of the contract.
const other = "other"

// requestSeconds bounds the buckets of the duration of a request, in seconds. A balance takes less than the first, a large breakdown more
// than the last.
var requestSeconds = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// Metrics is a [server.Observer] and a prometheus.Collector.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	cutOff   *prometheus.CounterVec
	pushed   []prometheus.Collector // all of the above
	pulled   []pulled
	watched  atomic.Pointer[watched]
}

// watched is how busy a server is.
type watched struct {
	load     func() server.Load
	hasBooks bool // whether the load has that of the server's own books
}

var (
	_ server.Observer      = (*Metrics)(nil)
	_ prometheus.Collector = (*Metrics)(nil)
)

// pulled is a metric that is read when metrics are collected.
type pulled struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	read    func(l server.Load, add func(value float64, labels ...string))
	ofBooks bool
}

// New returns metrics of a server that has answered nothing yet.
func New() *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total",
			Help: "Answered requests, by operationId and status code. Pages and unknown paths are the operation other.",
		}, []string{"operation", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds", Buckets: requestSeconds,
			Help: "Time from the head of a request to the end of its answer, by operationId.",
		}, []string{"operation"}),
		cutOff: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "answers_cut_off_total",
			Help: "Answers that ended early, by operationId and by who ended them: the client, or the server after a failure or for a slow reader.",
		}, []string{"operation", "by"}),
		pulled: []pulled{
			ofServer(prometheus.GaugeValue, "requests_in_flight", "Requests that are being answered.",
				func(l server.Load) int64 { return l.Requests }),
			ofServer(prometheus.GaugeValue, "connections", "Open connections of clients.",
				func(l server.Load) int64 { return l.Connections }),
			ofServer(prometheus.GaugeValue, "connections_limit", "How many connections clients may have, which follows from the limit of open files.",
				func(l server.Load) int64 { return l.ConnectionsLimit }),
			ofServer(prometheus.CounterValue, "connections_refused_total", "Clients that were refused because requests were under way on all connections.",
				func(l server.Load) int64 { return l.ConnectionsRefused }),
			ofServer(prometheus.GaugeValue, "body_bytes", "Bytes of the budget for bodies in use. Bodies of up to 64 KiB do not count.",
				func(l server.Load) int64 { return l.BodyBytes }),
			ofServer(prometheus.GaugeValue, "body_bytes_limit", "Bytes of the budget for bodies.",
				func(l server.Load) int64 { return l.BodyBytesLimit }),
			ofServer(prometheus.CounterValue, "bodies_refused_total", "Requests that were refused because other bodies took all of the budget.",
				func(l server.Load) int64 { return l.BodiesRefused }),
			ofServer(prometheus.GaugeValue, "streams_open", "Breakdowns that are being sent.",
				func(l server.Load) int64 { return l.Streams }),
			ofServer(prometheus.CounterValue, "streams_refused_total", "Breakdowns that were refused because the token or the organization had too many under way.",
				func(l server.Load) int64 { return l.StreamsRefused }),
			ofBooks(prometheus.CounterValue, "writes_total", "Calls that wrote. Those that come at the same time share a transaction, so that the quotient by committed transactions is the size of a batch.",
				func(l server.Load) int64 { return l.Writes.Calls }),
			ofBooks(prometheus.GaugeValue, "writes_in_progress", "Calls that are queued to be written, or whose transaction runs.",
				func(l server.Load) int64 { return l.Writes.InProgress }),
			newPulled(prometheus.CounterValue, "write_transactions_total", "Write transactions, by outcome: committed, rolled_back if there was nothing to change, failed if the database could not commit.",
				[]string{"outcome"}, func(l server.Load, add func(float64, ...string)) {
					add(float64(l.Writes.Committed), "committed")
					add(float64(l.Writes.RolledBack), "rolled_back")
					add(float64(l.Writes.Failed), "failed")
				}),
			newPulled(prometheus.CounterValue, "write_transaction_seconds_total", "Time of all write transactions together.", nil,
				func(l server.Load, add func(float64, ...string)) { add(l.Writes.Busy.Seconds()) }),
			ofPools(prometheus.GaugeValue, "pool_connections_in_use", "Connections to PostgreSQL in use, by server and pool. The server is primary or the name of a replica.",
				func(p server.Pool) float64 { return float64(p.InUse) }),
			ofPools(prometheus.GaugeValue, "pool_connections_idle", "Connections to PostgreSQL that are open and not in use.",
				func(p server.Pool) float64 { return float64(p.Idle) }),
			ofPools(prometheus.GaugeValue, "pool_connections_max", "How many connections to PostgreSQL the pool may have.",
				func(p server.Pool) float64 { return float64(p.Max) }),
			ofPools(prometheus.CounterValue, "pool_waits_total", "How often a call waited for a connection to PostgreSQL.",
				func(p server.Pool) float64 { return float64(p.Waits) }),
			ofPools(prometheus.CounterValue, "pool_wait_seconds_total", "How long calls waited for a connection to PostgreSQL.",
				func(p server.Pool) float64 { return p.Waited.Seconds() }),
			ofReplicas("replica_lag_seconds", "How far a replica is behind the primary at most. NaN if nothing is known.",
				func(r server.Replica) float64 {
					if r.Behind < 0 {
						return math.NaN()
					}
					return r.Behind.Seconds()
				}),
			ofReplicas("replica_used", "1 if a replica is read from, 0 if it is left out.",
				func(r server.Replica) float64 {
					if r.Used {
						return 1
					}
					return 0
				}),
		},
	}
	m.pushed = []prometheus.Collector{m.requests, m.duration, m.cutOff}
	return m
}

func newPulled(
	kind prometheus.ValueType, name, help string, labels []string, read func(server.Load, func(float64, ...string)),
) pulled {
	return pulled{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil), kind, read, true}
}

func ofBooks(kind prometheus.ValueType, name, help string, of func(server.Load) int64) pulled {
	return newPulled(kind, name, help, nil, func(l server.Load, add func(float64, ...string)) { add(float64(of(l))) })
}

func ofServer(kind prometheus.ValueType, name, help string, of func(server.Load) int64) pulled {
	p := ofBooks(kind, name, help, of)
	p.ofBooks = false
	return p
}

func ofPools(kind prometheus.ValueType, name, help string, of func(server.Pool) float64) pulled {
	return newPulled(kind, name, help, []string{"server", "pool"}, func(l server.Load, add func(float64, ...string)) {
		for _, p := range l.Pools {
			add(of(p), cmp.Or(p.Server, "primary"), p.Name)
		}
	})
}

func ofReplicas(name, help string, of func(server.Replica) float64) pulled {
	return newPulled(prometheus.GaugeValue, name, help, []string{"server"}, func(l server.Load, add func(float64, ...string)) {
		for _, r := range l.Replicas {
			add(of(r), r.Name)
		}
	})
}

// Watch adds how busy the server and its database are to the metrics.
func (m *Metrics) Watch(s *server.Server) { m.watch(s.Load) }

func (m *Metrics) watch(load func() server.Load) { m.watched.Store(&watched{load, true}) }

// WatchAPI adds how busy a server of someone else's books is to the metrics. Those of the database are left out.
func (m *Metrics) WatchAPI(s *httpapi.Server) {
	m.watched.Store(&watched{func() server.Load { return server.Load{Load: s.Load()} }, false})
}

// Answered implements [server.Observer].
func (m *Metrics) Answered(a server.Answer) {
	operation := a.Operation
	if operation == "" {
		operation = other
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(a.Status)).Inc()
	m.duration.WithLabelValues(operation).Observe(a.Took.Seconds())
	switch {
	case a.ClientLeft:
		m.cutOff.WithLabelValues(operation, "client").Inc()
	case a.CutOff:
		m.cutOff.WithLabelValues(operation, "server").Inc()
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descs chan<- *prometheus.Desc) {
	for _, c := range m.pushed {
		c.Describe(descs)
	}
	for _, p := range m.pulled {
		descs <- p.desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range m.pushed {
		c.Collect(metrics)
	}
	watched := m.watched.Load()
	if watched == nil {
		return
	}
	now := watched.load()
	for _, p := range m.pulled {
		if p.ofBooks && !watched.hasBooks {
			continue
		}
		seen := map[string]bool{} // a replica that was given twice has one time series
		p.read(now, func(value float64, labels ...string) {
			if key := strings.Join(labels, " "); !seen[key] {
				seen[key] = true
				metrics <- prometheus.MustNewConstMetric(p.desc, p.kind, value, labels...)
			}
		})
	}
}
