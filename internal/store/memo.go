package store

import (
	"context"
	"sync"
)

// stamp stands for the state of a database: while it is the same, what was read is still so.
type stamp [6]uint64

// memo keeps what was read, each value with the stamp that was taken before it was read.
type memo[K comparable, V any] struct {
	mu    sync.RWMutex
	byKey map[K]memoized[V]
}

type memoized[V any] struct {
	at    stamp
	value V
}

// maxMemo bounds what a memo holds. Beyond it, it starts anew.
const maxMemo = 10_000

// read answers with what is kept while now gives the stamp that it was read at. Otherwise it reads, and keeps what may be kept.
// Where now knows no stamp it always reads.
func (m *memo[K, V]) read(ctx context.Context, key K, now func() (stamp, bool), read func() (value V, keep bool, err error)) (V, error) {
	at, stamped := now()
	if stamped && ctx.Err() == nil {
		m.mu.RLock()
		kept, ok := m.byKey[key]
		m.mu.RUnlock()
		if ok && kept.at == at {
			return kept.value, nil
		}
	}
	value, keep, err := read()
	if stamped && keep && err == nil {
		m.mu.Lock()
		if m.byKey == nil || len(m.byKey) >= maxMemo {
			m.byKey = map[K]memoized[V]{}
		}
		m.byKey[key] = memoized[V]{at, value}
		m.mu.Unlock()
	}
	return value, err
}
