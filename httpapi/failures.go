package httpapi

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

const (
	// failureBurst is how many requests with an unknown or invalid token an address may make at once, and failureInterval the time after
	// which it may make one more.
	failureBurst    = 60
	failureInterval = time.Second
	// failureLogInterval is how often the log gets a line about the failed authentications of an address.
	failureLogInterval = 10 * time.Second
	// maxAddresses and maxKnownTokens bound the memory of failures.
	maxAddresses   = 10_000
	maxKnownTokens = 10_000
)

// failures limits failed authentications for each address, so that guesses cost no reads of the database and do not fill the log. The
// limit does not hold for tokens that were valid when they were used last, so a client keeps working beside others that share its
// address, such as that of a proxy.
type failures struct {
	log *slog.Logger

	mu        sync.Mutex
	addresses map[netip.Prefix]*failingAddress

	knownMu sync.RWMutex
	known   map[billing.TokenHash]struct{} // tokens that were valid when they were used last
}

// failingAddress is an address with requests that failed.
type failingAddress struct {
	free     time.Time // when the address may make failureBurst requests at once again
	quiet    bool      // whether the log had a line within failureLogInterval
	unlogged int       // failures since that line
}

func newFailures(log *slog.Logger) *failures {
	return &failures{log: log, addresses: map[netip.Prefix]*failingAddress{}, known: map[billing.TokenHash]struct{}{}}
}

// isKnown reports whether the token was valid when it was used last.
func (f *failures) isKnown(token billing.TokenHash) bool {
	f.knownMu.RLock()
	defer f.knownMu.RUnlock()
	_, ok := f.known[token]
	return ok
}

// setKnown notes whether the token is valid.
func (f *failures) setKnown(token billing.TokenHash, valid bool) {
	f.knownMu.Lock()
	defer f.knownMu.Unlock()
	if !valid {
		delete(f.known, token)
		return
	}
	if len(f.known) >= maxKnownTokens {
		clear(f.known)
	}
	f.known[token] = struct{}{}
}

// allows reports whether a request of the address may be checked, because the address has not failed too often. Requests that are being
// checked do not count yet, so that any number of clients may show valid tokens at the same time.
func (f *failures) allows(address netip.Prefix, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.addresses[address]
	return !ok || a.free.Sub(now) <= (failureBurst-1)*failureInterval
}

// count counts a failed request of the address.
func (f *failures) count(address netip.Prefix, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.of(address)
	if a.free.Before(now) {
		a.free = now
	}
	if latest := now.Add(failureBurst * failureInterval); a.free.Before(latest) { // many may have been checked at the same time
		a.free = a.free.Add(failureInterval)
	}
}

// logs reports whether the failed request has a line in the log. The others are counted, and have one line together.
func (f *failures) logs(address netip.Prefix) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.of(address)
	if a.quiet {
		a.unlogged++
		return false
	}
	a.quiet = true
	time.AfterFunc(failureLogInterval, func() {
		f.mu.Lock()
		count := a.unlogged
		a.quiet, a.unlogged = false, 0
		f.mu.Unlock()
		if count > 0 {
			f.log.Info("more failed authentications", "address", address.String(), "count", count, "within", failureLogInterval)
		}
	})
	return true
}

// of finds or adds an address. The caller holds mu.
func (f *failures) of(address netip.Prefix) *failingAddress {
	a, ok := f.addresses[address]
	if !ok {
		if len(f.addresses) >= maxAddresses {
			for other := range f.addresses { // any one
				delete(f.addresses, other)
				break
			}
		}
		a = &failingAddress{}
		f.addresses[address] = a
	}
	return a
}

// addressOf returns the client's address: all of an IPv4 address, and the network of an IPv6 address, since a client has 2⁶⁴ of these. It
// is the address of the connection, because no setting names a header to trust. Addresses of other kinds count as one.
func addressOf(remote string) netip.Prefix {
	parsed, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	address := parsed.Addr().Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(address, bits).Masked()
}
