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
		if value, ok := m.kept(key, at); ok {
			return value, nil
		}
	}
	value, keep, err := read()
	if stamped && keep && err == nil {
		m.keep(key, at, value)
	}
	return value, err
}

func (m *memo[K, V]) kept(key K, at stamp) (value V, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	kept, ok := m.byKey[key]
	return kept.value, ok && kept.at == at
}

func (m *memo[K, V]) keep(key K, at stamp, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byKey == nil || len(m.byKey) >= maxMemo {
		m.byKey = map[K]memoized[V]{}
	}
	m.byKey[key] = memoized[V]{at, value}
}
