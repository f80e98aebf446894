package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
)

// startBilling starts a server that gives the answers of the contract's examples, and makes a client of it. The server knows the
// organization acme.
func startBilling() (c *client.Client, stop func()) {
	const token = "hmt_example"
	mux := http.NewServeMux()
	for pattern, answer := range contractAnswers {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			status, body := answer.status, answer.body
			if r.Header.Get("Authorization") != "Bearer "+token {
				status = http.StatusUnauthorized
				body = contractErrors[status]
			} else if org := r.PathValue("org"); org != "" && org != "acme" {
				status = http.StatusNotFound
				body = contractErrors[status]
			} else if r.URL.Query().Get("order") == "asc" {
				body = oldestFirst(body, r.URL.Query().Get("after"))
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
	srv := httptest.NewServer(mux)
	c, err := client.New(srv.URL, client.WithToken(token))
	if err != nil {
		log.Fatal(err)
	}
	return c, srv.Close
}

// oldestFirst reverses a page of transactions, and drops all transactions up to the one with the id after.
func oldestFirst(body, after string) string {
	var list client.TransactionList
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		log.Fatal(err)
	}
	slices.Reverse(list.Data)
	if i := slices.IndexFunc(list.Data, func(tx client.Transaction) bool { return tx.ID.String() == after }); i >= 0 {
		list.Data = list.Data[i+1:]
	}
	text, err := json.Marshal(list)
	if err != nil {
		log.Fatal(err)
	}
	return string(text)
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
	fmt.Println(client.FormatCents(balance.BalanceCents))
	// Output:
	// $481.12
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
	// 48112 cents
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
	// -12 vm_lease_debit
	// 5000 admin_grant
	// more: false
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
	// 4 entries, a balance of 48112 cents, and a digest of 64 digits
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
	fmt.Println(tx.Source, client.FormatCents(tx.AmountCents), "so the balance is", client.FormatCents(tx.BalanceAfterCents))
	if tx.Lease != nil && tx.Cost != nil { // both are nil for a credit
		fmt.Println(client.Value(tx.Lease.JobName), "took", tx.Cost.DurationSeconds, "seconds")
	}
	// Output:
	// vm_lease_debit -$0.12 so the balance is $49.88
	// Integration took 300 seconds
}

func ExampleClient_ListBillingLeases() {
	c, stop := startBilling()
	defer stop()

	// Was the lease of this job recorded, and at which cost?
	leases, err := c.ListBillingLeases(context.Background(), "acme", client.LeaseFilter{JobID: uuid.MustParse("cda177bc-35de-42c5-b5b2-3076f7c1326b")}, client.ListOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, lease := range leases.Data {
		fmt.Println(client.Value(lease.JobName), lease.State, lease.AmountCents)
	}
	// Output:
	// Integration billed -12
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
	// 7200 CPU-seconds and more cost 151 cents
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
	// 2026-06-06 151
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
		name := "leases without a build"
		if build.BuildNumber != nil {
			name = fmt.Sprint("build ", *build.BuildNumber)
		}
		fmt.Println(name, "cost", client.FormatCents(-build.TotalCents))
		for _, job := range build.Jobs {
			fmt.Printf("  job %q took %d seconds\n", client.Value(job.JobName), client.Value(job.DurationSeconds))
		}
	}
	// Output:
	// build 1 cost $0.12
	//   job "Integration" took 300 seconds
	// leases without a build cost $1.51
	//   job "" took 3600 seconds
}

func ExampleClient_UsageBreakdown() {
	c, stop := startBilling()
	defer stop()

	for build, err := range c.UsageBreakdown(context.Background(), "acme", day) {
		if err != nil {
			log.Fatal(err) // the list is incomplete
		}
		pipeline := "no pipeline"
		if build.PipelineName != nil {
			pipeline = *build.PipelineName
		}
		fmt.Println(pipeline, client.FormatCents(-build.TotalCents))
	}
	// Output:
	// Data Sync $0.12
	// no pipeline $1.51
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
	// acme Acme
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

	// However often it is repeated with this key, there is one entry.
	credit := client.PostCreditRequest{AmountCents: 5000, Source: client.CreditSourceAdminGrant, Description: new("Welcome credit")}
	posted, err := c.PostCredit(context.Background(), "acme", "welcome-acme", credit)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.FormatCents(posted.AmountCents), posted.Source, "posted before:", posted.Replayed)
	// Output:
	// $50.00 admin_grant posted before: false
}

func ExampleClient_GetBillingStatement() {
	c, stop := startBilling()
	defer stop()

	june := client.Window{From: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)}
	statement, err := c.GetBillingStatement(context.Background(), "acme", june)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("opening balance", client.FormatCents(statement.OpeningBalanceCents))
	for _, sum := range statement.Sources {
		fmt.Println(sum.Source, client.FormatCents(sum.AmountCents))
	}
	fmt.Println("closing balance", client.FormatCents(statement.ClosingBalanceCents), "after entry", statement.ClosingHead.Seq)
	// Output:
	// opening balance $432.75
	// admin_grant $50.00
	// vm_lease_debit -$1.63
	// closing balance $481.12 after entry 4
}

func ExampleClient_ListBillingCredits() {
	c, stop := startBilling()
	defer stop()

	page, err := c.ListBillingCredits(context.Background(), "acme", client.CreditFilter{}, client.ListOptions{Limit: 10})
	if err != nil {
		log.Fatal(err)
	}
	for _, credit := range page.Data {
		fmt.Println(client.FormatCents(credit.AmountCents), "from", client.Value(credit.Author))
	}
	fmt.Println("more:", page.NextCursor != nil)
	// Output:
	// $50.00 from operations
	// more: false
}

