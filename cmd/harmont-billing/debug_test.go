package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// Clients of the debug address take a bounded number of files. Further ones wait for one of them to leave.
func TestDebugConnectionsAreBounded(t *testing.T) {
	p := newProgram(t)
	server, _ := p.serve("--debug-listen", "127.0.0.1:0")
	address := server.waitFor(`msg="serving profiles" address=http://(\S+)/debug/\n`)[1]
	var first net.Conn
	for i := range debugConnections + 1 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if i == 0 {
			first = conn
		}
		if _, err := io.WriteString(conn, "GET /debug/pprof/cmdline HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answered := func(within time.Duration) bool {
			_ = conn.SetReadDeadline(time.Now().Add(within))
			_, err := conn.Read(make([]byte, 1))
			return err == nil
		}
		if i < debugConnections {
			if !answered(patience) {
				t.Fatalf("connection %d of %d gets no answer", i+1, debugConnections)
			}
			continue
		}
		if answered(200 * time.Millisecond) {
			t.Error("one connection too many is answered")
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if !answered(patience) {
			t.Error("it gets no answer after another one has left")
		}
	}
}

func TestDebugListen(t *testing.T) {
	p := newProgram(t)
	// The name of the file stands for the password that the URL of a database may hold.
	server, address := p.serve("--database", "sqlite:"+p.dir+"/secret.db", "--debug-listen", "127.0.0.1:0")
	debug := strings.TrimSuffix(server.waitFor(`msg="serving profiles" address=(http://\S+/debug/)\n`)[1], "/debug/")
	get := func(url string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for path, part := range map[string]string{
		"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile: total", "/debug/pprof/heap?debug=1": "heap profile",
		"/debug/pprof/profile?seconds=1": "", "/debug/pprof/symbol": "num_symbols",
	} {
		if status, body := get(debug + path); status != http.StatusOK || !strings.Contains(body, part) {
			t.Errorf("%s: %d\n%s", path, status, body)
		}
		if status, _ := get(address + path); status != http.StatusNotFound {
			t.Errorf("%s is there on the address of the API: %d", path, status)
		}
	}
	_, body := get(debug + "/debug/vars")
	var vars struct {
		Goroutines int64           `json:"goroutines"`
		MemStats   json.RawMessage `json:"memstats"`
	}
	if err := json.Unmarshal([]byte(body), &vars); err != nil || vars.Goroutines < 1 || len(vars.MemStats) == 0 {
		t.Errorf("/debug/vars: %v\n%s", err, body)
	}
	_, commandLine := get(debug + "/debug/pprof/cmdline")
	if strings.Contains(body+commandLine, "secret") {
		t.Errorf("the command line is shown:\n%s\n%s", body, commandLine)
	}
	status, samples := get(debug + "/metrics")
	for _, metric := range []string{
		`harmont_billing_requests_total{operation="other",status="404"}`, "harmont_billing_request_duration_seconds_bucket",
		"harmont_billing_requests_in_flight 0", "go_goroutines", "go_build_info", "process_open_fds",
	} {
		if status != http.StatusOK || !strings.Contains(samples, "\n"+metric) {
			t.Errorf("/metrics has no %s: %d\n%s", metric, status, samples)
		}
	}
	if problems, err := promlint.New(strings.NewReader(samples)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("the linter of Prometheus: %v, %v", problems, err)
	}
	if status, _ := get(address + "/metrics"); status != http.StatusNotFound {
		t.Errorf("metrics are there on the address of the API: %d", status)
	}
	if status, _ := get(debug + "/api/v0/billing/balance/acme"); status != http.StatusNotFound {
		t.Errorf("the API is there on the other address: %d", status)
	}
	if strings.Contains(server.text(), "level=WARN") {
		t.Errorf("it warns without a reason:\n%s", server.text())
	}

	taken := newProgram(t).run("serve", "--listen", "127.0.0.1:0", "--debug-listen", strings.TrimPrefix(address, "http://"))
	if taken.status != exitFailure || !strings.Contains(taken.stderr, "--debug-listen") {
		t.Errorf("on an address that is taken: status %d\n%s", taken.status, taken.stderr)
	}
}

func TestDebugListenWarns(t *testing.T) {
	server, _ := newProgram(t).serve("--debug-listen", "0.0.0.0:0")
	server.waitFor(`level=WARN msg="profiles are served to other machines, and need no token" address=http://`)
}
