package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The rules about prices and labels. A server may lack rate cards; the rules are skipped then.

// rateCard is a card as listBillingRateCards, setRateCard and getBillingTransaction show it.
type rateCard struct {
	ID            string    `json:"id"`
	Organization  *string   `json:"organization"`
	CPUCount      *int64    `json:"cpu_count"`
	MemoryGB      *int64    `json:"memory_gb"`
	DiskGB        *int64    `json:"disk_gb"`
	LabelKey      *string   `json:"label_key"`
	LabelValue    *string   `json:"label_value"`
	CPU           *int64    `json:"cpu_microcents"`
	Memory        *int64    `json:"memory_gb_microcents"`
	Disk          *int64    `json:"disk_gb_microcents"`
	EffectiveFrom timestamp `json:"effective_from"`
	CreatedAt     timestamp `json:"created_at"`
}

// hasAllOrNone reports whether all values are known, or none.
func hasAllOrNone[T any](values ...*T) bool {
	known := len(values) - len(slices.DeleteFunc(slices.Clone(values), func(v *T) bool { return v != nil }))
	return known == 0 || known == len(values)
}

// checkParts checks what belongs together in a card.
func (c *rateCard) checkParts(x *exchange) error {
	switch {
	case !hasAllOrNone(c.CPUCount, c.MemoryGB, c.DiskGB):
		return breachf(x, "the rate card %s has a part of a shape", c.ID)
	case !hasAllOrNone(c.LabelKey, c.LabelValue):
		return breachf(x, "the rate card %s has a part of a label", c.ID)
	case !hasAllOrNone(c.CPU, c.Memory, c.Disk):
		return breachf(x, "the rate card %s has a part of the prices", c.ID)
	}
	return nil
}

type cardPage struct {
	x          *exchange
	Data       []rateCard `json:"data"`
	NextCursor *string    `json:"next_cursor"`
}

// maxCardPages large pages hold all cards that this project's server keeps for an organization.
const maxCardPages = 30

func (a *account) cardsPath() string { return "/billing/rate-cards/" + url.PathEscape(a.slug) }

// cardPages reads pages until the last, or as many as it may, and the cards on them.
func (a *account) cardPages(limit, maxPages int) (pages []cardPage, cards []rateCard, complete bool, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for range maxPages {
		var p cardPage
		if p.x, err = a.expectOKIfOffered(call{path: a.cardsPath(), query: query.Encode()}, &p); err != nil {
			return pages, cards, false, err
		}
		pages, cards = append(pages, p), append(cards, p.Data...)
		switch {
		case len(p.Data) > limit:
			return pages, cards, false, breachf(p.x, "the page holds %d rate cards", len(p.Data))
		case p.NextCursor == nil:
			return pages, cards, true, nil
		case len(p.Data) == 0:
			return pages, cards, false, breachf(p.x, "the page is empty, and next_cursor is not null")
		}
		query.Set("cursor", *p.NextCursor)
	}
	return pages, cards, false, nil
}

// cardsListed compares large pages with small ones. A card that was added between two requests is ahead of all that are known.
func cardsListed(a *account) error {
	pages, cards, complete, err := a.cardPages(100, maxCardPages)
	if err != nil {
		return err
	}
	x := pages[0].x
	seen := map[string]bool{}
	for i, c := range cards {
		switch {
		case seen[c.ID]:
			return breachf(x, "the rate card %s comes twice", c.ID)
		case i > 0 && c.CreatedAt.After(cards[i-1].CreatedAt.Time):
			return breachf(x, "the rate card %s comes after one that was added earlier", c.ID)
		}
		seen[c.ID] = true
	}
	small, again, smallComplete, err := a.cardPages(smallLimit, smallPages)
	if err != nil {
		return err
	}
	again = again[max(0, slices.IndexFunc(again, func(c rateCard) bool { return seen[c.ID] })):]
	for i, c := range again[:min(len(again), len(cards))] {
		if !reflect.DeepEqual(c, cards[i]) {
			return breachf(small[0].x, "in pages of %d the rate card %s comes, or is, where %s should be", smallLimit, c.ID, cards[i].ID)
		}
	}
	if complete && smallComplete && len(again) != len(cards) {
		return breachf(small[len(small)-1].x, "in pages of %d there are %d rate cards, not %d", smallLimit, len(again), len(cards))
	}
	if err := a.expectErrors(http.StatusUnprocessableEntity, "limit_invalid", call{path: a.cardsPath(), query: "limit=ten"}); err != nil {
		return err
	}
	return a.expectErrors(http.StatusUnprocessableEntity, "cursor_invalid", call{path: a.cardsPath(), query: "cursor=not-a-cursor"})
}

