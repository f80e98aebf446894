package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"

	made "github.com/harmont-dev/harmont-billing/internal/demo"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/server"
)

const (
	// pathEnv names a Chromium; otherwise it is looked for.
	pathEnv = "TEST_BROWSER"
	// requiredEnv makes a missing Chromium a failure instead of a skip.
	requiredEnv = "TEST_BROWSER_REQUIRED"
	// patience is how long a page may take at most.
	patience = time.Minute
)

// chromium finds the browser's program.
func chromium() (string, error) {
	if path := os.Getenv(pathEnv); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no chromium")
}

// TestBrowser says whether the pages are tested in a browser, for the end of make test.
func TestBrowser(*testing.T) {
	if path, err := chromium(); err != nil {
		fmt.Printf("NOTE: Browser: NONE, so the pages were NOT tested: %v\n", err)
	} else {
		fmt.Printf("NOTE: Browser: %s\n", path)
	}
}

var shared struct {
	sync.Mutex
	ctx  context.Context //nolint:containedctx // the browser of all tests is a context
	stop func()
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	testbinary.Remove()
	os.Exit(status)
}

// sharedBrowser starts the browser of all tests; each has its own profile in it. It skips the test where there is no browser.
func sharedBrowser(t *testing.T) context.Context {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.ctx != nil {
		return shared.ctx
	}
	path, err := chromium()
	if err != nil && os.Getenv(requiredEnv) != "" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
	profile, err := os.MkdirTemp("", "harmont-billing-chromium-") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en-GB"),
		// All that follows saves processor time. The browser starts no process in advance, keeps no page that was left, and makes no
		// popups for an address bar that nobody sees. All pages are in one process, which would otherwise be started for each test. Code
		// that runs for a moment is not optimized.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,SpareRendererForSitePerProcess,BackForwardCache,"+
			"WebUIOmniboxPopup,WebUIOmniboxAimPopup"),
		chromedp.Flag("process-per-site", true), chromedp.Flag("disable-site-isolation-trials", true),
		chromedp.Flag("renderer-process-limit", "1"),
		chromedp.Flag("js-flags", "--no-maglev,--no-turbofan"),
	)...)
	ctx, stop := chromedp.NewContext(allocator)
	shared.stop = func() {
		stop()
		stopAllocator()
		if err := os.RemoveAll(profile); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := chromedp.Do(ctx); err != nil {
		shared.stop()
		t.Fatal(err)
	}
	shared.ctx = ctx //nolint:fatcontext // it is kept, it does not grow
	return ctx
}

// tab is a tab of the shared browser. One test uses it at a time.
type tab struct {
	t         *testing.T
	ctx       context.Context //nolint:containedctx // a tab is a context
	close     context.CancelFunc
	downloads string

	mu        sync.Mutex
	used      bool                // by a test, which t is
	host      string              // anything that is loaded must come from it
	expected  []string            // parts of complaints that a test provokes
	intercept func(string) string // returns the answer to a request by its URL; empty for the server's answer
}

// idle are the tabs that no test uses.
var idle []*tab

// look is how a reader looks at the pages.
type look struct {
	width, height int64
	dark          bool
	zone          string
}

// open returns a tab with an empty page. Tabs are used again, because a new one takes the browser two seconds of processor time.
// Every test serves pages from an origin of its own, so a tab keeps no session of an earlier test.
// A test has one tab at a time, because all tabs share a process, and so its time zone.
func open(t *testing.T, l look) *tab {
	t.Helper()
	p := takeTab(t)
	t.Cleanup(p.release)
	if l.width == 0 {
		l.width, l.height = 1280, 900
	}
	if l.zone == "" {
		l.zone = "Europe/Berlin"
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1})
	call(p, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: l.zone})
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	call(p, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: p.downloads, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	})
	return p
}

