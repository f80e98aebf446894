package client

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// outage records since when the server has not answered. All copies of a client share it.
type outage struct {
	mu    sync.Mutex
	since time.Time // when the first of the calls that fail was made; zero while the server answers
}

// begin notes a call that failed, and reports whether it is the first one.
func (o *outage) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		return false
	}
	o.since = time.Now()
	return true
}

// end notes that the server has answered, and returns how long it did not.
func (o *outage) end() (took time.Duration, wasOut bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return 0, false
	}
	took = time.Since(o.since)
	o.since = time.Time{}
	return took, true
}

// outcome is what is known of one attempt.
type outcome struct {
	requestID string
	status    int // 0 without an answer
	err       error
	url       string // without the token
}

// logAttempt logs one attempt. The call has failed if err is not nil and there is no retry.
func (c *Client) logAttempt(ctx context.Context, req *http.Request, n int, took time.Duration, o outcome, wait time.Duration, willRetry bool) {
	if c.logger == nil {
		return
	}
	attrs := []slog.Attr{slog.String("method", req.Method), slog.String("url", o.url)}
	if o.status != 0 {
		attrs = append(attrs, slog.Int("status", o.status))
	}
	if o.requestID != "" {
		attrs = append(attrs, slog.String("request_id", o.requestID))
	}
	if o.err != nil {
		attrs = append(attrs, slog.String("error", o.err.Error()))
	}
	switch {
	case isOutage(o.err) && !willRetry && ctx.Err() == nil:
		if c.outage.begin() {
			c.logger.LogAttrs(ctx, slog.LevelWarn, "harmont-billing does not answer", attrs...)
		}
	case o.status != 0 && !isOutage(o.err):
		if took, wasOut := c.outage.end(); wasOut {
			c.logger.LogAttrs(ctx, slog.LevelInfo, "harmont-billing answers again", slog.Duration("after", took), slog.String("request_id", o.requestID))
		}
	}
	if !c.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs = append(attrs, slog.Int("attempt", n), slog.Duration("duration", took))
	if willRetry {
		attrs = append(attrs, slog.Duration("retry_in", wait))
	}
	c.logger.LogAttrs(ctx, slog.LevelDebug, "harmont-billing request", attrs...)
}

// isOutage reports whether the error is that of a server that cannot be reached, fails, or gives no answer in time.
func isOutage(err error) bool {
	if apiErr, ok := errors.AsType[*Error](err); ok {
		return apiErr.Status >= http.StatusInternalServerError || apiErr.Status == http.StatusRequestTimeout
	}
	return isTransient(err)
}
