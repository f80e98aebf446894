// Command otelhttp reads a balance with a span of OpenTelemetry for each request. The module of the client does not depend on
// OpenTelemetry, so this program is a module of its own.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/harmont-dev/harmont-billing/client"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: otelhttp ORG")
		os.Exit(2)
	}
	c, err := client.FromEnv(client.WithHTTPClient(tracedClient()))
	if err == nil {
		err = printBalance(context.Background(), c, os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tracedClient makes a span for each attempt, a child of the span in the context of the call, and sends its id in the header traceparent.
func tracedClient() *http.Client {
	return &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
}

func printBalance(ctx context.Context, c *client.Client, org string) error {
	balance, err := c.GetBillingBalance(ctx, org)
	if err != nil {
		return err
	}
	fmt.Println(client.FormatCents(balance.BalanceCents))
	return nil
}