// takeTab takes a tab that is idle, or makes one.
func takeTab(t *testing.T) *tab {
	t.Helper()
	var p *tab
	shared.Lock()
	if n := len(idle); n > 0 {
		p, idle = idle[n-1], idle[:n-1]
	}
	shared.Unlock()
	made := p == nil
	if made {
		p = new(tab)
		p.ctx, p.close = chromedp.NewContext(sharedBrowser(t))
	}
	p.mu.Lock()
	p.t, p.used, p.downloads = t, true, t.TempDir()
	p.mu.Unlock()
	if made {
		p.do(chromedp.Steps())
		if err := chromedp.Listen(p.ctx, p.observe); err != nil {
			t.Fatal(err)
		}
		call(p, network.Enable, network.EnableParams{})
		call(p, cdplog.Enable, cdp.Empty{})
	}
	return p
}

// release makes the tab idle. It closes a tab that does not become an empty page.
func (p *tab) release() {
	p.mu.Lock()
	p.used, p.host, p.expected, p.intercept = false, "", nil, nil
	p.mu.Unlock()
	if p.t.Failed() || p.empty() != nil {
		p.close()
		return
	}
	shared.Lock()
	defer shared.Unlock()
	idle = append(idle, p)
}

// empty leaves the page, and forgets its session and the history of the tab.
func (p *tab) empty() error {
	if err := chromedp.Do(p.ctx, chromedp.Steps(
		chromedp.Evaluate[chromedp.Void]("try { sessionStorage.clear() } catch {}"), chromedp.Navigate("about:blank"),
	)); err != nil {
		return err
	}
	_, err := chromedp.Call(p.ctx, fetch.Disable, cdp.Empty{})
	if err == nil {
		_, err = chromedp.Call(p.ctx, cdppage.ResetNavigationHistory, cdp.Empty{})
	}
	return err
}

// observe fails the test on anything that a developer would see in red, and on requests to other hosts.
func (p *tab) observe(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			args, _ := json.Marshal(e.Args)
			p.complain("console: " + string(args))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.complain("exception: " + text)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			p.complain("log: " + e.Entry.Text + " " + e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		p.mu.Lock()
		own := err == nil && (u.Host == p.host || u.Scheme == "data" || u.Scheme == "blob" || u.Scheme == "about")
		p.mu.Unlock()
		if !own {
			p.complain("a request to another host: " + e.Request.URL)
		}
	case *fetch.EventRequestPaused:
		go p.answer(e)
	}
}

func (p *tab) complain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.used {
		return
	}
	for _, part := range p.expected {
		if strings.Contains(text, part) {
			return
		}
	}
	p.t.Error(text)
}

// expect takes complaints with the text for part of the test.
func (p *tab) expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text)
}