// cardsComplete checks each card by itself.
func cardsComplete(a *account) error {
	pages, cards, _, err := a.cardPages(100, maxCardPages)
	if err != nil {
		return err
	}
	if len(cards) == 0 {
		return skip("there is no rate card")
	}
	for _, p := range pages {
		for _, c := range p.Data {
			if err := c.checkParts(p.x); err != nil {
				return err
			}
			if c.Organization != nil && *c.Organization != a.slug {
				return breachf(p.x, "the rate card %s is for the organization %s", c.ID, *c.Organization)
			}
		}
	}
	return nil
}

// maxPricedEntries is how many debits are read to compare their prices.
const maxPricedEntries = 10

// entriesPriced compares the cards of debits, from all of the ledger that is known, with their costs and leases.
func entriesPriced(a *account) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	debits := slices.DeleteFunc(slices.Clone(l.entries), func(e entry) bool { return e.Source != "vm_lease_debit" })
	priced := false
	for i := range min(len(debits), maxPricedEntries) {
		var d entryDetail
		x, err := a.expectOKIfOffered(entryCall(a.slug, debits[i*len(debits)/min(len(debits), maxPricedEntries)].ID), &d)
		if err != nil {
			return err
		}
		if err := a.checkCard(x, &d); err != nil {
			return err
		}
		priced = priced || d.RateCard != nil
	}
	if !priced {
		return skip("no entry that was read has a rate card")
	}
	return nil
}

// checkCard checks that an entry has a card where it has a cost, that the card has the prices of the cost, and that it is for the lease.
func (a *account) checkCard(x *exchange, d *entryDetail) error {
	c, l := d.RateCard, d.Lease
	switch {
	case (c == nil) != (d.Cost == nil):
		return breachf(x, "one of cost and rate_card is null, and the other is not")
	case l != nil && l.RateCardID != nil && (c == nil || *l.RateCardID != c.ID):
		return breachf(x, "the lease was billed by the rate card %s, and the entry has another", *l.RateCardID)
	case c == nil:
		return nil
	case c.CPU == nil || c.Memory == nil || c.Disk == nil:
		return breachf(x, "the rate card has no prices")
	case *c.CPU != d.Cost.CPU.MicrocentsPerSecond, *c.Memory != d.Cost.MemoryGB.MicrocentsPerSecond, *c.Disk != d.Cost.DiskGB.MicrocentsPerSecond:
		return breachf(x, "the prices of the rate card are not those of the cost")
	case c.Organization != nil && *c.Organization != a.slug:
		return breachf(x, "the rate card is for the organization %s", *c.Organization)
	case l == nil:
		return breachf(x, "there is a cost without a lease")
	}
	if err := c.checkParts(x); err != nil {
		return err
	}
	started, err := time.Parse(time.RFC3339, l.StartedAt)
	switch {
	case err != nil:
		return breachf(x, "started_at is %q", l.StartedAt)
	case started.Before(c.EffectiveFrom.Time):
		return breachf(x, "the lease started before its rate card was in force")
	case c.CPUCount != nil && (*c.CPUCount != d.Cost.CPU.Count || *c.MemoryGB != d.Cost.MemoryGB.Count || *c.DiskGB != d.Cost.DiskGB.Count):
		return breachf(x, "the rate card is for machines of another shape")
	}
	if c.LabelKey != nil {
		if value, ok := l.Labels[*c.LabelKey]; !ok || value != *c.LabelValue {
			return breachf(x, "the rate card is for leases with another label")
		}
	}
	return nil
}

// newCard makes a request for a card that is in force from now on. Nobody else has its price, for one CPU and a second in whole cents.
func newCard(changes report) (card report, cents int64) {
	cents = 2 + rand.Int64N(90)
	return report{"name": "Check", "cpu_microcents": cents * 1_000_000, "memory_gb_microcents": 0, "disk_gb_microcents": 0}.with(changes), cents
}

