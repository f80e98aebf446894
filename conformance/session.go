package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	apiPrefix = "/api/v0"
	// maxBody is the maximum length in bytes of an answer that the check reads. If a breakdown is longer, the check asks for one of a
	// shorter window instead.
	maxBody = 8 << 20
	// maxFailures is the number of requests without an answer after which the check stops. It also stops if the first request fails.
	maxFailures = 3
	// maxRetryAfterSeconds is the longest Retry-After that the check waits for. maxRateLimited is how often it waits.
	maxRetryAfterSeconds = 10
	maxRateLimited       = 60
)

var errTooLarge = fmt.Errorf("a body of more than %d bytes", maxBody)

// session is one check of a server.
type session struct {
	ctx         context.Context
	options     Options
	client      *http.Client
	tallies     map[string]*tally
	requests    int
	failures    int   // requests without an answer
	rateLimited int   // answers of 429
	stopErr     error // why no more requests are sent

	visible  []string // the organizations that the token sees, as far as they were listed
	listErr  error    // why they could not be listed
	accounts []*account
}

func newSession(ctx context.Context, options Options) *session {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DisableCompression:     true, // gzip comes only where it is asked for
		MaxResponseHeaderBytes: 1 << 20,
		MaxIdleConnsPerHost:    1,
	}
	s := &session{ctx: ctx, options: options, tallies: map[string]*tally{}, client: &http.Client{
		Transport: transport, Timeout: options.RequestTimeout,
		// Redirects are not followed: the contract has none, and the token must not be sent to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, r := range rules() {
		s.tallies[r.id] = new(tally)
	}
	return s
}

// call is a request to make. Its path is below /api/v0.
type call struct {
	method        string // GET where empty
	path          string
	query         string // as it is sent
	body          string // sent as JSON
	header        map[string]string
	authorization *string // replaces the value of the Authorization header; if it points to "", no header is sent
	mayBeTooLarge bool    // whether an answer longer than maxBody is allowed
}

var noAuthorization = ""

// withoutToken returns a copy of the call that is sent without an Authorization header.
func (c call) withoutToken() call {
	c.authorization = &noAuthorization
	return c
}

// noAnswer is the error of a request that got no complete, readable answer.
type noAnswer struct{ err error }

func (e *noAnswer) Error() string { return "no answer: " + e.err.Error() }
func (e *noAnswer) Unwrap() error { return e.err }

// send sends a request and checks the answer against the rules for every answer. It waits and retries after a 429. The error is a
// *noAnswer, or errTooLarge if the call has mayBeTooLarge.
func (s *session) send(c call) (*exchange, error) {
	for {
		x, err := s.sendOnce(c)
		if err != nil || x.status != http.StatusTooManyRequests {
			return x, err
		}
		// A 429 is not a breach: the check waits for Retry-After and sends the request again, within the two limits.
		seconds, _ := strconv.Atoi(x.header.Get("Retry-After"))
		s.rateLimited++
		if seconds < 1 || seconds > maxRetryAfterSeconds || s.rateLimited > maxRateLimited {
			return x, nil
		}
		s.sleep(time.Duration(seconds) * time.Second)
	}
}

func (s *session) sendOnce(c call) (*exchange, error) {
	if s.stopErr != nil {
		return nil, s.stopErr
	}
	x, err := s.exchange(c)
	if err != nil {
		if errors.Is(err, errTooLarge) && c.mayBeTooLarge {
			return nil, err
		}
		s.recordResult(answersComplete, "", breachf(x, "%v", err))
		failure := &noAnswer{err}
		if s.failures++; s.failures >= maxFailures || s.requests == 1 || s.ctx.Err() != nil {
			s.stopErr = failure
		}
		return nil, failure
	}
	s.recordResult(answersComplete, "", nil)
	x.checkSchema()
	for _, r := range rules() {
		if r.checkAnswer != nil {
			if err := r.checkAnswer(x); !errors.Is(err, errNotApplicable) {
				s.recordResult(r, "", err)
			}
		}
	}
	return x, nil
}

