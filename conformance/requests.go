package conformance

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The rules about requests, which do not depend on the organization's books.

// shortWindow is a window that every server answers quickly.
const shortWindow = "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:01Z"

// readCalls are the five calls about an organization.
func readCalls(slug string) []call {
	return []call{
		balanceCall(slug),
		{path: "/billing/transactions/" + url.PathEscape(slug), query: "limit=1"},
		{path: "/billing/usage/" + url.PathEscape(slug), query: shortWindow},
		{path: "/billing/usage/" + url.PathEscape(slug) + "/series", query: shortWindow},
		{path: "/billing/usage/" + url.PathEscape(slug) + "/breakdown", query: shortWindow},
	}
}

func balanceCall(slug string) call { return call{path: "/billing/balance/" + url.PathEscape(slug)} }

// invalidCalls are calls with parameters that must be refused.
func invalidCalls(slug string) []call {
	return []call{
		{path: "/billing/transactions/" + url.PathEscape(slug), query: "limit=ten"},
		{path: "/billing/usage/" + url.PathEscape(slug)},
		{path: "/billing/usage/" + url.PathEscape(slug) + "/series", query: "from=2026-01-02&to=2026-01-01"},
	}
}

func withoutToken(calls []call) []call {
	for i, c := range calls {
		calls[i] = c.withoutToken()
	}
	return calls
}

func oneUnauthorized(a *account) error {
	var first envelope
	for i, authorization := range []string{
		"", "Bearer", "Bearer hmt_" + strings.Repeat("0", 43), "Bearer not-a-token", "Basic x", "Token hmt_" + strings.Repeat("0", 43),
	} {
		for _, c := range []call{balanceCall(a.slug), {path: "/organizations"}} {
			c.authorization = &authorization
			x, e, err := a.expectError(c, http.StatusUnauthorized, "unauthorized")
			if err != nil {
				return err
			}
			e.Error.RequestID = ""
			if i == 0 && first == (envelope{}) {
				first = e
			}
			if e != first {
				return breachf(x, "for Authorization %q the error is not the one without a token, %q", authorization, first.Error.Message)
			}
		}
	}
	return nil
}

func schemeCase(a *account) error {
	for _, scheme := range []string{"bearer ", "BEARER "} {
		authorization := scheme + a.options.Token
		c := balanceCall(a.slug)
		c.authorization = &authorization
		if _, err := a.expectOK(c, nil); err != nil {
			return err
		}
	}
	return nil
}

func malformedFirst(a *account) error {
	for _, query := range []string{"limit=%zz", "cursor=%ff", "cursor=%00"} {
		c := call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: query}
		if err := a.expectErrors(http.StatusBadRequest, "bad_request", c, c.withoutToken()); err != nil {
			return err
		}
	}
	return nil
}

func unknownRoute(s *session) error {
	c := call{path: "/no-such-route"}
	return s.expectErrors(http.StatusNotFound, "route_not_found", c, c.withoutToken(), call{path: "/billing/no-such-call/x"}.withoutToken())
}

// unknownMethod sends DELETE to a path for writing, which no server takes, so that none writes anything.
func unknownMethod(s *session) error {
	c := call{method: http.MethodDelete, path: "/billing/credits/" + s.unknownSlug()}
	for _, c := range []call{c, c.withoutToken()} {
		x, err := s.expectWriteError(c, http.StatusMethodNotAllowed, "method_not_allowed")
		if err != nil {
			return err
		}
		if allow := x.header.Get("Allow"); !strings.Contains(allow, http.MethodPost) {
			return breachf(x, "Allow is %q, and the path takes POST", allow)
		}
	}
	return nil
}

// expectWriteError sends a request to a path for writing that must fail. Not every server of this API has one.
func (s *session) expectWriteError(c call, status int, code string) (*exchange, error) {
	x, _, err := s.expectError(c, status, code)
	if x.isUnknownRoute() {
		return x, skip("the server does not take leases or credits")
	}
	return x, err
}

// emptyLeasesBody is a body that every server refuses.
const emptyLeasesBody = `{"leases":[]}`

// maxBodyBeforeToken is the length up to which a body is checked before the token.
const maxBodyBeforeToken = 64 << 10

// recordLeasesCall sends a body to where leases are recorded.
func recordLeasesCall(slug, body string) call {
	return call{method: http.MethodPost, path: "/billing/leases/" + url.PathEscape(slug), body: body}
}

func shortBodyBeforeToken(a *account) error {
	for _, size := range []int{1, maxBodyBeforeToken} {
		c := recordLeasesCall(a.slug, "{"+strings.Repeat(" ", size-1)).withoutToken()
		if _, err := a.expectWriteError(c, http.StatusBadRequest, "bad_request"); err != nil {
			return err
		}
	}
	return nil
}

