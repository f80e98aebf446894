package billing

import "slices"

// Source says where a ledger entry comes from.
type Source string

// The sources. All but the debit of a lease are credits.
const (
	SourceStripeTopup      Source = "stripe_topup"
	SourceCouponRedemption Source = "coupon_redemption"
	SourceAdminGrant       Source = "admin_grant"
	SourceVMLeaseDebit     Source = "vm_lease_debit"
	SourceRefund           Source = "refund"
)

// Sources are all sources, in the order of the contract.
var Sources = []Source{SourceStripeTopup, SourceCouponRedemption, SourceAdminGrant, SourceVMLeaseDebit, SourceRefund}

// CreditSources are the sources of credits.
var CreditSources = slices.DeleteFunc(slices.Clone(Sources), func(s Source) bool { return s == SourceVMLeaseDebit })

func (s Source) valid() bool { return slices.Contains(Sources, s) }

// Entry is one line of an organization's ledger. Entries are appended and never change.
type Entry struct {
	Seq               int64 // 1, 2, 3 … within the organization
	ID                ID
	AmountCents       int64 // positive for a credit, negative or 0 for a debit
	BalanceAfterCents int64 // the sum of all entries up to this one
	Source            Source
	Description       *string
	CreatedAt         Time // never before that of the entry before
	LeaseID           *ID  // the lease that a debit bills; nil for a credit, and for a debit taken over from another system
	IdempotencyKey    *string
	Author            *string // the name of the token that posted a credit; nil if it is not known, and for a debit
	Digest            Digest  // of the ledger up to this entry
}

// Head is where an organization's ledger stands.
type Head struct {
	Seq          int64 // of the newest entry; 0 when there is none
	BalanceCents int64
	LastAt       Time   // when the newest entry was appended
	Digest       Digest // of the newest entry; of the organization when there is none
	Lifetime     Usage  // the sum over all finished leases; the cents of no window can exceed it
}
