package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The rules about one entry and about recorded leases. A server may lack these calls; the rules are skipped then.

// entryDetail is the answer to getBillingTransaction.
type entryDetail struct {
	entry
	BalanceAfterCents int64        `json:"balance_after_cents"`
	Lease             *leaseRecord `json:"lease"`
	Cost              *cost        `json:"cost"`
	RateCard          *rateCard    `json:"rate_card"`
}

// leaseRecord is a lease as listBillingLeases and getBillingTransaction show it.
type leaseRecord struct {
	LeaseID       string            `json:"lease_id"`
	State         string            `json:"state"`
	JobID         *string           `json:"job_id"`
	StartedAt     string            `json:"started_at"`
	FinishedAt    *string           `json:"finished_at"`
	AmountCents   int64             `json:"amount_cents"`
	TransactionID *string           `json:"transaction_id"`
	Labels        map[string]string `json:"labels"`
	RateCardID    *string           `json:"rate_card_id"`
	AccruedCents  *int64            `json:"accrued_cents"`
}

type resourceCost struct {
	Count               int64 `json:"count"`
	MicrocentsPerSecond int64 `json:"microcents_per_second"`
	Microcents          int64 `json:"microcents"`
}

type cost struct {
	DurationSeconds int64        `json:"duration_seconds"`
	CPU             resourceCost `json:"cpu"`
	MemoryGB        resourceCost `json:"memory_gb"`
	DiskGB          resourceCost `json:"disk_gb"`
	Microcents      int64        `json:"microcents"`
	Cents           int64        `json:"cents"`
}

func entryCall(slug, id string) call {
	return call{path: "/billing/transactions/" + url.PathEscape(slug) + "/" + url.PathEscape(id)}
}

// ledgerEntry reads the newest, the oldest and, of each source, the newest entry by itself, with the entry before it.
func ledgerEntry(a *account) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	if err := a.skipIfEmpty(l); err != nil {
		return err
	}
	places := []int{0, len(l.entries) - 1}
	seen := map[string]bool{}
	for i, e := range l.entries {
		if !seen[e.Source] {
			seen[e.Source] = true
			places = append(places, i)
		}
	}
	slices.Sort(places)
	for _, i := range slices.Compact(places) {
		var detail entryDetail
		x, err := a.expectOKIfOffered(entryCall(a.slug, l.entries[i].ID), &detail)
		if err != nil {
			return err
		}
		if detail.entry != l.entries[i] {
			return breachf(x, "the entry %s is another one in the list", l.entries[i].ID)
		}
		if err := detail.checkCost(x); err != nil {
			return err
		}
		before := int64(0)
		switch {
		case i+1 < len(l.entries):
			var previous entryDetail
			if _, err := a.expectOKIfOffered(entryCall(a.slug, l.entries[i+1].ID), &previous); err != nil {
				return err
			}
			before = previous.BalanceAfterCents
		case !l.complete:
			continue
		}
		if sum, ok := addCents(before, detail.AmountCents); !ok || sum != detail.BalanceAfterCents {
			return breachf(x, "the balance after the entry is %d, and %d before it", detail.BalanceAfterCents, before)
		}
	}
	return a.expectErrors(http.StatusNotFound, "transaction_not_found",
		entryCall(a.slug, "00000000-0000-4000-8000-000000000000"), entryCall(a.slug, "x"))
}

// head is the answer to getBillingHead.
type head struct {
	Seq          int64  `json:"seq"`
	BalanceCents int64  `json:"balance_cents"`
	Digest       string `json:"digest"`
}

// ledgerHead compares the head with the newest entry, which is read between two heads that are the same.
func ledgerHead(a *account) error {
	c := call{path: "/billing/head/" + url.PathEscape(a.slug)}
	var before, after head
	if _, err := a.expectOKIfOffered(c, &before); err != nil {
		return err
	}
	const tries = 5 // because an entry may be appended between two requests
	for range tries {
		newest, err := a.page(1, "")
		if err != nil {
			return err
		}
		var detail entryDetail
		if len(newest.Data) > 0 {
			if _, err := a.expectOKIfOffered(entryCall(a.slug, newest.Data[0].ID), &detail); err != nil {
				return err
			}
		}
		x, err := a.expectOKIfOffered(c, &after)
		switch digest, bad := hex.DecodeString(after.Digest); {
		case err != nil:
			return err
		case bad != nil, len(digest) != sha256.Size, strings.ToLower(after.Digest) != after.Digest:
			return breachf(x, "the digest is %q, which is not a SHA-256", after.Digest)
		case after.Seq == before.Seq && after != before:
			return breachf(x, "the head of entry %d was %v before", after.Seq, before)
		case after != before:
			before = after
			continue
		case (after.Seq == 0) != (len(newest.Data) == 0):
			return breachf(x, "the head is that of entry %d, and the first page has %d entries", after.Seq, len(newest.Data))
		case after.BalanceCents != detail.BalanceAfterCents:
			return breachf(x, "the head has the balance %d, and the newest entry %d", after.BalanceCents, detail.BalanceAfterCents)
		}
		return nil
	}
	return skip("entries are appended all the time")
}

