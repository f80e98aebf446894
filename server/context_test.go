package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// An operation ends in time, also where it derives contexts of its own, and with its request before that.
func TestOperationContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		request, leave := context.WithCancel(t.Context())
		ctx := newOperationContext(request, time.Second)
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		if deadline, ok := derived.Deadline(); !ok || time.Until(deadline) != time.Second {
			t.Errorf("the deadline is %v, %v", deadline, ok)
		}
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if err := errors.Join(ctx.Err(), derived.Err()); err != nil {
			t.Errorf("before its time it ends with %v", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for _, c := range []context.Context{ctx, derived} {
			select {
			case <-c.Done():
			default:
				t.Error("it has not ended in time")
			}
			if err := c.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("in time it ends with %v", err)
			}
		}
		ctx.end()

		ctx.begin(time.Second) // as after a body that came late
		time.Sleep(time.Second / 2)
		if err := ctx.Err(); err != nil {
			t.Errorf("begun again it ends with %v", err)
		}
		ctx.end()

		ctx = newOperationContext(request, time.Second)
		defer ctx.end()
		leave()
		if err := ctx.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("when the client leaves it ends with %v", err)
		}
		<-ctx.Done()

		endless := newOperationContext(t.Context(), 0)
		if _, ok := endless.Deadline(); ok || endless.Err() != nil {
			t.Error("an operation that may last has a deadline")
		}
	})
}
