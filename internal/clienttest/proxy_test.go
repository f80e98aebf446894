package clienttest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/server"
)

// fault is the fault of a proxy on one connection.
type fault int

const (
	pass          fault = iota
	drop                // the request arrives nowhere
	dropAnswer          // the request arrives, the answer does not
	cutAnswer           // the answer ends in the middle
	garbleAnswer        // some bytes of the answer are others
	garbleRequest       // some bytes of the request are others
	delay               // the answer comes late, or too late
	faultCount
)

// proxy stands between the client and the server. Each connection gets the next fault.
type proxy struct {
	net.Listener
	server      string
	connections atomic.Int64
	faultsDone  [faultCount]atomic.Int64
	// garble changes a byte. Over TLS it may become any other; over plain HTTP one that neither HTTP nor JSON allows, since
	// nothing could tell a digit that became another.
	garble func(byte) byte
	wg     sync.WaitGroup
}

func newProxy(t *testing.T, server string, garble func(byte) byte) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, server: server, garble: garble}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve(down net.Conn) {
	defer down.Close()
	turn := p.connections.Add(1)
	f := fault(turn % int64(faultCount))
	p.faultsDone[f].Add(1)
	if f == drop {
		return
	}
	up, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer up.Close()
	// Where it happens differs each time: in the TLS handshake, in a header, in a body.
	at := int(turn * 97 % 1900)
	var wg sync.WaitGroup
	wg.Go(func() {
		var garble func(byte) byte
		if f == garbleRequest {
			garble = p.garble
		}
		relay(up, down, at%700, garble, 0)
		up.(*net.TCPConn).CloseWrite()
	})
	wg.Go(func() {
		defer down.Close()
		switch f {
		case dropAnswer:
			// The server is done with the request when its answer begins.
			up.Read(make([]byte, 1))
		case cutAnswer:
			io.CopyN(down, up, int64(at))
		case garbleAnswer:
			relay(down, up, at, p.garble, 0)
		case delay:
			relay(down, up, 0, nil, time.Duration(turn%3)*350*time.Millisecond)
		default:
			io.Copy(down, up)
		}
	})
	wg.Wait()
}

// relay copies, waits before each part, and garbles the byte at the place and every 500th after it.
func relay(to io.Writer, from io.Reader, at int, garble func(byte) byte, wait time.Duration) {
	buffer := make([]byte, 4096)
	for offset := 0; ; {
		n, err := from.Read(buffer)
		for i := range n {
			if place := offset + i; garble != nil && place >= at && (place-at)%500 == 0 {
				buffer[i] = garble(buffer[i])
			}
		}
		time.Sleep(wait) // this stands for a slow network; no condition waits for it
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
		offset += n
	}
}

// isTyped reports whether a program can recognize a failure.
func isTyped(err error) bool {
	_, api := errors.AsType[*client.Error](err)
	_, transport := errors.AsType[*url.Error](err)
	return api || transport || errors.Is(err, client.ErrInvalidResponse)
}

