package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	defaultTimeout          = 30 * time.Second
	defaultMaxRetries       = 2
	defaultMaxResponseBytes = 64 << 20
)

// The environment variables that [FromEnv] reads.
const (
	urlVariable   = "HARMONT_API_URL"
	tokenVariable = "HARMONT_TOKEN"
)

// Client calls one billing server. It is safe for concurrent use.
type Client struct {
	baseURL          string
	http             *http.Client
	token            TokenSource // a function, since any print of the Client would show a string; nil for none
	userAgent        string
	timeout          time.Duration
	maxRetries       int
	maxResponseBytes int64
	logger           *slog.Logger // nil for none
	outage           *outage
	headers          []func(http.Header)  // each sets a header; functions, since any print of the Client would show values
	query            [][2]string          // names and values of parameters that are added
	response         func(*http.Response) // receives the answer of a call; nil for none
	anyContent       bool                 // whether an answer may have another type than JSON
	middleware       []Middleware         // the outermost first
}

// New makes a client of the server at baseURL, its root: an absolute http or https URL without user, query or fragment,
// such as https://billing.example.com, or https://example.com/billing for a server under a path. New sends nothing. It
// fails on a base URL or an option that cannot be used.
func New(baseURL string, opts ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	// These errors do not contain the URL, which may have a password.
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
		maxRetries:       defaultMaxRetries,
		maxResponseBytes: defaultMaxResponseBytes,
		outage:           new(outage),
	}
	c, err = c.withOptions(append([]Option{WithHTTPClient(http.DefaultClient)}, opts...))
	if err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	return c, nil
}

// FromEnv makes a client of the server at the URL in the environment variable HARMONT_API_URL, with the token in
// HARMONT_TOKEN: the variables that the command line reads as well. Options come after them, so that [WithToken] or
// [WithTokenSource] takes the place of HARMONT_TOKEN. FromEnv fails where one of the two is missing, and as [New] does.
func FromEnv(opts ...Option) (*Client, error) {
	baseURL := os.Getenv(urlVariable)
	if baseURL == "" {
		return nil, errors.New("harmont-billing: " + urlVariable + " is not set; it is the URL of the server, such as https://billing.example.com")
	}
	if token := os.Getenv(tokenVariable); token != "" {
		opts = append([]Option{withOrigin(tokenVariable, WithToken(token))}, opts...)
	}
	c, err := New(baseURL, opts...)
	if err != nil {
		return nil, fmt.Errorf("%w (with the base URL of %s)", err, urlVariable)
	}
	if c.token == nil {
		return nil, errors.New("harmont-billing: " + tokenVariable + " is not set; it is the bearer token, hmt_…")
	}
	return c, nil
}

// withOptions returns a copy of c with the options, or c itself if there are none.
func (c *Client) withOptions(opts []Option) (*Client, error) {
	if len(opts) == 0 {
		return c, nil
	}
	own := *c
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("an option is nil")
		}
		if err := opt(&own); err != nil {
			return nil, err
		}
	}
	return &own, nil
}

// requestToken returns the token for one attempt. It is empty if the client has none.
func (c *Client) requestToken(ctx context.Context) (string, error) {
	if c.token == nil {
		return "", nil
	}
	token, err := c.token(ctx)
	if err != nil {
		return "", fmt.Errorf("no token: %w", err)
	}
	if !isHeaderValue(token) {
		return "", errInvalidToken
	}
	return token, nil
}