func tokenBeforeLongBody(a *account) error {
	_, err := a.expectWriteError(recordLeasesCall(a.slug, "{"+strings.Repeat(" ", maxBodyBeforeToken)).withoutToken(), http.StatusUnauthorized, "unauthorized")
	return err
}

func tokenBeforeOrganization(s *session) error {
	return s.expectErrors(http.StatusUnauthorized, "unauthorized", withoutToken(readCalls(s.unknownSlug()))...)
}

func tokenBeforeParameters(a *account) error {
	return a.expectErrors(http.StatusUnauthorized, "unauthorized", withoutToken(append(invalidCalls(a.slug), invalidCalls(a.unknownSlug())...))...)
}

func organizationBeforeParameters(s *session) error {
	return s.expectErrors(http.StatusNotFound, "organization_not_found", invalidCalls(s.unknownSlug())...)
}

func unknownOrganization(s *session) error {
	return s.expectErrors(http.StatusNotFound, "organization_not_found", readCalls(s.unknownSlug())...)
}

func hiddenOrganization(s *session) error {
	if s.options.Hidden == "" {
		return skip("no organization is named that exists and that the token may not see")
	}
	for i, c := range readCalls(s.options.Hidden) {
		_, unknown, err := s.expectError(readCalls(s.unknownSlug())[i], http.StatusNotFound, "organization_not_found")
		if err != nil {
			return err
		}
		x, hidden, err := s.expectError(c, http.StatusNotFound, "organization_not_found")
		if err != nil {
			return err
		}
		unknown.Error.RequestID, hidden.Error.RequestID = "", ""
		if hidden != unknown {
			return breachf(x, "the error is not that of an unknown organization, %q", unknown.Error.Message)
		}
	}
	return nil
}

func slugCase(a *account) error {
	other := strings.ToUpper(a.slug)
	if other == a.slug {
		other = strings.ToLower(a.slug)
	}
	if other == a.slug || slices.Contains(a.visible, other) {
		return skip("no slug differs from that of an organization only in case")
	}
	return a.expectErrors(http.StatusNotFound, "organization_not_found", balanceCall(other))
}

func organizationsListed(s *session) error {
	if s.listErr != nil {
		return s.listErr
	}
	if !slices.IsSorted(s.visible) || len(slices.Compact(slices.Clone(s.visible))) != len(s.visible) {
		return breachf(nil, "the organizations are not listed by slug, each once: %s", strings.Join(s.visible, ", "))
	}
	for _, a := range s.accounts {
		if !slices.Contains(s.visible, a.slug) && len(s.visible) < 100*maxOrganizationPages {
			return breachf(nil, "%s is not listed", a.slug)
		}
	}
	const size = 1
	again, err := s.organizations(size)
	if err != nil {
		return err
	}
	if whole := s.visible[:min(len(s.visible), size*maxOrganizationPages)]; !slices.Equal(again, whole) {
		return breachf(nil, "on pages of one the organizations are %s, on pages of 100 %s", strings.Join(again, ", "), strings.Join(whole, ", "))
	}
	return nil
}

func requestIDEchoed(a *account) error {
	for _, id := range []string{"conformance-check-20", strings.Repeat("conformance: check 0", 10)} {
		c := balanceCall(a.slug)
		c.header = map[string]string{"X-Request-Id": id}
		for _, c := range []call{c, c.withoutToken()} {
			x, err := a.send(c)
			if err != nil {
				return err
			}
			if got := x.header.Get("x-request-id"); got != id {
				return breachf(x, "x-request-id is %q", got)
			}
		}
	}
	return nil
}

func requestIDMade(a *account) error {
	seen := map[string]bool{}
	for _, unfit := range []string{"", "", "conformance-check-9", strings.Repeat("conformance-check-00", 10) + "1", "conformance-check-\u00e9-00"} {
		c := balanceCall(a.slug)
		if unfit != "" {
			c.header = map[string]string{"X-Request-Id": unfit}
		}
		x, err := a.send(c)
		if err != nil {
			return err
		}
		id := x.header.Get("x-request-id")
		if id == unfit || seen[id] {
			return breachf(x, "x-request-id is %q, which is not new", id)
		}
		seen[id] = true
	}
	return nil
}

func headWorks(a *account) error {
	calls := append(readCalls(a.slug), call{path: "/organizations"}, balanceCall(a.slug).withoutToken(), balanceCall(a.unknownSlug()), invalidCalls(a.slug)[0])
	for _, c := range calls {
		got, err := a.send(c)
		if err != nil {
			return err
		}
		c.method = http.MethodHead
		head, err := a.send(c)
		if err != nil {
			return err
		}
		if head.status != got.status {
			return breachf(head, "the status is %d; with GET it is %d", head.status, got.status)
		}
		if head.header.Get("Content-Type") != got.header.Get("Content-Type") {
			return breachf(head, "the Content-Type is %q; with GET it is %q", head.header.Get("Content-Type"), got.header.Get("Content-Type"))
		}
	}
	return nil
}

