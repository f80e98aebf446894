package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// An answer is never older than its question, and many questions share one read.
func TestSharedReads(t *testing.T) { synctest.Test(t, testSharedReads) }

func testSharedReads(t *testing.T) {
	var s shared[int, int64]
	var state, reads atomic.Int64
	var all sync.WaitGroup
	const askers, questions = 16, 500
	for range askers {
		all.Go(func() {
			for range questions {
				before := state.Add(1)
				got, err := s.read(t.Context(), 1, func(context.Context) (int64, error) {
					reads.Add(1)
					return state.Load(), nil
				})
				if err != nil || got < before {
					t.Errorf("asked after %d, the answer is of %d, %v", before, got, err)
				}
			}
		})
	}
	all.Wait()
	if n := reads.Load(); n >= askers*questions {
		t.Errorf("%d questions took %d reads", askers*questions, n)
	}
	synctest.Wait()
	if len(s.byKey) != 0 {
		t.Errorf("%v is left behind", s.byKey)
	}
}

// Whoever leaves takes nothing away from those who stay, and an error goes to all who share it.
func TestSharedReadOutlastsItsFirstCaller(t *testing.T) {
	var s shared[int, int]
	begun, end := make(chan struct{}), make(chan struct{})
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := s.read(impatient, 1, func(ctx context.Context) (int, error) {
			close(begun)
			<-end
			return 1, ctx.Err()
		})
		left <- err
	}()
	<-begun
	broken := errors.New("broken")
	stayed := make(chan error)
	go func() {
		_, err := s.read(t.Context(), 1, func(context.Context) (int, error) { return 0, broken })
		stayed <- err
	}()
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(end)
	// Depending on when it came, it shares the second read or is alone with it; the first it never gets.
	if err := <-stayed; err != nil && !errors.Is(err, broken) {
		t.Errorf("who stayed got %v", err)
	}
}