func (a *account) cardCall(key string, card report) call {
	body, _ := json.Marshal(card)
	return call{method: http.MethodPost, path: a.cardsPath(), header: map[string]string{"Idempotency-Key": key}, body: string(body)}
}

// checkShape is that of the machines for which cards are set here.
func checkShape() report { return report{"cpu_count": 3, "memory_gb": 5, "disk_gb": 7} }

const checkLabel = "conformance/check"

// writtenCards sets a card for a shape and one for a label, and bills leases of the shape: right before the first card, by the first card,
// and by the second.
func writtenCards(a *account) error {
	shaped, shapedCents := newCard(checkShape())
	call := a.cardCall(newID(), shaped)
	var forShape, again, forLabel rateCard
	x, err := a.expectWritten(call, http.StatusCreated, &forShape)
	switch {
	case err != nil:
		return err
	case x.header.Get("Idempotency-Replayed") != "":
		return breachf(x, "the first answer has the header Idempotency-Replayed")
	case forShape.Organization == nil || *forShape.Organization != a.slug || forShape.CPUCount == nil || forShape.CPU == nil || *forShape.CPU != shapedCents*1_000_000:
		return breachf(x, "the rate card is another than the one that was sent")
	case !forShape.EffectiveFrom.Equal(forShape.CreatedAt.Time):
		return breachf(x, "a rate card without a time is in force from another time than that of its addition")
	}
	if x, err = a.expectWritten(call, http.StatusCreated, &again); err != nil {
		return err
	}
	if !reflect.DeepEqual(again, forShape) || x.header.Get("Idempotency-Replayed") != "true" {
		return breachf(x, "the second answer is another rate card than the first, %s, or lacks Idempotency-Replayed: true", forShape.ID)
	}
	label := newID()
	labelled, labelledCents := newCard(report{"label_key": checkLabel, "label_value": label})
	if _, err := a.expectWritten(a.cardCall(newID(), labelled), http.StatusCreated, &forLabel); err != nil {
		return err
	}
	newest, _, _, err := a.cardPages(100, 1)
	if err != nil {
		return err
	}
	for _, c := range []rateCard{forShape, forLabel} {
		if !slices.ContainsFunc(newest[0].Data, func(listed rateCard) bool { return reflect.DeepEqual(listed, c) }) {
			return breachf(newest[0].x, "the rate card %s is not in the list", c.ID)
		}
	}

	const seconds = 10
	lease := func(start time.Time, changes report) report {
		return newReport(0).with(checkShape()).with(report{"started_at": formatTime(start), "finished_at": formatTime(start.Add(seconds * time.Second))}).with(changes)
	}
	before, err := a.balance()
	if err != nil {
		return err
	}
	early := lease(forShape.EffectiveFrom.Add(-time.Microsecond), nil)
	byShape := lease(forShape.EffectiveFrom.Time, nil)
	byLabel := lease(forLabel.EffectiveFrom.Time, report{"labels": map[string]string{"a": "b", checkLabel: label}})
	x, recorded, err := a.record(early, byShape, byLabel)
	if err != nil {
		return err
	}
	const cpus = 3
	for i, want := range []int64{1: -shapedCents * cpus * seconds, 2: -labelledCents * cpus * seconds} {
		if i > 0 && recorded[i].AmountCents != want {
			return breachf(x, "the lease %s is billed %d, and its rate card gives %d", recorded[i].LeaseID, recorded[i].AmountCents, want)
		}
	}
	if err := a.expectBalance(x, before, recorded[0].AmountCents+recorded[1].AmountCents+recorded[2].AmountCents); err != nil {
		return err
	}
	for i, want := range []string{1: forShape.ID, 2: forLabel.ID} {
		p, err := a.leases(url.Values{"lease_id": {recorded[i].LeaseID}})
		if err != nil {
			return err
		}
		if len(p.Data) != 1 {
			return breachf(p.x, "%d leases have the lease_id %s", len(p.Data), recorded[i].LeaseID)
		}
		card := p.Data[0].RateCardID
		switch {
		case want == "" && card != nil && *card == forShape.ID:
			return breachf(p.x, "a lease that started before the rate card %s was in force is billed by it", forShape.ID)
		case want != "" && (card == nil || *card != want):
			return breachf(p.x, "the lease is not billed by the rate card %s", want)
		}
	}
	return nil
}