func unknownParameters(a *account) error {
	for _, c := range append(readCalls(a.slug), call{path: "/organizations"}) {
		c.query = strings.TrimPrefix(c.query+"&no_such_parameter=1&verbose", "&")
		if _, err := a.expectOK(c, nil); err != nil {
			return err
		}
	}
	return nil
}

func gzipWhenAsked(a *account) error {
	plain, err := a.expectOK(a.series(a.longestWindow()), nil)
	if err != nil {
		return err
	}
	if encoding := plain.header.Get("Content-Encoding"); encoding != "" {
		return breachf(plain, "gzip was not asked for, and the Content-Encoding is %q", encoding)
	}
	c := a.series(a.longestWindow())
	c.header = map[string]string{"Accept-Encoding": "gzip"}
	var days seriesAnswer
	x, err := a.expectOK(c, &days)
	if err != nil {
		return err
	}
	if encoding := x.header.Get("Content-Encoding"); encoding != "gzip" {
		return breachf(x, "the Content-Encoding of %d bytes is %q", len(x.body), encoding)
	}
	return nil
}

func slashesTaken(a *account) error {
	for _, c := range append(readCalls(a.slug), call{path: "/organizations"}) {
		path := c.path
		for _, c.path = range []string{path + "/", "/" + path, strings.ReplaceAll(path, "/", "//") + "//"} {
			if _, err := a.expectOK(c, nil); err != nil {
				return err
			}
			if _, _, err := a.expectError(c.withoutToken(), http.StatusUnauthorized, "unauthorized"); err != nil {
				return err
			}
		}
	}
	return nil
}

func optionsAllow(a *account) error {
	const readMethods, writeMethods = "GET, HEAD, OPTIONS", "POST, OPTIONS" // a path for writing may be one for reading, too
	calls := append(readCalls(a.slug), call{path: "/organizations"}, call{method: http.MethodPost, path: "/billing/credits/" + a.unknownSlug()})
	for _, c := range calls {
		isAllowed := func(allow string) bool { return allow == readMethods }
		want := readMethods
		if c.method == http.MethodPost {
			isAllowed, want = func(allow string) bool { return strings.HasSuffix(allow, writeMethods) }, writeMethods
		}
		c.method = http.MethodDelete
		refused, err := a.expectWriteError(c.withoutToken(), http.StatusMethodNotAllowed, "method_not_allowed")
		if err != nil {
			return err
		}
		c.method = http.MethodOptions
		asked, err := a.send(c.withoutToken())
		if err != nil {
			return err
		}
		if asked.status != http.StatusNoContent {
			return breachf(asked, "the status is %d, not %d", asked.status, http.StatusNoContent)
		}
		for _, x := range []*exchange{refused, asked} {
			if allow := strings.Join(x.header.Values("Allow"), ", "); !isAllowed(allow) {
				return breachf(x, "Allow is %q, not %q", allow, want)
			}
		}
	}
	for _, path := range []string{"/no-such-route", balanceCall(a.slug).path + "/more"} {
		if err := a.expectErrors(http.StatusNotFound, "route_not_found", call{method: http.MethodOptions, path: path}.withoutToken()); err != nil {
			return err
		}
	}
	return nil
}

// gzipBody sends no token, so an accepted body is answered with 401 and a malformed one with 400.
func gzipBody(a *account) error {
	for _, c := range []struct {
		body   string
		status int
		code   string
	}{
		{compress(emptyLeasesBody), http.StatusUnauthorized, "unauthorized"},
		{compress("{"), http.StatusBadRequest, "bad_request"},
		{emptyLeasesBody, http.StatusBadRequest, "bad_request"},
	} {
		sent := recordLeasesCall(a.slug, c.body).withoutToken()
		sent.header = map[string]string{"Content-Encoding": "gzip"}
		if _, err := a.expectWriteError(sent, c.status, c.code); err != nil {
			return err
		}
	}
	return nil
}

func compress(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	// A buffer takes everything.
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

func otherEncoding(a *account) error {
	c := recordLeasesCall(a.slug, emptyLeasesBody)
	c.header = map[string]string{"Content-Encoding": "br"}
	if _, err := a.expectWriteError(c.withoutToken(), http.StatusUnauthorized, "unauthorized"); err != nil {
		return err
	}
	x, err := a.expectWriteError(c, http.StatusUnsupportedMediaType, "unsupported_media_type")
	if x != nil && x.status == http.StatusForbidden {
		return skip("the token may not record leases, and only one that may gets that far")
	}
	return err
}
