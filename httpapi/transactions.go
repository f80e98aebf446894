package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// NextEntry gives an entry its place after the last one, which is nil in an empty ledger: an id, a time later than that of the last entry, and
// the balance after it. The lease of the entry gets the id as its transaction_id. It fails with the code amount_invalid if the balance would
// leave the range of an int64.
func NextEntry(last *gen.TransactionDetail, entry gen.TransactionDetail, now time.Time) (gen.TransactionDetail, error) {
	at := billing.TimeOf(now)
	entry.ID, entry.BalanceAfterCents = uuid.UUID(billing.NewID()), entry.AmountCents
	if last != nil {
		at = billing.After(billing.TimeOf(last.CreatedAt), at)
		entry.BalanceAfterCents += last.BalanceAfterCents
		if (entry.BalanceAfterCents > last.BalanceAfterCents) != (entry.AmountCents > 0) {
			return entry, &Error{Code: gen.CodeAmountInvalid, Message: "the balance would leave the range of 64 bits"}
		}
	}
	if entry.Lease != nil {
		entry.Lease.TransactionID = new(entry.ID)
	}
	entry.CreatedAt = at.Std()
	return entry, nil
}

// Append returns a ledger, whose entries come newest first, with a further entry. It fails as NextEntry does.
func Append(entries []gen.TransactionDetail, entry gen.TransactionDetail, now time.Time) ([]gen.TransactionDetail, error) {
	var last *gen.TransactionDetail
	if len(entries) > 0 {
		last = &entries[0]
	}
	entry, err := NextEntry(last, entry, now)
	if err != nil {
		return entries, err
	}
	return slices.Concat([]gen.TransactionDetail{entry}, entries), nil
}

// CheckReplay checks that a credit is the one that was posted under its idempotency key before. It fails with the code
// idempotency_key_reused.
func CheckReplay(posted gen.Transaction, body gen.PostCreditRequest) error {
	same := posted.AmountCents == body.AmountCents && string(posted.Source) == string(body.Source) &&
		(posted.Description == nil) == (body.Description == nil) && (body.Description == nil || *posted.Description == *body.Description)
	if !same {
		return &Error{Code: gen.CodeIdempotencyKeyReused, Message: "the idempotency key belongs to another credit"}
	}
	return nil
}

// PostCredit returns a ledger, whose entries come newest first, after a request of postCredit, and the answer. The credit that was posted under
// the idempotency key of the request is the same in the answer, nil if there is none. The author is the Name of an Identity. PostCredit fails as
// CheckReplay and Append do.
func PostCredit(
	entries []gen.TransactionDetail, posted *gen.Transaction, body gen.PostCreditRequest, author string, now time.Time,
) ([]gen.TransactionDetail, PostCreditResult, error) {
	if posted != nil {
		return entries, PostCreditResult{Body: *posted, IdempotencyReplayed: new(true)}, CheckReplay(*posted, body)
	}
	entry := gen.TransactionDetail{AmountCents: body.AmountCents, Source: gen.TransactionSource(body.Source), Description: body.Description}
	if author != "" {
		entry.Author = &author
	}
	entries, err := Append(entries, entry, now)
	if err != nil {
		return entries, PostCreditResult{}, err
	}
	return entries, PostCreditResult{Body: Summary(entries[0])}, nil
}

// Head returns the head of a ledger, whose entries come newest first. Its digest is of the JSON of all entries.
func Head(entries []gen.TransactionDetail) (head gen.LedgerHead, err error) {
	if head.Seq = int64(len(entries)); head.Seq > 0 {
		head.BalanceCents = entries[0].BalanceAfterCents
	}
	text, err := json.Marshal(entries)
	digest := sha256.Sum256(text)
	head.Digest = hex.EncodeToString(digest[:])
	return head, err
}

// Transaction returns the entry with the id. It fails with the code transaction_not_found.
func Transaction(entries []gen.TransactionDetail, id uuid.UUID) (gen.TransactionDetail, error) {
	i := slices.IndexFunc(entries, func(e gen.TransactionDetail) bool { return e.ID == id })
	if i < 0 {
		return gen.TransactionDetail{}, &Error{Code: gen.CodeTransactionNotFound}
	}
	return entries[i], nil
}

