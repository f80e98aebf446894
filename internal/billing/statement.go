package billing

import (
	"context"
	"fmt"
	"math/big"
)

// Statement is the ledger of an organization over a window.
type Statement struct {
	Opening Head        // before the first entry of the window; without LastAt and Lifetime
	Closing Head        // after the last entry of the window; without LastAt and Lifetime
	Sources []SourceSum // of the entries between the two, for each source that has any, in the order of Sources
}

// SourceSum is the sum of the entries from one source.
type SourceSum struct {
	Source  Source
	Entries int64 // how many they are
	Cents   int64 // positive for credits, negative or 0 for debits
}

// NewStatement makes a statement of two heads of a ledger and of the credits between them. All other entries between them are debits, which
// need not be read: their number and their sum are what the credits leave of the differences of the heads. It fails where the sum exceeds an
// int64.
func NewStatement(opening, closing Head, credits []SourceSum) (Statement, error) {
	s := Statement{Opening: opening, Closing: closing}
	entries, cents := closing.Seq-opening.Seq, new(big.Int).Sub(big.NewInt(closing.BalanceCents), big.NewInt(opening.BalanceCents))
	bySource := map[Source]SourceSum{}
	for _, sum := range credits {
		bySource[sum.Source] = sum
		entries -= sum.Entries
		cents.Sub(cents, big.NewInt(sum.Cents))
	}
	if !cents.IsInt64() {
		return Statement{}, fmt.Errorf("the debits of the statement: %w", errOverflow)
	}
	bySource[SourceVMLeaseDebit] = SourceSum{SourceVMLeaseDebit, entries, cents.Int64()}
	for _, source := range Sources {
		if sum := bySource[source]; sum.Entries > 0 {
			s.Sources = append(s.Sources, sum)
		}
	}
	return s, nil
}

// Statement returns the statement of the entries that were created in the window.
func (s *Service) Statement(ctx context.Context, org ID, w Window) (Statement, error) {
	return s.ledger.Statement(ctx, org, w)
}
