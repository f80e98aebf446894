package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an OpenTelemetry collector that keeps the requests it receives.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	raw      strings.Builder
	resource map[string]string
	spans    []*tracepb.Span
}

func newCollector(t *testing.T) *collector {
	c := &collector{resource: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		from := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzip, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			from = unzip
		}
		body, err := io.ReadAll(from)
		if err != nil {
			t.Error(err)
			return
		}
		var sent coltracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &sent); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, of := range sent.ResourceSpans {
			maps.Copy(c.resource, values(of.Resource.Attributes))
			for _, scope := range of.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func values(attributes []*commonpb.KeyValue) map[string]string {
	values := map[string]string{}
	for _, a := range attributes {
		values[a.Key] = a.Value.GetStringValue()
		if _, ok := a.Value.Value.(*commonpb.AnyValue_IntValue); ok {
			values[a.Key] = hex.EncodeToString([]byte{byte(a.Value.GetIntValue() >> 8), byte(a.Value.GetIntValue())})
		}
	}
	return values
}

func TestTraces(t *testing.T) {
	to := newCollector(t)
	p := newProgram(t)
	p.ok("org", "create", "acme", "--name", "Secret Name")
	token := strings.TrimSpace(p.ok("token", "create", "--name", "scheduler", "--role", "write", "--org", "acme"))
	server, api := p.with("OTEL_EXPORTER_OTLP_ENDPOINT="+to.URL, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test").serve()

	const requestID, caller, parent = "0123456789-0123456789", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	send := func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, api+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Request-Id", requestID)
		req.Header.Set("Traceparent", "00-"+caller+"-"+parent+"-01")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	send(http.MethodGet, "/api/v0/billing/balance/acme", "")
	send(http.MethodPost, "/api/v0/billing/leases/acme", `{"leases":[{"lease_id":"01994f00-0000-7000-8000-000000000001","job_name":"secret job","cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-06T10:00:00Z"}]}`)
	send(http.MethodGet, "/api/v0/billing/balance/secret-slug", "")
	send(http.MethodGet, "/secret-path", "")
	send(http.MethodGet, "/api/v0/billing/usage/acme/breakdown?from=2026-06-01T00:00:00Z&to=2026-07-01T00:00:00Z", "")
	http.DefaultClient.CloseIdleConnections()
	server.signal(syscall.SIGTERM) // the spans that wait are sent then
	if status := server.wait(); status.ExitStatus() != exitOK {
		t.Errorf("%v\n%s", server.cmd.ProcessState, server.text())
	}

	to.mu.Lock()
	defer to.mu.Unlock()
	if to.resource["service.name"] != "harmont-billing" || to.resource["service.version"] == "" || to.resource["deployment.environment.name"] != "test" {
		t.Errorf("the resource is %v", to.resource)
	}
	ids := map[string]string{}
	for _, span := range to.spans {
		ids[string(span.SpanId)] = span.Name
	}
	got := map[string]int{}
	for _, span := range to.spans {
		if hex.EncodeToString(span.TraceId) != caller || span.EndTimeUnixNano < span.StartTimeUnixNano {
			t.Errorf("%s is in the trace %x", span.Name, span.TraceId)
		}
		of := values(span.Attributes)
		line := span.Name
		if span.Kind == tracepb.Span_SPAN_KIND_SERVER {
			if hex.EncodeToString(span.ParentSpanId) != parent || of["harmont.request_id"] != requestID || of["harmont.operation"] != strings.TrimPrefix(of["harmont.operation"], "other") {
				t.Errorf("%s: parent %x, %v", span.Name, span.ParentSpanId, of)
			}
			line += " " + of["http.response.status_code"] + " " + of["harmont.organization"] + " " + of["http.route"]
		} else {
			line = ids[string(span.ParentSpanId)] + " > " + line
		}
		got[line]++
	}
	for _, line := range []string{
		"getBillingBalance 00c8 acme /api/v0/billing/balance/{org}", "getBillingBalance > store.Grant", "getBillingBalance > store.Head",
		"recordLeases 00c8 acme /api/v0/billing/leases/{org}", "recordLeases > store.Write",
		"getBillingBalance 0194  /api/v0/billing/balance/{org}", "other 0194  ",
		"getBillingUsageBreakdown 00c8 acme /api/v0/billing/usage/{org}/breakdown", "getBillingUsageBreakdown > store.Breakdown",
	} {
		if got[line] == 0 {
			t.Errorf("there is no span %q in %v", line, got)
		}
	}
	for _, private := range []string{token, strings.TrimPrefix(token, "hmt_"), "secret", "Secret"} {
		if strings.Contains(to.raw.String(), private) {
			t.Errorf("the traces contain %q", private)
		}
	}
}

func TestTracesThatCannotBeSent(t *testing.T) {
	p := newProgram(t)
	for _, tt := range []struct{ env, want string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT=user:hunter2@collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://127.0.0.1:4318"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must be a URL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317\nOTEL_EXPORTER_OTLP_PROTOCOL=grpc", "may only be http/protobuf"},
	} {
		got := p.with(strings.Split(tt.env, "\n")...).run("serve", "--listen", "127.0.0.1:0")
		if got.status != exitUsage || !strings.Contains(got.stderr, tt.want) || strings.Contains(got.stderr, "hunter2") {
			t.Errorf("%s: %+v", tt.env, got)
		}
	}

	// A collector that is not there harms neither the calls nor the end.
	gone := newCollector(t)
	gone.Close()
	server, api := p.with("OTEL_EXPORTER_OTLP_ENDPOINT="+gone.URL, "OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_EXPORTER_OTLP_TIMEOUT=300").serve()
	resp, err := http.Get(api + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	equal(t, "an answer", resp.Status, "200 OK")
	server.waitFor(`level=WARN msg="traces are not sent"`)
	server.signal(syscall.SIGTERM)
	if status := server.wait(); status.ExitStatus() != exitOK {
		t.Errorf("%v\n%s", server.cmd.ProcessState, server.text())
	}
}
