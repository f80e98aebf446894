// Package metrics makes metrics for Prometheus of what a server does:
//
//	m := metrics.New()
//	s, err := server.Open(ctx, server.Config{Database: "sqlite:billing.db", Observer: m})
//	if err != nil {
//		return err
//	}
//	m.Watch(s)
//	prometheus.MustRegister(m)
//
// The number of time series is bounded: labels are operations and statuses of the contract, never organizations, tokens or paths.
package metrics

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/harmont-dev/harmont-billing/server"
)

const namespace = "harmont_billing"

// other is the operation of requests that are for none of the contract.
const other = "other"

// requestSeconds bounds the buckets of the duration of a request, in seconds. A balance takes less than the first, a large breakdown more
// than the last.
var requestSeconds = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// Metrics is a [server.Observer] and a prometheus.Collector.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	cutOff   *prometheus.CounterVec
	pushed   []prometheus.Collector // all of those that Observer's methods change
	pulled   []gauge

	server atomic.Pointer[server.Server]
}

var (
	_ server.Observer      = (*Metrics)(nil)
	_ prometheus.Collector = (*Metrics)(nil)
)

// gauge is a number that is read when metrics are collected.
type gauge struct {
	desc *prometheus.Desc
	of   func(server.Load) int64
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
		pulled: []gauge{
			newGauge("requests_in_flight", "Requests that are being answered.", func(l server.Load) int64 { return l.Requests }),
		},
	}
	m.pushed = []prometheus.Collector{m.requests, m.duration, m.cutOff}
	return m
}

func newGauge(name, help string, of func(server.Load) int64) gauge {
	return gauge{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, nil, nil), of}
}

// Watch adds how busy the server is to the metrics.
func (m *Metrics) Watch(s *server.Server) { m.server.Store(s) }

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
	for _, g := range m.pulled {
		descs <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range m.pushed {
		c.Collect(metrics)
	}
	s := m.server.Load()
	if s == nil {
		return
	}
	load := s.Load()
	for _, g := range m.pulled {
		metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(g.of(load)))
	}
}
