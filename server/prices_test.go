package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/server"
)

// rateCard is a card in an answer.
type rateCard struct {
	ID            string
	Name          string
	Organization  *string
	EffectiveFrom time.Time `json:"effective_from"`
}

func (s *service) setCard(token, org, key, body string) response {
	s.t.Helper()
	return s.send(request{method: http.MethodPost, path: "/billing/rate-cards/" + org, token: token, header: map[string]string{"Idempotency-Key": key}, body: body})
}

const gpuCard = `{"name":"GPUs","label_key":"gpu","label_value":"l4","cpu_microcents":1000000,"memory_gb_microcents":0,"disk_gb_microcents":0}`

func TestSetRateCard(t *testing.T) {
	s := start(t, server.Config{})
	admin, writer, other := s.withOrg("acme", server.RoleAdmin), s.token(server.RoleWrite, "acme"), s.withOrg("globex", server.RoleAdmin)

	var first, again rateCard
	s.setCard(writer, "acme", "k", gpuCard).want(403, "forbidden")
	s.setCard(admin, "globex", "k", gpuCard).want(404, "organization_not_found")
	added := s.setCard(admin, "acme", "k", gpuCard).want(201, "")
	added.into(&first)
	replayed := s.setCard(admin, "acme", "k", gpuCard).want(201, "")
	replayed.into(&again)
	if again.ID != first.ID || added.header.Get("Idempotency-Replayed") != "" || replayed.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %s, again %s %v", added.body, replayed.body, replayed.header)
	}
	s.setCard(admin, "acme", "k", strings.Replace(gpuCard, "GPUs", "Other", 1)).want(409, "idempotency_key_reused")
	s.setCard(other, "globex", "k", gpuCard).want(201, "") // a key is one of an organization

	const prices = `"cpu_microcents":1,"memory_gb_microcents":2,"disk_gb_microcents":3`
	for _, c := range []struct{ name, body, code, message string }{
		{"no name", `{` + prices + `}`, "rate_card_invalid", "name: is required"},
		{"an empty name", `{"name":"",` + prices + `}`, "rate_card_invalid", "name"},
		{"an unknown key", `{"name":"x","color":"red",` + prices + `}`, "body_invalid", "color"},
		{"in the past", `{"name":"x","cpu_count":1,"memory_gb":1,"disk_gb":1,"effective_from":"2026-06-01",` + prices + `}`, "rate_card_invalid", "in the past"},
		{"no time", `{"name":"x","effective_from":"soon",` + prices + `}`, "rate_card_invalid", "effective_from"},
		{"a part of a shape", `{"name":"x","cpu_count":1,"disk_gb":1,` + prices + `}`, "rate_card_invalid", "together"},
		{"a shape out of bounds", `{"name":"x","cpu_count":10001,"memory_gb":1,"disk_gb":1,` + prices + `}`, "rate_card_invalid", "cpu_count"},
		{"a label without a value", `{"name":"x","label_key":"gpu",` + prices + `}`, "rate_card_invalid", "together"},
		{"a value without a label", `{"name":"x","label_value":"l4",` + prices + `}`, "rate_card_invalid", "together"},
		{"a key that no label has", `{"name":"x","label_key":"-","label_value":"l4",` + prices + `}`, "rate_card_invalid", "label_key"},
		{"a value that no label has", `{"name":"x","label_key":"gpu","label_value":"",` + prices + `}`, "rate_card_invalid", "label_value"},
		{"a part of the prices", `{"name":"x","cpu_microcents":1,"disk_gb_microcents":3}`, "rate_card_invalid", "together"},
		{"a negative price", `{"name":"x","cpu_microcents":-1,"memory_gb_microcents":2,"disk_gb_microcents":3}`, "rate_card_invalid", "cpu_microcents"},
		{"a price beyond 64 bits", `{"name":"x","cpu_microcents":9223372036854775808,"memory_gb_microcents":2,"disk_gb_microcents":3}`, "rate_card_invalid", "cpu_microcents"},
	} {
		r := s.setCard(admin, "acme", c.name, c.body).want(422, c.code)
		if message := r.envelope().Error.Message; !strings.Contains(message, c.message) {
			t.Errorf("%s: the message is %q", c.name, message)
		}
	}
	noKey := s.send(request{method: http.MethodPost, path: "/billing/rate-cards/acme", token: admin, body: gpuCard})
	noKey.want(422, "body_invalid")
	if cards := s.cards(admin, "acme", 100); len(cards) != 2 || cards[0].ID != first.ID {
		t.Errorf("the cards are %v", cards)
	}
}

