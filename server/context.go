package server

import (
	"context"
	"sync"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// operationContext is the context of an operation: that of its request, what the token gives, and a time by which it must be done.
// Many answers wait for nothing, so there is no timer until something asks for Done.
type operationContext struct {
	context.Context
	grant    billing.Grant
	body     []byte    // of the request, decompressed
	deadline time.Time // zero for none

	mu     sync.Mutex
	timed  context.Context // nil before the first wait
	cancel context.CancelFunc
}

func newOperationContext(request context.Context, timeout time.Duration) *operationContext {
	ctx := &operationContext{Context: request}
	ctx.begin(timeout)
	return ctx
}

// begin gives the operation its time, again where it had some. Nothing may be waiting for the end of that.
func (c *operationContext) begin(timeout time.Duration) {
	c.timed = nil
	if timeout > 0 {
		c.deadline = time.Now().Add(timeout)
	}
}

// end releases the timer. The operation is over.
func (c *operationContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}

// wait returns a context of the standard library with the same end.
func (c *operationContext) wait() context.Context {
	if c.deadline.IsZero() {
		return c.Context
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.Context, c.deadline)
	}
	return c.timed
}

// Deadline implements context.Context.
func (c *operationContext) Deadline() (time.Time, bool) {
	if c.deadline.IsZero() {
		return c.Context.Deadline()
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *operationContext) Done() <-chan struct{} { return c.wait().Done() }

// Err implements context.Context.
func (c *operationContext) Err() error {
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed == nil { // nobody waits, and so only the request's own end counts
		return c.Context.Err()
	}
	return timed.Err()
}

type operationKey struct{}

// Value implements context.Context.
func (c *operationContext) Value(key any) any {
	if key == (operationKey{}) {
		return c
	}
	// The standard library finds a context of its own like this, and then needs no goroutine to wait for it.
	return c.wait().Value(key)
}

// grantOf returns what the request's token gives; the guard before each operation has put it there.
func grantOf(ctx context.Context) billing.Grant {
	return ctx.Value(operationKey{}).(*operationContext).grant //nolint:errcheck // see above
}

// orgOf returns the id of the organization in the request's path.
func orgOf(ctx context.Context) billing.ID { return grantOf(ctx).Organization.ID }
