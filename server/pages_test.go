package server_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/server"
)

// A page may only run and load files of its own server.
func TestPagePolicies(t *testing.T) {
	s := start(t, server.Config{})
	for _, path := range []string{"//", "//docs", "//docs/errors/", "//docs/errors/internal", "//assets/app/main.js", "//assets/icon.svg"} {
		first := s.send(request{path: path}).want(http.StatusOK, "")
		policy := first.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		for _, loose := range []string{"unsafe", "http", "*", "script-src 'self' "} {
			if strings.Contains(policy, loose) {
				t.Errorf("%s: the policy %q allows %s", path, policy, loose)
			}
		}
		if first.header.Get("X-Content-Type-Options") != "nosniff" || first.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s is answered with %v", path, first.header)
		}
		again := s.send(request{path: path, header: map[string]string{"If-None-Match": first.header.Get("ETag")}})
		if again.status != http.StatusNotModified || len(again.body) > 0 {
			t.Errorf("%s, asked for again, is answered with %d", path, again.status)
		}
		s.send(request{method: "POST", path: path}).want(http.StatusMethodNotAllowed, "method_not_allowed")
	}
	for _, path := range []string{"//docs/", "//docs/errors", "//docs/errors/none", "//assets/", "//assets/app", "//assets/app/none.js", "//assets/..%2fweb.go", "//index.html"} {
		s.send(request{path: path}).want(http.StatusNotFound, "route_not_found")
	}
}

// Where nothing else is configured, the doc_url of every code is a page of this server.
func TestDocURLs(t *testing.T) {
	s := start(t, server.Config{})
	if got, want := s.send(request{path: "/nothing"}).envelope().Error.DocURL, s.url+"/docs/errors/route_not_found"; got != want {
		t.Fatalf("the doc_url is %s, want %s", got, want)
	}
	for _, info := range gen.Errors {
		code := info.Code
		page := s.send(request{path: "//docs/errors/" + code}).want(http.StatusOK, "")
		if text := string(page.body); !strings.Contains(text, "<code>"+code+"</code></h1>") || !strings.Contains(text, "<li>") {
			t.Errorf("the page of %s is %s", code, text)
		}
	}
	for header, want := range map[string]string{"https": "https://", "HTTPS": "https://", "javascript": "http://", "": "http://"} {
		got := s.send(request{path: "/nothing", header: map[string]string{"X-Forwarded-Proto": header, "X-Forwarded-Host": "evil.example"}}).envelope().Error.DocURL
		if got != want+strings.TrimPrefix(s.url, "http://")+"/docs/errors/route_not_found" {
			t.Errorf("by %q, the doc_url is %s", header, got)
		}
	}
	// A Host that is no plain name or address is not repeated, and where there is none, the connection's own address takes its place.
	for host, want := range map[string]string{
		"billing.example.com": "http://billing.example.com", "billing-1.example.com:8080": "http://billing-1.example.com:8080",
		"192.0.2.1": "http://192.0.2.1", "[2001:db8::1]:80": "http://[2001:db8::1]:80", "[::1]": "http://[::1]",
		"": s.url, "a_b": s.url, "a'b": s.url, "a:b": s.url, "a:80:80": s.url, "[a": s.url, "[::1]x": s.url, ":80": s.url, "a(b)": s.url, "a%41": s.url,
	} {
		if _, e := s.raw("GET /nothing HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); e.Error.DocURL != want+"/docs/errors/route_not_found" {
			t.Errorf("with the Host %q the doc_url is %s", host, e.Error.DocURL)
		}
	}
	for _, request := range []string{"GET /nothing HTTP/1.0\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"} {
		if _, e := s.raw(request); !strings.HasPrefix(e.Error.DocURL, s.url+"/docs/errors/") {
			t.Errorf("%q gets the doc_url %s", request, e.Error.DocURL)
		}
	}
	// Caches must not give an answer that depends on the Host to requests with another Host.
	if cached := s.send(request{path: "/nothing"}).header.Get("Cache-Control"); !strings.HasPrefix(cached, "private") {
		t.Errorf("Cache-Control: %s", cached)
	}
	configured := start(t, server.Config{DocURL: "https://docs.example.com/"}).send(request{path: "/nothing"})
	if cached := configured.header.Get("Cache-Control"); cached != "" || configured.envelope().Error.DocURL != "https://docs.example.com/route_not_found" {
		t.Errorf("Cache-Control: %s; %s", cached, configured.body)
	}
}

func TestBasePath(t *testing.T) {
	s := start(t, server.Config{BasePath: "/ci/billing"})
	token := s.withOrg("acme", server.RoleWrite)
	get := func(path string) response {
		return s.send(request{path: "/" + path, token: token})
	}
	get("/ci/billing/api/v0/billing/balance/acme").want(http.StatusOK, "")
	get("/ci/billing/api/v0/billing/balance/%61cme").want(http.StatusOK, "")
	get("/ci//billing/api/v0//billing/balance/%61cme/").want(http.StatusOK, "")
	s.send(request{method: "POST", path: "//ci/billing/api/v0/billing/leases/acme", token: token, body: leaseBody() + strings.Repeat(" ", 2<<20)}).want(http.StatusOK, "")
	for _, path := range []string{"/ci/billing/", "/ci/billing/docs", "/ci/billing/healthz", "/ci/billing/readyz", "/ci/billing/assets/icon.svg"} {
		get(path).want(http.StatusOK, "")
	}
	for _, path := range []string{"/", "/ci", "/ci/", "/api/v0/billing/balance/acme", "/healthz", "/ci/billingx", "/ci/billing/ci/billing/", "/ci%2fbilling/healthz", "/ci/billing%2fhealthz"} {
		if got := get(path).want(http.StatusNotFound, "route_not_found").envelope().Error.DocURL; got != s.url+"/ci/billing/docs/errors/route_not_found" {
			t.Errorf("%s: the doc_url is %s", path, got)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(s.url + "/ci/billing")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if to, err := res.Location(); err != nil || to.Path != "/ci/billing/" || res.Header.Get("X-Request-Id") == "" {
		t.Errorf("without a slash, one is sent to %v: %v", to, err)
	}
	if body := string(get("/ci/billing/openapi.json").body); !strings.Contains(body, `"url":"/ci/billing"`) {
		t.Error("openapi.json names another server")
	}
	if body := string(get("/ci/billing/openapi.yaml").body); !strings.Contains(body, "- url: /ci/billing\n") {
		t.Error("openapi.yaml names another server")
	}

	for _, base := range []string{"billing", "/billing//", "/a/../b", "/a b", "/ä", "/a?b", "/%41", "//", `/a"b`, "/a:b"} {
		opened, err := server.Open(t.Context(), server.Config{Database: "sqlite:" + t.TempDir() + "/b.db", BasePath: base})
		if !errors.Is(err, server.ErrInvalid) {
			t.Errorf("the base path %q: %v", base, err)
		}
		if err == nil {
			opened.Close()
		}
	}
	for _, base := range []string{"/", "/billing/"} {
		start(t, server.Config{BasePath: base}).send(request{path: "/" + strings.TrimSuffix(base, "/") + "/healthz"}).want(http.StatusOK, "")
	}
}
