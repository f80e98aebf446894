package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/harmont-dev/harmont-billing/client"
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

// Code that uses the client is tested against a handler that gives the answers of interest. Package server of the module
// github.com/harmont-dev/harmont-billing opens a real server on a temporary file instead.
func Example_testing() {
	balances := map[string]string{"acme": `{"balance_cents":5000}`, "globex": `{"balance_cents":-12}`}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
	mux.HandleFunc("GET /api/v0/organizations", func(w http.ResponseWriter, _ *http.Request) {
		const created = `"url":null,"created_at":"2026-06-01T08:00:00.000000Z"`
		answer(w, `{"data":[{"slug":"acme","name":"Acme",`+created+`},{"slug":"globex","name":"Globex",`+created+`}],"next_cursor":null}`)
	})
	mux.HandleFunc("GET /api/v0/billing/balance/{org}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, balances[r.PathValue("org")])
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithToken("hmt_test"))
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(inDebt(context.Background(), c))
	// Output: [globex] <nil>
}
