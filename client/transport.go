package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	firstBackoff  = 500 * time.Millisecond // at most, before the first retry; it doubles with each
	maxBackoff    = 8 * time.Second
	maxRetryAfter = time.Minute // the longest Retry-After that is followed
)

// do sends the request, unless err says that it could not be built, and decodes its answer.
func do[T any](ctx context.Context, c *Client, opts []Option, req *http.Request, err error) (*T, error) {
	out, _, err := doWithHeader[T](ctx, c, opts, req, err)
	return out, err
}

// doWithHeader works like do and also returns the header of the answer, for operations that report a part of the result there.
func doWithHeader[T any](ctx context.Context, c *Client, opts []Option, req *http.Request, err error) (*T, http.Header, error) {
	if err == nil {
		c, err = c.withOptions(opts)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("harmont-billing: %w", err)
	}
	a, body, err := c.fetch(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	out, err := decode[T](body)
	if err != nil {
		return nil, nil, a.invalidError(err.Error())
	}
	return out, a.resp.Header, nil
}

// fetch sends the request, with retries, and returns a 2xx answer with its whole body.
func (c *Client) fetch(ctx context.Context, req *http.Request) (a *attempt, body []byte, err error) {
	err = c.retry(ctx, req, func() (*attempt, error) {
		a, body, err = c.fetchOnce(ctx, req)
		return a, err
	})
	return a, body, err
}

func (c *Client) fetchOnce(ctx context.Context, req *http.Request) (*attempt, []byte, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	a, err := c.send(ctx, req)
	if err != nil {
		return a, nil, err
	}
	defer a.resp.Body.Close()
	body, err := a.readBody(c.maxResponseBytes)
	c.storeResponse(a.resp, body)
	return a, body, err
}

// storeResponse gives WithResponse an answer, with a body that can be read again and without the token.
func (c *Client) storeResponse(resp *http.Response, body []byte) {
	if c.response == nil {
		return
	}
	stored := *resp
	stored.Body = io.NopCloser(bytes.NewReader(body))
	if resp.Request != nil {
		req := *resp.Request
		req.Header = req.Header.Clone()
		req.Header.Del("Authorization")
		stored.Request = &req
	}
	c.response(&stored)
}

// attempt is a request that was sent, and its answer.
type attempt struct {
	req       *http.Request
	resp      *http.Response // nil without an answer
	token     string         // the token that it was sent with
	requestID string         // that it was sent with
}

// answeredID is the name of the request in the log of whoever answered.
func (a *attempt) answeredID() string {
	if a.resp != nil {
		if id := a.resp.Header.Get("X-Request-Id"); id != "" {
			return a.redact(id)
		}
	}
	return a.requestID
}

// send makes one attempt. It fails unless the answer is 2xx and has the type of JSON. The caller closes the body. A failed attempt is nil if
// nothing was sent.
func (c *Client) send(ctx context.Context, req *http.Request) (*attempt, error) {
	token, err := c.requestToken(ctx)
	if err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	a := &attempt{req: req.Clone(ctx), token: token, requestID: newUUID().String()}
	if req.GetBody != nil {
		if a.req.Body, err = req.GetBody(); err != nil {
			return nil, fmt.Errorf("harmont-billing: %w", err)
		}
	}
	for _, set := range c.headers {
		set(a.req.Header)
	}
	if key := req.Header.Get("Idempotency-Key"); key != "" {
		a.req.Header.Set("Idempotency-Key", key)
	}
	if len(c.query) > 0 {
		query := a.req.URL.Query()
		for _, parameter := range c.query {
			if !req.URL.Query().Has(parameter[0]) {
				query.Add(parameter[0], parameter[1])
			}
		}
		a.req.URL.RawQuery = query.Encode()
	}
	a.req.Header.Set("Accept", "application/json")
	a.req.Header.Set("User-Agent", c.userAgent)
	a.req.Header.Set("X-Request-Id", a.requestID)
	if token != "" {
		a.req.Header.Set("Authorization", "Bearer "+token)
	}
	next := c.http.Do
	for _, m := range slices.Backward(c.middleware) {
		inner := next
		next = func(r *http.Request) (*http.Response, error) { return m(r, inner) }
	}
	if a.resp, err = next(a.req); err != nil { //nolint:bodyclose // the caller closes it
		a.resp = nil
		err = a.noAnswerError(err)
		return a, err
	}
	if a.resp == nil {
		return a, errors.New("harmont-billing: a middleware gave neither an answer nor an error")
	}
	if a.resp.StatusCode < 200 || a.resp.StatusCode > 299 {
		defer a.resp.Body.Close()
		// An error while reading changes nothing: the status is known, and the error shows the part that was read.
		body, _ := io.ReadAll(io.LimitReader(a.resp.Body, maxErrorBytes))
		c.storeResponse(a.resp, body)
		err = a.statusError(body)
		return a, err
	}
	contentType := a.resp.Header.Get("Content-Type")
	if mediaType, _, _ := mime.ParseMediaType(contentType); mediaType != "application/json" && !c.anyContent {
		a.resp.Body.Close()
		c.storeResponse(a.resp, nil)
		err = a.invalidError(fmt.Sprintf("status %d with Content-Type %q", a.resp.StatusCode, contentType))
		return a, err
	}
	return a, nil
}

// readBody returns the whole body.
func (a *attempt) readBody(limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, a.resp.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, a.tooLargeError(limit)
	}
	if err != nil {
		return nil, a.truncatedError(err)
	}
	return body, nil
}