// cards walks all pages.
func (s *service) cards(token, org string, limit int) (all []rateCard) {
	s.t.Helper()
	cursor := ""
	for {
		var page struct {
			Data       []rateCard
			NextCursor *string `json:"next_cursor"`
		}
		s.send(request{path: fmt.Sprintf("/billing/rate-cards/%s?limit=%d%s", org, limit, cursor), token: token}).want(200, "").into(&page)
		if all = append(all, page.Data...); page.NextCursor == nil {
			return all
		}
		if len(all) > 100 {
			s.t.Fatal("the list does not end")
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

func TestListRateCards(t *testing.T) {
	s := start(t, server.Config{})
	admin, other := s.withOrg("acme", server.RoleAdmin), s.withOrg("globex", server.RoleAdmin)
	names := []string{"First prices"}
	for i := range 7 {
		name := fmt.Sprint("Card ", i)
		s.setCard(admin, "acme", name, strings.Replace(gpuCard, "GPUs", name, 1)).want(201, "")
		s.setCard(other, "globex", name, strings.Replace(gpuCard, "GPUs", "not for acme", 1)).want(201, "")
		names = slices.Insert(names, 0, name)
	}
	for limit := range 10 { // 0 is moved to 1
		var got []string
		for _, c := range s.cards(admin, "acme", limit) {
			got = append(got, c.Name)
			if (c.Organization == nil) != (c.Name == names[7]) {
				t.Errorf("%s is for the organization %v", c.Name, c.Organization)
			}
		}
		if !slices.Equal(got, names) {
			t.Errorf("on pages of %d: %q, want %q", limit, got, names)
		}
	}
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	s.send(request{path: "/billing/rate-cards/acme?limit=1", token: admin}).want(200, "").into(&page)
	s.send(request{path: "/billing/rate-cards/globex?cursor=" + page.NextCursor, token: other}).want(422, "cursor_invalid")
	s.send(request{path: "/billing/transactions/acme?cursor=" + page.NextCursor, token: admin}).want(422, "cursor_invalid")
	s.send(request{path: "/billing/rate-cards/acme?cursor=x", token: admin}).want(422, "cursor_invalid")
	s.send(request{path: "/billing/rate-cards/acme?limit=x", token: admin}).want(422, "limit_invalid")
}

// Prices change at an instant: leases that start right before and right at it are billed by the old and the new card.
func TestPricesChange(t *testing.T) {
	s := start(t, server.Config{})
	admin := s.withOrg("acme", server.RoleAdmin)
	var card rateCard
	s.setCard(admin, "acme", "k", gpuCard).want(201, "").into(&card)
	lease := func(start time.Time, labels string) string {
		const form = "2006-01-02T15:04:05.000000Z"
		return fmt.Sprintf(`{"cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":%q,"finished_at":%q,"labels":%s}`,
			start.Format(form), start.Add(300*time.Second).Format(form), labels)
	}
	var body []string
	for i, l := range []string{
		lease(card.EffectiveFrom.Add(-time.Microsecond), `{"gpu":"l4"}`), lease(card.EffectiveFrom, `{"gpu":"l4"}`),
		lease(card.EffectiveFrom, `{"gpu":"h100"}`), lease(card.EffectiveFrom, `null`),
	} {
		body = append(body, strings.Replace(l, "{", fmt.Sprintf(`{"job_id":"01990000-0000-7000-8000-%012d",`, i), 1))
	}
	var answer struct {
		Data []struct {
			AmountCents int64 `json:"amount_cents"`
		}
	}
	s.send(request{method: http.MethodPost, path: "/billing/leases/acme", token: admin, body: `{"leases":[` + strings.Join(body, ",") + `]}`}).want(200, "").into(&answer)
	for i, want := range []int64{-12, -600, -12, -12} {
		if answer.Data[i].AmountCents != want {
			t.Errorf("lease %d is billed %d, want %d", i, answer.Data[i].AmountCents, want)
		}
	}
}
