package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultUserAgent        = "harmont-billing-go"
	defaultTimeout          = 30 * time.Second
	defaultMaxResponseBytes = 64 << 20
)

// Client calls one billing server. It is safe for concurrent use.
type Client struct {
	baseURL          string
	http             *http.Client
	token            func() string // a function, since any print of the Client would show a string; nil for none
	userAgent        string
	timeout          time.Duration
	maxResponseBytes int64
}

// Option sets one thing about a Client. Where two set the same, the last one counts.
type Option func(*Client) error

// New makes a client of the server at baseURL, its root: an absolute http or https URL without user, query or fragment,
// such as https://billing.example.com, or https://example.com/billing for a server under a path. New sends nothing. It
// fails on a base URL or an option that cannot be used.
func New(baseURL string, opts ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	// The URL stays out of these errors: what is wrong with it may be a password inside.
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return nil, errors.New("harmont-billing: the base URL must be absolute, http or https, such as https://billing.example.com")
	case u.User != nil:
		return nil, errors.New("harmont-billing: the base URL must not hold a user or password; see WithToken")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("harmont-billing: the base URL must not have a query or fragment")
	}
	c := &Client{
		baseURL:          strings.TrimRight(u.String(), "/") + "/",
		userAgent:        defaultUserAgent,
		timeout:          defaultTimeout,
		maxResponseBytes: defaultMaxResponseBytes,
	}
	for _, opt := range append([]Option{WithHTTPClient(http.DefaultClient)}, opts...) {
		if err := opt(c); err != nil {
			return nil, fmt.Errorf("harmont-billing: %w", err)
		}
	}
	return c, nil
}

// WithToken sends the token, hmt_…, with every request. Without it, requests are anonymous, which suits an http.Client
// whose transport adds the Authorization header.
func WithToken(token string) Option {
	return func(c *Client) error {
		if !fitsHeader(token) {
			return errors.New("the token is empty, begins or ends with a space or newline, or is not printable ASCII")
		}
		c.token = func() string { return token }
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

// WithUserAgent sends a User-Agent other than harmont-billing-go, so that the server's log tells programs apart.
func WithUserAgent(userAgent string) Option {
	return func(c *Client) error {
		if !fitsHeader(userAgent) {
			return errors.New("the user agent is empty, begins or ends with a space or newline, or is not printable ASCII")
		}
		c.userAgent = userAgent
		return nil
	}
}

// WithTimeout bounds each HTTP request, from dialing to the last byte of the answer; an iterator sends one request per
// page. The default is 30 seconds; 0 means no bound but the context's.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) error {
		if d < 0 {
			return errors.New("the timeout is negative")
		}
		c.timeout = d
		return nil
	}
}

// WithMaxResponseBytes bounds the body of an answer, after decompression, and with it the memory that a faulty server
// can take. The default is 64 MiB, enough for a breakdown of some 170 000 jobs; all other answers stay below 1 MiB.
func WithMaxResponseBytes(n int64) Option {
	return func(c *Client) error {
		if n < 1 {
			return errors.New("the maximum of response bytes is below 1")
		}
		c.maxResponseBytes = n
		return nil
	}
}

// fitsHeader tells whether s arrives unchanged as the value of a header.
func fitsHeader(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && strings.TrimSpace(s) == s
}

// do sends the request, unless err says that it could not be built, and decodes its answer.
func do[T any](ctx context.Context, c *Client, req *http.Request, err error) (*T, error) {
	out, _, err := exchange[T](ctx, c, req, err)
	return out, err
}

// exchange is do for an operation whose answer says something in its header as well.
func exchange[T any](ctx context.Context, c *Client, req *http.Request, err error) (*T, http.Header, error) {
	if err != nil {
		return nil, nil, fmt.Errorf("harmont-billing: %w", err)
	}
	header, body, err := c.send(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	out, err := decode[T](body)
	if err != nil {
		return nil, nil, c.invalidResponse(req, err.Error())
	}
	return out, header, nil
}

// send gives the header and the body of a 2xx answer that says it is JSON; all else is an error.
func (c *Client) send(ctx context.Context, req *http.Request) (http.Header, []byte, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if c.token != nil {
		req.Header.Set("Authorization", "Bearer "+c.token())
	}
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("harmont-billing: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, nil, c.newError(resp)
	}
	contentType := resp.Header.Get("Content-Type")
	if mediaType, _, _ := mime.ParseMediaType(contentType); mediaType != "application/json" {
		return nil, nil, c.invalidResponse(req, fmt.Sprintf("status %d with Content-Type %q", resp.StatusCode, contentType))
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, c.maxResponseBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, nil, c.invalidResponse(req, fmt.Sprintf("larger than %d bytes; see WithMaxResponseBytes", c.maxResponseBytes))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("harmont-billing: reading the response to %s %s: %w", req.Method, req.URL, err)
	}
	return resp.Header, body, nil
}

func (c *Client) invalidResponse(req *http.Request, problem string) error {
	return fmt.Errorf("harmont-billing: %w to %s %s: %s", ErrInvalidResponse, req.Method, req.URL, c.redact(problem))
}

// redact takes the token out of what a server sent, before it becomes part of an error.
func (c *Client) redact(s string) string {
	if c.token == nil {
		return s
	}
	return strings.ReplaceAll(s, c.token(), "[token]")
}
