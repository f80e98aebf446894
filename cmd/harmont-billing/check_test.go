package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/conformance"
)

// checking starts a server on books with leases of the last days. It returns the program, set up to ask the server, and the server's
// address.
func checking(t *testing.T) (program, string) {
	t.Helper()
	p := newProgram(t)
	recent := time.Now().UTC().AddDate(0, 0, -3).Format(time.DateOnly)
	p.reading(strings.NewReplacer("2026-06-06", recent, "2026-06-07", recent).Replace(books)).ok("import", "-")
	p.ok("org", "create", "globex")
	p.ok("org", "create", "initech")
	token := strings.TrimSpace(p.ok("token", "create", "--name", "check", "--role", "read", "--org", "acme", "--org", "globex"))
	_, address := p.serve()
	return p.with("HARMONT_TOKEN=" + token), address
}

// changing stands before a server and changes its answers.
func changing(t *testing.T, address string, change func(*http.Request, string) string) string {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came, malformed or not
		},
		ModifyResponse: func(resp *http.Response) error {
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			if resp.Request.Method != http.MethodHead && resp.Header.Get("Content-Encoding") == "" {
				body = []byte(change(resp.Request, string(body)))
				resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
			}
			resp.Body = io.NopCloser(bytes.NewReader(body))
			return nil
		},
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	return srv.URL
}

var (
	anyDate      = regexp.MustCompile(`\d{4}-\d\d-\d\d`)
	anyRequestID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// goldenReport compares a report with a file, without the parts that differ in each run.
func goldenReport(t *testing.T, name, address, report string) {
	t.Helper()
	report = strings.ReplaceAll(report, address, "http://SERVER")
	golden(t, name, anyRequestID.ReplaceAllString(anyDate.ReplaceAllString(report, "DATE"), "ID"))
}

func TestCheck(t *testing.T) {
	p, address := checking(t)
	report := p.ok("check", address+"/", "--hidden-org", "initech")
	goldenReport(t, "check.txt", address, report)
	if strings.Contains(report, "FAIL") {
		t.Error("the server does not keep to its own contract")
	}

	var found conformance.Report
	if err := json.Unmarshal([]byte(p.ok("check", address, "--org", "acme", "-o", "json")), &found); err != nil {
		t.Fatal(err)
	}
	if found.Failed != 0 || found.Passed+found.Skipped != len(found.Rules) || len(found.Organizations) != 1 || found.Organizations[0].Jobs == 0 {
		t.Errorf("%+v", found)
	}
}

func TestCheckFindsBreaches(t *testing.T) {
	p, address := checking(t)
	address = changing(t, address, func(r *http.Request, body string) string {
		switch {
		case strings.HasSuffix(r.URL.Path, "/balance/ACME"):
			return "\x1b[2Jgone" // must not reach a terminal
		case strings.HasSuffix(r.URL.Path, "/balance/acme"):
			return strings.Replace(body, `"balance_cents":-`, `"balance_cents":-1`, 1)
		}
		return body
	})
	got := p.run("check", address, "--org", "acme")
	goldenReport(t, "check-breaches.txt", address, got.stdout)
	if got.status != exitFailure || !strings.Contains(got.stderr, "broken") {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
	var found conformance.Report
	got = p.run("check", address, "--org", "acme", "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &found); err != nil || got.status != exitFailure || found.Failed == 0 {
		t.Errorf("status %d, %v: %s", got.status, err, got.stdout)
	}
}

// With --write, every rule can be checked on an organization that was empty.
func TestCheckWrites(t *testing.T) {
	p, address := checking(t)
	got := p.run("check", address, "--org", "globex", "--write")
	if got.status != exitFailure || got.stdout != "" || !strings.Contains(got.stderr, "they need the role admin") {
		t.Errorf("with a token of the role read: status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	token := strings.TrimSpace(p.ok("token", "create", "--name", "write", "--role", "admin", "--org", "globex", "--org", "acme"))
	report := p.with("HARMONT_TOKEN="+token).ok("check", address, "--org", "globex", "--hidden-org", "initech", "--write")
	if n := strings.Count(report, "skip  "); n != 1 || strings.Contains(report, "FAIL") || !strings.Contains(report, "\nWrites\n  pass  ") {
		t.Errorf("%d rules are skipped, and 429 and 503 cannot be shown:\n%s", n, report)
	}
}

func TestCheckCannotBegin(t *testing.T) {
	p, address := checking(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	listener.Close()
	for _, tt := range []struct{ address, org, token, want string }{
		{nobody, "acme", "", "no usable answer from " + nobody + ": "},
		{address, "nobody", "", "the token does not see the organization nobody\n"},
		{address, "acme", "HARMONT_TOKEN=hmt_unknown", "the server does not take the token\n"},
	} {
		got := p.with(tt.token).run("check", tt.address, "--org", tt.org)
		if got.status != exitFailure || got.stdout != "" || !strings.HasPrefix(got.stderr, "harmont-billing: "+tt.want) {
			t.Errorf("status %d\n%s%s\nwant %s", got.status, got.stdout, got.stderr, tt.want)
		}
	}
}

func TestCheckWrongUsage(t *testing.T) {
	p := newProgram(t, "HARMONT_TOKEN=hmt_x")
	for _, tt := range []struct{ args, env, want string }{
		{"check", "", "URL is missing"},
		{"check http://127.0.0.1:1 http://127.0.0.1:2", "", "one URL is needed, not 2"},
		{"check 127.0.0.1:8080", "", "must be absolute"},
		{"check http://me:secret@127.0.0.1", "", "must not hold a user or password"},
		{"check http://127.0.0.1:1", "HARMONT_TOKEN=", "which token?"},
		{"check http://127.0.0.1:1 -o csv", "", "must be table or json"},
		{"check http://127.0.0.1:1 --org ..", "", "is not an organization's slug"},
		{"check http://127.0.0.1:1 --write", "", "--write needs --org"},
		{"check http://127.0.0.1:1 --timeout 0s", "", "--timeout must be above 0"},
	} {
		got := p.with(tt.env).run(strings.Fields(tt.args)...)
		if got.status != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: status %d\n%s%s", tt.args, got.status, got.stdout, got.stderr)
		}
	}
}
