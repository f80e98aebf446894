package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Option changes one setting: for all calls of a client if it is passed to [New], or for the call that it is passed to. If two options
// change the same setting, the last one applies. The options of a call come after those of the client. None may be nil.
type Option func(*Client) error

// TokenSource returns the token, hmt_…, for the next request. The client calls it for each attempt, also concurrently. It should cache a
// token for as long as the token is valid.
type TokenSource func(ctx context.Context) (string, error)

// Middleware wraps each attempt. It calls next to send the request. It may change the request, which belongs to this attempt only, and the
// answer. It sees the token in the Authorization header. The client retries errors of next, but no error that the middleware makes itself.
type Middleware func(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error)

var errInvalidToken = errors.New("the token is empty, begins or ends with a space or newline, or is not printable ASCII")

// WithToken sends the token, hmt_…, with every request. Without it, requests have no Authorization header, unless the transport of the
// http.Client adds one.
func WithToken(token string) Option {
	return func(c *Client) error {
		if !isHeaderValue(token) {
			return errInvalidToken
		}
		c.token = func(context.Context) (string, error) { return token, nil }
		return nil
	}
}

// WithTokenSource asks the source for the token of each attempt, for tokens that rotate. If the source fails, the call fails with an error
// that wraps the source's error. The source must not be nil.
func WithTokenSource(source TokenSource) Option {
	return func(c *Client) error {
		if source == nil {
			return errors.New("the token source is nil")
		}
		c.token = source
		return nil
	}
}

// WithHTTPClient uses a copy of hc, with its transport, cookie jar and timeout, instead of one of [http.DefaultClient].
// Its CheckRedirect is not used, since redirects are not followed. hc must not be nil.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *Client) error {
		if hc == nil {
			return errors.New("the http.Client is nil")
		}
		own := *hc
		// net/http would repeat the token to subdomains, to other ports and from https to http, and turn a POST into a GET.
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.http = &own
		return nil
	}
}

// WithUserAgent sends another User-Agent, so that the server's log tells programs apart. The default has the [Version] of this package, as
// in "harmont-billing-go/0.1.0 (go1.26; linux/amd64)".
func WithUserAgent(userAgent string) Option {
	return func(c *Client) error {
		if !isHeaderValue(userAgent) {
			return errors.New("the user agent is empty, begins or ends with a space or newline, or is not printable ASCII")
		}
		c.userAgent = userAgent
		return nil
	}
}

// WithTimeout bounds each attempt, from dialing to the last byte of the answer; an iterator over pages makes one request
// per page. For [Client.UsageBreakdown] it bounds the wait for the answer's header and each wait for more of its body. The
// default is 30 seconds; 0 means no bound but the context's.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) error {
		if d < 0 {
			return errors.New("the timeout is negative")
		}
		c.timeout = d
		return nil
	}
}

// WithMaxRetries sets how often a request is sent again after a failure that may pass. The default is 2; 0 means never.
func WithMaxRetries(n int) Option {
	return func(c *Client) error {
		if n < 0 {
			return errors.New("the maximum of retries is negative")
		}
		c.maxRetries = n
		return nil
	}
}

// WithMaxResponseBytes bounds the body of an answer, after decompression, and with it the memory that a faulty server
// can take. For [Client.UsageBreakdown] it bounds each build. The default is 64 MiB, enough for a breakdown of some
// 170 000 jobs; all other answers stay below 1 MiB.
func WithMaxResponseBytes(n int64) Option {
	return func(c *Client) error {
		if n < 1 {
			return errors.New("the maximum of response bytes is below 1")
		}
		c.maxResponseBytes = n
		return nil
	}
}

// WithLogger writes what happens to the requests. An attempt has a line of level debug: its method, URL, number, duration, status, request id
// and error, and how long the wait for the next one is. When calls begin to fail because the server cannot be reached, fails or gives no
// answer in time, there is one line of level warn, and one of level info when the server answers again. No line has the token or a body.
// logger must not be nil.
func WithLogger(logger *slog.Logger) Option {
	return func(c *Client) error {
		if logger == nil {
			return errors.New("the logger is nil")
		}
		c.logger = logger
		return nil
	}
}

// WithMiddleware adds middleware. The first one is the outermost, and the middleware of a call is inside that of the client. None may be
// nil.
func WithMiddleware(middleware ...Middleware) Option {
	return func(c *Client) error {
		for _, m := range middleware {
			if m == nil {
				return errors.New("a middleware is nil")
			}
		}
		c.middleware = slices.Concat(c.middleware, middleware)
		return nil
	}
}

// ownHeaders are the headers that the client sets itself.
var ownHeaders = []string{
	"Accept", "Authorization", "Connection", "Content-Length", "Content-Type", "Host", "Trailer", "Transfer-Encoding", "User-Agent", "X-Request-Id",
}

// WithHeader sends a header with each attempt, such as one that a proxy asks for. A second value for the same name replaces the first. The
// headers that the client sets itself are refused; [WithToken] and [WithUserAgent] set two of them. Idempotency-Key is for [Client.Do];
// other calls have keys of their own. The value is in no error, log line or printed Client.
func WithHeader(name, value string) Option {
	return func(c *Client) error {
		name := http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			return fmt.Errorf("%q is not the name of a header", name)
		case slices.Contains(ownHeaders, name):
			return fmt.Errorf("the client sets the header %s itself", name)
		case !isHeaderValue(value):
			return fmt.Errorf("the value of the header %s is empty, begins or ends with a space or newline, or is not printable ASCII", name)
		}
		c.headers = append(slices.Clip(c.headers), func(h http.Header) { h.Set(name, value) })
		return nil
	}
}

// WithQuery adds a parameter to the query of each request, for one that a later version of the API knows. A parameter that the call sets
// itself is not changed.
func WithQuery(name, value string) Option {
	return func(c *Client) error {
		if name == "" {
			return errors.New("the name of the parameter is empty")
		}
		c.query = append(slices.Clip(c.query), [2]string{name, value})
		return nil
	}
}

// WithResponse stores the answer of a call, to read its headers, its status, or fields that this version of the package does not know. It
// is for single calls: calls that run at the same time would store theirs in the same place. An iterator stores the answer of each page.
//
//	var resp *http.Response
//	balance, err := c.GetBillingBalance(ctx, "acme", client.WithResponse(&resp))
//
// The body has been read from the network and can be read again, without closing it: all of it for a success, and the first 64 KiB for an
// error. That of [Client.UsageBreakdown] is empty. Of several attempts, the last answer is stored; nil means that there was none.
func WithResponse(into **http.Response) Option {
	return func(c *Client) error {
		if into == nil {
			return errors.New("the place for the response is nil")
		}
		*into = nil
		c.response = func(resp *http.Response) { *into = resp }
		return nil
	}
}

// withOrigin adds the origin of the value to the error of an option.
func withOrigin(origin string, opt Option) Option {
	return func(c *Client) error {
		if err := opt(c); err != nil {
			return fmt.Errorf("%s: %w", origin, err)
		}
		return nil
	}
}

// isToken reports whether s can be the name of a header.
func isToken(s string) bool {
	for i := range len(s) {
		if !strings.ContainsRune("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", rune(s[i])) {
			return false
		}
	}
	return s != ""
}

// isHeaderValue reports whether s arrives unchanged as the value of a header.
func isHeaderValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && strings.TrimSpace(s) == s
}