func ExampleClient_Credits() {
	c, stop := startBilling()
	defer stop()

	thisYear := client.CreditFilter{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for credit, err := range c.Credits(context.Background(), "acme", thisYear) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(credit.CreatedAt.Format(time.DateOnly), client.FormatCents(credit.AmountCents), credit.Source)
	}
	// Output:
	// 2026-06-06 $50.00 admin_grant
}

func ExampleClient_GetBillingUsageBy() {
	c, stop := startBilling()
	defer stop()

	// List the cost of each pipeline in June, the most expensive pipeline first.
	usage, err := c.GetBillingUsageBy(context.Background(), "acme", client.Month(2026, time.June, time.UTC), "pipeline", client.UsageByOptions{Limit: 10})
	if err != nil {
		log.Fatal(err)
	}
	for _, group := range usage.Data {
		fmt.Println(client.Value(group.Name), client.FormatCents(group.TotalCents), "for", group.LeaseCount, "jobs")
	}
	// Output:
	// Data Sync $1.51 for 2 jobs
}

func ExampleClient_GetBillingRunway() {
	c, stop := startBilling()
	defer stop()

	runway, err := c.GetBillingRunway(context.Background(), "acme")
	if err != nil {
		log.Fatal(err)
	}
	pace := runway.Last30Days
	if pace.Outlook == client.RunwayOutlookRunsOut && pace.ZeroOn != nil {
		fmt.Println(client.FormatCents(runway.BalanceCents), "last until", pace.ZeroOn.Format(time.DateOnly), "at", client.FormatCents(pace.AverageCents), "a day")
	}
	// Output:
	// $481.12 last until 2027-04-02 at $1.60 a day
}

func ExampleClient_ListBillingRateCards() {
	c, stop := startBilling()
	defer stop()

	cards, err := c.ListBillingRateCards(context.Background(), "acme", client.ListOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, card := range cards.Data {
		fmt.Println(card.Name, "from", card.EffectiveFrom.Format(time.DateOnly), "CPU:", client.Value(card.CPUMicrocents), "micro-cents a second")
	}
	// Output:
	// Large machines from 2026-07-01 CPU: 9000 micro-cents a second
}

func ExampleClient_SetRateCard() {
	c, stop := startBilling()
	defer stop()

	// Leases of this shape that start in July or later have these prices.
	card := client.SetRateCardRequest{
		Name: "Large machines", CPUCount: new(int64(16)), MemoryGB: new(int64(64)), DiskGB: new(int64(200)),
		CPUMicrocents: new(int64(9000)), MemoryGBMicrocents: new(int64(4500)), DiskGBMicrocents: new(int64(100)),
		EffectiveFrom: new(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)),
	}
	added, err := c.SetRateCard(context.Background(), "acme", "large-machines-2026-07", card)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(added.Name, "added before:", added.Replayed)
	// Output:
	// Large machines added before: false
}

func ExampleClient_RecordLeases() {
	c, stop := startBilling()
	defer stop()

	lease := client.Lease{
		JobID: new(uuid.MustParse("cda177bc-35de-42c5-b5b2-3076f7c1326b")), JobName: new("Integration"),
		CPUCount: 2, MemoryGB: 4, DiskGB: 20,
		StartedAt: june6.Add(10 * time.Hour), FinishedAt: new(june6.Add(10*time.Hour + 5*time.Minute)), // nil while the job runs
	}
	recorded, err := c.RecordLeases(context.Background(), "acme", []client.Lease{lease})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(recorded[0].Status, client.FormatCents(recorded[0].AmountCents))
	// Output:
	// billed -$0.12
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
	// up to date
	// up to date
}

func ExampleRecorder() {
	c, stop := startBilling()
	defer stop()

	recorder, err := client.NewRecorder(c, "acme", client.RecorderOptions{
		OnAccepted: func(lease client.Lease, result client.RecordedLease) {
			fmt.Println(client.Value(lease.JobName), result.Status, client.FormatCents(result.AmountCents))
		},
		OnRejected: func(lease client.Lease, err error) { log.Print(client.Value(lease.JobID), err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	lease := client.Lease{
		JobName: new("Integration"), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: june6, FinishedAt: new(june6.Add(5 * time.Minute)),
	}
	if err := recorder.Record(context.Background(), lease); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := recorder.Close(ctx); err != nil {
		log.Print(err)
	}
	// Output:
	// Integration billed -$0.12
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

func ExampleFormatCents() {
	fmt.Println(client.FormatCents(48112), client.FormatCents(-12))
	// Output:
	// $481.12 -$0.12
}

func ExampleValue() {
	job := client.UsageBreakdownJob{JobName: new("Integration"), DurationSeconds: nil} // the job is still running
	fmt.Printf("%q has run for %d seconds\n", client.Value(job.JobName), client.Value(job.DurationSeconds))
	// Output:
	// "Integration" has run for 0 seconds
}

func ExampleMonth() {
	c, stop := startBilling()
	defer stop()

	usage, err := c.GetBillingUsage(context.Background(), "acme", client.Month(2026, time.October, time.UTC))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("October:", client.FormatCents(usage.TotalCents))
	// Output:
	// October: $1.51
}

func ExampleThisMonth() {
	month := client.ThisMonth(time.UTC)
	fmt.Println("from day", month.From.Day(), "to day", month.To.Day())
	// Output:
	// from day 1 to day 1
}

func ExampleLastMonth() {
	month := client.LastMonth(time.Local) // in the time zone of this machine
	fmt.Println("from day", month.From.Day(), "to day", month.To.Day())
	// Output:
	// from day 1 to day 1
}

func ExampleDays() {
	week := client.Days(7, time.UTC)
	fmt.Println(week.To.Sub(week.From), "up to", week.To.Format(time.TimeOnly))
	// Output:
	// 168h0m0s up to 00:00:00
}
