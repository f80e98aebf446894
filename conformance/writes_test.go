package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/conformance"
)

// checkWrites checks an organization with one rule, or with all where only is empty.
func checkWrites(t *testing.T, handler http.Handler, token, only string) *conformance.Report {
	t.Helper()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: srv.URL, Token: token, Organization: "scratch", Only: only, Write: true, Hidden: "initech", Pauses: []time.Duration{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// forAdmins are the rules for which a token needs the role admin.
var forAdmins = []string{"writes.credits", "writes.keys", "writes.rate-cards", "writes.rate-card-keys", "writes.rate-cards-invalid"}

// An organization without an entry gets books of which every rule can be checked.
func TestWrites(t *testing.T) {
	s := openScratch(t)
	noBreach(t, checkWrites(t, s.handler, s.admin, ""), "errors.retry-after")
	for _, r := range checkWrites(t, s.handler, s.token, "").Rules {
		if r.Group == "Writes" && (r.Status == conformance.Skipped) != slices.Contains(forAdmins, r.Rule) {
			t.Errorf("with the role write %s is %s: %s", r.Rule, r.Status, r.Reason)
		}
	}
	if _, err := conformance.Run(t.Context(), conformance.Options{URL: "http://127.0.0.1:1", Write: true}); err == nil || !strings.Contains(err.Error(), "name of an organization") {
		t.Errorf("without an organization: %v", err)
	}
}

// Run fails if the role of the token is too low for every rule that writes.
func TestRoleTooLowForWrites(t *testing.T) {
	s := openScratch(t)
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	for _, tt := range []struct {
		token, only string
		fails       bool
	}{{s.token, "writes.rate-cards-invalid", true}, {s.read, "", true}, {s.read, "writes.leases", true}, {s.token, "writes.keys", true}, {s.token, "writes.leases", false}, {s.read, "ledger.balance", false}} {
		_, err := conformance.Run(t.Context(), conformance.Options{
			URL: srv.URL, Token: tt.token, Organization: "scratch", Only: tt.only, Write: true, Pauses: []time.Duration{},
		})
		if tt.fails != (err != nil && strings.Contains(err.Error(), "need the role admin")) {
			t.Errorf("with the token of the role read: %t, the rule %q: %v", tt.token == s.read, tt.only, err)
		}
	}
}

// posted changes the answers to writes with a status.
func posted(status int, change func(*answer)) func(*http.Request, *answer) {
	return func(r *http.Request, a *answer) {
		if r.Method == http.MethodPost && a.status == status {
			change(a)
		}
	}
}

// taken makes a success of a refusal.
func taken(refused, status int) func(*http.Request, *answer) {
	return posted(refused, func(a *answer) {
		a.status, a.body = status, []byte(`{"data":[]}`)
	})
}

// amounts adds to the amounts of an answer with recorded leases.
func amounts(a *answer) {
	a.edit(func(body map[string]any) {
		for _, lease := range list(body) {
			bump(lease, "amount_cents", -1)
		}
	})
}

// accrue adds to what the leases of an answer have accrued.
func accrue(by int64) func(*http.Request, *answer) {
	return func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, lease := range list(body) {
				bump(lease, "accrued_cents", by)
			}
		})
	}
}

func text(value any) string {
	b, _ := json.Marshal(value)
	return string(b)
}

// newest returns the id of the rate card that was added last but some.
func newest(s service, org string, but int) string {
	req := httptest.NewRequest(http.MethodGet, "/api/v0/billing/rate-cards/"+org, http.NoBody)
	req.Header.Set("Authorization", "Bearer "+s.admin)
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, req)
	var cards struct{ Data []struct{ ID string } }
	_ = json.Unmarshal(answer.Body.Bytes(), &cards)
	return cards.Data[but].ID
}

