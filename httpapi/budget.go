package httpapi

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// quota bounds how much of a resource each owner may use.
type quota[Owner comparable] struct {
	each int64

	mu     sync.Mutex
	shares map[Owner]*share // of owners that use the resource or wait for it
}

type share struct {
	*semaphore.Weighted
	users int
}

func newQuota[Owner comparable](each int64) *quota[Owner] {
	return &quota[Owner]{each: each, shares: map[Owner]*share{}}
}

// acquire waits for n units until the context ends, whose error it then returns. An owner is served in the order of its calls.
func (q *quota[Owner]) acquire(ctx context.Context, owner Owner, n int64) (release func(), err error) {
	q.mu.Lock()
	s, ok := q.shares[owner]
	if !ok {
		s = &share{Weighted: semaphore.NewWeighted(q.each)}
		q.shares[owner] = s
	}
	s.users++
	q.mu.Unlock()
	leave := func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if s.users--; s.users == 0 {
			delete(q.shares, owner)
		}
	}
	if err := s.Acquire(ctx, n); err != nil {
		leave()
		return nil, err
	}
	return func() {
		s.Release(n)
		leave()
	}, nil
}

// largeBody is the length from which on memory is given back to the system after the request. Garbage of such bodies would otherwise
// grow to a multiple of the budget before it is collected.
const largeBody = 1 << 20

// bodyBudget limits the memory for request bodies that are longer than earlyBody, in two stages: while a body is received, and until its
// request is answered. The memory of the second is that of the text, its decoded values, and the parameters of the statements that store
// them. One token may use half of each, so that it cannot keep the other tokens out.
type bodyBudget struct {
	receiving, decoding *stage
	wait                time.Duration // maximum time to wait for a share
	refused             atomic.Int64
}

// stage is the budget for one phase of a body, receiving or decoding: per token, and for all tokens together.
type stage struct {
	size   int64 // bytes
	tokens *quota[billing.TokenHash]
	all    *semaphore.Weighted
	used   atomic.Int64
}

func newStage(size int64) *stage {
	return &stage{size: size, tokens: newQuota[billing.TokenHash](size / 2), all: semaphore.NewWeighted(size)}
}

func newBodyBudget(receiving, decoding int64, wait time.Duration) *bodyBudget {
	return &bodyBudget{receiving: newStage(receiving), decoding: newStage(decoding), wait: wait}
}

// errOverload says that a body got no share of the budget in time.
var errOverload = fail(gen.CodeUnavailable, "other bodies take all of the memory for bodies")

// held is the number of bytes that one request has reserved in a stage.
type held struct {
	budget   *bodyBudget
	stage    *stage
	token    billing.TokenHash
	bytes    int64
	releases []func()
}

// hold returns a reservation of no bytes. The caller adds bytes with add, and must release it.
func (b *bodyBudget) hold(s *stage, token billing.TokenHash) *held {
	return &held{budget: b, stage: s, token: token}
}

// add reserves n more bytes of the stage. It fails with errOverload if they do not become free within the wait of the budget, or with the
// error of ctx if that ends first.
func (h *held) add(ctx context.Context, n int64) error {
	waiting, cancel := context.WithTimeout(ctx, h.budget.wait)
	defer cancel()
	release, err := h.stage.tokens.acquire(waiting, h.token, n)
	if err == nil {
		if err = h.stage.all.Acquire(waiting, n); err != nil {
			release()
		}
	}
	if err != nil {
		if ctx.Err() != nil { // the request was cancelled or timed out
			return ctx.Err()
		}
		h.budget.refused.Add(1)
		return errOverload
	}
	h.stage.used.Add(n)
	h.bytes += n
	h.releases = append(h.releases, release, func() { h.stage.all.Release(n) })
	return nil
}

func (h *held) release() {
	h.stage.used.Add(-h.bytes)
	for _, release := range h.releases {
		release()
	}
	h.bytes, h.releases = 0, nil
}

// releaseMemory releases the reservation after the request was answered, or its body was not received. For a large body, a goroutine first
// returns free memory to the system, so the caller is not delayed.
func (h *held) releaseMemory() {
	if h.bytes < largeBody {
		h.release()
		return
	}
	go func() {
		debug.FreeOSMemory() // the bytes stay reserved until the memory is free
		h.release()
	}()
}

// streamBudget limits the concurrent streamed answers of each token and of each organization.
type streamBudget struct {
	tokens        *quota[billing.TokenHash]
	organizations *quota[string]
	wait          time.Duration // maximum time to wait for a share
	open, refused atomic.Int64
}

func newStreamBudget(ofToken, ofOrganization int64, wait time.Duration) *streamBudget {
	return &streamBudget{tokens: newQuota[billing.TokenHash](ofToken), organizations: newQuota[string](ofOrganization), wait: wait}
}

// acquire waits until the token and the organization may have one more streamed answer. It fails with the code unavailable after b.wait.
func (b *streamBudget) acquire(ctx context.Context, token billing.TokenHash, organization string) (release func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, b.wait)
	defer cancel()
	releaseToken, err := b.tokens.acquire(waiting, token, 1)
	var releaseOrganization func()
	if err == nil {
		if releaseOrganization, err = b.organizations.acquire(waiting, organization, 1); err != nil {
			releaseToken()
		}
	}
	if err != nil {
		if ctx.Err() != nil { // the request was cancelled or timed out
			return nil, ctx.Err()
		}
		b.refused.Add(1)
		return nil, fail(gen.CodeUnavailable, "the token or the organization has too many streamed answers under way")
	}
	b.open.Add(1)
	return func() {
		b.open.Add(-1)
		releaseOrganization()
		releaseToken()
	}, nil
}
