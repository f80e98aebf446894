package crashtest

import (
	"cmp"
	"context"
	"testing"

	"github.com/harmont-dev/harmont-billing/client"
)

// books has the answers of a server about one organization.
type books struct {
	balance int64
	debits  map[string]client.Transaction // by the lease's handle
	credits map[string]client.Transaction // by idempotency key
	leases  map[string]client.UsageBreakdownJob
	usage   client.UsageResponse
}

// readBooks reads the books of an organization to which no client writes.
func readBooks(t *testing.T, c *client.Client, org string) books {
	t.Helper()
	// The database may notice the end of a killed server late. A last commit of that server may come between two of these calls.
	for {
		newest := newestEntry(t, c, org)
		b := readOnce(t, c, org)
		if newest == newestEntry(t, c, org) {
			return b
		}
	}
}

func newestEntry(t *testing.T, c *client.Client, org string) (id client.UUID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	page, err := c.ListBillingTransactions(ctx, org, client.ListOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Data) > 0 {
		id = page.Data[0].ID
	}
	return id
}

func readOnce(t *testing.T, c *client.Client, org string) books {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b := books{
		debits: map[string]client.Transaction{}, credits: map[string]client.Transaction{}, leases: map[string]client.UsageBreakdownJob{},
	}
	balance, err := c.GetBillingBalance(ctx, org)
	if err != nil {
		t.Fatal(err)
	}
	b.balance = balance.BalanceCents
	handles := map[client.UUID]string{} // of the lease that an entry bills
	for lease, err := range c.Leases(ctx, org, client.LeaseFilter{State: client.LeaseStateBilled}) {
		if err != nil {
			t.Fatal(err)
		}
		handles[*lease.TransactionID] = *lease.VMHandle
	}
	for entry, err := range c.Transactions(ctx, org) {
		if err != nil {
			t.Fatal(err)
		}
		into, key := b.credits, entry.ID.String()
		if entry.Source == client.TransactionSourceVMLeaseDebit {
			// A debit that came in between is under its own id, and these books are read again.
			into, key = b.debits, cmp.Or(handles[entry.ID], key)
		} else {
			key = *entry.Description // which the load gives its credits
		}
		if earlier, twice := into[key]; twice {
			t.Errorf("%s has two entries, %s and %s", key, earlier.ID, entry.ID)
		}
		into[key] = entry
	}
	breakdown, err := c.GetBillingUsageBreakdown(ctx, org, window)
	if err != nil {
		t.Fatal(err)
	}
	for i := range breakdown.Data {
		for _, job := range breakdown.Data[i].Jobs {
			if _, twice := b.leases[*job.VMHandle]; twice {
				t.Errorf("the lease %s is there twice", *job.VMHandle)
			}
			b.leases[*job.VMHandle] = job
		}
	}
	usage, err := c.GetBillingUsage(ctx, org, window)
	if err != nil {
		t.Fatal(err)
	}
	b.usage = *usage
	return b
}

// check compares the books of a server with the requests. An acknowledged request is in the books once, another one once or not at all.
// check returns how many requests took place without an acknowledgement. No client may be sending.
func (l *load) check(s *service) (unacknowledged int) {
	l.t.Helper()
	for _, org := range l.orgs {
		b := readBooks(l.t, s.clients[0], org)
		l.checkSums(org, b)
		for handle, entry := range b.debits {
			if known := l.leases[handle]; known == nil || !known.finished() || entry.AmountCents != -cost(&known.latest) {
				l.t.Errorf("nobody sent what the entry %+v says", entry)
			}
		}
		for handle, job := range b.leases {
			_, debited := b.debits[handle]
			if l.leases[handle] == nil || debited != (job.FinishedAt != nil) {
				l.t.Errorf("nobody sent the lease %+v (debited: %t)", job, debited)
			}
		}
		credits := map[string]bool{}
		for _, r := range l.requests {
			if r.org != org {
				continue
			}
			if r.leases == nil {
				credits[r.key] = true
			}
			switch there, all := b.find(l.t, r); {
			case there != 0 && there != all:
				l.t.Errorf("of a request that is all or nothing, %d parts of %d are there: %s", there, all, r)
			case there == 0 && r.acknowledged:
				l.t.Errorf("it was acknowledged and is lost: %s", r)
			case there != 0 && !r.acknowledged:
				unacknowledged++
			}
		}
		for key, entry := range b.credits {
			if !credits[key] {
				l.t.Errorf("nobody sent what the entry %+v says", entry)
			}
		}
	}
	if l.t.Failed() {
		l.t.FailNow()
	}
	return unacknowledged
}

// checkSums compares the server's sums with its lists.
func (l *load) checkSums(org string, b books) {
	l.t.Helper()
	var balance int64
	var usage client.UsageResponse
	for _, entry := range b.credits {
		balance += entry.AmountCents
	}
	for handle, entry := range b.debits {
		balance += entry.AmountCents
		usage.TotalCents -= entry.AmountCents
		if job := b.leases[handle]; job.DurationSeconds != nil {
			usage.CPUSeconds += job.CPUCount * *job.DurationSeconds
			usage.MemoryGBSeconds += job.MemoryGB * *job.DurationSeconds
			usage.DiskGBSeconds += job.DiskGB * *job.DurationSeconds
		}
	}
	if balance != b.balance || usage != b.usage {
		l.t.Errorf("%s has a balance of %d and a usage of %+v; its entries and leases add up to %d and %+v", org, b.balance, b.usage, balance, usage)
	}
}

// find counts the parts of a request that have taken place.
func (b books) find(t *testing.T, r *request) (there, all int) {
	t.Helper()
	if r.leases == nil {
		entry, ok := b.credits[r.key]
		if !ok {
			return 0, 1
		}
		if entry.AmountCents != r.credit.AmountCents || r.entry != "" && r.entry != entry.ID.String() {
			t.Errorf("the credit %s was acknowledged as entry %s and is there as %+v", r.key, r.entry, entry)
		}
		return 1, 1
	}
	for i := range r.leases {
		handle := *r.leases[i].VMHandle
		_, ok := b.leases[handle]
		if r.leases[i].FinishedAt != nil {
			_, ok = b.debits[handle]
		}
		if ok {
			there++
		}
	}
	return there, len(r.leases)
}
