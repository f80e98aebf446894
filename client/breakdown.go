package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
)

// UsageBreakdown is [Client.GetBillingUsageBreakdown] build by build, each decoded as it arrives: however long the window
// is, memory holds one build. The loop ends after an error; a loop that ends without one has
// seen all builds. Retries end with the first byte of the answer, since a second answer may differ from the first.
// Leaving the loop ends the request.
func (c *Client) UsageBreakdown(ctx context.Context, org string, window Window, opts ...Option) iter.Seq2[UsageBreakdownBuild, error] {
	return func(yield func(UsageBreakdownBuild, error) bool) {
		s, err := c.openBreakdown(ctx, org, window, opts)
		if err != nil {
			yield(UsageBreakdownBuild{}, err)
			return
		}
		defer s.close()
		s.yieldBuilds(yield)
	}
}

func (c *Client) openBreakdown(ctx context.Context, org string, window Window, opts []Option) (*stream, error) {
	req, err := c.breakdownRequest(org, window)
	if err == nil {
		c, err = c.withOptions(opts)
	}
	if err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	var s *stream
	err = c.retry(ctx, req, func() (*attempt, error) {
		var a *attempt
		s, a, err = c.openStream(ctx, req)
		return a, err
	})
	return s, err
}

// stream is an answer that is decoded while it arrives.
type stream struct {
	*attempt
	ctx       context.Context // tells why the body broke off
	cancel    context.CancelCauseFunc
	timer     *time.Timer // ends ctx; nil for none
	timeout   time.Duration
	limit     int64
	remaining int64 // bytes of limit that the current value may still take
	readErr   error // why the body cannot be read further
	decoder   *json.Decoder
}

// openStream makes one attempt, and bounds the wait for the answer.
func (c *Client) openStream(ctx context.Context, req *http.Request) (*stream, *attempt, error) {
	s := &stream{timeout: c.timeout, limit: c.maxResponseBytes}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if s.timeout > 0 {
		s.timer = time.AfterFunc(s.timeout, func() { s.cancel(context.DeadlineExceeded) })
	}
	var err error
	if s.attempt, err = c.send(s.ctx, req); err != nil {
		if s.timedOut() && !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", err, context.DeadlineExceeded)
		}
		s.cancel(nil)
		return nil, s.attempt, err
	}
	s.stopTimer()
	c.storeResponse(s.resp, nil)
	s.decoder = json.NewDecoder(s)
	return s, s.attempt, nil
}

func (s *stream) close() {
	s.stopTimer()
	s.cancel(nil)
	s.resp.Body.Close()
}

// stopTimer stops the clock while no read waits for the server.
func (s *stream) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// timedOut reports whether the timer or the caller's deadline ended the request.
func (s *stream) timedOut() bool { return errors.Is(context.Cause(s.ctx), context.DeadlineExceeded) }

var (
	errTooLarge = errors.New("too large")
	errLoopLeft = errors.New("the loop was left")
)

// Read bounds how much is read for one value, and how long each read may take.
func (s *stream) Read(p []byte) (int, error) {
	if s.remaining <= 0 {
		s.readErr = errTooLarge
		return 0, errTooLarge
	}
	if s.timer != nil {
		s.timer.Reset(s.timeout)
		defer s.timer.Stop()
	}
	n, err := s.resp.Body.Read(p[:min(int64(len(p)), s.remaining)])
	s.remaining -= int64(n)
	if err != nil && err != io.EOF {
		s.readErr = err
		if s.timedOut() {
			s.readErr = context.DeadlineExceeded
		}
	}
	return n, err
}

// yieldBuilds reads the whole answer and yields the builds on the way.
func (s *stream) yieldBuilds(yield func(UsageBreakdownBuild, error) bool) {
	err := s.readAnswer(yield)
	switch {
	case err == nil || errors.Is(err, errLoopLeft):
		return
	case errors.Is(s.readErr, errTooLarge):
		err = s.tooLargeError(s.limit)
	case s.readErr != nil:
		err = s.truncatedError(s.readErr)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		// A body that is complete for HTTP may still be an incomplete answer.
		err = s.invalidError("unexpected end of JSON input")
	default:
		err = s.invalidError(err.Error())
	}
	yield(UsageBreakdownBuild{}, err)
}

func (s *stream) readAnswer(yield func(UsageBreakdownBuild, error) bool) error {
	if err := s.expectDelim('{'); err != nil {
		return err
	}
	for hasData := false; ; {
		token, err := s.token()
		if err != nil {
			return err
		}
		key, isKey := token.(string)
		switch {
		case !isKey && hasData:
			return s.expectEnd()
		case !isKey:
			return errors.New("data is missing")
		case key == "data" && hasData:
			return errors.New("data comes twice")
		case key == "data":
			hasData = true
			err = s.readBuilds(yield)
		case strings.EqualFold(key, "data"):
			return errors.New(key + " is not how the field is spelled")
		default:
			var ignored json.RawMessage
			err = s.decode(&ignored)
		}
		if err != nil {
			return err
		}
	}
}

func (s *stream) readBuilds(yield func(UsageBreakdownBuild, error) bool) error {
	if err := s.expectDelim('['); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	var raw json.RawMessage
	for i := 0; s.hasMore(); i++ {
		raw = raw[:0]
		if err := s.decode(&raw); err != nil {
			return err
		}
		build, err := decode[UsageBreakdownBuild](raw)
		if err != nil {
			return fmt.Errorf("data[%d]: %s", i, strings.TrimSpace(err.Error()))
		}
		if !yield(*build, nil) {
			return errLoopLeft
		}
	}
	return s.expectDelim(']')
}

// expectEnd checks that nothing follows.
func (s *stream) expectEnd() error {
	switch _, err := s.token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("something follows the answer")
}

// Each of these methods reads one value. The limit applies to each value.

func (s *stream) token() (json.Token, error) {
	s.remaining = s.limit
	return s.decoder.Token()
}

func (s *stream) decode(v any) error {
	s.remaining = s.limit
	return s.decoder.Decode(v)
}

func (s *stream) hasMore() bool {
	s.remaining = s.limit
	return s.decoder.More()
}

func (s *stream) expectDelim(want json.Delim) error {
	got, err := s.token()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%v stands where %v should", got, want)
	}
	return nil
}