// interceptAPI answers the API's calls with a status and a body, where with gives one for the URL: "503 {…}". An empty one
// leaves the call to the server, "lost" loses the connection.
func (p *tab) interceptAPI(with func(url string) string) {
	p.mu.Lock()
	first := p.intercept == nil
	p.intercept = with
	p.mu.Unlock()
	if first {
		call(p, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/api/*"}}})
	}
}

func (p *tab) answer(e *fetch.EventRequestPaused) {
	p.mu.Lock()
	intercept := p.intercept
	p.mu.Unlock()
	with := ""
	if intercept != nil {
		with = intercept(e.Request.URL)
	}
	var err error
	switch status, body, _ := strings.Cut(with, " "); status {
	case "":
		_, err = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
	case "lost":
		_, err = chromedp.Call(p.ctx, fetch.FailRequest, fetch.FailRequestParams{RequestID: e.RequestID, ErrorReason: network.ErrorReasonConnectionReset})
	default:
		var code int64
		_, _ = fmt.Sscan(status, &code)
		_, err = chromedp.Call(p.ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{
			RequestID: e.RequestID, ResponseCode: code, Body: []byte(body),
			ResponseHeaders: []*fetch.HeaderEntry{{Name: "Content-Type", Value: "application/json"}, {Name: "X-Request-Id", Value: "01234567890123456789"}},
		})
	}
	if err != nil && intercept != nil && p.ctx.Err() == nil && !strings.Contains(err.Error(), "Invalid InterceptionId") { // the page gave the call up
		p.t.Error(err)
	}
}

func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return result
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// visit goes to an address. From then on the page must load everything from its host.
func (p *tab) visit(address string) *tab {
	p.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.host = u.Host
	p.mu.Unlock()
	p.do(chromedp.Navigate(address))
	return p
}

// eval is the value of an expression, or of its promise.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// holds tells whether an expression is true on the page that is there. Where one page is giving way to the next, it is not.
func (p *tab) holds(expression string) bool {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("!!("+expression+")", chromedp.EvalAwaitPromise))
	if leaving, ok := errors.AsType[*cdproto.Error](err); ok && leaving.Code == -32000 {
		return false
	}
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits for an expression to become true.
func (p *tab) until(expression string) *tab {
	p.t.Helper()
	// The waits grow, so that a browser which is busy is not kept busy by being asked.
	wait := 5 * time.Millisecond
	for end := time.Now().Add(patience); !p.holds(expression); wait = min(2*wait, 80*time.Millisecond) {
		if time.Now().After(end) {
			p.picture("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
			p.t.Fatalf("it never came true that %s; the page has\n%s", expression, eval[string](p, "document.body.innerText"))
		}
		select {
		case <-p.t.Context().Done():
		case <-time.After(wait):
		}
	}
	return p
}

// reload loads the page again, with its figures.
func (p *tab) reload() {
	p.t.Helper()
	p.do(chromedp.Reload())
	p.until(loaded)
}

// least measures until a measurement is at most the bound, or patience ends, and returns the least. A machine may be busy for a while, but
// not each time.
func (p *tab) least(bound time.Duration, measure func() time.Duration) time.Duration {
	p.t.Helper()
	least := measure()
	for end := time.Now().Add(patience); least > bound && time.Now().Before(end); {
		least = min(least, measure())
	}
	return least
}

// longestTask is the processor time of the longest task of the page's main thread while something is done. Other programs do not
// lengthen it.
func (p *tab) longestTask(do func()) time.Duration {
	p.t.Helper()
	type thread struct{ Pid, Tid int64 }
	var mu sync.Mutex
	main, longest := map[thread]bool{}, map[thread]time.Duration{}
	complete := make(chan struct{})
	ctx, stop := context.WithCancel(p.ctx)
	defer stop()
	if err := chromedp.Listen(ctx, func(e any) {
		switch e := e.(type) {
		case *tracing.EventDataCollected:
			mu.Lock()
			defer mu.Unlock()
			for _, value := range e.Value {
				var event struct {
					thread

					Name string
					Tdur int64 // microseconds
					Args struct{ Name string }
				}
				if err := json.Unmarshal(value, &event); err != nil {
					continue // it has other arguments
				}
				if event.Name == "thread_name" {
					main[event.thread] = event.Args.Name == "CrRendererMain"
				}
				// Some tasks have no event with their length, but what they run has.
				longest[event.thread] = max(longest[event.thread], time.Duration(event.Tdur)*time.Microsecond)
			}
		case *tracing.EventTracingComplete:
			close(complete)
		}
	}); err != nil {
		p.t.Fatal(err)
	}
	call(p, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: []string{"toplevel", "__metadata"}}})
	do()
	call(p, tracing.End, cdp.Empty{})
	<-complete
	mu.Lock()
	defer mu.Unlock()
	worst := time.Duration(0)
	for thread, took := range longest {
		if main[thread] {
			worst = max(worst, took)
		}
	}
	if worst == 0 {
		p.t.Fatal("the browser does not tell what it has done")
	}
	return worst
}

// text returns the visible text of the element.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// click points at the element, as a mouse does.
func (p *tab) click(selector string) *tab {
	p.t.Helper()
	p.until(fmt.Sprintf("document.querySelector(%q)?.checkVisibility()", selector))
	// Elements above it that are still being drawn would move it from under the mouse.
	place := ""
	for end := time.Now().Add(patience); time.Now().Before(end); {
		p.do(chromedp.ScrollIntoView(chromedp.CSS(selector)))
		before := place
		place = eval[string](p, fmt.Sprintf(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
			const { x, y } = document.querySelector(%q)?.getBoundingClientRect() ?? {};
			done(x + "," + y);
		})))`, selector))
		if place == before {
			break
		}
	}
	p.do(chromedp.Click(chromedp.CSS(selector)))
	return p
}

// press types keys at the element with the focus.
func (p *tab) press(keys string) *tab {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
	return p
}

// screenshots is where pictures of the pages are kept, for people to look at.
const screenshots = "screenshots"

// shoot takes a picture of the whole page where pictures are asked for, since drawing it takes longer than most checks.
func (p *tab) shoot(name string) {
	p.t.Helper()
	if picturesAsked() {
		p.picture(name)
	}
}

// picture takes a picture of the whole page.
func (p *tab) picture(name string) {
	p.t.Helper()
	size := eval[struct{ W, H int64 }](p, "({W: innerWidth, H: document.documentElement.scrollHeight})")
	beyond := true
	picture := call(p, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{
		CaptureBeyondViewport: &beyond,
		Clip:                  &cdppage.Viewport{Width: number(size.W), Height: number(size.H), Scale: 1},
	}).Data
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name+".png"), picture, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// number converts a number of pixels to the type of the browser's protocol.
func number(n int64) float64 { return float64(n) }

// accessible fails where axe finds something that bars people from the page.
func (p *tab) accessible() *tab {
	p.t.Helper()
	if !p.holds("window.axe") {
		axe, err := os.ReadFile("testdata/axe.min.js")
		if err != nil {
			p.t.Fatal(err)
		}
		eval[chromedp.Void](p, string(axe))
	}
	for _, v := range eval[[]struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}](p, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => ({
		ID: v.id, Help: v.help, Nodes: v.nodes.map((n) => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`) {
		p.t.Errorf("%s: %s: %+v", v.ID, v.Help, v.Nodes)
	}
	return p
}

// downloaded waits for a file that the page hands over.
func (p *tab) downloaded(name string) string {
	p.t.Helper()
	file := filepath.Join(p.downloads, name)
	for end := time.Now().Add(patience); ; {
		if data, err := os.ReadFile(file); err == nil && len(data) > 0 {
			return string(data)
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s was never downloaded", name)
		}
		select {
		case <-p.t.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// service is a running server on a database of its own.
type service struct {
	t *testing.T
	*server.Server
	url string
}

// serve starts a server for the browser, which it asks for first: a test that is skipped prepares nothing.
func serve(t *testing.T, config server.Config) *service {
	t.Helper()
	sharedBrowser(t)
	if config.Database == "" {
		config.Database = "sqlite:" + filepath.Join(t.TempDir(), "billing.db")
	}
	s, err := server.Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return &service{t, s, "http://" + listener.Addr().String() + config.BasePath}
}

// demoBooks is a database with 90 days of usage, for every test to copy.
var demoBooks = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "harmont-billing-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "billing.db")
	ctx := context.Background()
	s, err := server.Open(ctx, server.Config{Database: "sqlite:" + file})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(made.Fill(ctx, s, "acme", "Acme", time.Now()), s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// demo is a server with 90 days of usage.
func demo(t *testing.T) (s *service, token string) {
	t.Helper()
	sharedBrowser(t)
	books, err := demoBooks()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "billing.db")
	if err := os.WriteFile(file, books, 0o600); err != nil {
		t.Fatal(err)
	}
	s = serve(t, server.Config{Database: "sqlite:" + file})
	token = s.token("acme")
	return s, token
}

// token is one that reads.
func (s *service) token(orgs ...string) string {
	s.t.Helper()
	token, _, err := s.CreateToken(s.t.Context(), server.TokenOptions{Name: "test", Role: server.RoleRead, Organizations: orgs})
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// books imports records.
func (s *service) books(records string) {
	s.t.Helper()
	if _, err := s.Import(s.t.Context(), strings.NewReader(records), server.ImportOptions{Bad: func(line int, err error) { s.t.Errorf("line %d: %v", line, err) }}); err != nil {
		s.t.Fatal(err)
	}
}