// checkCost holds an entry against its lease and the arithmetic of its cost.
func (d *entryDetail) checkCost(x *exchange) error {
	if l := d.Lease; l != nil {
		switch {
		case d.Source != "vm_lease_debit":
			return breachf(x, "an entry of source %s has a lease", d.Source)
		case l.State != "billed", l.TransactionID == nil || *l.TransactionID != d.ID:
			return breachf(x, "the lease %s is not billed by this entry", l.LeaseID)
		case l.AmountCents != d.AmountCents:
			return breachf(x, "the lease's amount_cents is not that of its entry, %d", d.AmountCents)
		}
	}
	c := d.Cost
	if c == nil {
		return nil
	}
	sum := int64(0)
	for _, r := range []resourceCost{c.CPU, c.MemoryGB, c.DiskGB} {
		if r.Microcents != r.Count*r.MicrocentsPerSecond*c.DurationSeconds {
			return breachf(x, "%d × %d × %d s are not %d microcents", r.Count, r.MicrocentsPerSecond, c.DurationSeconds, r.Microcents)
		}
		sum += r.Microcents
	}
	if sum != c.Microcents || c.Cents != sum/1_000_000 || d.AmountCents != -c.Cents {
		return breachf(x, "the cost is %d microcents and %d cents; its resources add up to %d, and the entry takes %d",
			c.Microcents, c.Cents, sum, d.AmountCents)
	}
	return nil
}

type leasePage struct {
	x          *exchange
	Data       []leaseRecord `json:"data"`
	NextCursor *string       `json:"next_cursor"`
}

func (a *account) leases(query url.Values) (p leasePage, err error) {
	p.x, err = a.expectOKIfOffered(call{path: "/billing/leases/" + url.PathEscape(a.slug), query: query.Encode()}, &p)
	return p, err
}

// leasesListed reads the newest leases in every way that they can be asked for.
func leasesListed(a *account) error {
	newest, err := a.leases(url.Values{"limit": {"100"}})
	if err != nil {
		return err
	}
	if len(newest.Data) == 0 {
		return skip("no lease is recorded")
	}
	if err := newest.checkOrder(); err != nil {
		return err
	}
	for _, state := range []string{"running", "billed"} {
		p, err := a.leases(url.Values{"limit": {"100"}, "state": {state}})
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(p.Data, func(l leaseRecord) bool { return l.State != state }); i >= 0 {
			return breachf(p.x, "the lease %s is %s, not %s", p.Data[i].LeaseID, p.Data[i].State, state)
		}
		if err := p.checkOrder(); err != nil {
			return err
		}
	}
	first := newest.Data[0]
	p, err := a.leases(url.Values{"lease_id": {first.LeaseID}})
	if err != nil {
		return err
	}
	if len(p.Data) != 1 || p.Data[0].LeaseID != first.LeaseID {
		return breachf(p.x, "%d leases have the lease_id %s", len(p.Data), first.LeaseID)
	}
	if first.JobID != nil {
		if p, err = a.leases(url.Values{"job_id": {*first.JobID}, "limit": {"100"}}); err != nil {
			return err
		}
		found := false
		for _, l := range p.Data {
			if l.JobID == nil || *l.JobID != *first.JobID {
				return breachf(p.x, "the lease %s is of another job", l.LeaseID)
			}
			found = found || l.LeaseID == first.LeaseID
		}
		if !found && p.NextCursor == nil {
			return breachf(p.x, "the lease %s of the job is missing", first.LeaseID)
		}
	}
	return a.leasePages(newest.Data)
}

// checkOrder holds the leases of a page against each other, and each against its state.
func (p leasePage) checkOrder() error {
	var newer time.Time
	for _, l := range p.Data {
		started, err := time.Parse(time.RFC3339, l.StartedAt)
		if err != nil {
			return breachf(p.x, "started_at is %q", l.StartedAt)
		}
		if !newer.IsZero() && started.After(newer) {
			return breachf(p.x, "the lease %s comes after one that started earlier", l.LeaseID)
		}
		newer = started
		billed := l.State == "billed"
		if billed != (l.FinishedAt != nil) || !billed && (l.AmountCents != 0 || l.TransactionID != nil) {
			return breachf(p.x, "the lease %s is %s, which its finish, amount or transaction denies", l.LeaseID, l.State)
		}
		if billed && l.AccruedCents != nil {
			return breachf(p.x, "the lease %s is billed, and accrues a cost", l.LeaseID)
		}
	}
	return nil
}

// leasePages reads the first two small pages and compares them with newest. The server may record other leases between the
// requests, so leases that are not in newest are ignored.
func (a *account) leasePages(newest []leaseRecord) error {
	places := map[string]int{}
	for i, l := range newest {
		places[l.LeaseID] = i
	}
	last, read := -1, 0
	query := url.Values{"limit": {fmt.Sprint(smallLimit)}}
	var p leasePage
	for range 2 {
		var err error
		p, err = a.leases(query)
		if err != nil {
			return err
		}
		for _, l := range p.Data {
			place, known := places[l.LeaseID]
			if known && place <= last {
				return breachf(p.x, "in pages of %d the lease %s comes twice or out of order", smallLimit, l.LeaseID)
			}
			if known {
				last, read = place, read+1
			}
		}
		if p.NextCursor == nil {
			if read < len(newest) && len(newest) < 100 {
				return breachf(p.x, "next_cursor is null after %d of %d leases", read, len(newest))
			}
			return nil
		}
		query.Set("cursor", *p.NextCursor)
	}
	if read != last+1 {
		return breachf(p.x, "pages of %d leave out leases", smallLimit)
	}
	return nil
}