func TestPlantedFaultsOfWrites(t *testing.T) {
	s := openScratch(t)
	planted := map[string]bool{}
	for _, f := range []fault{
		{rule: "writes.leases", name: "a lease that runs is billed", answer: posted(200, func(a *answer) { a.replace(`"running"`, `"billed"`) })},
		{rule: "writes.leases", name: "another amount than the ledger's", answer: posted(200, amounts)},
		{rule: "writes.accrued", name: "too little", answer: on("/billing/leases/scratch", accrue(1000))},
		{rule: "writes.accrued", name: "too much", answer: on("/billing/leases/scratch", accrue(-1000))},
		{rule: "writes.accrued", name: "nothing", answer: on("/billing/leases/scratch", func(_ *http.Request, a *answer) {
			a.edit(func(body map[string]any) { list(body)[0].(map[string]any)["accrued_cents"] = nil })
		})},
		{rule: "writes.accrued", name: "also after it is billed", answer: on("/billing/leases/scratch", func(_ *http.Request, a *answer) {
			a.replace(`"accrued_cents":null`, `"accrued_cents":0`)
		})},
		{rule: "writes.duplicates", name: "billed again", answer: posted(200, func(a *answer) { a.replace(`"duplicate"`, `"billed"`) })},
		{rule: "writes.conflicts", name: "a change is taken", answer: taken(409, 200)},
		{rule: "writes.invalid", name: "it is taken", answer: taken(422, 200)},
		{rule: "writes.invalid", name: "the others are recorded", ask: func(r *http.Request) {
			if body := readBody(r); r.Method == http.MethodPost && strings.Contains(body, `"duration_seconds":301`) && strings.Contains(body, "},{") {
				var request map[string][]json.RawMessage
				_ = json.Unmarshal([]byte(body), &request)
				first, _ := json.Marshal(map[string]any{"leases": request["leases"][:1]})
				post := r.Clone(r.Context())
				setBody(post, string(first))
				s.handler.ServeHTTP(httptest.NewRecorder(), post)
			}
		}},
		{rule: "writes.credits", name: "replayed without a word", answer: posted(201, func(a *answer) { a.header.Del("Idempotency-Replayed") })},
		{rule: "writes.credits", name: "posted twice", ask: func(r *http.Request) {
			if r.Method == http.MethodPost {
				r.Header.Set("Idempotency-Key", time.Now().String())
			}
		}},
		{rule: "writes.keys", name: "another body is taken", answer: taken(409, 201)},
		{rule: "writes.labels", name: "they are lost", answer: on("/billing/leases/scratch", func(_ *http.Request, a *answer) {
			a.edit(func(body map[string]any) {
				for _, lease := range list(body) {
					lease.(map[string]any)["labels"] = nil
				}
			})
		})},
		{rule: "writes.labels", name: "none are some", answer: on("/billing/leases/scratch", func(_ *http.Request, a *answer) { a.replace(`"labels":null`, `"labels":{}`) })},
		{rule: "writes.labels", name: "billed again", answer: posted(200, func(a *answer) { a.replace(`"duplicate"`, `"billed"`) })},
		{rule: "writes.labels", name: "other ones are taken", answer: taken(409, 200)},
		{rule: "writes.labels", name: "such that break a rule are taken", answer: taken(422, 200)},
		{rule: "writes.rate-cards", name: "another amount", answer: posted(200, func(a *answer) { a.edit(func(body map[string]any) { bump(list(body)[1], "amount_cents", 1) }) })},
		{rule: "writes.rate-cards", name: "without the label", ask: func(r *http.Request) {
			if is(r, "/leases/scratch") && r.Method == http.MethodPost {
				var request map[string][]map[string]any
				if json.Unmarshal([]byte(readBody(r)), &request) == nil {
					for _, lease := range request["leases"] {
						delete(lease, "labels")
					}
					setBody(r, text(request))
				}
			}
		}},
		{rule: "writes.rate-cards", name: "in force earlier", answer: on("/billing/leases/scratch", func() func(*http.Request, *answer) {
			first := true
			return func(_ *http.Request, a *answer) {
				if first {
					first = false
					a.edit(func(body map[string]any) { list(body)[0].(map[string]any)["rate_card_id"] = newest(s, "scratch", 1) })
				}
			}
		}())},
		{rule: "writes.rate-cards", name: "another card", answer: on("/billing/leases/scratch", func(_ *http.Request, a *answer) {
			a.edit(func(body map[string]any) { list(body)[0].(map[string]any)["rate_card_id"] = id(9, 9) })
		})},
		{rule: "writes.rate-cards", name: "not in the list", answer: on("/billing/rate-cards/scratch", func(_ *http.Request, a *answer) {
			a.edit(func(body map[string]any) { body["data"] = list(body)[1:] })
		})},
		{rule: "writes.rate-cards", name: "for all organizations", answer: posted(201, func(a *answer) { a.replace(`"organization":"scratch"`, `"organization":null`) })},
		{rule: "writes.rate-cards", name: "in force later", answer: posted(201, func(a *answer) {
			a.edit(func(body map[string]any) { body["effective_from"] = "2100-01-01T00:00:00.000000Z" })
		})},
		{rule: "writes.rate-cards", name: "replayed without a word", answer: posted(201, func(a *answer) { a.header.Del("Idempotency-Replayed") })},
		{rule: "writes.rate-cards", name: "set twice", ask: func(r *http.Request) {
			if r.Method == http.MethodPost {
				r.Header.Set("Idempotency-Key", time.Now().String())
			}
		}},
		{rule: "writes.rate-card-keys", name: "another card is taken", answer: taken(409, 201)},
		{rule: "writes.rate-cards-invalid", name: "it is taken", answer: taken(422, 201)},
		{rule: "writes.rate-cards-invalid", name: "it is set all the same", answer: func() func(*http.Request, *answer) {
			n := 0
			return on("/billing/rate-cards/scratch", func(_ *http.Request, a *answer) {
				if n++; n == 2 {
					a.edit(func(body map[string]any) { list(body)[0].(map[string]any)["id"] = id(9, 9) })
				}
			})
		}()},
	} {
		planted[f.rule] = true
		t.Run(f.rule+"/"+f.name, func(t *testing.T) {
			for _, r := range checkWrites(t, f.wrap(s.handler), s.admin, f.rule).Rules {
				if r.Rule == f.rule && (r.Status != conformance.Failed || len(r.Breaches) == 0 || r.Breaches[0].Problem == "") {
					t.Errorf("%s is %s: %s", r.Rule, r.Status, r.Reason)
				}
			}
		})
	}
	for _, r := range checkWrites(t, s.handler, s.admin, "writes.keys").Rules {
		if r.Group == "Writes" && !planted[r.Rule] {
			t.Errorf("no fault is planted for %s", r.Rule)
		}
	}
}