func (s *session) exchange(c call) (*exchange, error) {
	x := &exchange{method: c.method, path: apiPrefix + c.path, query: c.query, requestHeader: http.Header{}}
	if x.method == "" {
		x.method = http.MethodGet
	}
	s.requests++
	req, err := http.NewRequestWithContext(s.ctx, x.method, s.options.URL+x.path, strings.NewReader(c.body))
	if err != nil {
		return x, err
	}
	req.URL.RawQuery = c.query // it may be malformed on purpose
	if unescaped, err := url.PathUnescape(x.path); err == nil {
		x.path = unescaped
	}
	req.Header.Set("Accept", "application/json")
	if s.options.UserAgent != "" {
		req.Header.Set("User-Agent", s.options.UserAgent)
	}
	authorization := "Bearer " + s.options.Token
	if c.authorization != nil {
		authorization = *c.authorization
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	x.requestHeader = req.Header
	resp, err := s.client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		return x, e.Err
	} else if err != nil {
		return x, err
	}
	defer resp.Body.Close()
	x.status, x.header = resp.StatusCode, resp.Header
	if x.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1)); err != nil {
		return x, fmt.Errorf("the body breaks off after %d bytes: %w", len(x.body), err)
	}
	if len(x.body) > maxBody {
		return x, errTooLarge
	}
	err = x.decompress(maxBody)
	return x, err
}

// sleep waits, but not beyond the end of the check.
func (s *session) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// expectOK sends a request that must succeed and decodes its answer.
func (s *session) expectOK(c call, into any) (*exchange, error) {
	x, err := s.send(c)
	if err != nil {
		return nil, err
	}
	if x.status != http.StatusOK {
		return x, breachf(x, "the status is %d, not 200", x.status)
	}
	if into != nil && x.method != http.MethodHead {
		if err := json.Unmarshal(x.body, into); err != nil {
			return nil, breachf(x, "the body cannot be read: %v", err)
		}
	}
	return x, nil
}

// isUnknownRoute reports whether the server answered that it does not have the call.
func (x *exchange) isUnknownRoute() bool {
	return x != nil && x.status == http.StatusNotFound && strings.Contains(string(x.body), "route_not_found")
}

// expectOKIfOffered is expectOK for an operation that a server may lack. If the server lacks it, the error skips the rule.
func (s *session) expectOKIfOffered(c call, into any) (*exchange, error) {
	x, err := s.expectOK(c, into)
	if x.isUnknownRoute() {
		return x, skip("the server does not have this call")
	}
	return x, err
}

// expectError sends a request that must fail, with a status and a code.
func (s *session) expectError(c call, status int, code string) (*exchange, envelope, error) {
	var e envelope
	x, err := s.send(c)
	if err != nil {
		return nil, e, err
	}
	if x.status != status {
		return x, e, breachf(x, "the status is %d, not %d", x.status, status)
	}
	if x.method == http.MethodHead {
		return x, e, nil
	}
	if err := json.Unmarshal(x.body, &e); err != nil || e.Error.Code != code {
		return x, e, breachf(x, "the code is %q, not %s", e.Error.Code, code)
	}
	return x, e, nil
}

// expectErrors sends requests that must all fail with the same status and code.
func (s *session) expectErrors(status int, code string, calls ...call) error {
	for _, c := range calls {
		if _, _, err := s.expectError(c, status, code); err != nil {
			return err
		}
	}
	return nil
}

// findOrganizations lists the organizations that the token can see. It chooses the one in the options, or else the first
// maxOrganizations, to be checked.
func (s *session) findOrganizations() error {
	s.visible, s.listErr = s.organizations(100)
	if s.stopErr != nil {
		return fmt.Errorf("no usable answer from %s: %w", s.options.URL, errors.Unwrap(s.stopErr))
	}
	if b, ok := errors.AsType[*breach](s.listErr); ok && b.x != nil && b.x.status == http.StatusUnauthorized {
		return errors.New("the server does not take the token")
	}
	if s.listErr == nil && len(s.visible) == 0 {
		return errors.New("the token sees no organization")
	}
	chosen := s.visible[:min(len(s.visible), maxOrganizations)]
	if s.options.Organization != "" {
		chosen = []string{s.options.Organization}
		if x, err := s.send(balanceCall(s.options.Organization)); err == nil && (x.status == http.StatusNotFound || x.status == http.StatusUnauthorized) {
			return fmt.Errorf("the token does not see the organization %s", s.options.Organization)
		}
	}
	for _, slug := range chosen {
		s.accounts = append(s.accounts, &account{session: s, slug: slug})
	}
	return nil
}

