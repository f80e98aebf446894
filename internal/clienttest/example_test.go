package clienttest

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

// inDebt is the code under test. It lists the organizations with a negative balance.
func inDebt(ctx context.Context, c *client.Client) (slugs []string, err error) {
	for org, err := range c.Organizations(ctx) {
		if err != nil {
			return nil, err
		}
		balance, err := c.GetBillingBalance(ctx, org.Slug)
		if err != nil {
			return nil, err
		}
		if balance.BalanceCents < 0 {
			slugs = append(slugs, org.Slug)
		}
	}
	return slugs, nil
}

// Code that uses the client is tested against the real server, in the same process, on a temporary file. In a test, t.TempDir, t.Cleanup
// and t.Fatal replace the longer code of this example.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "harmont-billing")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	billing, err := server.Open(ctx, server.Config{Database: "sqlite:" + filepath.Join(dir, "billing.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer billing.Close()
	for _, slug := range []string{"acme", "globex"} {
		if _, err := billing.CreateOrganization(ctx, slug, slug); err != nil {
			log.Fatal(err)
		}
	}
	token, _, err := billing.CreateToken(ctx, server.TokenOptions{Name: "test", Role: server.RoleWrite, Organizations: []string{"acme", "globex"}})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(billing.Handler())
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}

	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC)
	// globex has used a machine for five minutes and paid nothing.
	if _, err := c.RecordLeases(ctx, "globex", []client.Lease{{
		CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start.Add(5 * time.Minute)),
	}}); err != nil {
		log.Fatal(err)
	}

	fmt.Println(inDebt(ctx, c))
	// Output: [globex] <nil>
}
