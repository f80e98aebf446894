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
// is, memory is that of its largest build. An error is the last thing that it yields; a loop that ends without one has
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
		s.list(yield)
	}
}

func (c *Client) openBreakdown(ctx context.Context, org string, window Window, opts []Option) (*stream, error) {
	req, err := c.breakdownRequest(org, window)
	if err == nil {
		c, err = c.with(opts)
	}
	if err != nil {
		return nil, fmt.Errorf("harmont-billing: %w", err)
	}
	var s *stream
	err = c.retry(ctx, req, func() error {
		s, err = c.openStream(ctx, req)
		return err
	})
	return s, err
}

// stream is an answer that is read bit by bit.
type stream struct {
	*attempt
	ctx     context.Context // tells why the body broke off
	cancel  context.CancelCauseFunc
	timer   *time.Timer // ends ctx; nil for none
	timeout time.Duration
	limit   int64
	left    int64 // of limit, for the value that is being read
	broken  error // why the body cannot be read on
	decoder *json.Decoder
}

// openStream makes one attempt, and bounds the wait for the answer.
func (c *Client) openStream(ctx context.Context, req *http.Request) (*stream, error) {
	s := &stream{timeout: c.timeout, limit: c.maxResponseBytes}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if s.timeout > 0 {
		s.timer = time.AfterFunc(s.timeout, func() { s.cancel(context.DeadlineExceeded) })
	}
	var err error
	if s.attempt, err = c.send(s.ctx, req); err != nil {
		s.cancel(nil)
		return nil, err
	}
	s.pause()
	s.decoder = json.NewDecoder(s)
	return s, nil
}

func (s *stream) close() {
	s.pause()
	s.cancel(nil)
	s.resp.Body.Close()
}

// pause stops the clock while nobody waits for the server.
func (s *stream) pause() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

var errTooLarge = errors.New("too large")

// Read bounds how much is read for one value, and how long each read may take.
func (s *stream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.broken = errTooLarge
		return 0, errTooLarge
	}
	if s.timer != nil {
		s.timer.Reset(s.timeout)
		defer s.timer.Stop()
	}
	n, err := s.resp.Body.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err != nil && err != io.EOF { //nolint:errorlint // readers give io.EOF itself
		s.broken = err
		if errors.Is(context.Cause(s.ctx), context.DeadlineExceeded) {
			s.broken = context.DeadlineExceeded
		}
	}
	return n, err
}

// list reads the whole answer and yields the builds on the way.
func (s *stream) list(yield func(UsageBreakdownBuild, error) bool) {
	problem, left := s.walk(yield)
	if left || problem == nil {
		return
	}
	switch {
	case s.broken == nil:
		// A body that is complete as HTTP has it may still be half an answer.
		if errors.Is(problem, io.EOF) || errors.Is(problem, io.ErrUnexpectedEOF) {
			problem = errors.New("unexpected end of JSON input")
		}
		problem = s.invalid(problem.Error())
	case s.broken == errTooLarge: //nolint:errorlint // it is never wrapped
		problem = s.tooLarge(s.limit)
	default:
		problem = s.cut(s.broken)
	}
	yield(UsageBreakdownBuild{}, problem)
}

// walk tells what is wrong with the answer, or that the loop was left.
func (s *stream) walk(yield func(UsageBreakdownBuild, error) bool) (problem error, left bool) {
	if err := s.expect('{'); err != nil {
		return err, false
	}
	seen := false
	for {
		token, err := s.token()
		if err != nil {
			return err, false
		}
		key, more := token.(string)
		switch {
		case !more && seen:
			return s.end(), false
		case !more:
			return errors.New("data is missing"), false
		case key == "data" && seen:
			return errors.New("data comes twice"), false
		case key == "data":
			seen = true
			if err, left := s.builds(yield); err != nil || left {
				return err, left
			}
		case strings.EqualFold(key, "data"):
			return errors.New(key + " is not how the field is spelled"), false
		default:
			var ignored json.RawMessage
			if err := s.decode(&ignored); err != nil {
				return err, false
			}
		}
	}
}

func (s *stream) builds(yield func(UsageBreakdownBuild, error) bool) (problem error, left bool) {
	if err := s.expect('['); err != nil {
		return fmt.Errorf("data: %w", err), false
	}
	var raw json.RawMessage
	for i := 0; s.more(); i++ {
		raw = raw[:0]
		if err := s.decode(&raw); err != nil {
			return err, false
		}
		build, err := decode[UsageBreakdownBuild](raw)
		if err != nil {
			return fmt.Errorf("data[%d]: %s", i, strings.TrimSpace(err.Error())), false
		}
		if !yield(*build, nil) {
			return nil, true
		}
	}
	return s.expect(']'), false
}

// end checks that nothing follows.
func (s *stream) end() error {
	switch _, err := s.token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("something follows the answer")
}

// Each of these reads one value, for which the limit counts anew.

func (s *stream) token() (json.Token, error) {
	s.left = s.limit
	return s.decoder.Token()
}

func (s *stream) decode(v any) error {
	s.left = s.limit
	return s.decoder.Decode(v)
}

func (s *stream) more() bool {
	s.left = s.limit
	return s.decoder.More()
}

func (s *stream) expect(want json.Delim) error {
	got, err := s.token()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%v stands where %v should", got, want)
	}
	return nil
}