// Through a proxy that drops, delays, cuts and garbles, there is no wrong answer, no write happens twice, none that was
// acknowledged is lost, and every failure is of a type that the package documents.
func TestThroughAFaultyProxy(t *testing.T) {
	for name, secure := range map[string]bool{"HTTP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBilling(t, "acme")
			token, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: server.RoleAdmin, Organizations: []string{"acme"}})
			if err != nil {
				t.Fatal(err)
			}
			quiet := httptest.NewUnstartedServer(b.Handler())
			quiet.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			transport := &http.Transport{DisableKeepAlives: true} // a fault for each request
			garble := func(byte) byte { return 1 }
			if secure {
				quiet.StartTLS()
				garble = func(b byte) byte { return b ^ 1 }
				transport.TLSClientConfig = quiet.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				transport.TLSClientConfig.MinVersion = tls.VersionTLS13
			} else {
				quiet.Start()
			}
			t.Cleanup(quiet.Close)
			direct := newClient(t, quiet.URL, client.WithToken(token), client.WithHTTPClient(quiet.Client()))
			p := newProxy(t, quiet.Listener.Addr().String(), garble)
			c := newClient(t, quiet.URL[:len(quiet.URL)-len(quiet.Listener.Addr().String())]+p.Addr().String(), client.WithToken(token),
				client.WithHTTPClient(&http.Client{Transport: transport}), client.WithTimeout(500*time.Millisecond), client.WithMaxRetries(1))

			writes := testlong.Pick(26, 60) // each makes two entries, so these are more than a page
			window := client.Window{From: newLease(0).StartedAt, To: newLease(writes).StartedAt}
			var mu sync.Mutex
			failures, lists, streams := 0, 0, 0
			failed := func(err error) bool {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					return false
				}
				failures++
				if !isTyped(err) {
					t.Errorf("of no type: %v", err)
				}
				return true
			}
			posted, recorded := map[string]client.UUID{}, map[client.UUID]bool{}
			var balances []int64
			work := make(chan int)
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					for i := range work {
						key := fmt.Sprint("credit ", i)
						lease := newLease(i)
						// A write is repeated until it succeeds, as a program would that cannot do without.
						for {
							entry, err := c.PostCredit(t.Context(), "acme", key, client.PostCreditRequest{AmountCents: int64(1000 + i), Source: client.CreditSourceRefund, Description: &key})
							if !failed(err) {
								if entry.AmountCents != int64(1000+i) || *entry.Description != key {
									t.Errorf("a wrong answer: %+v", entry)
								}
								mu.Lock()
								posted[key] = entry.ID
								mu.Unlock()
								break
							}
						}
						for {
							results, err := c.RecordLeases(t.Context(), "acme", []client.Lease{lease})
							if !failed(err) {
								if results[0].LeaseID != *lease.LeaseID || results[0].AmountCents != -12 {
									t.Errorf("a wrong answer: %+v", results[0])
								}
								mu.Lock()
								recorded[*lease.LeaseID] = true
								mu.Unlock()
								break
							}
						}
						balance, err := c.GetBillingBalance(t.Context(), "acme")
						if !failed(err) {
							mu.Lock()
							balances = append(balances, balance.BalanceCents)
							mu.Unlock()
						}
					}
				})
			}
			for i := range writes {
				work <- i
			}
			close(work)
			wg.Wait()

			// The ledger, read by a client without the proxy.
			var entries []client.Transaction
			possible := map[int64]bool{0: true}
			balance := int64(0)
			for tx, err := range direct.TransactionsSince(t.Context(), "acme", client.UUID{}) {
				if err != nil {
					t.Fatal(err)
				}
				entries = append(entries, tx)
				balance += tx.AmountCents
				possible[balance] = true
				if tx.Source == client.TransactionSourceRefund && posted[*tx.Description] != tx.ID {
					t.Errorf("nobody was told of %+v", tx)
				}
			}
			if len(entries) != 2*writes || len(posted) != writes || len(recorded) != writes {
				t.Errorf("%d entries for %d credits and %d leases", len(entries), len(posted), len(recorded))
			}
			for _, b := range balances {
				if !possible[b] {
					t.Errorf("there was never a balance of %d", b)
				}
			}
			// Lists and streams come whole, or end with an error.
			builds := 0
			for build, err := range direct.UsageBreakdown(t.Context(), "acme", window) {
				if err != nil {
					t.Fatal(err)
				}
				builds += len(build.Jobs)
			}
			slices.Reverse(entries)
			for n := 0; n < testlong.Pick(1, 2)*int(faultCount) || lists == 0 || streams == 0; n++ {
				var seen []client.Transaction
				whole := true
				for tx, err := range c.Transactions(t.Context(), "acme") {
					if whole = !failed(err); whole {
						seen = append(seen, tx)
					}
				}
				if whole {
					lists++
				}
				if !slices.EqualFunc(seen, entries[:min(len(seen), len(entries))], sameEntry) || whole && len(seen) != len(entries) {
					t.Errorf("a wrong list of %d entries", len(seen))
				}
				jobs := 0
				whole = true
				for build, err := range c.UsageBreakdown(t.Context(), "acme", window) {
					if whole = !failed(err); whole {
						jobs += len(build.Jobs)
					}
				}
				if whole {
					streams++
				}
				if whole && jobs != builds {
					t.Errorf("a breakdown of %d jobs, not %d", jobs, builds)
				}
			}
			for f := range p.faultsDone {
				if p.faultsDone[f].Load() == 0 {
					t.Errorf("fault %d was not played", f)
				}
			}
			if failures == 0 || len(balances) == 0 {
				t.Errorf("%d failures and %d balances: this has shown nothing", failures, len(balances))
			}
			t.Logf("%d connections, %d failures, %d balances, %d lists, %d streams", p.connections.Load(), failures, len(balances), lists, streams)
		})
	}
}

func sameEntry(a, b client.Transaction) bool {
	return a.ID == b.ID && a.AmountCents == b.AmountCents && a.Source == b.Source && a.CreatedAt.Equal(b.CreatedAt) &&
		(a.Description == nil) == (b.Description == nil) && (a.Description == nil || *a.Description == *b.Description)
}