// writtenCardKeys uses a key for two cards.
func writtenCardKeys(a *account) error {
	key := newID()
	card, _ := newCard(report{"label_key": checkLabel, "label_value": newID()})
	var first rateCard
	if _, err := a.expectWritten(a.cardCall(key, card), http.StatusCreated, &first); err != nil {
		return err
	}
	_, _, err := a.expectError(a.cardCall(key, card.with(report{"disk_gb_microcents": 1})), http.StatusConflict, "idempotency_key_reused")
	return err
}

// writtenCardsInvalid sends cards that must be refused, and looks for a new one in the list.
func writtenCardsInvalid(a *account) error {
	before, _, _, err := a.cardPages(1, 1)
	if err != nil {
		return err
	}
	valid, _ := newCard(checkShape())
	for _, changes := range []report{
		{"effective_from": formatTime(time.Now().Add(-time.Hour))},
		{"disk_gb": nil}, {"cpu_count": nil}, {"label_key": checkLabel}, {"label_value": "x"}, {"cpu_microcents": nil}, {"memory_gb_microcents": nil},
		{"cpu_count": 0}, {"cpu_microcents": -1}, {"name": ""}, {"label_key": "-", "label_value": "x"},
	} {
		c := a.cardCall(newID(), valid.with(changes))
		x, _, err := a.expectError(c, http.StatusUnprocessableEntity, "rate_card_invalid")
		if x != nil && x.status == http.StatusForbidden {
			return roleTooLow
		}
		if err != nil {
			return err
		}
	}
	after, _, _, err := a.cardPages(1, 1)
	if err == nil && !reflect.DeepEqual(before[0].Data, after[0].Data) {
		err = breachf(after[0].x, "there is a new rate card, and all were refused")
	}
	return err
}

// writtenLabels records leases with labels, without any, and with such that break a rule.
func writtenLabels(a *account) error {
	labels := map[string]string{"gpu": "l4", "Team.a/b-1_c": "wéb <&>", strings.Repeat("k", 63): strings.Repeat("é", 255)}
	labelled := newReport(37).with(report{"labels": labels})
	plain, empty := newReport(41).with(report{"labels": nil}), newReport(43).with(report{"labels": report{}})
	sent := []report{labelled, plain, empty}
	_, recorded, err := a.record(sent...)
	if err != nil {
		return err
	}
	for i, r := range recorded {
		p, err := a.leases(url.Values{"lease_id": {r.LeaseID}})
		if err != nil {
			return err
		}
		want, _ := sent[i]["labels"].(map[string]string)
		if len(p.Data) != 1 || !maps.Equal(p.Data[0].Labels, want) || want == nil && p.Data[0].Labels != nil {
			return breachf(p.x, "the labels of the lease %s are not those that were sent", r.LeaseID)
		}
	}
	x, again, err := a.record(sent...)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(again, func(r recordedLease) bool { return r.Status != "duplicate" }); i >= 0 {
		return breachf(x, "the lease %s is sent again with the same labels, and is %s", again[i].LeaseID, again[i].Status)
	}
	for _, other := range []report{{"gpu": "h100"}, {}} {
		changed := maps.Clone(labels)
		for key, value := range other {
			changed[key] = fmt.Sprint(value)
		}
		if len(other) == 0 {
			delete(changed, "gpu")
		}
		if err := a.expectUnchanged(http.StatusConflict, "lease_conflict", []report{labelled.with(report{"labels": changed})}); err != nil {
			return err
		}
	}
	many := map[string]string{}
	for i := range 17 {
		many[fmt.Sprint("k", i)] = "v"
	}
	for _, bad := range []any{
		many, map[string]string{"": "v"}, map[string]string{"-k": "v"}, map[string]string{"k k": "v"}, map[string]string{strings.Repeat("k", 64): "v"},
		map[string]string{"k": ""}, map[string]string{"k": strings.Repeat("é", 256)}, map[string]any{"k": 1}, map[string]any{"k": nil}, []string{"k"},
	} {
		if err := a.expectUnchanged(http.StatusUnprocessableEntity, "lease_invalid", []report{newReport(47).with(report{"labels": bad})}); err != nil {
			return err
		}
	}
	return nil
}