// retry makes attempts until one succeeds, fails permanently or is the last. Every operation may be repeated: a write has a key, by which
// the server recognizes it.
func (c *Client) retry(ctx context.Context, req *http.Request, try func() (*attempt, error)) error {
	for n := 0; ; n++ {
		start := time.Now()
		a, err := try()
		wait, willRetry := time.Duration(0), false
		if err != nil && n < c.maxRetries && ctx.Err() == nil && isTransient(err) {
			wait = backoff(n, err)
			// A retry that the deadline would cut off is not worth the wait.
			deadline, bounded := ctx.Deadline()
			willRetry = !bounded || wait < time.Until(deadline)
		}
		o := outcome{err: err, url: req.URL.String()}
		if a != nil {
			o.url = a.redact(o.url) // a server may have given the token as a cursor
			o.requestID = a.answeredID()
			if a.resp != nil {
				o.status = a.resp.StatusCode
			}
		}
		c.logAttempt(ctx, req, n+1, time.Since(start), o, wait, willRetry)
		if !willRetry {
			return err
		}
		if ended := sleep(ctx, wait); ended != nil {
			return fmt.Errorf("%w; not retried: %w", err, ended)
		}
	}
}

// isTransient reports whether the same request may succeed later.
func isTransient(err error) bool {
	if apiErr, ok := errors.AsType[*Error](err); ok {
		switch apiErr.Status {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	_, ok := errors.AsType[*url.Error](err)
	return ok
}

// backoff returns how long to wait after the nth failure, from 0: the time that the server asks for, and a random time up to a limit that
// doubles, so that many clients do not return at the same time.
func backoff(n int, err error) time.Duration {
	wait := rand.N(min(firstBackoff<<min(n, 8), maxBackoff))
	if apiErr, ok := errors.AsType[*Error](err); ok {
		asked := apiErr.RetryAfter
		if limit := apiErr.RateLimit; asked == 0 && apiErr.Status == http.StatusTooManyRequests && limit != nil && limit.Remaining == 0 {
			asked = limit.Reset
		}
		wait += min(asked, maxRetryAfter)
	}
	return wait
}

// sleep waits, and tells why where the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter reads how long a server asks to wait, in seconds or as a date; 0 where it does not say.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), 0)
	}
	return 0
}

// noAnswerError is the error of an attempt without an answer.
func (a *attempt) noAnswerError(err error) error {
	return fmt.Errorf("harmont-billing: %w (request %s)", a.redactError(err), a.requestID)
}

// truncatedError is the error of an incomplete answer. It has the same type as the error of an attempt without an answer.
func (a *attempt) truncatedError(err error) error {
	method := a.req.Method[:1] + strings.ToLower(a.req.Method[1:]) // as net/http has it
	return a.noAnswerError(&url.Error{Op: method, URL: a.req.URL.String(), Err: fmt.Errorf("reading the answer: %w", err)})
}

func (a *attempt) invalidError(problem string) error {
	return fmt.Errorf("%w (request %s)", invalidResponse(a.req.Method, a.redact(a.req.URL.String()), a.redact(problem)), a.answeredID())
}

func (a *attempt) tooLargeError(limit int64) error {
	return a.invalidError(fmt.Sprintf("larger than %d bytes; see WithMaxResponseBytes", limit))
}

func invalidResponse(method, url, problem string) error {
	return fmt.Errorf("harmont-billing: %w to %s %s: %s", ErrInvalidResponse, method, url, problem)
}

// redact removes the token from the text of an answer before the text becomes a part of an error.
func (a *attempt) redact(s string) string {
	if a.token == "" {
		return s
	}
	return strings.ReplaceAll(s, a.token, "[token]")
}

// redactError removes the token from the text of an error. It returns an error without the token unchanged.
func (a *attempt) redactError(err error) error {
	text := err.Error()
	if a.token == "" || !strings.Contains(text, a.token) {
		return err
	}
	is := func(target error) bool { return errors.Is(err, target) }
	urlErr, ok := errors.AsType[*url.Error](err)
	if !ok {
		return &redactedError{a.redact(text), is}
	}
	return &url.Error{Op: urlErr.Op, URL: a.redact(urlErr.URL), Err: &redactedError{a.redact(urlErr.Err.Error()), is}}
}

// redactedError replaces an error that quoted the token. It refers to that error only in a function, so that no formatting can print it.
type redactedError struct {
	text string
	is   func(target error) bool
}

func (r *redactedError) Error() string        { return r.text }
func (r *redactedError) Is(target error) bool { return r.is(target) }
