package clienttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/contracttest"
	"github.com/harmont-dev/harmont-billing/server"
)

// billing is the real server on a fresh database, with the given organizations.
type billing struct {
	*server.Server
	url string
}

func newBilling(t *testing.T, orgs ...string) billing {
	t.Helper()
	s, err := server.Open(context.Background(), server.Config{Database: "sqlite:" + filepath.Join(t.TempDir(), "billing.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, org := range orgs {
		if _, err := s.CreateOrganization(t.Context(), org, strings.ToUpper(org)); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(contracttest.Handler(t, s.Handler()))
	t.Cleanup(srv.Close)
	return billing{s, srv.URL}
}

// client gives a client with a new token.
func (b billing) client(t *testing.T, role server.Role, orgs ...string) *client.Client {
	t.Helper()
	token, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: t.Name(), Role: role, Organizations: orgs})
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, b.url, client.WithToken(token))
}

func newClient(t *testing.T, url string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// All operations. Each sees the results of the previous ones.
func TestOperations(t *testing.T) {
	ctx := t.Context()
	c := newBilling(t, "acme").client(t, server.RoleAdmin, "acme")

	// A credit, once however often it is posted.
	credit := client.PostCreditRequest{AmountCents: 5000, Source: client.CreditSourceAdminGrant, Description: new("Welcome credit")}
	posted, err := c.PostCredit(ctx, "acme", "welcome", credit)
	if err != nil {
		t.Fatal(err)
	}
	if posted.Replayed || posted.AmountCents != 5000 || posted.Source != client.TransactionSourceAdminGrant ||
		posted.Description == nil || *posted.Description != "Welcome credit" || posted.ID == (client.UUID{}) || time.Since(posted.CreatedAt).Abs() > time.Minute {
		t.Errorf("posted %+v", posted)
	}
	again, err := c.PostCredit(ctx, "acme", "welcome", credit)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Replayed || !reflect.DeepEqual(again.Transaction, posted.Transaction) {
		t.Errorf("again %+v, first %+v", again, posted)
	}
	credit.AmountCents++
	_, err = c.PostCredit(ctx, "acme", "welcome", credit)
	wantError(t, err, 409, client.ErrorTypeConflict, client.CodeIdempotencyKeyReused)

	// Two leases of one build, of which one still runs, and one of no build.
	start := time.Date(2026, 6, 6, 10, 0, 0, 123_456_000, time.UTC)
	build := client.Lease{
		BuildID: new(uuid.New()), BuildNumber: new(int64(7)), BuildExternalID: new(uuid.New()),
		PipelineID: new(uuid.New()), PipelineName: new("Data Sync"), PipelineSlug: new("data-sync"),
		CPUCount: 2, MemoryGB: 4, DiskGB: 20,
	}
	finished := build
	finished.JobID, finished.JobName, finished.StepKey, finished.VMHandle = new(uuid.New()), new("Integration"), new("integration"), new("vm-1")
	finished.StartedAt, finished.FinishedAt = start, new(start.Add(5*time.Minute))
	running := build
	running.JobID, running.StartedAt = new(uuid.New()), start.Add(time.Minute)
	alone := client.Lease{LeaseID: new(uuid.New()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start.Add(24 * time.Hour), FinishedAt: new(start.Add(25 * time.Hour))}

	recorded, err := c.RecordLeases(ctx, "acme", []client.Lease{finished, running, alone})
	if err != nil {
		t.Fatal(err)
	}
	wantRecorded(t, recorded, "billed -12", "running 0", "billed -151")
	if recorded[2].LeaseID != *alone.LeaseID {
		t.Errorf("lease %s became %s", alone.LeaseID, recorded[2].LeaseID)
	}
	repeated, err := c.RecordLeases(ctx, "acme", []client.Lease{alone, finished})
	if err != nil {
		t.Fatal(err)
	}
	wantRecorded(t, repeated, "duplicate -151", "duplicate -12")
	changed := finished
	changed.CPUCount = 3
	_, err = c.RecordLeases(ctx, "acme", []client.Lease{changed})
	wantError(t, err, 409, client.ErrorTypeConflict, client.CodeLeaseConflict)

	// The ledger.
	balance, err := c.GetBillingBalance(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if balance.BalanceCents != 5000-12-151 {
		t.Errorf("balance %d", balance.BalanceCents)
	}
	first, err := c.ListBillingTransactions(ctx, "acme", client.ListOptions{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Data) != 2 || first.NextCursor == nil {
		t.Fatalf("first page %+v", first)
	}
	if first.Data[0].AmountCents != -151 || first.Data[1].AmountCents != -12 || first.Data[0].Source != client.TransactionSourceVMLeaseDebit {
		t.Errorf("first page %+v", first.Data)
	}
	last, err := c.ListBillingTransactions(ctx, "acme", client.ListOptions{Limit: 2, Cursor: *first.NextCursor})
	if err != nil {
		t.Fatal(err)
	}
	if len(last.Data) != 1 || last.NextCursor != nil || !reflect.DeepEqual(last.Data[0], posted.Transaction) {
		t.Errorf("last page %+v", last)
	}

	// The usage. The window ends before the lease without a build.
	window := client.Window{From: start, To: start.Add(24 * time.Hour)}
	usage, err := c.GetBillingUsage(ctx, "acme", window)
	if err != nil {
		t.Fatal(err)
	}
	if want := (client.UsageResponse{CPUSeconds: 600, MemoryGBSeconds: 1200, DiskGBSeconds: 6000, TotalCents: 12}); *usage != want {
		t.Errorf("usage %+v", usage)
	}
	series, err := c.GetBillingUsageSeries(ctx, "acme", window)
	if err != nil {
		t.Fatal(err)
	}
	if len(series.Data) != 2 || series.Data[0].Date.String() != "2026-06-06" || series.Data[0].TotalCents != 12 || series.Data[1].TotalCents != 0 {
		t.Errorf("series %+v", series.Data)
	}
	window.To = window.To.Add(time.Microsecond)
	breakdown, err := c.GetBillingUsageBreakdown(ctx, "acme", window)
	if err != nil {
		t.Fatal(err)
	}
	job := func(l client.Lease, seconds *int64, amount int64) client.UsageBreakdownJob {
		return client.UsageBreakdownJob{
			JobID: l.JobID, JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle, CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB,
			DurationSeconds: seconds, AmountCents: amount, StartedAt: l.StartedAt, FinishedAt: l.FinishedAt,
		}
	}
	want := []client.UsageBreakdownBuild{
		{
			TotalCents: -151, StartedAt: alone.StartedAt, FinishedAt: alone.FinishedAt, JobCount: 1,
			Jobs: []client.UsageBreakdownJob{job(alone, new(int64(3600)), -151)},
		},
		{
			BuildID: build.BuildID, BuildNumber: build.BuildNumber, BuildExternalID: build.BuildExternalID,
			PipelineID: build.PipelineID, PipelineName: build.PipelineName, PipelineSlug: build.PipelineSlug,
			TotalCents: -12, StartedAt: start, FinishedAt: finished.FinishedAt, JobCount: 2,
			Jobs: []client.UsageBreakdownJob{job(finished, new(int64(300)), -12), job(running, nil, 0)},
		},
	}
	if !reflect.DeepEqual(breakdown.Data, want) {
		t.Errorf("breakdown\ngot  %s\nwant %s", asJSON(t, breakdown.Data), asJSON(t, want))
	}

	orgs, err := c.ListOrganizations(ctx, client.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(orgs.Data) != 1 || orgs.Data[0].Slug != "acme" || orgs.Data[0].Name != "ACME" || orgs.NextCursor != nil {
		t.Errorf("organizations %+v", orgs)
	}
}

// Leases are billed by the most specific card in force, and have their labels and their card in answers.
func TestRateCards(t *testing.T) {
	ctx := t.Context()
	c := newBilling(t, "acme").client(t, server.RoleAdmin, "acme")
	first, err := c.ListBillingRateCards(ctx, "acme", client.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Data) != 1 || first.NextCursor != nil || first.Data[0].Organization != nil || client.Value(first.Data[0].CPUMicrocents) != 10_000 {
		t.Errorf("the first prices are %s", asJSON(t, first))
	}

	gpu := client.SetRateCardRequest{
		Name: "GPUs", LabelKey: new("gpu"), LabelValue: new("l4"),
		CPUMicrocents: new(int64(1_000_000)), MemoryGBMicrocents: new(int64(0)), DiskGBMicrocents: new(int64(0)),
	}
	added, err := c.SetRateCard(ctx, "acme", "", gpu)
	if err != nil {
		t.Fatal(err)
	}
	if added.Replayed || added.IdempotencyKey == "" || client.Value(added.Organization) != "acme" || client.Value(added.LabelValue) != "l4" || !added.EffectiveFrom.Equal(added.CreatedAt) {
		t.Errorf("added %s", asJSON(t, added))
	}
	again, err := c.SetRateCard(ctx, "acme", added.IdempotencyKey, gpu)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Replayed || !reflect.DeepEqual(again.RateCard, added.RateCard) {
		t.Errorf("again %s, first %s", asJSON(t, again), asJSON(t, added))
	}
	other := gpu
	other.CPUMicrocents = new(int64(1))
	_, err = c.SetRateCard(ctx, "acme", added.IdempotencyKey, other)
	wantError(t, err, 409, client.ErrorTypeConflict, client.CodeIdempotencyKeyReused)
	other.EffectiveFrom = new(time.Now().Add(-time.Hour))
	_, err = c.SetRateCard(ctx, "acme", "", other)
	wantError(t, err, 422, client.ErrorTypeValidationFailed, client.CodeRateCardInvalid)

	// The label comes while the lease runs, and decides its price.
	lease := client.Lease{JobID: new(uuid.New()), Author: new("mara"), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: added.EffectiveFrom}
	var recorded []client.RecordedLease
	record := func(l client.Lease) {
		t.Helper()
		if recorded, err = c.RecordLeases(ctx, "acme", []client.Lease{l}); err != nil {
			t.Fatal(err)
		}
	}
	record(lease)
	lease.Labels = client.Labels{"gpu": "l4", "team/a": "wéb"}
	record(lease)
	relabelled := lease
	relabelled.Labels = client.Labels{"gpu": "h100", "team/a": "wéb"}
	_, err = c.RecordLeases(ctx, "acme", []client.Lease{relabelled})
	wantError(t, err, 409, client.ErrorTypeConflict, client.CodeLeaseConflict)
	lease.Labels = client.Labels{"-": "x"}
	_, err = c.RecordLeases(ctx, "acme", []client.Lease{lease})
	wantError(t, err, 422, client.ErrorTypeValidationFailed, client.CodeLeaseInvalid)
	lease.Labels, lease.FinishedAt = nil, new(lease.StartedAt.Add(5*time.Second))
	record(lease)
	wantRecorded(t, recorded, "billed -10")

	leases, err := c.ListBillingLeases(ctx, "acme", client.LeaseFilter{JobID: *lease.JobID}, client.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if l := leases.Data[0]; !maps.Equal(l.Labels, client.Labels{"gpu": "l4", "team/a": "wéb"}) || client.Value(l.Author) != "mara" || client.Value(l.RateCardID) != added.ID {
		t.Errorf("recorded %s", asJSON(t, l))
	}
	detail, err := c.GetBillingTransaction(ctx, "acme", *leases.Data[0].TransactionID)
	if err != nil {
		t.Fatal(err)
	}
	if detail.RateCard == nil || !reflect.DeepEqual(*detail.RateCard, added.RateCard) || detail.Cost.CPU.MicrocentsPerSecond != 1_000_000 {
		t.Errorf("the entry is %s", asJSON(t, detail))
	}

	// Three pages of cards.
	want := []client.UUID{added.ID, first.Data[0].ID}
	for i := range 200 {
		later := gpu
		later.Name, later.EffectiveFrom = fmt.Sprint("Card ", i), new(time.Now().AddDate(0, 0, i+1))
		added, err := c.SetRateCard(ctx, "acme", "", later)
		if err != nil {
			t.Fatal(err)
		}
		want = slices.Insert(want, 0, added.ID)
	}
	var got []client.UUID
	for card, err := range c.RateCards(ctx, "acme") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, card.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d cards, want %d", len(got), len(want))
	}
}

func wantRecorded(t *testing.T, got []client.RecordedLease, want ...string) {
	t.Helper()
	var short []string
	for _, lease := range got {
		short = append(short, fmt.Sprint(lease.Status, " ", lease.AmountCents))
	}
	if !slices.Equal(short, want) {
		t.Errorf("recorded %q, want %q", short, want)
	}
}

func wantError(t *testing.T, err error, status int, errorType client.ErrorType, code client.Code) {
	t.Helper()
	got, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Errorf("not a *client.Error: %v", err)
		return
	}
	if got.Status != status || got.Type != errorType || got.Code != code {
		t.Errorf("got %d %s %s, want %d %s %s", got.Status, got.Type, got.Code, status, errorType, code)
	}
	if got.Message == "" || !strings.HasSuffix(got.DocURL, string(code)) || len(got.RequestID) < 20 {
		t.Errorf("incomplete: %+v", *got)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServerErrors(t *testing.T) {
	ctx := t.Context()
	b := newBilling(t, "acme", "globex")
	reader := b.client(t, server.RoleRead, "acme")

	_, err := newClient(t, b.url).GetBillingBalance(ctx, "acme")
	wantError(t, err, 401, client.ErrorTypeUnauthorized, client.CodeUnauthorized)
	_, err = newClient(t, b.url, client.WithToken("hmt_unknown")).GetBillingBalance(ctx, "acme")
	wantError(t, err, 401, client.ErrorTypeUnauthorized, client.CodeUnauthorized)
	for _, org := range []string{"globex", "nobody", "ACME", "a/b", "../acme", "a b?c", "é"} {
		_, err = reader.GetBillingBalance(ctx, org)
		wantError(t, err, 404, client.ErrorTypeNotFound, client.CodeOrganizationNotFound)
	}
	_, err = newClient(t, b.url+"/elsewhere").GetBillingBalance(ctx, "acme")
	wantError(t, err, 404, client.ErrorTypeNotFound, client.CodeRouteNotFound)
	_, err = reader.RecordLeases(ctx, "acme", []client.Lease{{}})
	wantError(t, err, 403, client.ErrorTypeForbidden, client.CodeForbidden)
	_, err = b.client(t, server.RoleWrite, "acme").RecordLeases(ctx, "acme", nil)
	wantError(t, err, 422, client.ErrorTypeValidationFailed, client.CodeBodyInvalid)

	now := time.Now()
	for _, window := range []client.Window{{}, {From: now, To: now}, {To: now}, {From: now, To: now.Add(-time.Hour)}, client.Last(3661 * 24 * time.Hour)} {
		_, err = reader.GetBillingUsage(ctx, "acme", window)
		wantError(t, err, 422, client.ErrorTypeValidationFailed, client.CodeBillingUsageWindowInvalid)
	}
	_, err = reader.ListBillingTransactions(ctx, "acme", client.ListOptions{Cursor: "made up"})
	wantError(t, err, 422, client.ErrorTypeValidationFailed, client.CodeCursorInvalid)
	for _, err := range reader.Transactions(ctx, "globex") {
		wantError(t, err, 404, client.ErrorTypeNotFound, client.CodeOrganizationNotFound)
	}
}

// A walk over several pages gives every entry that was there when it began, while others are appended; and one client
// serves many goroutines.
func TestTransactions(t *testing.T) {
	ctx := t.Context()
	c := newBilling(t, "acme").client(t, server.RoleAdmin, "acme")
	const entries = 250
	var wg sync.WaitGroup
	for worker := range 10 {
		wg.Go(func() {
			for i := worker; i < entries; i += 10 {
				credit := client.PostCreditRequest{AmountCents: int64(i + 1), Source: client.CreditSourceRefund}
				if _, err := c.PostCredit(ctx, "acme", fmt.Sprint("credit ", i), credit); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()

	ids := map[client.UUID]bool{}
	amounts := map[int64]bool{}
	var before time.Time
	for tx, err := range c.Transactions(ctx, "acme") {
		if err != nil {
			t.Fatal(err)
		}
		if !before.IsZero() && tx.CreatedAt.After(before) {
			t.Errorf("%s comes after %s", tx.CreatedAt, before)
		}
		before = tx.CreatedAt
		ids[tx.ID], amounts[tx.AmountCents] = true, true
		if len(ids)%100 == 1 {
			late := client.PostCreditRequest{AmountCents: 1_000_000, Source: client.CreditSourceRefund}
			if _, err := c.PostCredit(ctx, "acme", fmt.Sprint("late ", len(ids)), late); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(ids) != entries || len(amounts) != entries || amounts[1_000_000] {
		t.Errorf("%d ids and %d amounts", len(ids), len(amounts))
	}
}

func TestOrganizations(t *testing.T) {
	var all []string
	for i := range 150 {
		all = append(all, fmt.Sprintf("org-%03d", i))
	}
	c := newBilling(t, append(all, "unseen")...).client(t, server.RoleRead, all...)
	var got []string
	for org, err := range c.Organizations(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, org.Slug)
	}
	if !slices.Equal(got, all) {
		t.Errorf("got %d: %q", len(got), got)
	}
}

func TestServerUnderAPath(t *testing.T) {
	b := newBilling(t, "acme")
	token, _, err := b.CreateToken(t.Context(), server.TokenOptions{Name: "x", Role: server.RoleRead, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.StripPrefix("/tools/billing", b.Handler()))
	t.Cleanup(srv.Close)
	for _, base := range []string{"/tools/billing", "/tools/billing/"} {
		got, err := newClient(t, srv.URL+base, client.WithToken(token)).GetBillingBalance(t.Context(), "acme")
		if err != nil || got.BalanceCents != 0 {
			t.Errorf("%s: %v, %v", base, got, err)
		}
	}
}