// maxOrganizationPages is how many pages of organizations are read.
const maxOrganizationPages = 20

func (s *session) organizations(limit int) (slugs []string, err error) {
	cursor := ""
	for range maxOrganizationPages {
		var list struct {
			Data []struct {
				Slug string `json:"slug"`
			} `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}
		query := "limit=" + strconv.Itoa(limit)
		if cursor != "" {
			query += "&cursor=" + url.QueryEscape(cursor)
		}
		x, err := s.expectOK(call{path: "/organizations", query: query}, &list)
		if err != nil {
			return slugs, err
		}
		for _, org := range list.Data {
			if org.Slug == "" {
				return slugs, breachf(x, "an organization has no slug")
			}
			slugs = append(slugs, org.Slug)
		}
		switch {
		case list.NextCursor == nil:
			return slugs, nil
		case *list.NextCursor == cursor:
			return slugs, breachf(x, "next_cursor is the cursor that was sent")
		}
		cursor = *list.NextCursor
	}
	return slugs, nil
}

// ofFirstAccount turns a check of one organization into a check of the server that uses the first organization. The rule is skipped
// if no organization is known.
func ofFirstAccount(check func(*account) error) func(*session) error {
	return func(s *session) error {
		if len(s.accounts) == 0 {
			return skip(s.reasonWithoutOrganization())
		}
		return check(s.accounts[0])
	}
}

func (s *session) reasonWithoutOrganization() string {
	if s.stopErr != nil {
		return stoppedAnswering
	}
	return fmt.Sprintf("no organization is known: %v", s.listErr)
}

const stoppedAnswering = "the server stopped answering"

// reasonWithoutAnswer returns why no answer was checked against a rule.
func (s *session) reasonWithoutAnswer() string {
	switch {
	case s.stopErr != nil:
		return stoppedAnswering
	case len(s.accounts) == 0:
		return s.reasonWithoutOrganization()
	default:
		return "no such answer came"
	}
}

// unknownSlug returns a slug that is not among the organizations that the token can see.
func (s *session) unknownSlug() string {
	slug := "no-such-organization"
	for slices.Contains(s.visible, slug) || slug == s.options.Organization {
		slug += "-x"
	}
	return slug
}

// redact removes the token from the text of a server.
func (s *session) redact(text string) string {
	return strings.ReplaceAll(text, s.options.Token, "[token]")
}

// maxExcerpt is how much of an answer a report shows, in bytes.
const maxExcerpt = 240

func excerpt(text string) string {
	if len(text) <= maxExcerpt {
		return text
	}
	end := maxExcerpt
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// describeRequest describes a request for a report.
func (x *exchange) describeRequest() string {
	text := x.method + " " + x.path
	if x.query != "" {
		text += "?" + x.query
	}
	var details []string
	for name, values := range x.requestHeader {
		switch name {
		case "Accept", "User-Agent":
		case "Authorization":
		default:
			details = append(details, strings.ToLower(name)+": "+strings.Join(values, ", "))
		}
	}
	if len(x.requestHeader.Values("Authorization")) == 0 {
		details = append(details, "no token")
	}
	slices.Sort(details)
	if len(details) > 0 {
		text += " (" + strings.Join(details, "; ") + ")"
	}
	return text
}

// describeAnswer describes an answer for a report.
func (x *exchange) describeAnswer() string {
	if x.status == 0 {
		return "nothing"
	}
	text := strconv.Itoa(x.status)
	if body := bytes.TrimSpace(x.body); len(body) > 0 {
		text += " " + excerpt(string(bytes.ToValidUTF8(body[:min(len(body), maxExcerpt+utf8.UTFMax)], []byte("\uFFFD"))))
	}
	return text
}
