package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	out, _, err := exchange[T](ctx, c, opts, req, err)
	return out, err
}

// exchange is do for an operation that also has a result in a header.
func exchange[T any](ctx context.Context, c *Client, opts []Option, req *http.Request, err error) (*T, http.Header, error) {
	if err == nil {
		c, err = c.with(opts)
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
		return nil, nil, a.invalid(err.Error())
	}
	return out, a.resp.Header, nil
}

// fetch gives a 2xx answer with its whole body.
func (c *Client) fetch(ctx context.Context, req *http.Request) (a *attempt, body []byte, err error) {
	err = c.retry(ctx, req, func() error {
		a, body, err = c.fetchOnce(ctx, req)
		return err
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
		return nil, nil, err
	}
	defer a.resp.Body.Close()
	body, err := a.read(c.maxResponseBytes)
	return a, body, err
}

// attempt is a request that was sent, and its answer.
type attempt struct {
	req    *http.Request
	resp   *http.Response // 2xx and, by its header, JSON
	secret string         // the token that it was sent with
}

// send makes one attempt. It fails unless the answer is 2xx and has the type of JSON. The caller closes the body.
func (c *Client) send(ctx context.Context, req *http.Request) (*attempt, error) {
	secret, err := c.secret(ctx)
	if err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	a := &attempt{req: req.Clone(ctx), secret: secret}
	if req.GetBody != nil {
		if a.req.Body, err = req.GetBody(); err != nil {
			return nil, fmt.Errorf("harmont-billing: %w", err)
		}
	}
	a.req.Header.Set("Accept", "application/json")
	a.req.Header.Set("User-Agent", c.userAgent)
	if secret != "" {
		a.req.Header.Set("Authorization", "Bearer "+secret)
	}
	next := c.http.Do
	for _, m := range slices.Backward(c.middleware) {
		inner := next
		next = func(r *http.Request) (*http.Response, error) { return m(r, inner) }
	}
	if a.resp, err = next(a.req); err != nil { //nolint:bodyclose // the caller closes it
		return nil, a.failed(err)
	}
	if a.resp == nil {
		return nil, errors.New("harmont-billing: a middleware gave neither an answer nor an error")
	}
	if a.resp.StatusCode < 200 || a.resp.StatusCode > 299 {
		defer a.resp.Body.Close()
		return nil, a.refused()
	}
	contentType := a.resp.Header.Get("Content-Type")
	if mediaType, _, _ := mime.ParseMediaType(contentType); mediaType != "application/json" {
		a.resp.Body.Close()
		return nil, a.invalid(fmt.Sprintf("status %d with Content-Type %q", a.resp.StatusCode, contentType))
	}
	return a, nil
}

// read gives the whole body.
func (a *attempt) read(limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, a.resp.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, a.tooLarge(limit)
	}
	if err != nil {
		return nil, a.cut(err)
	}
	return body, nil
}

// retry makes attempts until one succeeds, fails permanently or is the last. Every operation may be repeated: a write has a key, by which
// the server recognizes it.
func (c *Client) retry(ctx context.Context, req *http.Request, attempt func() error) error {
	for n := 0; ; n++ {
		start := time.Now()
		err := attempt()
		wait, again := time.Duration(0), false
		if err != nil && n < c.maxRetries && ctx.Err() == nil && passing(err) {
			wait = backoff(n, err)
			// A retry that the deadline would cut off is not worth the wait.
			deadline, bounded := ctx.Deadline()
			again = !bounded || wait < time.Until(deadline)
		}
		c.log(ctx, req, n+1, time.Since(start), err, wait, again)
		if !again {
			return err
		}
		if ended := sleep(ctx, wait); ended != nil {
			return fmt.Errorf("%w; not retried: %w", err, ended)
		}
	}
}

// passing tells whether a failure may be gone when the request is sent again.
func passing(err error) bool {
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
		wait += min(apiErr.RetryAfter, maxRetryAfter)
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

func (c *Client) log(ctx context.Context, req *http.Request, attempt int, took time.Duration, err error, wait time.Duration, again bool) {
	if c.logger == nil || !c.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("url", req.URL.String()), slog.Int("attempt", attempt), slog.Duration("duration", took),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if again {
		attrs = append(attrs, slog.Duration("retry_in", wait))
	}
	c.logger.LogAttrs(ctx, slog.LevelDebug, "harmont-billing request", attrs...)
}

// failed is the error of an attempt without an answer.
func (a *attempt) failed(err error) error {
	return fmt.Errorf("harmont-billing: %w", a.hide(err))
}

// cut is the error of an answer that broke off, of the same type as that of none.
func (a *attempt) cut(err error) error {
	method := a.req.Method[:1] + strings.ToLower(a.req.Method[1:]) // as net/http has it
	return a.failed(&url.Error{Op: method, URL: a.req.URL.String(), Err: fmt.Errorf("reading the answer: %w", err)})
}

func (a *attempt) invalid(problem string) error { return invalidResponse(a.req, a.redact(problem)) }

func (a *attempt) tooLarge(limit int64) error {
	return a.invalid(fmt.Sprintf("larger than %d bytes; see WithMaxResponseBytes", limit))
}

func invalidResponse(req *http.Request, problem string) error {
	return fmt.Errorf("harmont-billing: %w to %s %s: %s", ErrInvalidResponse, req.Method, req.URL, problem)
}

// redact removes the token from the text of an answer before the text becomes a part of an error.
func (a *attempt) redact(s string) string {
	if a.secret == "" {
		return s
	}
	return strings.ReplaceAll(s, a.secret, "[token]")
}

// hide is redact for an error, which stays as it is where its text does not have the token.
func (a *attempt) hide(err error) error {
	text := err.Error()
	if a.secret == "" || !strings.Contains(text, a.secret) {
		return err
	}
	is := func(target error) bool { return errors.Is(err, target) }
	urlErr, ok := errors.AsType[*url.Error](err)
	if !ok {
		return &redacted{a.redact(text), is}
	}
	return &url.Error{Op: urlErr.Op, URL: a.redact(urlErr.URL), Err: &redacted{a.redact(urlErr.Err.Error()), is}}
}

// redacted stands for an error that quoted the token. That error is behind a function, where no print finds it.
type redacted struct {
	text string
	is   func(target error) bool
}

func (r *redacted) Error() string        { return r.text }
func (r *redacted) Is(target error) bool { return r.is(target) }
