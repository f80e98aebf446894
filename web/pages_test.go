package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/server"
	"github.com/harmont-dev/harmont-billing/web"
)

// The reference shows every call, and makes one with the token of the reader.
func TestReference(t *testing.T) {
	s, token := small(t, server.Config{})
	p := open(t, look{}).visit(s.url + "/?last=30d#token=" + token).until(loaded)
	// The page names the calls that it makes, and each leads to its description.
	calls := eval[[]string](p, "[...document.querySelectorAll('#usage a[href^=\"docs#\"]')].map((a) => a.hash)")
	for _, call := range calls {
		name := call[strings.LastIndex(call, "/")+1:]
		if httpserver.Operations[name] == nil {
			t.Errorf("the page names the call %s", call)
		}
	}
	p.click("#builds .api").until("document.querySelector('.opblock.is-open')")
	if id := eval[string](p, "document.querySelector('.opblock.is-open').id"); id != "operations-billing-getBillingUsageBreakdown" {
		t.Errorf("the link of the builds opens %s", id)
	}
	p.until("document.activeElement.closest('.opblock.is-open')")
	p.click("#operations-billing-getBillingUsageBreakdown .opblock-summary-control").until("!document.querySelector('.opblock.is-open')")
	if n := eval[int](p, "document.querySelectorAll('.opblock').length"); n != len(httpserver.Operations) {
		t.Errorf("%d calls are shown, and the contract has %d", n, len(httpserver.Operations))
	}
	p.accessible().shoot("reference")
	tryBalance(p)
	if answer := p.text(".live-responses-table"); !strings.Contains(answer, `"balance_cents"`) {
		t.Errorf("the answer is %s", answer)
	}
	p.shoot("reference-answer")
}

func TestReferenceAtNight(t *testing.T) {
	testlong.Only(t, "the page has thousands of elements")
	s := serve(t, server.Config{})
	p := open(t, look{dark: true}).visit(s.url + "/docs").until("document.querySelector('.opblock')")
	p.expect("401")
	tryBalance(p)
	if answer := p.text(".live-responses-table"); !strings.Contains(answer, `"unauthorized"`) {
		t.Errorf("without a token, the answer is %s", answer)
	}
	p.accessible().shoot("reference-dark")
}

func tryBalance(p *tab) {
	p.t.Helper()
	p.click("#operations-billing-getBillingBalance .opblock-summary-control").click(".try-out__btn").click(".execute")
	p.until("document.querySelector('.live-responses-table')")
}

// Below a path, behind a proxy, every page and every call finds its way; outside the path there is nothing.
func TestBasePathBehindProxy(t *testing.T) {
	s, token := small(t, server.Config{BasePath: "/billing"})
	target, err := url.Parse(strings.TrimSuffix(s.url, "/billing"))
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/billing") {
			t.Errorf("%s is asked for, outside the base path", r.URL)
			http.NotFound(w, r)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)

	p := open(t, look{}).visit(proxy.URL + "/billing/?last=30d#token=" + token).until(loaded)
	p.click("[data-last='7d']").until(loaded)
	p.click("#builds .expand").until("document.querySelector('#builds tr.job')")
	p.do(chromedp.Reload())
	p.until(loaded)
	p.click("nav a[href=docs]").until("document.querySelector('.opblock')")
	tryBalance(p)
	if answer := p.text(".live-responses-table"); !strings.Contains(answer, `"balance_cents"`) {
		t.Errorf("the reference's answer is %s", answer)
	}
	p.click("nav a[href='docs/errors/']").until("document.querySelector('dl a')")
	p.click("dl a").until("document.querySelector('.trail')")
	p.click(".brand").until(loaded)

	// The doc_url leads through the proxy, too.
	p.expect("404")
	docURL := eval[string](p, "fetch('api/v0/nothing').then((r) => r.json()).then(({error}) => error.doc_url)")
	if docURL != proxy.URL+"/billing/docs/errors/route_not_found" {
		t.Errorf("the doc_url is %s", docURL)
	}
	p.visit(docURL)
	if title := p.text("h1"); title != "route_not_found" {
		t.Errorf("there, the title is %s", title)
	}
}

// Each error's page can be read by everyone.
func TestErrorPages(t *testing.T) {
	s := serve(t, server.Config{})
	p := open(t, look{}).visit(s.url + "/docs/errors/").accessible()
	p.shoot("error-index")
	links := eval[[]string](p, "[...document.querySelectorAll('dl a')].map((a) => a.href)")
	if len(links) != len(gen.Errors) {
		t.Errorf("%d errors are listed, and the contract has %d", len(links), len(gen.Errors))
	}
	for _, page := range eval[[]struct {
		Link, Title string
		Advice      int
	}](p, `Promise.all([...document.querySelectorAll('dl a')].map(async ({href}) => {
		const page = new DOMParser().parseFromString(await (await fetch(href)).text(), 'text/html');
		return {Link: href, Title: page.querySelector('h1').textContent, Advice: page.querySelectorAll('li').length};
	}))`) {
		if !strings.HasSuffix(page.Link, "/"+page.Title) {
			t.Errorf("%s has the title %s", page.Link, page.Title)
		}
		if page.Advice == 0 {
			t.Errorf("%s gives no advice", page.Link)
		}
	}
	p.visit(links[0]).accessible().shoot("error")
}

func TestAssets(t *testing.T) {
	if f, ok := web.Asset("app/main.js"); !ok || f.ContentType != "text/javascript; charset=utf-8" || len(f.Body) == 0 {
		t.Errorf("main.js is %v %s", ok, f.ContentType)
	}
	for _, name := range []string{"", "app", "none.js", "../web.go", "../pages/usage.html", "app/../app/main.js", "/app/main.js"} {
		if _, ok := web.Asset(name); ok {
			t.Errorf("%q is there", name)
		}
	}
}
