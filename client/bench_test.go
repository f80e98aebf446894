package client_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

// constantServer answers every request with the same bytes, so that only the work of the client is measured.
func constantServer(b testing.TB, body string) (url string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 { // the header's end
						conn.Write(answer)
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// getByHand makes a call without this package.
func getByHand[T any](b testing.TB, url string) *T {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Fatal(resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	out := new(T)
	if err := json.Unmarshal(body, out); err != nil {
		b.Fatal(err)
	}
	return out
}

var calls = []struct {
	name, path, body string
	byClient         func(testing.TB, *client.Client) error
	byHand           func(testing.TB, string)
}{
	{
		"balance", "/api/v0/billing/balance/acme", `{"balance_cents":48112}`,
		func(b testing.TB, c *client.Client) error {
			_, err := c.GetBillingBalance(b.Context(), "acme")
			return err
		},
		func(b testing.TB, url string) { getByHand[client.BalanceResponse](b, url) },
	},
	{
		"100 transactions", "/api/v0/billing/transactions/acme?limit=100", ledgerPage("null", make([]int, 100)...),
		func(b testing.TB, c *client.Client) error {
			_, err := c.ListBillingTransactions(b.Context(), "acme", client.ListOptions{Limit: 100})
			return err
		},
		func(b testing.TB, url string) { getByHand[client.TransactionList](b, url) },
	},
	{
		"1000 builds", "/api/v0/billing/usage/acme/breakdown?from=2026-06-01&to=2026-07-01", `{"data":[` + strings.Repeat(build1+",", 999) + build2 + `]}`,
		func(b testing.TB, c *client.Client) error {
			_, err := c.GetBillingUsageBreakdown(b.Context(), "acme", client.Window{})
			return err
		},
		func(b testing.TB, url string) { getByHand[client.UsageBreakdownResponse](b, url) },
	},
}

// allocations returns the ratio of the allocations of a client call to those of the same call with net/http and encoding/json.
func allocations(byClient, byHand func()) float64 {
	return testing.AllocsPerRun(20, byClient) / testing.AllocsPerRun(20, byHand)
}

func TestAllocations(t *testing.T) {
	for _, call := range calls {
		url := constantServer(t, call.body)
		c := newClient(t, url, client.WithToken(testToken))
		byClient := func() {
			if err := call.byClient(t, c); err != nil {
				t.Fatal(err)
			}
		}
		if ratio := allocations(byClient, func() { call.byHand(t, url+call.path) }); ratio > 2 {
			t.Errorf("%s: %.2f times the allocations of a call by hand", call.name, ratio)
		}
	}
}

// The client beside a hand-written call. It should take at most 1.25 of the time.
func BenchmarkCalls(b *testing.B) {
	for _, call := range calls {
		b.Run(call.name, func(b *testing.B) {
			url := constantServer(b, call.body)
			c := newClient(b, url, client.WithToken(testToken))
			byHand := func() { call.byHand(b, url+call.path) }
			byClient := func() {
				if err := call.byClient(b, c); err != nil {
					b.Fatal(err)
				}
			}
			// In turn, and by the median, so that a busy machine is as hard on one as on the other.
			var handTimes, clientTimes []time.Duration
			for b.Loop() {
				handTimes, clientTimes = append(handTimes, timed(byHand)), append(clientTimes, timed(byClient))
			}
			b.ReportMetric(float64(median(clientTimes))/float64(median(handTimes)), "times-as-long")
			b.ReportMetric(allocations(byClient, byHand), "times-the-allocs")
			b.ReportMetric(float64(median(handTimes)), "ns-by-hand")
			b.ReportMetric(float64(median(clientTimes)), "ns-by-client")
		})
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
