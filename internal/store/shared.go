package store

import (
	"context"
	"sync"
	"time"
)

// shared lets callers who want the same at the same time share one read. Whoever comes while a read is under way waits for its
// end and shares the next one, so that no answer is older than its question.
type shared[K comparable, V any] struct {
	mu    sync.Mutex
	byKey map[K]*turn[V] // the turn after the one that is under way; nil where nobody waits for it yet
}

// turn is one read and those who wait for it.
type turn[V any] struct {
	read  func(context.Context) (V, error)
	done  chan struct{}
	value V
	err   error
}

// sharedTimeout bounds a read that is shared: its callers may have left.
const sharedTimeout = 10 * time.Second

// read returns what the read finds. Its context ends with that of no caller, but after sharedTimeout.
func (s *shared[K, V]) read(ctx context.Context, key K, read func(context.Context) (V, error)) (value V, err error) {
	if err := ctx.Err(); err != nil {
		return value, err
	}
	s.mu.Lock()
	t, underWay := s.byKey[key]
	if t == nil {
		t = &turn[V]{read: read, done: make(chan struct{})}
		if underWay {
			s.byKey[key] = t
		}
	}
	if !underWay {
		if s.byKey == nil {
			s.byKey = map[K]*turn[V]{}
		}
		s.byKey[key] = nil
		go s.take(key, t)
	}
	s.mu.Unlock()
	select {
	case <-t.done:
		return t.value, t.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// take reads for one turn after the other, until nobody waits.
func (s *shared[K, V]) take(key K, t *turn[V]) {
	for t != nil {
		ctx, cancel := context.WithTimeout(context.Background(), sharedTimeout)
		t.value, t.err = t.read(ctx)
		cancel()
		close(t.done)
		s.mu.Lock()
		if t = s.byKey[key]; t == nil {
			delete(s.byKey, key)
		} else {
			s.byKey[key] = nil
		}
		s.mu.Unlock()
	}
}
