package billing

import (
	"context"
	"iter"
)

// Every method of the interfaces below may fail with the error of the context, and with ErrUnavailable if the database cannot be
// reached, is busy for too long or has no space left. Other errors of this package are named at the methods. After a write has
// returned nil, its changes are on disk.

// Directory keeps organizations and tokens.
type Directory interface {
	// CreateOrganization fails with ErrExists if the slug or the id is taken.
	CreateOrganization(context.Context, Organization) error
	// OrganizationBySlug fails with ErrOrganizationNotFound.
	OrganizationBySlug(ctx context.Context, slug string) (Organization, error)
	// Organizations lists at most limit organizations after the given slug, in the order of their slugs. If a token is given, it lists
	// only organizations that the token can see.
	Organizations(ctx context.Context, after string, limit int, token *TokenHash) ([]Organization, error)

	// CreateToken fails with ErrExists if the hash is known, and with ErrOrganizationNotFound.
	CreateToken(context.Context, Token) error
	// Tokens lists all tokens, oldest first.
	Tokens(context.Context) ([]Token, error)
	// RevokeToken sets the time of revocation if the token is not revoked yet. It fails with ErrTokenNotFound.
	RevokeToken(ctx context.Context, hash TokenHash, at Time) error
	// RateCards returns all rate cards, in the order in which they were added.
	RateCards(context.Context) (*RateCards, error)
	// AddRateCard adds the card that the function makes, of the cards so far and of the time, and returns it. All leases that are billed
	// after AddRateCard has returned are billed by the new cards, and none that are billed before. If the card is known already, nothing is
	// added. AddRateCard fails with the error of the function.
	AddRateCard(ctx context.Context, add func(cards *RateCards, now Time) (card RateCard, known bool, err error)) (card RateCard, known bool, err error)

	// Grant returns the access of a token to the organization with the slug. It fails with ErrUnauthorized if the token is unknown. The
	// caller checks whether the token has expired or is revoked.
	Grant(ctx context.Context, hash TokenHash, slug string) (Grant, error)
}

// Ledger keeps leases and entries.
type Ledger interface {
	// Write applies operations to the organization's books, one after another, each of them as a whole or not at all. It
	// returns the error of each operation in their order, nil for one that has taken place. If Write itself returns an error, no
	// operation has taken place, except for ErrUnavailable if the database was lost, or the time was up, during the commit.
	// If the context ends while the operations are queued, Write returns its error, and no operation takes place. If their
	// transaction has begun, Write waits for the outcome. An operation that panics fails without the others.
	Write(ctx context.Context, org ID, ops ...Operation) ([]error, error)

	// Head returns the head of the ledger: the last sequence number and the balance.
	Head(ctx context.Context, org ID) (Head, error)
	// Entries lists at most limit entries with a Seq below before, newest first.
	Entries(ctx context.Context, org ID, before int64, limit int) ([]Entry, error)
	// WalkEntries lists at most limit entries that come after a place in the ledger and are from the walk's source: by ascending Seq if
	// the oldest come first, by descending Seq otherwise.
	WalkEntries(ctx context.Context, org ID, walk EntryWalk, limit int) ([]Entry, error)
	// SeqAt returns the Seq of the first entry that was created at the time or later, and the next Seq of the ledger if there is none.
	SeqAt(ctx context.Context, org ID, at Time) (int64, error)
	// Statement returns the statement of the entries that were created in the window, as of one moment. It reads the credits of the window,
	// and a bounded number of other entries.
	Statement(ctx context.Context, org ID, w Window) (Statement, error)
	// Entry returns the entry with the id, and the lease that it bills, nil if it names no lease. It fails with ErrEntryNotFound if the
	// organization's ledger has no such entry.
	Entry(ctx context.Context, org, id ID) (Entry, *Lease, error)
	// HasLeases reports whether any organization has a lease.
	HasLeases(context.Context) (bool, error)
	// RecordedLeases lists at most limit leases that the filter selects and that are before the place, latest start first and then by
	// descending id.
	RecordedLeases(ctx context.Context, org ID, filter LeaseFilter, before LeasePlace, limit int) ([]LeaseRecord, error)
}

