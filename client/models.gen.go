// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package client

import (
	"encoding/json"
	"time"
)

// BalanceResponse is an organization's balance.
type BalanceResponse struct {
	// The sum of every ledger entry, in cents. Negative when more was debited than credited.
	BalanceCents int64 `json:"balance_cents"`
}

// LedgerHead is the state of an organization's ledger.
type LedgerHead struct {
	// The number of the newest entry. Entries are numbered from 1 without gaps, so it is also their count. 0 before the
	// first entry. It is at least 0.
	Seq int64 `json:"seq"`
	// The balance after the newest entry, in cents.
	BalanceCents int64 `json:"balance_cents"`
	// The SHA-256 over the newest entry and the digest before it, in lower-case hexadecimal digits. Before the first
	// entry, it is the digest of the organization.
	Digest string `json:"digest"`
}

// TransactionList is a page of ledger entries.
type TransactionList struct {
	// The entries, newest first.
	Data []Transaction `json:"data"`
	// The cursor of the next page; nil exactly when no older entry is left.
	NextCursor *string `json:"next_cursor"`
}

// transactionListJSON is TransactionList as the API writes it.
type transactionListJSON struct {
	Data       []Transaction `json:"data"`
	NextCursor *string       `json:"next_cursor"`
}

func (m TransactionList) encoded() transactionListJSON {
	return transactionListJSON{
		notNull(m.Data),
		m.NextCursor,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m TransactionList) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// Transaction is one entry of the ledger. Entries are never changed and never removed.
type Transaction struct {
	// The entry's id.
	ID UUID `json:"id"`
	// The amount in cents. Positive for a credit, negative or 0 for a debit.
	AmountCents int64 `json:"amount_cents"`
	// Where an entry comes from: "stripe_topup", a payment; "coupon_redemption", a coupon; "admin_grant", a credit given
	// by an operator; "vm_lease_debit", the cost of one lease; "refund", money given back.
	Source TransactionSource `json:"source"`
	// A text for people; nil when there is none.
	Description *string `json:"description"`
	// When the entry was appended. It never goes back from an entry to the next.
	CreatedAt time.Time `json:"created_at"`
}

// transactionJSON is Transaction as the API writes it.
type transactionJSON struct {
	ID          UUID              `json:"id"`
	AmountCents int64             `json:"amount_cents"`
	Source      TransactionSource `json:"source"`
	Description *string           `json:"description"`
	CreatedAt   wireTime          `json:"created_at"`
}

func (m Transaction) encoded() transactionJSON {
	return transactionJSON{
		m.ID,
		m.AmountCents,
		m.Source,
		m.Description,
		wireTime(m.CreatedAt),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m Transaction) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// TransactionSource is where an entry comes from: "stripe_topup", a payment; "coupon_redemption", a coupon;
// "admin_grant", a credit given by an operator; "vm_lease_debit", the cost of one lease; "refund", money given back.
// Later versions of the API may have more values.
type TransactionSource string

// The values of TransactionSource.
const (
	TransactionSourceStripeTopup      TransactionSource = "stripe_topup"
	TransactionSourceCouponRedemption TransactionSource = "coupon_redemption"
	TransactionSourceAdminGrant       TransactionSource = "admin_grant"
	TransactionSourceVMLeaseDebit     TransactionSource = "vm_lease_debit"
	TransactionSourceRefund           TransactionSource = "refund"
)

// Valid reports whether this version of the package knows the value.
func (v TransactionSource) Valid() bool {
	switch v {
	case
		TransactionSourceStripeTopup,
		TransactionSourceCouponRedemption,
		TransactionSourceAdminGrant,
		TransactionSourceVMLeaseDebit,
		TransactionSourceRefund:
		return true
	}
	return false
}

// StatementResponse is the ledger of an organization over a window. OpeningHead is the head of the ledger before the
// first entry of the window, and ClosingHead the one after the last.
type StatementResponse struct {
	// The balance before the first entry of the window, in cents.
	OpeningBalanceCents int64 `json:"opening_balance_cents"`
	// The balance after the last entry of the window, in cents.
	ClosingBalanceCents int64 `json:"closing_balance_cents"`
	// How many entries were created in the window. It is at least 0.
	EntryCount int64 `json:"entry_count"`
	// The sums of the entries of the window for each source that has any, in the order in which TransactionSource names
	// the sources.
	Sources []StatementSource `json:"sources"`
	// The state of an organization's ledger.
	OpeningHead LedgerHead `json:"opening_head"`
	// The state of an organization's ledger.
	ClosingHead LedgerHead `json:"closing_head"`
}

// statementResponseJSON is StatementResponse as the API writes it.
type statementResponseJSON struct {
	OpeningBalanceCents int64             `json:"opening_balance_cents"`
	ClosingBalanceCents int64             `json:"closing_balance_cents"`
	EntryCount          int64             `json:"entry_count"`
	Sources             []StatementSource `json:"sources"`
	OpeningHead         LedgerHead        `json:"opening_head"`
	ClosingHead         LedgerHead        `json:"closing_head"`
}

func (m StatementResponse) encoded() statementResponseJSON {
	return statementResponseJSON{
		m.OpeningBalanceCents,
		m.ClosingBalanceCents,
		m.EntryCount,
		notNull(m.Sources),
		m.OpeningHead,
		m.ClosingHead,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m StatementResponse) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// StatementSource is the entries of a statement that are from one source.
type StatementSource struct {
	// Where an entry comes from: "stripe_topup", a payment; "coupon_redemption", a coupon; "admin_grant", a credit given
	// by an operator; "vm_lease_debit", the cost of one lease; "refund", money given back.
	Source TransactionSource `json:"source"`
	// How many entries are from the source. It is at least 1.
	EntryCount int64 `json:"entry_count"`
	// The sum of their amounts, in cents. Positive for credits, negative or 0 for debits.
	AmountCents int64 `json:"amount_cents"`
}

// CreditList is a page of credits.
type CreditList struct {
	// The credits, newest first.
	Data []Credit `json:"data"`
	// The cursor of the next page; nil exactly when no older credit is left.
	NextCursor *string `json:"next_cursor"`
}

// creditListJSON is CreditList as the API writes it.
type creditListJSON struct {
	Data       []Credit `json:"data"`
	NextCursor *string  `json:"next_cursor"`
}

func (m CreditList) encoded() creditListJSON {
	return creditListJSON{
		notNull(m.Data),
		m.NextCursor,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m CreditList) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// Credit is one entry of the ledger that adds to the balance.
type Credit struct {
	// The entry's id.
	ID UUID `json:"id"`
	// The amount in cents. It is at least 1.
	AmountCents int64 `json:"amount_cents"`
	// Where an entry comes from: "stripe_topup", a payment; "coupon_redemption", a coupon; "admin_grant", a credit given
	// by an operator; "vm_lease_debit", the cost of one lease; "refund", money given back.
	Source TransactionSource `json:"source"`
	// A text for people; nil when there is none.
	Description *string `json:"description"`
	// Who posted the credit, the name of the token; nil where it is not recorded.
	Author *string `json:"author"`
	// When the credit was posted.
	CreatedAt time.Time `json:"created_at"`
	// The balance after the entry, in cents.
	BalanceAfterCents int64 `json:"balance_after_cents"`
}

// creditJSON is Credit as the API writes it.
type creditJSON struct {
	ID                UUID              `json:"id"`
	AmountCents       int64             `json:"amount_cents"`
	Source            TransactionSource `json:"source"`
	Description       *string           `json:"description"`
	Author            *string           `json:"author"`
	CreatedAt         wireTime          `json:"created_at"`
	BalanceAfterCents int64             `json:"balance_after_cents"`
}

func (m Credit) encoded() creditJSON {
	return creditJSON{
		m.ID,
		m.AmountCents,
		m.Source,
		m.Description,
		m.Author,
		wireTime(m.CreatedAt),
		m.BalanceAfterCents,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m Credit) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// TransactionDetail is an entry of the ledger with the balance after it. The debit of a lease also has the lease and
// the calculation of its cost.
type TransactionDetail struct {
	// The entry's id.
	ID UUID `json:"id"`
	// The amount in cents. Positive for a credit, negative or 0 for a debit.
	AmountCents int64 `json:"amount_cents"`
	// Where an entry comes from: "stripe_topup", a payment; "coupon_redemption", a coupon; "admin_grant", a credit given
	// by an operator; "vm_lease_debit", the cost of one lease; "refund", money given back.
	Source TransactionSource `json:"source"`
	// A text for people; nil when there is none.
	Description *string `json:"description"`
	// Who posted a credit, the name of the token; nil for a debit, and where it is not recorded. Servers before 0.2.0 do
	// not have it; it is nil then.
	Author *string `json:"author" since:"0.2.0"`
	// When the entry was appended.
	CreatedAt time.Time `json:"created_at"`
	// The sum in cents of this entry and all entries before it.
	BalanceAfterCents int64 `json:"balance_after_cents"`
	// The lease that a debit bills; nil for a credit, and for a debit that was taken over from another system.
	Lease *LeaseRecord `json:"lease"`
	// How the amount of a debit was computed; nil for an entry without a lease, and for a lease that was billed at prices
	// which are not in the books.
	Cost *LeaseCost `json:"cost"`
	// The rate card with the prices of the calculation; nil where Cost is nil. Servers before 0.2.0 do not have it; it is
	// nil then.
	RateCard *RateCard `json:"rate_card" since:"0.2.0"`
}

// transactionDetailJSON is TransactionDetail as the API writes it.
type transactionDetailJSON struct {
	ID                UUID              `json:"id"`
	AmountCents       int64             `json:"amount_cents"`
	Source            TransactionSource `json:"source"`
	Description       *string           `json:"description"`
	Author            *string           `json:"author" since:"0.2.0"`
	CreatedAt         wireTime          `json:"created_at"`
	BalanceAfterCents int64             `json:"balance_after_cents"`
	Lease             *LeaseRecord      `json:"lease"`
	Cost              *LeaseCost        `json:"cost"`
	RateCard          *RateCard         `json:"rate_card" since:"0.2.0"`
}

func (m TransactionDetail) encoded() transactionDetailJSON {
	return transactionDetailJSON{
		m.ID,
		m.AmountCents,
		m.Source,
		m.Description,
		m.Author,
		wireTime(m.CreatedAt),
		m.BalanceAfterCents,
		m.Lease,
		m.Cost,
		m.RateCard,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m TransactionDetail) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// RateCardList is a page of rate cards.
type RateCardList struct {
	// The rate cards of this page, newest first.
	Data []RateCard `json:"data"`
	// The cursor of the next page; nil when nothing is left.
	NextCursor *string `json:"next_cursor"`
}

// rateCardListJSON is RateCardList as the API writes it.
type rateCardListJSON struct {
	Data       []RateCard `json:"data"`
	NextCursor *string    `json:"next_cursor"`
}

func (m RateCardList) encoded() rateCardListJSON {
	return rateCardListJSON{
		notNull(m.Data),
		m.NextCursor,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m RateCardList) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// RateCard is the prices of leases that start at EffectiveFrom or later. Of the cards in force when a lease started,
// the most specific one bills it: one of the organization before one for all, then one for a label, then one for a
// shape. Cards are added and never change, and a lease that is billed keeps its card.
type RateCard struct {
	// The card's id, which is made of its contents.
	ID UUID `json:"id"`
	// A name for people.
	Name string `json:"name"`
	// The slug of the organization that the card is for; nil for all organizations.
	Organization *string `json:"organization"`
	// The number of CPUs of the machines that the card is for; nil, like the memory and the disk, for every shape. It is
	// at least 1.
	CPUCount *int64 `json:"cpu_count"`
	// The memory of the machines that the card is for, in gigabytes; nil for every shape. It is at least 1.
	MemoryGB *int64 `json:"memory_gb"`
	// The disk of the machines that the card is for, in gigabytes; nil for every shape. It is at least 1.
	DiskGB *int64 `json:"disk_gb"`
	// The key of a label of the leases that the card is for; nil for any labels.
	LabelKey *string `json:"label_key"`
	// The value of the label; nil for any labels.
	LabelValue *string `json:"label_value"`
	// The price of one CPU for one second, in millionths of a cent; nil, like the other prices, for a card that ends the
	// cards before it for the same leases, which are then billed by a less specific card. It is at least 0.
	CPUMicrocents *int64 `json:"cpu_microcents"`
	// The price of one gigabyte of memory for one second, in millionths of a cent; nil for a card without prices. It is
	// at least 0.
	MemoryGBMicrocents *int64 `json:"memory_gb_microcents"`
	// The price of one gigabyte of disk for one second, in millionths of a cent; nil for a card without prices. It is at
	// least 0.
	DiskGBMicrocents *int64 `json:"disk_gb_microcents"`
	// The card is for leases that start at this time or later.
	EffectiveFrom time.Time `json:"effective_from"`
	// When the card was added.
	CreatedAt time.Time `json:"created_at"`
}

// rateCardJSON is RateCard as the API writes it.
type rateCardJSON struct {
	ID                 UUID     `json:"id"`
	Name               string   `json:"name"`
	Organization       *string  `json:"organization"`
	CPUCount           *int64   `json:"cpu_count"`
	MemoryGB           *int64   `json:"memory_gb"`
	DiskGB             *int64   `json:"disk_gb"`
	LabelKey           *string  `json:"label_key"`
	LabelValue         *string  `json:"label_value"`
	CPUMicrocents      *int64   `json:"cpu_microcents"`
	MemoryGBMicrocents *int64   `json:"memory_gb_microcents"`
	DiskGBMicrocents   *int64   `json:"disk_gb_microcents"`
	EffectiveFrom      wireTime `json:"effective_from"`
	CreatedAt          wireTime `json:"created_at"`
}

func (m RateCard) encoded() rateCardJSON {
	return rateCardJSON{
		m.ID,
		m.Name,
		m.Organization,
		m.CPUCount,
		m.MemoryGB,
		m.DiskGB,
		m.LabelKey,
		m.LabelValue,
		m.CPUMicrocents,
		m.MemoryGBMicrocents,
		m.DiskGBMicrocents,
		wireTime(m.EffectiveFrom),
		wireTime(m.CreatedAt),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m RateCard) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// SetRateCardRequest is a rate card of the organization. The three prices are given together or not at all, and so
// are the three counts of a shape, and the key and the value of a label.
type SetRateCardRequest struct {
	// A name for people, 1 to 255 characters.
	Name string `json:"name"`
	// The number of CPUs of the machines that the card is for; absent or nil for every shape. It is between 1 and 10 000.
	CPUCount *int64 `json:"cpu_count,omitempty"`
	// The memory of the machines that the card is for, in gigabytes; absent or nil for every shape. It is between 1 and
	// 100 000.
	MemoryGB *int64 `json:"memory_gb,omitempty"`
	// The disk of the machines that the card is for, in gigabytes; absent or nil for every shape. It is between 1 and 10
	// 000 000.
	DiskGB *int64 `json:"disk_gb,omitempty"`
	// The key of a label of the leases that the card is for; absent or nil for any labels. It has letters, digits and
	// characters of "._/-", and begins with a letter or a digit.
	LabelKey *string `json:"label_key,omitempty"`
	// The value of the label, 1 to 255 characters; absent or nil for any labels.
	LabelValue *string `json:"label_value,omitempty"`
	// The price of one CPU for one second, in millionths of a cent. A card without prices ends the cards before it for
	// the same leases. It is between 0 and 100 000 000. It is nil where there is none.
	CPUMicrocents *int64 `json:"cpu_microcents,omitempty"`
	// The price of one gigabyte of memory for one second, in millionths of a cent. It is between 0 and 100 000 000. It is
	// nil where there is none.
	MemoryGBMicrocents *int64 `json:"memory_gb_microcents,omitempty"`
	// The price of one gigabyte of disk for one second, in millionths of a cent. It is between 0 and 100 000 000. It is
	// nil where there is none.
	DiskGBMicrocents *int64 `json:"disk_gb_microcents,omitempty"`
	// From when on the card is in force: RFC 3339 with any offset, or a bare date, which means midnight UTC, and not in
	// the past. Absent or nil: from now on.
	EffectiveFrom *time.Time `json:"effective_from,omitempty"`
}

// setRateCardRequestJSON is SetRateCardRequest as the API writes it.
type setRateCardRequestJSON struct {
	Name               string    `json:"name"`
	CPUCount           *int64    `json:"cpu_count,omitempty"`
	MemoryGB           *int64    `json:"memory_gb,omitempty"`
	DiskGB             *int64    `json:"disk_gb,omitempty"`
	LabelKey           *string   `json:"label_key,omitempty"`
	LabelValue         *string   `json:"label_value,omitempty"`
	CPUMicrocents      *int64    `json:"cpu_microcents,omitempty"`
	MemoryGBMicrocents *int64    `json:"memory_gb_microcents,omitempty"`
	DiskGBMicrocents   *int64    `json:"disk_gb_microcents,omitempty"`
	EffectiveFrom      *wireTime `json:"effective_from,omitempty"`
}

func (m SetRateCardRequest) encoded() setRateCardRequestJSON {
	return setRateCardRequestJSON{
		m.Name,
		m.CPUCount,
		m.MemoryGB,
		m.DiskGB,
		m.LabelKey,
		m.LabelValue,
		m.CPUMicrocents,
		m.MemoryGBMicrocents,
		m.DiskGBMicrocents,
		(*wireTime)(m.EffectiveFrom),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m SetRateCardRequest) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// LeaseCost is the arithmetic of the cost of one lease. Each resource costs count × price × seconds; the sum is
// rounded down to whole cents once.
type LeaseCost struct {
	// The seconds that were billed. It is at least 0.
	DurationSeconds int64 `json:"duration_seconds"`
	// The cost of one resource of a leased machine (its CPUs, its memory or its disk): the count of the resource times
	// its price times the billed seconds.
	CPU ResourceCost `json:"cpu"`
	// The cost of one resource of a leased machine (its CPUs, its memory or its disk): the count of the resource times
	// its price times the billed seconds.
	MemoryGB ResourceCost `json:"memory_gb"`
	// The cost of one resource of a leased machine (its CPUs, its memory or its disk): the count of the resource times
	// its price times the billed seconds.
	DiskGB ResourceCost `json:"disk_gb"`
	// The sum over the resources, in millionths of a cent. It is at least 0.
	Microcents int64 `json:"microcents"`
	// The cost in cents, which is the sum rounded down. It is at least 0.
	Cents int64 `json:"cents"`
}

// ResourceCost is the cost of one resource of a leased machine (its CPUs, its memory or its disk): the count of the
// resource times its price times the billed seconds.
type ResourceCost struct {
	// How many CPUs, or how many gigabytes. It is at least 1.
	Count int64 `json:"count"`
	// The price of one CPU or gigabyte for one second, in millionths of a cent. It is at least 0.
	MicrocentsPerSecond int64 `json:"microcents_per_second"`
	// count × price × seconds, in millionths of a cent. It is at least 0.
	Microcents int64 `json:"microcents"`
}

// LeaseList is a page of leases.
type LeaseList struct {
	// The leases, latest start first.
	Data []LeaseRecord `json:"data"`
	// The cursor of the next page; nil exactly when no lease is left.
	NextCursor *string `json:"next_cursor"`
}

// leaseListJSON is LeaseList as the API writes it.
type leaseListJSON struct {
	Data       []LeaseRecord `json:"data"`
	NextCursor *string       `json:"next_cursor"`
}

func (m LeaseList) encoded() leaseListJSON {
	return leaseListJSON{
		notNull(m.Data),
		m.NextCursor,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m LeaseList) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// LeaseRecord is a lease as the server has recorded it, with its state, and the amount that it was billed or has cost
// so far.
type LeaseRecord struct {
	// The lease's id.
	LeaseID UUID `json:"lease_id"`
	// The state of a lease: "running", recorded and not yet finished; "billed", finished and debited. Later versions may
	// have more states.
	State LeaseState `json:"state"`
	// The job that held the machine; nil for a lease without one.
	JobID *UUID `json:"job_id"`
	// The job's name; nil when unknown.
	JobName *string `json:"job_name"`
	// The key of the pipeline's step; nil when unknown.
	StepKey *string `json:"step_key"`
	// The name of the virtual machine; nil when unknown.
	VMHandle *string `json:"vm_handle"`
	// The build that the job belongs to; nil for none.
	BuildID *UUID `json:"build_id"`
	// The build's number within its pipeline; nil when unknown.
	BuildNumber *int64 `json:"build_number"`
	// The build's id in the system that asked for it; nil when unknown.
	BuildExternalID *UUID `json:"build_external_id"`
	// The pipeline that the build belongs to; nil for none.
	PipelineID *UUID `json:"pipeline_id"`
	// The pipeline's name; nil when unknown.
	PipelineName *string `json:"pipeline_name"`
	// The pipeline's slug; nil when unknown.
	PipelineSlug *string `json:"pipeline_slug"`
	// The number of CPUs of the machine. It is at least 1.
	CPUCount int64 `json:"cpu_count"`
	// The memory of the machine, in gigabytes. It is at least 1.
	MemoryGB int64 `json:"memory_gb"`
	// The disk of the machine, in gigabytes. It is at least 1.
	DiskGB int64 `json:"disk_gb"`
	// When the lease started.
	StartedAt time.Time `json:"started_at"`
	// When the lease finished; nil while it runs.
	FinishedAt *time.Time `json:"finished_at"`
	// The seconds that were billed; nil while the lease runs. It is at least 0.
	DurationSeconds *int64 `json:"duration_seconds"`
	// The lease's debit in cents, negative or 0; 0 while it runs. It is at most 0.
	AmountCents int64 `json:"amount_cents"`
	// The ledger entry that bills the lease; nil while it runs.
	TransactionID *UUID `json:"transaction_id"`
	// The labels of the lease; nil where there are none. Servers before 0.2.0 do not have it; it is nil then.
	Labels Labels `json:"labels" since:"0.2.0"`
	// Who caused the job to run; nil when unknown. Servers before 0.2.0 do not have it; it is nil then.
	Author *string `json:"author" since:"0.2.0"`
	// The rate card that gave the amount; nil while the lease runs, and for a lease that was billed at prices which are
	// not in the books. Servers before 0.2.0 do not have it; it is nil then.
	RateCardID *UUID `json:"rate_card_id" since:"0.2.0"`
	// The cost of a running lease so far, in cents, negative or 0. It is the debit that would follow if the lease
	// finished at the time of the answer, for the whole seconds since its start, at most 366 days. It is not billed, and
	// part of no sum and no balance. Null for a billed lease, and where there is no price for the lease. It is at most 0.
	// It is nil where there is none. Servers before 0.2.0 do not have it; it is nil then.
	AccruedCents *int64 `json:"accrued_cents" since:"0.2.0"`
}

// leaseRecordJSON is LeaseRecord as the API writes it.
type leaseRecordJSON struct {
	LeaseID         UUID       `json:"lease_id"`
	State           LeaseState `json:"state"`
	JobID           *UUID      `json:"job_id"`
	JobName         *string    `json:"job_name"`
	StepKey         *string    `json:"step_key"`
	VMHandle        *string    `json:"vm_handle"`
	BuildID         *UUID      `json:"build_id"`
	BuildNumber     *int64     `json:"build_number"`
	BuildExternalID *UUID      `json:"build_external_id"`
	PipelineID      *UUID      `json:"pipeline_id"`
	PipelineName    *string    `json:"pipeline_name"`
	PipelineSlug    *string    `json:"pipeline_slug"`
	CPUCount        int64      `json:"cpu_count"`
	MemoryGB        int64      `json:"memory_gb"`
	DiskGB          int64      `json:"disk_gb"`
	StartedAt       wireTime   `json:"started_at"`
	FinishedAt      *wireTime  `json:"finished_at"`
	DurationSeconds *int64     `json:"duration_seconds"`
	AmountCents     int64      `json:"amount_cents"`
	TransactionID   *UUID      `json:"transaction_id"`
	Labels          Labels     `json:"labels" since:"0.2.0"`
	Author          *string    `json:"author" since:"0.2.0"`
	RateCardID      *UUID      `json:"rate_card_id" since:"0.2.0"`
	AccruedCents    *int64     `json:"accrued_cents" since:"0.2.0"`
}

func (m LeaseRecord) encoded() leaseRecordJSON {
	return leaseRecordJSON{
		m.LeaseID,
		m.State,
		m.JobID,
		m.JobName,
		m.StepKey,
		m.VMHandle,
		m.BuildID,
		m.BuildNumber,
		m.BuildExternalID,
		m.PipelineID,
		m.PipelineName,
		m.PipelineSlug,
		m.CPUCount,
		m.MemoryGB,
		m.DiskGB,
		wireTime(m.StartedAt),
		(*wireTime)(m.FinishedAt),
		m.DurationSeconds,
		m.AmountCents,
		m.TransactionID,
		m.Labels,
		m.Author,
		m.RateCardID,
		m.AccruedCents,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m LeaseRecord) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// Labels is a map of up to 16 texts of one's own choice, such as "gpu" to "l4". A key has up to 63 letters, digits
// and characters of "._/-", and begins with a letter or a digit; a value has 1 to 255 characters. Keys are
// case-sensitive.
type Labels map[string]string

// LeaseState is the state of a lease: "running", recorded and not yet finished; "billed", finished and debited. Later
// versions may have more states.
type LeaseState string

// The values of LeaseState.
const (
	LeaseStateRunning LeaseState = "running"
	LeaseStateBilled  LeaseState = "billed"
)

// Valid reports whether this version of the package knows the value.
func (v LeaseState) Valid() bool {
	switch v {
	case
		LeaseStateRunning,
		LeaseStateBilled:
		return true
	}
	return false
}

// UsageResponse is the usage of a window. A sum of seconds of 9223372036854775807 means that value or more.
type UsageResponse struct {
	// CPUs × seconds, summed over the finished leases of the window. It is at least 0.
	CPUSeconds int64 `json:"cpu_seconds"`
	// Gigabytes of memory × seconds, summed over the finished leases of the window. It is at least 0.
	MemoryGBSeconds int64 `json:"memory_gb_seconds"`
	// Gigabytes of disk × seconds, summed over the finished leases of the window. It is at least 0.
	DiskGBSeconds int64 `json:"disk_gb_seconds"`
	// The cost of the leases of the window, in cents, positive or 0. It is at least 0.
	TotalCents int64 `json:"total_cents"`
}

// RunwayResponse is how long a balance lasts.
type RunwayResponse struct {
	// The balance in cents.
	BalanceCents int64 `json:"balance_cents"`
	// The cost of some whole UTC days before today, and where a balance is led by as much again in each following such
	// time.
	Last7Days RunwayPace `json:"last_7_days"`
	// The cost of some whole UTC days before today, and where a balance is led by as much again in each following such
	// time.
	Last30Days RunwayPace `json:"last_30_days"`
}

// RunwayPace is the cost of some whole UTC days before today, and where a balance is led by as much again in each
// following such time.
type RunwayPace struct {
	// The midnight at which the first day begins.
	From time.Time `json:"from"`
	// The midnight at which the last day ends and today begins.
	To time.Time `json:"to"`
	// The cost of the leases of these days, in cents, which is the TotalCents of "getBillingUsage" from From to To. It is
	// at least 0.
	TotalCents int64 `json:"total_cents"`
	// The total divided by the number of days, in cents; rounded to the nearest cent, and half a cent up. Nothing else is
	// computed from this rounded number. It is at least 0.
	AverageCents int64 `json:"average_cents"`
	// On how many of the days something was billed. It is at least 0.
	DaysWithCost int64 `json:"days_with_cost"`
	// Whether a balance lasts at a pace. "runs_out": it reaches zero. "no_spend": nothing was billed, so it does not
	// change. "used_up": it is already zero or below.
	Outlook RunwayOutlook `json:"outlook"`
	// After how many days from today the balance reaches zero: balance × days ÷ total, rounded up. Null unless the
	// outlook is "runs_out". 9223372036854775807 means that number or more. It is at least 1. It is nil where there is
	// none.
	DaysLeft *int64 `json:"days_left"`
	// The UTC day on which the balance reaches zero, DaysLeft days after today. Null unless the outlook is "runs_out",
	// and after the year 9999. It is nil where there is none.
	ZeroOn *Date `json:"zero_on"`
}

// runwayPaceJSON is RunwayPace as the API writes it.
type runwayPaceJSON struct {
	From         wireTime      `json:"from"`
	To           wireTime      `json:"to"`
	TotalCents   int64         `json:"total_cents"`
	AverageCents int64         `json:"average_cents"`
	DaysWithCost int64         `json:"days_with_cost"`
	Outlook      RunwayOutlook `json:"outlook"`
	DaysLeft     *int64        `json:"days_left"`
	ZeroOn       *Date         `json:"zero_on"`
}

func (m RunwayPace) encoded() runwayPaceJSON {
	return runwayPaceJSON{
		wireTime(m.From),
		wireTime(m.To),
		m.TotalCents,
		m.AverageCents,
		m.DaysWithCost,
		m.Outlook,
		m.DaysLeft,
		m.ZeroOn,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m RunwayPace) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// RunwayOutlook is whether a balance lasts at a pace. "runs_out": it reaches zero. "no_spend": nothing was billed, so
// it does not change. "used_up": it is already zero or below. Later versions of the API may have more values.
type RunwayOutlook string

// The values of RunwayOutlook.
const (
	RunwayOutlookRunsOut RunwayOutlook = "runs_out"
	RunwayOutlookNoSpend RunwayOutlook = "no_spend"
	RunwayOutlookUsedUp  RunwayOutlook = "used_up"
)

// Valid reports whether this version of the package knows the value.
func (v RunwayOutlook) Valid() bool {
	switch v {
	case
		RunwayOutlookRunsOut,
		RunwayOutlookNoSpend,
		RunwayOutlookUsedUp:
		return true
	}
	return false
}

// UsageSeriesResponse is the usage of a window per day.
type UsageSeriesResponse struct {
	// One bucket for each day, oldest first, without gaps.
	Data []UsageSeriesBucket `json:"data"`
}

// usageSeriesResponseJSON is UsageSeriesResponse as the API writes it.
type usageSeriesResponseJSON struct {
	Data []UsageSeriesBucket `json:"data"`
}

func (m UsageSeriesResponse) encoded() usageSeriesResponseJSON {
	return usageSeriesResponseJSON{
		notNull(m.Data),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m UsageSeriesResponse) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// UsageSeriesBucket is the usage of the leases that started on one UTC day, inside the window. A sum of seconds of
// 9223372036854775807 means that value or more.
type UsageSeriesBucket struct {
	// The UTC day.
	Date Date `json:"date"`
	// CPUs × seconds. It is at least 0.
	CPUSeconds int64 `json:"cpu_seconds"`
	// Gigabytes of memory × seconds. It is at least 0.
	MemoryGBSeconds int64 `json:"memory_gb_seconds"`
	// Gigabytes of disk × seconds. It is at least 0.
	DiskGBSeconds int64 `json:"disk_gb_seconds"`
	// The cost of the leases of the day, in cents, positive or 0. It is at least 0.
	TotalCents int64 `json:"total_cents"`
}

// UsageByResponse is the usage of a window in groups. A sum of seconds of 9223372036854775807 means that value or
// more.
type UsageByResponse struct {
	// The groups, by descending cents, then by descending CPU seconds, then by value; the group without a value comes
	// last among equals.
	Data []UsageGroup `json:"data"`
	// The sum of the groups beyond the limit, and of the leases whose values have no group of their own, because the
	// organization has too many values. Its value and name are nil. Null where all groups are listed.
	Other *UsageGroup `json:"other"`
	// The number of groups in the window, listed or not. Values without a group of their own are not counted. It is at
	// least 0.
	GroupCount int64 `json:"group_count"`
}

// usageByResponseJSON is UsageByResponse as the API writes it.
type usageByResponseJSON struct {
	Data       []UsageGroup `json:"data"`
	Other      *UsageGroup  `json:"other"`
	GroupCount int64        `json:"group_count"`
}

func (m UsageByResponse) encoded() usageByResponseJSON {
	return usageByResponseJSON{
		notNull(m.Data),
		m.Other,
		m.GroupCount,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m UsageByResponse) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// UsageGroup is the usage of the finished leases of a window that have the same value.
type UsageGroup struct {
	// The value that identifies the group; nil for the leases without such a value. For a pipeline it is its id; without
	// an id its slug, and without both its name. For a job it is the value of its pipeline, a "/" and the key of the
	// step, or the job's name if there is no key. For a shape it is CPUs, gigabytes of memory and gigabytes of disk, such
	// as "2-4-20". For an author or a label it is the text itself.
	Value *string `json:"value"`
	// The value for people: of a pipeline its name, of a job the name of its pipeline, " / " and its own, as they were
	// billed last; else the value. It is nil where there is none.
	Name *string `json:"name"`
	// The number of finished leases. It is at least 0.
	LeaseCount int64 `json:"lease_count"`
	// The sum of CPUs × seconds. It is at least 0.
	CPUSeconds int64 `json:"cpu_seconds"`
	// The sum of gigabytes of memory × seconds. It is at least 0.
	MemoryGBSeconds int64 `json:"memory_gb_seconds"`
	// The sum of gigabytes of disk × seconds. It is at least 0.
	DiskGBSeconds int64 `json:"disk_gb_seconds"`
	// The cost in cents, positive or 0. It is at least 0.
	TotalCents int64 `json:"total_cents"`
	// The usage of each day or month that the window touches, oldest first, with zeros where there is none; empty where
	// the interval is "none".
	Series []UsageGroupBucket `json:"series"`
}

// usageGroupJSON is UsageGroup as the API writes it.
type usageGroupJSON struct {
	Value           *string            `json:"value"`
	Name            *string            `json:"name"`
	LeaseCount      int64              `json:"lease_count"`
	CPUSeconds      int64              `json:"cpu_seconds"`
	MemoryGBSeconds int64              `json:"memory_gb_seconds"`
	DiskGBSeconds   int64              `json:"disk_gb_seconds"`
	TotalCents      int64              `json:"total_cents"`
	Series          []UsageGroupBucket `json:"series"`
}

func (m UsageGroup) encoded() usageGroupJSON {
	return usageGroupJSON{
		m.Value,
		m.Name,
		m.LeaseCount,
		m.CPUSeconds,
		m.MemoryGBSeconds,
		m.DiskGBSeconds,
		m.TotalCents,
		notNull(m.Series),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m UsageGroup) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// UsageGroupBucket is the usage of a group over the leases that started on one UTC day, or in one UTC month, in the
// window.
type UsageGroupBucket struct {
	// The day, or the first day of the month.
	Date Date `json:"date"`
	// The number of finished leases. It is at least 0.
	LeaseCount int64 `json:"lease_count"`
	// The sum of CPUs × seconds. It is at least 0.
	CPUSeconds int64 `json:"cpu_seconds"`
	// The sum of gigabytes of memory × seconds. It is at least 0.
	MemoryGBSeconds int64 `json:"memory_gb_seconds"`
	// The sum of gigabytes of disk × seconds. It is at least 0.
	DiskGBSeconds int64 `json:"disk_gb_seconds"`
	// The cost in cents, positive or 0. It is at least 0.
	TotalCents int64 `json:"total_cents"`
}

// UsageBreakdownResponse is the leases of a window by build.
type UsageBreakdownResponse struct {
	// The builds, newest first.
	Data []UsageBreakdownBuild `json:"data"`
}

// usageBreakdownResponseJSON is UsageBreakdownResponse as the API writes it.
type usageBreakdownResponseJSON struct {
	Data []UsageBreakdownBuild `json:"data"`
}

func (m UsageBreakdownResponse) encoded() usageBreakdownResponseJSON {
	return usageBreakdownResponseJSON{
		notNull(m.Data),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m UsageBreakdownResponse) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// UsageBreakdownBuild is one build and its leases in the window. Its build and pipeline fields are those of the
// earliest of these leases. All leases that belong to no build form one group, whose build and pipeline fields are
// nil.
type UsageBreakdownBuild struct {
	// The build; nil for the group of leases without one.
	BuildID *UUID `json:"build_id"`
	// The build's number within its pipeline; nil when unknown.
	BuildNumber *int64 `json:"build_number"`
	// The build's id in the system that asked for it; nil when unknown.
	BuildExternalID *UUID `json:"build_external_id"`
	// The build's pipeline; nil for a build without one.
	PipelineID *UUID `json:"pipeline_id"`
	// The pipeline's name; nil when unknown.
	PipelineName *string `json:"pipeline_name"`
	// The pipeline's slug; nil when unknown.
	PipelineSlug *string `json:"pipeline_slug"`
	// The sum of the jobs' amounts, in cents; a debit, so negative or 0. It is at most 0.
	TotalCents int64 `json:"total_cents"`
	// The earliest start among the jobs listed.
	StartedAt time.Time `json:"started_at"`
	// The latest finish among the jobs listed; nil when none has finished.
	FinishedAt *time.Time `json:"finished_at"`
	// How many jobs are listed. It is at least 1.
	JobCount int64 `json:"job_count"`
	// The jobs, oldest first.
	Jobs []UsageBreakdownJob `json:"jobs"`
}

// usageBreakdownBuildJSON is UsageBreakdownBuild as the API writes it.
type usageBreakdownBuildJSON struct {
	BuildID         *UUID               `json:"build_id"`
	BuildNumber     *int64              `json:"build_number"`
	BuildExternalID *UUID               `json:"build_external_id"`
	PipelineID      *UUID               `json:"pipeline_id"`
	PipelineName    *string             `json:"pipeline_name"`
	PipelineSlug    *string             `json:"pipeline_slug"`
	TotalCents      int64               `json:"total_cents"`
	StartedAt       wireTime            `json:"started_at"`
	FinishedAt      *wireTime           `json:"finished_at"`
	JobCount        int64               `json:"job_count"`
	Jobs            []UsageBreakdownJob `json:"jobs"`
}

func (m UsageBreakdownBuild) encoded() usageBreakdownBuildJSON {
	return usageBreakdownBuildJSON{
		m.BuildID,
		m.BuildNumber,
		m.BuildExternalID,
		m.PipelineID,
		m.PipelineName,
		m.PipelineSlug,
		m.TotalCents,
		wireTime(m.StartedAt),
		(*wireTime)(m.FinishedAt),
		m.JobCount,
		notNull(m.Jobs),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m UsageBreakdownBuild) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// UsageBreakdownJob is one lease of a virtual machine by a job.
type UsageBreakdownJob struct {
	// The job; nil for a lease without one.
	JobID *UUID `json:"job_id"`
	// The job's name; nil when unknown.
	JobName *string `json:"job_name"`
	// The key of the pipeline's step; nil when unknown.
	StepKey *string `json:"step_key"`
	// The name of the virtual machine; nil when unknown.
	VMHandle *string `json:"vm_handle"`
	// The number of CPUs of the machine. It is at least 1.
	CPUCount int64 `json:"cpu_count"`
	// The memory of the machine, in gigabytes. It is at least 1.
	MemoryGB int64 `json:"memory_gb"`
	// The disk of the machine, in gigabytes. It is at least 1.
	DiskGB int64 `json:"disk_gb"`
	// The seconds that were billed; nil while the lease runs. It is at least 0.
	DurationSeconds *int64 `json:"duration_seconds"`
	// The lease's own debit in cents, negative or 0; 0 while the lease runs. It is at most 0.
	AmountCents int64 `json:"amount_cents"`
	// When the lease started.
	StartedAt time.Time `json:"started_at"`
	// When the lease finished; nil while it runs.
	FinishedAt *time.Time `json:"finished_at"`
}

// usageBreakdownJobJSON is UsageBreakdownJob as the API writes it.
type usageBreakdownJobJSON struct {
	JobID           *UUID     `json:"job_id"`
	JobName         *string   `json:"job_name"`
	StepKey         *string   `json:"step_key"`
	VMHandle        *string   `json:"vm_handle"`
	CPUCount        int64     `json:"cpu_count"`
	MemoryGB        int64     `json:"memory_gb"`
	DiskGB          int64     `json:"disk_gb"`
	DurationSeconds *int64    `json:"duration_seconds"`
	AmountCents     int64     `json:"amount_cents"`
	StartedAt       wireTime  `json:"started_at"`
	FinishedAt      *wireTime `json:"finished_at"`
}

func (m UsageBreakdownJob) encoded() usageBreakdownJobJSON {
	return usageBreakdownJobJSON{
		m.JobID,
		m.JobName,
		m.StepKey,
		m.VMHandle,
		m.CPUCount,
		m.MemoryGB,
		m.DiskGB,
		m.DurationSeconds,
		m.AmountCents,
		wireTime(m.StartedAt),
		(*wireTime)(m.FinishedAt),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m UsageBreakdownJob) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// recordLeasesRequest is a list of leases that is recorded as a whole or not at all.
type recordLeasesRequest struct {
	// The leases, 1 to 1 000. The same lease may stand in the list more than once and is taken in order.
	Leases []Lease `json:"leases"`
}

// recordLeasesRequestJSON is recordLeasesRequest as the API writes it.
type recordLeasesRequestJSON struct {
	Leases []Lease `json:"leases"`
}

func (m recordLeasesRequest) encoded() recordLeasesRequestJSON {
	return recordLeasesRequestJSON{
		notNull(m.Leases),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m recordLeasesRequest) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// Lease is one virtual machine held by one job. JobID or LeaseID is required: the lease is known by its JobID, or by
// its LeaseID where it has no job. An optional field is absent or nil where its value is unknown. Texts hold at most
// 1 024 characters.
type Lease struct {
	// The lease's id; made by the server where absent.
	LeaseID *UUID `json:"lease_id,omitempty"`
	// The job that held the machine. It is nil where there is none.
	JobID *UUID `json:"job_id,omitempty"`
	// The job's name. It is nil where there is none.
	JobName *string `json:"job_name,omitempty"`
	// The key of the pipeline's step. It is nil where there is none.
	StepKey *string `json:"step_key,omitempty"`
	// The name of the virtual machine. It is nil where there is none.
	VMHandle *string `json:"vm_handle,omitempty"`
	// The build that the job belongs to. It is nil where there is none.
	BuildID *UUID `json:"build_id,omitempty"`
	// The build's number within its pipeline. It is nil where there is none.
	BuildNumber *int64 `json:"build_number,omitempty"`
	// The build's id in the system that asked for it. It is nil where there is none.
	BuildExternalID *UUID `json:"build_external_id,omitempty"`
	// The pipeline that the build belongs to. It is nil where there is none.
	PipelineID *UUID `json:"pipeline_id,omitempty"`
	// The pipeline's name. It is nil where there is none.
	PipelineName *string `json:"pipeline_name,omitempty"`
	// The pipeline's slug. It is nil where there is none.
	PipelineSlug *string `json:"pipeline_slug,omitempty"`
	// What the machine or the job is labelled with, such as the model of its GPU. A rate card may be for leases with one
	// label. An empty object is taken for no labels. It is nil where there is none.
	Labels Labels `json:"labels,omitempty"`
	// Who caused the job to run, such as the author of a commit. It is nil where there is none.
	Author *string `json:"author,omitempty"`
	// The number of CPUs of the machine. A running lease that an earlier version recorded with more CPUs, memory or disk
	// than the bounds is finished with the numbers that are recorded. It is between 1 and 10 000.
	CPUCount int64 `json:"cpu_count"`
	// The memory of the machine, in gigabytes. It is between 1 and 100 000.
	MemoryGB int64 `json:"memory_gb"`
	// The disk of the machine, in gigabytes. It is between 1 and 10 000 000.
	DiskGB int64 `json:"disk_gb"`
	// When the lease started: RFC 3339 with any offset, or a bare date, which means midnight UTC. It is not before 1970
	// and not more than ten minutes ahead of the server's clock. Usage counts the lease at this time.
	StartedAt time.Time `json:"started_at"`
	// When the lease finished, in the form of StartedAt, not before it and not more than ten minutes ahead of the
	// server's clock; absent or nil while the lease runs.
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	// The seconds to bill, at most 366 days. Where absent, the whole seconds between StartedAt and FinishedAt. A smaller
	// number is kept; one that is greater than that interval rounded up is refused. Only a finished lease may have one.
	// It is between 0 and 31 622 400.
	DurationSeconds *int64 `json:"duration_seconds,omitempty"`
}

// leaseJSON is Lease as the API writes it.
type leaseJSON struct {
	LeaseID         *UUID     `json:"lease_id,omitempty"`
	JobID           *UUID     `json:"job_id,omitempty"`
	JobName         *string   `json:"job_name,omitempty"`
	StepKey         *string   `json:"step_key,omitempty"`
	VMHandle        *string   `json:"vm_handle,omitempty"`
	BuildID         *UUID     `json:"build_id,omitempty"`
	BuildNumber     *int64    `json:"build_number,omitempty"`
	BuildExternalID *UUID     `json:"build_external_id,omitempty"`
	PipelineID      *UUID     `json:"pipeline_id,omitempty"`
	PipelineName    *string   `json:"pipeline_name,omitempty"`
	PipelineSlug    *string   `json:"pipeline_slug,omitempty"`
	Labels          Labels    `json:"labels,omitempty"`
	Author          *string   `json:"author,omitempty"`
	CPUCount        int64     `json:"cpu_count"`
	MemoryGB        int64     `json:"memory_gb"`
	DiskGB          int64     `json:"disk_gb"`
	StartedAt       wireTime  `json:"started_at"`
	FinishedAt      *wireTime `json:"finished_at,omitempty"`
	DurationSeconds *int64    `json:"duration_seconds,omitempty"`
}

func (m Lease) encoded() leaseJSON {
	return leaseJSON{
		m.LeaseID,
		m.JobID,
		m.JobName,
		m.StepKey,
		m.VMHandle,
		m.BuildID,
		m.BuildNumber,
		m.BuildExternalID,
		m.PipelineID,
		m.PipelineName,
		m.PipelineSlug,
		m.Labels,
		m.Author,
		m.CPUCount,
		m.MemoryGB,
		m.DiskGB,
		wireTime(m.StartedAt),
		(*wireTime)(m.FinishedAt),
		m.DurationSeconds,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m Lease) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// recordedLeaseList is the outcomes of recording leases.
type recordedLeaseList struct {
	// One result for each lease of the request, in its order.
	Data []RecordedLease `json:"data"`
}

// recordedLeaseListJSON is recordedLeaseList as the API writes it.
type recordedLeaseListJSON struct {
	Data []RecordedLease `json:"data"`
}

func (m recordedLeaseList) encoded() recordedLeaseListJSON {
	return recordedLeaseListJSON{
		notNull(m.Data),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m recordedLeaseList) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// RecordedLease is the outcome of recording one lease: the id under which the server has it, whether it was billed,
// and its amount.
type RecordedLease struct {
	// The lease's id, sent or made.
	LeaseID UUID `json:"lease_id"`
	// The outcome for a lease: "running", recorded and not yet finished; "billed", finished and debited by this request;
	// "duplicate", already recorded with the same contents, so that nothing was done.
	Status LeaseStatus `json:"status"`
	// The lease's debit in cents, negative or 0; 0 while it runs. It is at most 0.
	AmountCents int64 `json:"amount_cents"`
}

// LeaseStatus is the outcome for a lease: "running", recorded and not yet finished; "billed", finished and debited by
// this request; "duplicate", already recorded with the same contents, so that nothing was done. Later versions of the
// API may have more values.
type LeaseStatus string

// The values of LeaseStatus.
const (
	LeaseStatusRunning   LeaseStatus = "running"
	LeaseStatusBilled    LeaseStatus = "billed"
	LeaseStatusDuplicate LeaseStatus = "duplicate"
)

// Valid reports whether this version of the package knows the value.
func (v LeaseStatus) Valid() bool {
	switch v {
	case
		LeaseStatusRunning,
		LeaseStatusBilled,
		LeaseStatusDuplicate:
		return true
	}
	return false
}

// PostCreditRequest is a credit to post.
type PostCreditRequest struct {
	// The amount of the credit in cents. It is between 1 and 1 000 000 000.
	AmountCents int64 `json:"amount_cents"`
	// Why the credit is given. "admin_grant", by an operator; "refund", money given back.
	Source CreditSource `json:"source"`
	// A text for people, at most 1 024 characters. It is nil where there is none.
	Description *string `json:"description,omitempty"`
}

// CreditSource is why the credit is given. "admin_grant", by an operator; "refund", money given back. Later versions
// of the API may have more values.
type CreditSource string

// The values of CreditSource.
const (
	CreditSourceAdminGrant CreditSource = "admin_grant"
	CreditSourceRefund     CreditSource = "refund"
)

// Valid reports whether this version of the package knows the value.
func (v CreditSource) Valid() bool {
	switch v {
	case
		CreditSourceAdminGrant,
		CreditSourceRefund:
		return true
	}
	return false
}

// OrganizationList is a page of organizations.
type OrganizationList struct {
	// The organizations, by slug.
	Data []Organization `json:"data"`
	// The cursor of the next page; nil exactly when none is left.
	NextCursor *string `json:"next_cursor"`
}

// organizationListJSON is OrganizationList as the API writes it.
type organizationListJSON struct {
	Data       []Organization `json:"data"`
	NextCursor *string        `json:"next_cursor"`
}

func (m OrganizationList) encoded() organizationListJSON {
	return organizationListJSON{
		notNull(m.Data),
		m.NextCursor,
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m OrganizationList) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// Organization is an organization whose usage is billed.
type Organization struct {
	// The name in paths, case-sensitive.
	Slug string `json:"slug"`
	// The name for people.
	Name string `json:"name"`
	// The organization's web page; nil when unknown.
	URL *string `json:"url"`
	// When the organization was created.
	CreatedAt time.Time `json:"created_at"`
}

// organizationJSON is Organization as the API writes it.
type organizationJSON struct {
	Slug      string   `json:"slug"`
	Name      string   `json:"name"`
	URL       *string  `json:"url"`
	CreatedAt wireTime `json:"created_at"`
}

func (m Organization) encoded() organizationJSON {
	return organizationJSON{
		m.Slug,
		m.Name,
		m.URL,
		wireTime(m.CreatedAt),
	}
}

// MarshalJSON writes the JSON of the API: times in UTC with six fractional digits, and an empty list as [].
func (m Organization) MarshalJSON() ([]byte, error) { return json.Marshal(m.encoded()) }

// errorEnvelope is the envelope of every answer outside 2xx.
type errorEnvelope struct {
	// The description of a failure.
	Error errorDetail `json:"error"`
}

// errorDetail is the description of a failure.
type errorDetail struct {
	// The kind of failure, which decides how a program should react.
	Type ErrorType `json:"type"`
	// What failed exactly. New codes may be added; a program falls back to Type for one it does not know.
	Code Code `json:"code"`
	// A sentence for people. It may change at any time; programs go by Code.
	Message string `json:"message"`
	// A page about the code.
	DocURL string `json:"doc_url"`
	// The answer's "x-request-id".
	RequestID string `json:"request_id"`
}

// ErrorType is the kind of failure, which decides how a program should react. Later versions of the API may have more
// values.
type ErrorType string

// The values of ErrorType.
const (
	ErrorTypeInvalidRequest   ErrorType = "invalid_request"
	ErrorTypeUnauthorized     ErrorType = "unauthorized"
	ErrorTypeForbidden        ErrorType = "forbidden"
	ErrorTypeNotFound         ErrorType = "not_found"
	ErrorTypeConflict         ErrorType = "conflict"
	ErrorTypeValidationFailed ErrorType = "validation_failed"
	ErrorTypeRateLimited      ErrorType = "rate_limited"
	ErrorTypeServerError      ErrorType = "server_error"
)

// Valid reports whether this version of the package knows the value.
func (v ErrorType) Valid() bool {
	switch v {
	case
		ErrorTypeInvalidRequest,
		ErrorTypeUnauthorized,
		ErrorTypeForbidden,
		ErrorTypeNotFound,
		ErrorTypeConflict,
		ErrorTypeValidationFailed,
		ErrorTypeRateLimited,
		ErrorTypeServerError:
		return true
	}
	return false
}
