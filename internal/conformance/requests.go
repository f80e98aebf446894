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

// aWindow is a window that every server answers quickly.
const aWindow = "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:01Z"

// reads are the five calls about an organization.
func reads(slug string) []call {
	return []call{
		balanceOf(slug),
		{path: "/billing/transactions/" + url.PathEscape(slug), query: "limit=1"},
		{path: "/billing/usage/" + url.PathEscape(slug), query: aWindow},
		{path: "/billing/usage/" + url.PathEscape(slug) + "/series", query: aWindow},
		{path: "/billing/usage/" + url.PathEscape(slug) + "/breakdown", query: aWindow},
	}
}

func balanceOf(slug string) call { return call{path: "/billing/balance/" + url.PathEscape(slug)} }

// badlyAsked are calls with parameters that must be refused.
func badlyAsked(slug string) []call {
	return []call{
		{path: "/billing/transactions/" + url.PathEscape(slug), query: "limit=ten"},
		{path: "/billing/usage/" + url.PathEscape(slug)},
		{path: "/billing/usage/" + url.PathEscape(slug) + "/series", query: "from=2026-01-02&to=2026-01-01"},
	}
}

func anonymously(calls []call) []call {
	for i, c := range calls {
		calls[i] = c.anonymous()
	}
	return calls
}

func oneUnauthorized(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	var first Envelope
	for i, authorization := range []string{
		"", "Bearer", "Bearer hmt_" + strings.Repeat("0", 43), "Bearer not-a-token", "Basic x", "Token hmt_" + strings.Repeat("0", 43),
	} {
		for _, c := range []call{balanceOf(a.slug), {path: "/organizations"}} {
			c.authorization = &authorization
			x, e, err := s.refused(c, http.StatusUnauthorized, "unauthorized")
			if err != nil {
				return err
			}
			e.Error.RequestID = ""
			if i == 0 && first == (Envelope{}) {
				first = e
			}
			if e != first {
				return breachf(x, "for Authorization %q the error is not the one without a token, %q", authorization, first.Error.Message)
			}
		}
	}
	return nil
}

func schemeCase(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	for _, scheme := range []string{"bearer ", "BEARER "} {
		authorization := scheme + s.options.Token
		c := balanceOf(a.slug)
		c.authorization = &authorization
		if _, err := s.want(c, nil); err != nil {
			return err
		}
	}
	return nil
}

func malformedFirst(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	for _, query := range []string{"limit=%zz", "cursor=%ff", "cursor=%00"} {
		c := call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: query}
		if err := s.allRefused(http.StatusBadRequest, "bad_request", c, c.anonymous()); err != nil {
			return err
		}
	}
	return nil
}

func unknownRoute(s *session) error {
	c := call{path: "/no-such-route"}
	return s.allRefused(http.StatusNotFound, "route_not_found", c, c.anonymous(), call{path: "/billing/no-such-call/x"}.anonymous())
}

// unknownMethod sends GET to a path that only accepts POST, so that no server writes anything.
func unknownMethod(s *session) error {
	c := call{path: "/billing/credits/" + s.unknown()}
	for _, c := range []call{c, c.anonymous()} {
		x, err := s.refusedWrite(c, http.StatusMethodNotAllowed, "method_not_allowed")
		if err != nil {
			return err
		}
		if allow := x.header.Get("Allow"); !strings.Contains(allow, http.MethodPost) {
			return breachf(x, "Allow is %q, and the path takes POST", allow)
		}
	}
	return nil
}

// refusedWrite sends a request to a path for writing that must fail. Not every server of this API has one.
func (s *session) refusedWrite(c call, status int, code string) (*exchange, error) {
	x, _, err := s.refused(c, status, code)
	if x.lacksCall() {
		return x, skip("the server does not take leases or credits")
	}
	return x, err
}

// noLeases is a body that every server refuses.
const noLeases = `{"leases":[]}`

// longestEarlyBody is the length up to which a body is checked before the token.
const longestEarlyBody = 64 << 10

// leasesOf sends a body to where leases are recorded.
func leasesOf(slug, body string) call {
	return call{method: http.MethodPost, path: "/billing/leases/" + url.PathEscape(slug), body: body}
}

func shortBodyBeforeToken(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	for _, size := range []int{1, longestEarlyBody} {
		c := leasesOf(a.slug, "{"+strings.Repeat(" ", size-1)).anonymous()
		if _, err := s.refusedWrite(c, http.StatusBadRequest, "bad_request"); err != nil {
			return err
		}
	}
	return nil
}

func tokenBeforeLongBody(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	_, err = s.refusedWrite(leasesOf(a.slug, "{"+strings.Repeat(" ", longestEarlyBody)).anonymous(), http.StatusUnauthorized, "unauthorized")
	return err
}

func tokenBeforeOrganization(s *session) error {
	return s.allRefused(http.StatusUnauthorized, "unauthorized", anonymously(reads(s.unknown()))...)
}

func tokenBeforeParameters(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	return s.allRefused(http.StatusUnauthorized, "unauthorized", anonymously(append(badlyAsked(a.slug), badlyAsked(s.unknown())...))...)
}

func organizationBeforeParameters(s *session) error {
	return s.allRefused(http.StatusNotFound, "organization_not_found", badlyAsked(s.unknown())...)
}

func unknownOrganization(s *session) error {
	return s.allRefused(http.StatusNotFound, "organization_not_found", reads(s.unknown())...)
}