// Summary returns the part of an entry that listBillingTransactions lists.
func Summary(e gen.TransactionDetail) gen.Transaction {
	return gen.Transaction{ID: e.ID, AmountCents: e.AmountCents, Source: e.Source, Description: e.Description, CreatedAt: e.CreatedAt}
}

// Transactions returns the page of a ledger that listBillingTransactions asks for. The entries are all of the organization's ledger, newest
// first. It fails with the codes transaction_filter_invalid, transaction_not_found and cursor_invalid.
func Transactions(entries []gen.TransactionDetail, org string, params gen.ListBillingTransactionsParams) (list gen.TransactionList, err error) {
	filter, err := billing.ParseEntryFilter((*string)(params.Order), (*billing.ID)(params.After), params.From, params.To, (*string)(params.Source))
	if err != nil {
		return list, err
	}
	entries = slices.Clone(entries)
	if filter.OldestFirst {
		slices.Reverse(entries)
	}
	if params.After != nil {
		after := slices.IndexFunc(entries, func(e gen.TransactionDetail) bool { return e.ID == *params.After })
		if after < 0 {
			return list, &Error{Code: gen.CodeTransactionNotFound}
		}
		entries = entries[after+1:]
	}
	entries = slices.DeleteFunc(entries, func(e gen.TransactionDetail) bool {
		return !filter.Selects(billing.TimeOf(e.CreatedAt), billing.Source(e.Source))
	})
	name := "entries of " + org + " " + string(filter.Scope(billing.ID{}))
	page, next, err := Page(entries, name, params.Limit, params.Cursor, func(e *gen.TransactionDetail) string { return e.ID.String() })
	for _, e := range page {
		list.Data = append(list.Data, Summary(e))
	}
	list.NextCursor = next
	return list, err
}

// Credits returns the page of credits that listBillingCredits asks for. The entries are all of the organization's ledger, newest first. It fails
// with the codes transaction_filter_invalid and cursor_invalid.
func Credits(entries []gen.TransactionDetail, org string, params gen.ListBillingCreditsParams) (list gen.CreditList, err error) {
	filter, err := billing.ParseCreditFilter(params.From, params.To)
	if err != nil {
		return list, err
	}
	var credits []gen.Credit
	for _, e := range entries {
		if filter.Selects(billing.TimeOf(e.CreatedAt), billing.Source(e.Source)) {
			credits = append(credits, gen.Credit{
				ID: e.ID, AmountCents: e.AmountCents, Source: e.Source, Description: e.Description, Author: e.Author, CreatedAt: e.CreatedAt,
				BalanceAfterCents: e.BalanceAfterCents,
			})
		}
	}
	name := "credits of " + org + " " + string(filter.Scope(billing.ID{}))
	list.Data, list.NextCursor, err = Page(credits, name, params.Limit, params.Cursor, func(c *gen.Credit) string { return c.ID.String() })
	return list, err
}

// Statement returns the answer of getBillingStatement. The entries are all of the organization's ledger, newest first. It fails with the code
// billing_usage_window_invalid.
func Statement(entries []gen.TransactionDetail, params gen.GetBillingStatementParams) (s gen.StatementResponse, err error) {
	w, err := billing.ParseWindow(params.From, params.To)
	if err != nil {
		return s, err
	}
	before := func(at billing.Time) []gen.TransactionDetail {
		return slices.DeleteFunc(slices.Clone(entries), func(e gen.TransactionDetail) bool { return billing.TimeOf(e.CreatedAt) >= at })
	}
	opening, closing := before(w.From), before(w.To)
	if s.OpeningHead, err = Head(opening); err != nil {
		return s, err
	}
	if s.ClosingHead, err = Head(closing); err != nil {
		return s, err
	}
	s.OpeningBalanceCents, s.ClosingBalanceCents = s.OpeningHead.BalanceCents, s.ClosingHead.BalanceCents
	s.EntryCount = int64(len(closing) - len(opening))
	for _, source := range billing.Sources {
		sum := gen.StatementSource{Source: gen.TransactionSource(source)}
		for _, e := range closing[:s.EntryCount] {
			if e.Source == sum.Source {
				sum.EntryCount++
				sum.AmountCents += e.AmountCents
			}
		}
		if sum.EntryCount > 0 {
			s.Sources = append(s.Sources, sum)
		}
	}
	return s, nil
}
