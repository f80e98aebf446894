package audit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// State is a ledger up to one entry.
type State struct {
	Organization string // slug
	Seq          int64  // of the entry; 0 for an empty ledger
	Digest       billing.Digest
}

// String returns the form that ParseState reads.
func (s State) String() string { return fmt.Sprintf("%s:%d:%s", s.Organization, s.Seq, s.Digest) }

// ParseState reads ORG:SEQ:DIGEST.
func ParseState(text string) (State, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] == "" {
		return State{}, fmt.Errorf("%.200q is not like ORG:SEQ:DIGEST", text)
	}
	seq, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || seq < 0 {
		return State{}, fmt.Errorf("SEQ of %.200q must be a whole number, 0 or more", text)
	}
	digest, err := billing.ParseDigest(parts[2])
	if err != nil {
		return State{}, fmt.Errorf("DIGEST of %.200q: %w", text, err)
	}
	return State{parts[0], seq, digest}, nil
}

// compareStates compares the ledger up to the entry with the states that end with it. A ledger that differs once differs from all later
// states as well, so the first one that differs is the last to be compared.
func (a *auditor) compareStates(seq int64) {
	for len(a.states) > 0 && a.states[0].Seq == seq {
		state := a.states[0]
		if a.states = a.states[1:]; state.Digest == a.digests {
			a.kept = seq
			a.notice("the books contain %s", state)
			continue
		}
		first := fmt.Sprintf("one of %d to %d", a.kept+1, seq)
		switch {
		case seq == 0:
			first = "none: the organization itself is another"
		case a.broken != 0:
			first = strconv.FormatInt(a.broken, 10)
		case a.kept+1 == seq:
			first = strconv.FormatInt(seq, 10)
		}
		a.off("ledger_entries: the books do not contain %s; the first entry that differs is %s", state, first)
		a.states = nil
	}
}
