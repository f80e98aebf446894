package billingtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/billingtest"
	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/conformance"
	"github.com/harmont-dev/harmont-billing/server"
)

func newLease(at time.Time) client.Lease {
	return client.Lease{CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: at, FinishedAt: new(at.Add(5 * time.Minute))}
}

// The client sends a report again if its answer is lost. The lease is billed once.
func TestCut(t *testing.T) {
	b := billingtest.New(t)
	b.Inject(billingtest.Fault{Operation: "recordLeases", Cut: true})
	recorded, err := b.Client.RecordLeases(t.Context(), billingtest.Organization, []client.Lease{newLease(time.Now().Add(-time.Hour))})
	if err != nil || len(recorded) != 1 || recorded[0].Status != "duplicate" {
		t.Errorf("the second attempt gets %+v, %v", recorded, err)
	}
	balance, err := b.Client.GetBillingBalance(t.Context(), billingtest.Organization)
	if err != nil || balance.BalanceCents != -12 {
		t.Errorf("the balance is %+v, %v", balance, err)
	}
	if n := b.Requests("recordLeases"); n != 2 {
		t.Errorf("%d requests have come", n)
	}

	once, err := client.New(b.URL, client.WithToken(b.Token), client.WithMaxRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	b.Inject(billingtest.Fault{Operation: "getBillingUsageBreakdown", Cut: true})
	for _, err := range once.UsageBreakdown(t.Context(), billingtest.Organization, client.Last(24*time.Hour)) {
		if err != nil {
			return
		}
	}
	t.Error("a breakdown that is cut off ends without an error")
}

// Every status is an error that the contract allows, for as many requests as were asked for and for no other operation.
func TestStatus(t *testing.T) {
	b := billingtest.New(t, "acme", "globex")
	get := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/api/v0"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+b.Token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conformance.CheckAnswer(req, res.StatusCode, res.Header, bytes.TrimSpace(body)); err != nil {
			t.Error(err)
		}
		return res.StatusCode
	}
	for _, status := range []int{400, 401, 404, 429, 500, 503} {
		b.Inject(billingtest.Fault{Operation: "getBillingBalance", Status: status, Times: 2})
		for i, want := range []int{status, status, 200} {
			if got := get("/billing/head/globex"); got != 200 {
				t.Errorf("another operation is answered with %d", got)
			}
			if got := get("/billing/balance/globex"); got != want {
				t.Errorf("request %d is answered with %d, not %d", i, got, want)
			}
		}
	}
}

// noted keeps the errors of a test instead of failing it.
type noted struct {
	testing.TB
	errors []string
}

func (n *noted) Errorf(format string, args ...any) {
	n.errors = append(n.errors, fmt.Sprintf(format, args...))
}

// A fault that can happen to no request fails the test, and so does a count of an operation that does not exist.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		do   func(*billingtest.Billing)
		want string
	}{
		{func(b *billingtest.Billing) { b.Inject(billingtest.Fault{Operation: "getBalance", Cut: true}) }, `"getBalance"`},
		{func(b *billingtest.Billing) { b.Requests("getbillingbalance") }, `"getbillingbalance"`},
		{func(b *billingtest.Billing) { b.Requests("") }, `""`},
		{func(b *billingtest.Billing) { b.Inject(billingtest.Fault{Status: 200}) }, "200"},
		{func(b *billingtest.Billing) { b.Inject(billingtest.Fault{Status: 600}) }, "600"},
	} {
		tb := &noted{TB: t}
		b := billingtest.New(tb)
		c.do(b)
		if len(tb.errors) != 1 || !strings.Contains(tb.errors[0], c.want) {
			t.Errorf("the errors are %q, want one with %s", tb.errors, c.want)
		}
		if _, err := b.Client.GetBillingBalance(t.Context(), billingtest.Organization); err != nil {
			t.Errorf("after a fault that was refused: %v", err)
		}
	}
}

// A status that the contract has no error for is answered as a proxy would.
func TestStatusOfNoError(t *testing.T) {
	b := billingtest.New(t)
	b.Inject(billingtest.Fault{Status: 418})
	_, err := b.Client.GetBillingBalance(t.Context(), billingtest.Organization)
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || refused.Status != 418 || !strings.Contains(err.Error(), "no error with the status 418") {
		t.Errorf("the error is %v", err)
	}
}

func TestClear(t *testing.T) {
	b := billingtest.New(t)
	b.Inject(billingtest.Fault{Status: 404, Times: 5}, billingtest.Fault{Operation: "recordLeases", Status: 404})
	if _, err := b.Client.GetBillingBalance(t.Context(), billingtest.Organization); err == nil {
		t.Error("a request with a fault succeeds")
	}
	b.Clear()
	if _, err := b.Client.GetBillingBalance(t.Context(), billingtest.Organization); err != nil {
		t.Errorf("after the faults were removed: %v", err)
	}
}

func TestDelay(t *testing.T) {
	b := billingtest.New(t)
	impatient, err := client.New(b.URL, client.WithToken(b.Token), client.WithTimeout(50*time.Millisecond), client.WithMaxRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	b.Inject(billingtest.Fault{Delay: time.Hour})
	if _, err := impatient.GetBillingBalance(t.Context(), billingtest.Organization); err == nil {
		t.Error("it waits for no answer")
	}
}

func TestAdvance(t *testing.T) {
	b := billingtest.New(t)
	token, _, err := b.Server.CreateToken(t.Context(), server.TokenOptions{
		Name: "short", Role: server.RoleRead, Organizations: []string{billingtest.Organization}, ExpiresIn: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(b.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetBillingBalance(t.Context(), billingtest.Organization); err != nil {
		t.Error(err)
	}
	b.Advance(2 * time.Hour)
	if _, err := c.GetBillingBalance(t.Context(), billingtest.Organization); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("after its hour the token gets %v", err)
	}
	if _, err := b.Client.RecordLeases(t.Context(), billingtest.Organization, []client.Lease{newLease(time.Now().Add(time.Hour))}); err != nil {
		t.Error(err)
	}
}