func hiddenOrganization(s *session) error {
	if s.options.Hidden == "" {
		return skip("no organization is named that exists and that the token may not see")
	}
	for i, c := range reads(s.options.Hidden) {
		_, unknown, err := s.refused(reads(s.unknown())[i], http.StatusNotFound, "organization_not_found")
		if err != nil {
			return err
		}
		x, hidden, err := s.refused(c, http.StatusNotFound, "organization_not_found")
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

func slugCase(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	other := strings.ToUpper(a.slug)
	if other == a.slug {
		other = strings.ToLower(a.slug)
	}
	if other == a.slug || slices.Contains(s.visible, other) {
		return skip("no slug differs from that of an organization only in case")
	}
	return s.allRefused(http.StatusNotFound, "organization_not_found", balanceOf(other))
}

func organizationsListed(s *session) error {
	if s.listed != nil {
		return s.listed
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

func requestIDEchoed(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	for _, id := range []string{"conformance-check-20", strings.Repeat("conformance: check 0", 10)} {
		c := balanceOf(a.slug)
		c.header = map[string]string{"X-Request-Id": id}
		for _, c := range []call{c, c.anonymous()} {
			x, err := s.send(c)
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

func requestIDMade(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, unfit := range []string{"", "", "conformance-check-9", strings.Repeat("conformance-check-00", 10) + "1", "conformance-check-\u00e9-00"} {
		c := balanceOf(a.slug)
		if unfit != "" {
			c.header = map[string]string{"X-Request-Id": unfit}
		}
		x, err := s.send(c)
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

func headWorks(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	calls := append(reads(a.slug), call{path: "/organizations"}, balanceOf(a.slug).anonymous(), balanceOf(s.unknown()), badlyAsked(a.slug)[0])
	for _, c := range calls {
		got, err := s.send(c)
		if err != nil {
			return err
		}
		c.method = http.MethodHead
		head, err := s.send(c)
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

func unknownParameters(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	for _, c := range append(reads(a.slug), call{path: "/organizations"}) {
		c.query = strings.TrimPrefix(c.query+"&no_such_parameter=1&verbose", "&")
		if _, err := s.want(c, nil); err != nil {
			return err
		}
	}
	return nil
}

func gzipWhenAsked(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	plain, err := s.want(a.series(a.long()), nil)
	if err != nil {
		return err
	}
	if encoding := plain.header.Get("Content-Encoding"); encoding != "" {
		return breachf(plain, "gzip was not asked for, and the Content-Encoding is %q", encoding)
	}
	c := a.series(a.long())
	c.header = map[string]string{"Accept-Encoding": "gzip"}
	var days seriesAnswer
	x, err := s.want(c, &days)
	if err != nil {
		return err
	}
	if encoding := x.header.Get("Content-Encoding"); encoding != "gzip" {
		return breachf(x, "the Content-Encoding of %d bytes is %q", len(x.body), encoding)
	}
	return nil
}

func slashesTaken(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	for _, c := range append(reads(a.slug), call{path: "/organizations"}) {
		path := c.path
		for _, c.path = range []string{path + "/", "/" + path, strings.ReplaceAll(path, "/", "//") + "//"} {
			if _, err := s.want(c, nil); err != nil {
				return err
			}
			if _, _, err := s.refused(c.anonymous(), http.StatusUnauthorized, "unauthorized"); err != nil {
				return err
			}
		}
	}
	return nil
}

func optionsAllow(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	const readMethods, writeMethods = "GET, HEAD, OPTIONS", "POST, OPTIONS"
	calls := append(reads(a.slug), call{path: "/organizations"}, call{method: http.MethodPost, path: "/billing/credits/" + s.unknown()})
	for _, c := range calls {
		want, other := readMethods, http.MethodPut
		if c.method == http.MethodPost {
			want, other = writeMethods, http.MethodGet
		}
		c.method = other
		refused, err := s.refusedWrite(c.anonymous(), http.StatusMethodNotAllowed, "method_not_allowed")
		if err != nil {
			return err
		}
		c.method = http.MethodOptions
		asked, err := s.send(c.anonymous())
		if err != nil {
			return err
		}
		if asked.status != http.StatusNoContent {
			return breachf(asked, "the status is %d, not %d", asked.status, http.StatusNoContent)
		}
		for _, x := range []*exchange{refused, asked} {
			if allow := strings.Join(x.header.Values("Allow"), ", "); allow != want {
				return breachf(x, "Allow is %q, not %q", allow, want)
			}
		}
	}
	for _, path := range []string{"/no-such-route", balanceOf(a.slug).path + "/more"} {
		if err := s.allRefused(http.StatusNotFound, "route_not_found", call{method: http.MethodOptions, path: path}.anonymous()); err != nil {
			return err
		}
	}
	return nil
}

// gzipBody sends no token, so an accepted body is answered with 401 and a malformed one with 400.
func gzipBody(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	for _, c := range []struct {
		body   string
		status int
		code   string
	}{
		{compress(noLeases), http.StatusUnauthorized, "unauthorized"},
		{compress("{"), http.StatusBadRequest, "bad_request"},
		{noLeases, http.StatusBadRequest, "bad_request"},
	} {
		sent := leasesOf(a.slug, c.body).anonymous()
		sent.header = map[string]string{"Content-Encoding": "gzip"}
		if _, err := s.refusedWrite(sent, c.status, c.code); err != nil {
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

func otherEncoding(s *session) error {
	a, err := s.first()
	if err != nil {
		return err
	}
	c := leasesOf(a.slug, noLeases)
	c.header = map[string]string{"Content-Encoding": "br"}
	if _, err := s.refusedWrite(c.anonymous(), http.StatusUnauthorized, "unauthorized"); err != nil {
		return err
	}
	x, err := s.refusedWrite(c, http.StatusUnsupportedMediaType, "unsupported_media_type")
	if x != nil && x.status == http.StatusForbidden {
		return skip("the token may not record leases, and only one that may gets that far")
	}
	return err
}
