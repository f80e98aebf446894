package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

// startBilling starts a real billing server on a temporary file, with an organization acme, and makes a token for it. A
// program's own tests can do the same.
func startBilling() (url, token string, stop func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "harmont-billing")
	if err != nil {
		log.Fatal(err)
	}
	s, err := server.Open(ctx, server.Config{Database: "sqlite:" + filepath.Join(dir, "billing.db")})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.CreateOrganization(ctx, "acme", "Acme"); err != nil {
		log.Fatal(err)
	}
	token, _, err = s.CreateToken(ctx, server.TokenOptions{Name: "example", Role: server.RoleAdmin, Organizations: []string{"acme"}})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	return srv.URL, token, func() {
		srv.Close()
		s.Close()
		os.RemoveAll(dir)
	}
}

func Example() {
	url, token, stop := startBilling()
	defer stop()

	c, err := client.New(url, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}
	balance, err := c.GetBillingBalance(context.Background(), "acme")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(balance.BalanceCents, "cents")
	// Output: 0 cents
}

func ExampleClient_PostCredit() {
	url, token, stop := startBilling()
	defer stop()
	c, err := client.New(url, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}

	credit := client.PostCreditRequest{AmountCents: 5000, Source: client.CreditSourceRefund, Description: new("Support case 1042")}
	for range 2 {
		posted, err := c.PostCredit(context.Background(), "acme", "support-case-1042", credit)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(posted.AmountCents, posted.Source, posted.Replayed)
	}
	// Output:
	// 5000 refund false
	// 5000 refund true
}

func ExampleClient_RecordLeases() {
	url, token, stop := startBilling()
	defer stop()
	c, err := client.New(url, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}

	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC)
	lease := client.Lease{
		JobID:    &client.UUID{15: 1},
		JobName:  new("Integration"),
		CPUCount: 2, MemoryGB: 4, DiskGB: 20,
		StartedAt: start,
	}
	for _, finished := range []*time.Time{nil, new(start.Add(5 * time.Minute))} {
		lease.FinishedAt = finished
		recorded, err := c.RecordLeases(context.Background(), "acme", []client.Lease{lease})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(recorded[0].Status, recorded[0].AmountCents)
	}

	usage, err := c.GetBillingUsage(context.Background(), "acme", client.Window{From: start, To: start.AddDate(0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(usage.CPUSeconds, "CPU-seconds cost", usage.TotalCents, "cents")
	// Output:
	// running 0
	// billed -12
	// 600 CPU-seconds cost 12 cents
}

func ExampleClient_Transactions() {
	url, token, stop := startBilling()
	defer stop()
	c, err := client.New(url, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}
	for _, month := range []string{"2026-05", "2026-06"} {
		credit := client.PostCreditRequest{AmountCents: 5000, Source: client.CreditSourceAdminGrant, Description: new("Grant of " + month)}
		if _, err := c.PostCredit(context.Background(), "acme", "grant-"+month, credit); err != nil {
			log.Fatal(err)
		}
	}

	for tx, err := range c.Transactions(context.Background(), "acme") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(tx.AmountCents, tx.Source, *tx.Description)
	}
	// Output:
	// 5000 admin_grant Grant of 2026-06
	// 5000 admin_grant Grant of 2026-05
}

func ExampleError() {
	url, token, stop := startBilling()
	defer stop()
	c, err := client.New(url, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}

	_, err = c.GetBillingUsage(context.Background(), "globex", client.Last(30*24*time.Hour))
	if apiErr, ok := errors.AsType[*client.Error](err); ok && apiErr.Code == client.CodeOrganizationNotFound {
		fmt.Println(apiErr.Status, apiErr.Type)
	}
	// Output: 404 not_found
}
