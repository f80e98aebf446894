package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

// startBilling starts a real billing server on a temporary file and makes a client of it. It has an organization acme, with
// a credit and, on 2026-06-06, two builds.
func startBilling() (c *client.Client, stop func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "harmont-billing")
	if err != nil {
		log.Fatal(err)
	}
	s, err := server.Open(ctx, server.Config{Database: "sqlite:" + filepath.Join(dir, "billing.db")})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.CreateOrganization(ctx, "acme", "Acme, Inc."); err != nil {
		log.Fatal(err)
	}
	token, _, err := s.CreateToken(ctx, server.TokenOptions{Name: "example", Role: server.RoleAdmin, Organizations: []string{"acme"}})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	c, err = client.New(srv.URL, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}
	credit := client.PostCreditRequest{AmountCents: 5000, Source: client.CreditSourceAdminGrant, Description: new("Welcome credit")}
	if _, err := c.PostCredit(ctx, "acme", "welcome", credit); err != nil {
		log.Fatal(err)
	}
	var leases []client.Lease
	for i, name := range []string{"Lint", "Integration"} {
		start := june6.Add(time.Duration(10+i) * time.Hour)
		leases = append(leases, client.Lease{
			JobID: &client.UUID{15: byte(i + 1)}, JobName: &name,
			BuildID: &client.UUID{14: byte(i + 1)}, BuildNumber: new(int64(i + 1)),
			CPUCount: 2, MemoryGB: 4, DiskGB: 20,
			StartedAt: start, FinishedAt: new(start.Add(time.Duration(i+1) * 5 * time.Minute)),
		})
	}
	if _, err := c.RecordLeases(ctx, "acme", leases); err != nil {
		log.Fatal(err)
	}
	return c, func() {
		srv.Close()
		s.Close()
		os.RemoveAll(dir)
	}
}

var (
	june6 = time.Date(2026, 6, 6, 0, 0, 0, 0, time.UTC)
	day   = client.Window{From: june6, To: june6.AddDate(0, 0, 1)}
)

func Example() {
	c, stop := startBilling()
	defer stop()

	balance, err := c.GetBillingBalance(context.Background(), "acme")
	if errors.Is(err, client.ErrOrganizationNotFound) {
		log.Fatal("no such organization, or the token may not see it")
	} else if err != nil {
		log.Fatal(err)
	}
	fmt.Println(balance.BalanceCents, "cents")
	// Output:
	// 4963 cents
}

func ExampleClient_GetBillingBalance() {
	c, stop := startBilling()
	defer stop()

	balance, err := c.GetBillingBalance(context.Background(), "acme")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(balance.BalanceCents, "cents")
	// Output:
	// 4963 cents
}