// Meter sums leases over windows.
type Meter interface {
	// Usage sums the finished leases that started in the window.
	Usage(ctx context.Context, org ID, w Window) (Usage, error)
	// UsageByDay sums them per UTC day, oldest first, leaving out days without any.
	UsageByDay(ctx context.Context, org ID, w Window) ([]DayUsage, error)
	// UsageByGroup sums the finished leases that started in the window of the query by group. It fails with ErrUnavailable while many
	// leases have still to be added to the sums of groups.
	UsageByGroup(ctx context.Context, org ID, q GroupQuery) (Groups, error)
	// Breakdown yields the leases that started in the window, build by build: builds newest first by their earliest start
	// in the window, leases within a build oldest first, ties by id. It holds a bounded number of rows in memory. After an
	// error it yields no more.
	Breakdown(ctx context.Context, org ID, w Window) iter.Seq2[*BreakdownRow, error]
}

// Archive reads the whole database.
type Archive interface {
	// Export hands everything to the sink, as of one moment: organizations, tokens, rate cards, then the leases of each organization,
	// its entries in order of Seq, and its head. It stops at the sink's first error and returns it.
	Export(ctx context.Context, sink ExportSink) error

	// Audit hands the raw rows to the sink, as of one moment: the rate cards, then for each organization its head, day by day the leases that
	// started on it, in order of their start, and the sums of the periods in it, month by month the sums of groups, and then its entries in
	// order of Seq. It
	// stops at the sink's first error and returns it.
	Audit(ctx context.Context, sink AuditSink) error

	// LeasesIn hands the leases that started in the window to the sink, as of one moment: the rate cards, then the leases of the
	// organization, or of each one if org is nil, in order of their start. It stops at the sink's first error and returns it.
	LeasesIn(ctx context.Context, org *ID, w Window, sink LeaseSink) error

	// EntriesIn hands the entries that were created in the window to the sink, as of one moment: the rate cards, then the entries of the
	// organization, or of each one if org is nil, in order of Seq. It stops at the sink's first error and returns it.
	EntriesIn(ctx context.Context, org *ID, w Window, sink EntrySink) error
}

// Store is a database with the books of all organizations.
type Store interface {
	Directory
	Ledger
	Meter
	Archive

	// Ping fails if the database does not answer.
	Ping(context.Context) error
	// Close waits for running writes and closes the database.
	Close() error
}

// ExportSink receives the records of Archive.Export.
type ExportSink interface {
	Organization(Organization) error
	Token(Token) error
	// RateCard receives a card, and the organization that it is for, nil for all.
	RateCard(c *RateCard, org *Organization) error
	Lease(org Organization, l *Lease) error
	Entry(org Organization, e *Entry) error
	Head(org Organization, h *Head) error
}

// AuditSink receives the rows of Archive.Audit. A row belongs to the organization of the last call of Organization.
type AuditSink interface {
	// Damage receives a damage that the database has found in its tables and indexes. It is called before all other methods.
	Damage(what string) error
	// RateCards receives all rate cards, before any organization.
	RateCards(*RateCards) error
	// Organization receives an organization and its head, nil if it has none.
	Organization(o Organization, head *Head) error
	// Groups receives the values that leases are grouped by, and the Seq up to which entries are in the sums of groups.
	Groups(values []GroupValue, progress int64) error
	// Lease receives a lease, the number of entries that debit it, and the Seq of the last of these, 0 if there is none.
	Lease(l *Lease, debits, seq int64) error
	Sum(Period, Usage) error
	GroupSum(GroupSum) error
	// EndOfDay follows the last row of a day.
	EndOfDay() error
	// EndOfMonth follows the last sum of a group in a month.
	EndOfMonth() error
	// Entry receives an entry and the lease that it names, nil if it names none or the lease does not exist.
	Entry(e *Entry, lease *Lease) error
}

// LeaseSink receives the rows of Archive.LeasesIn.
type LeaseSink interface {
	// RateCards receives all rate cards, before any lease.
	RateCards(*RateCards) error
	Lease(org Organization, l *Lease) error
}

// EntrySink receives the rows of Archive.EntriesIn.
type EntrySink interface {
	// RateCards receives all rate cards, before any entry.
	RateCards(*RateCards) error
	// Entry receives an entry and the lease that it bills, nil if it names none or the lease does not exist.
	Entry(org Organization, e *Entry, lease *Lease) error
}
