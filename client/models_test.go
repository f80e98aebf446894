package client_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

// The JSON of a model is the JSON of the API: the contract's examples come back as they are, except for the order of the keys.
func TestModelsEncodeAsTheAPI(t *testing.T) {
	for pattern, model := range map[string]any{
		"GET /api/v0/billing/balance/{org}":           &client.BalanceResponse{},
		"GET /api/v0/billing/head/{org}":              &client.LedgerHead{},
		"GET /api/v0/billing/transactions/{org}":      &client.TransactionList{},
		"GET /api/v0/billing/transactions/{org}/{id}": &client.TransactionDetail{},
		"GET /api/v0/billing/statement/{org}":         &client.StatementResponse{},
		"GET /api/v0/billing/credits/{org}":           &client.CreditList{},
		"GET /api/v0/billing/runway/{org}":            &client.RunwayResponse{},
		"GET /api/v0/billing/usage/{org}":             &client.UsageResponse{},
		"GET /api/v0/billing/usage/{org}/series":      &client.UsageSeriesResponse{},
		"GET /api/v0/billing/usage/{org}/by":          &client.UsageByResponse{},
		"GET /api/v0/billing/usage/{org}/breakdown":   &client.UsageBreakdownResponse{},
		"GET /api/v0/billing/leases/{org}":            &client.LeaseList{},
		"POST /api/v0/billing/credits/{org}":          &client.Transaction{},
		"GET /api/v0/billing/rate-cards/{org}":        &client.RateCardList{},
		"POST /api/v0/billing/rate-cards/{org}":       &client.RateCard{},
		"GET /api/v0/organizations":                   &client.OrganizationList{},
	} {
		want := contractAnswers[pattern].body
		if err := json.Unmarshal([]byte(want), model); err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		text, err := json.Marshal(model)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		if got := sortKeys(t, text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", pattern, got, want)
		}
	}
}

// sortKeys returns the same JSON with the keys of each object in alphabetical order.
func sortKeys(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}

func TestEncodedModels(t *testing.T) {
	berlin := time.FixedZone("", 2*60*60)
	start := time.Date(2026, 6, 1, 1, 2, 3, 999_999_999, berlin)
	tests := []struct {
		model any
		want  string
	}{
		{client.TransactionList{}, `{"data":[],"next_cursor":null}`},
		{client.Lease{CPUCount: 1, MemoryGB: 2, DiskGB: 3, StartedAt: start}, `{"cpu_count":1,"memory_gb":2,"disk_gb":3,"started_at":"2026-05-31T23:02:03.999999Z"}`},
		{
			client.PostedCredit{Transaction: client.Transaction{AmountCents: 5, CreatedAt: start}, IdempotencyKey: "k", Replayed: true},
			`{"id":"00000000-0000-0000-0000-000000000000","amount_cents":5,"source":"","description":null,"created_at":"2026-05-31T23:02:03.999999Z","idempotency_key":"k","replayed":true}`,
		},
		{client.Lease{Labels: client.Labels{"b": "<", "a": "é"}, CPUCount: 1, MemoryGB: 2, DiskGB: 3, StartedAt: start},
			`{"labels":{"a":"é","b":"\u003c"},"cpu_count":1,"memory_gb":2,"disk_gb":3,"started_at":"2026-05-31T23:02:03.999999Z"}`},
		{
			client.AddedRateCard{RateCard: client.RateCard{Name: "July", EffectiveFrom: start, CreatedAt: start}, IdempotencyKey: "k", Replayed: true},
			`{"id":"00000000-0000-0000-0000-000000000000","name":"July","organization":null,"cpu_count":null,"memory_gb":null,"disk_gb":null,"label_key":null,"label_value":null,` +
				`"cpu_microcents":null,"memory_gb_microcents":null,"disk_gb_microcents":null,"effective_from":"2026-05-31T23:02:03.999999Z","created_at":"2026-05-31T23:02:03.999999Z","idempotency_key":"k","replayed":true}`,
		},
		{client.Date{Time: start}, `"2026-06-01"`},
		{map[client.Date]int{{Time: start}: 1}, `{"2026-06-01":1}`},
	}
	for _, test := range tests {
		got, err := json.Marshal(test.model)
		if err != nil || string(got) != test.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, test.want)
		}
	}
	if _, err := json.Marshal(client.Lease{StartedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil || !strings.Contains(err.Error(), "year") {
		t.Errorf("the year 10000 is encoded: %v", err)
	}
}

func TestDate(t *testing.T) {
	var dates []client.Date
	if err := json.Unmarshal([]byte(`["2026-06-01","0001-01-01"]`), &dates); err != nil {
		t.Fatal(err)
	}
	if dates[0].String() != "2026-06-01" || !dates[0].Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) || !dates[1].IsZero() {
		t.Errorf("got %v", dates)
	}
	for _, text := range []string{`"2026-06-01T00:00:00Z"`, `"2026-02-30"`, `20260601`, `""`} {
		if err := json.Unmarshal([]byte(text), &dates[0]); err == nil {
			t.Errorf("%s is a date: %v", text, dates[0])
		}
	}
}