func ExampleClient_ListBillingTransactions() {
	c, stop := startBilling()
	defer stop()

	page, err := c.ListBillingTransactions(context.Background(), "acme", client.ListOptions{Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, tx := range page.Data {
		fmt.Println(tx.AmountCents, tx.Source)
	}
	fmt.Println("more:", page.NextCursor != nil)
	// Output:
	// -25 vm_lease_debit
	// -12 vm_lease_debit
	// more: true
}

func ExampleClient_GetBillingHead() {
	c, stop := startBilling()
	defer stop()
	head, err := c.GetBillingHead(context.Background(), "acme")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(head.Seq, "entries, a balance of", head.BalanceCents, "cents, and a digest of", len(head.Digest), "digits")
	// Output:
	// 3 entries, a balance of 4963 cents, and a digest of 64 digits
}

func ExampleClient_GetBillingTransaction() {
	c, stop := startBilling()
	defer stop()
	page, err := c.ListBillingTransactions(context.Background(), "acme", client.ListOptions{Limit: 1})
	if err != nil {
		log.Fatal(err)
	}

	tx, err := c.GetBillingTransaction(context.Background(), "acme", page.Data[0].ID)
	if errors.Is(err, client.ErrTransactionNotFound) {
		log.Fatal("the ledger has no such entry")
	} else if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*tx.Lease.JobName, "cost", tx.Cost.Cents, "cents, so the balance is", tx.BalanceAfterCents)
	// Output:
	// Integration cost 25 cents, so the balance is 4963
}

func ExampleClient_ListBillingLeases() {
	c, stop := startBilling()
	defer stop()

	// Was the lease of this job recorded, and at which cost?
	leases, err := c.ListBillingLeases(context.Background(), "acme", client.LeaseFilter{JobID: client.UUID{15: 1}}, client.ListOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, lease := range leases.Data {
		fmt.Println(*lease.JobName, lease.State, lease.AmountCents)
	}
	// Output:
	// Lint billed -12
}

func ExampleClient_GetBillingUsage() {
	c, stop := startBilling()
	defer stop()

	usage, err := c.GetBillingUsage(context.Background(), "acme", day)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(usage.CPUSeconds, "CPU-seconds and more cost", usage.TotalCents, "cents")
	// Output:
	// 1800 CPU-seconds and more cost 37 cents
}

func ExampleClient_GetBillingUsageSeries() {
	c, stop := startBilling()
	defer stop()

	series, err := c.GetBillingUsageSeries(context.Background(), "acme", day)
	if err != nil {
		log.Fatal(err)
	}
	for _, bucket := range series.Data {
		fmt.Println(bucket.Date, bucket.TotalCents)
	}
	// Output:
	// 2026-06-06 37
	// 2026-06-07 0
}

func ExampleClient_GetBillingUsageBreakdown() {
	c, stop := startBilling()
	defer stop()

	breakdown, err := c.GetBillingUsageBreakdown(context.Background(), "acme", day)
	if err != nil {
		log.Fatal(err)
	}
	for _, build := range breakdown.Data {
		fmt.Println("build", *build.BuildNumber, "cost", -build.TotalCents, "cents:", *build.Jobs[0].JobName)
	}
	// Output:
	// build 2 cost 25 cents: Integration
	// build 1 cost 12 cents: Lint
}

func ExampleClient_UsageBreakdown() {
	c, stop := startBilling()
	defer stop()

	for build, err := range c.UsageBreakdown(context.Background(), "acme", day) {
		if err != nil {
			log.Fatal(err) // the list is incomplete
		}
		fmt.Println("build", *build.BuildNumber, "cost", -build.TotalCents, "cents:", *build.Jobs[0].JobName)
	}
	// Output:
	// build 2 cost 25 cents: Integration
	// build 1 cost 12 cents: Lint
}

func ExampleClient_ListOrganizations() {
	c, stop := startBilling()
	defer stop()

	page, err := c.ListOrganizations(context.Background(), client.ListOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, org := range page.Data {
		fmt.Println(org.Slug, org.Name)
	}
	// Output:
	// acme Acme, Inc.
}

func ExampleClient_Organizations() {
	c, stop := startBilling()
	defer stop()

	for org, err := range c.Organizations(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(org.Slug)
	}
	// Output:
	// acme
}

func ExampleClient_PostCredit() {
	c, stop := startBilling()
	defer stop()

	credit := client.PostCreditRequest{AmountCents: 700, Source: client.CreditSourceRefund, Description: new("Support case 1042")}
	for range 2 {
		posted, err := c.PostCredit(context.Background(), "acme", "support-case-1042", credit)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(posted.AmountCents, posted.Source, posted.Replayed)
	}
	// Output:
	// 700 refund false
	// 700 refund true
}

func ExampleClient_RecordLeases() {
	c, stop := startBilling()
	defer stop()

	lease := client.Lease{
		JobID: &client.UUID{15: 3}, JobName: new("Deploy"),
		CPUCount: 2, MemoryGB: 4, DiskGB: 20,
		StartedAt: june6.Add(12 * time.Hour),
	}
	for _, finished := range []*time.Time{nil, new(june6.Add(13 * time.Hour))} {
		lease.FinishedAt = finished
		recorded, err := c.RecordLeases(context.Background(), "acme", []client.Lease{lease})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(recorded[0].Status, recorded[0].AmountCents)
	}
	// Output:
	// running 0
	// billed -151
}

func ExampleClient_Transactions() {
	c, stop := startBilling()
	defer stop()

	for tx, err := range c.Transactions(context.Background(), "acme") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(tx.AmountCents, tx.Source)
	}
	// Output:
	// -25 vm_lease_debit
	// -12 vm_lease_debit
	// 5000 admin_grant
}

func ExampleClient_TransactionsSince() {
	c, stop := startBilling()
	defer stop()

	var last client.UUID // the newest entry that was dealt with; at first, none
	for range 2 {
		for tx, err := range c.TransactionsSince(context.Background(), "acme", last) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(tx.AmountCents, tx.Source)
			last = tx.ID
		}
		fmt.Println("up to date")
	}
	// Output:
	// 5000 admin_grant
	// -12 vm_lease_debit
	// -25 vm_lease_debit
	// up to date
	// up to date
}

func ExampleRecorder() {
	c, stop := startBilling()
	defer stop()

	recorder, err := client.NewRecorder(c, "acme", client.RecorderOptions{
		OnRejected: func(lease client.Lease, err error) { log.Print(lease.JobID, err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	for i := range 100 {
		lease := client.Lease{
			JobID: &client.UUID{15: byte(100 + i)}, CPUCount: 2, MemoryGB: 4, DiskGB: 20,
			StartedAt: june6, FinishedAt: new(june6.Add(5 * time.Minute)),
		}
		if err := recorder.Record(context.Background(), lease); err != nil {
			log.Fatal(err)
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := recorder.Close(ctx); err != nil {
		log.Print(err)
	}
	balance, err := c.GetBillingBalance(context.Background(), "acme")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(balance.BalanceCents, "cents")
	// Output:
	// 3763 cents
}

func ExampleWithMiddleware() {
	c, stop := startBilling()
	defer stop()

	trace := func(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		resp, err := next(req)
		if err == nil {
			fmt.Println(req.Method, req.URL.Path, resp.StatusCode)
		}
		return resp, err
	}
	if _, err := c.GetBillingBalance(context.Background(), "acme", client.WithMiddleware(trace)); err != nil {
		log.Fatal(err)
	}
	// Output:
	// GET /api/v0/billing/balance/acme 200
}

func ExampleWithTokenSource() {
	c, stop := startBilling()
	defer stop()

	expired := client.WithTokenSource(func(context.Context) (string, error) {
		return "hmt_that_has_expired", nil // from a file, or a vault
	})
	_, err := c.GetBillingBalance(context.Background(), "acme", expired)
	fmt.Println(errors.Is(err, client.ErrUnauthorized))
	// Output:
	// true
}

func ExampleError() {
	c, stop := startBilling()
	defer stop()

	_, err := c.GetBillingUsage(context.Background(), "globex", client.Last(30*24*time.Hour))
	if apiErr, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(apiErr.Status, apiErr.Type, apiErr.Code)
	}
	fmt.Println(errors.Is(err, client.ErrOrganizationNotFound))
	// Output:
	// 404 not_found organization_not_found
	// true
}
