package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

// Count counts the imported records of one type.
type Count struct {
	New   int
	Known int // in the database before, with the same contents
}

func (c *Count) add(known bool) {
	if known {
		c.Known++
	} else {
		c.New++
	}
}

// Summary counts the lines of an import.
type Summary struct {
	Organizations, Tokens, RateCards, Leases, Credits, Entries Count

	Created []string // slugs of organizations that a record named before any record described them
	Bad     int      // lines that were reported and left out

	PricedElsewhere int // new leases that were billed at another amount than the rate cards of the books give
}

// Options says which records an import accepts, and has functions that are called for single lines. A function may be nil.
type Options struct {
	// Tokens says whether tokens are imported. An imported token gives access. If Tokens is false, each token line is a bad line.
	Tokens bool
	// Bad is called for each line that is left out, with the reason.
	Bad func(line int, err error)
	// AboutToken is called for each token that is new or newly revoked, with a sentence about it.
	AboutToken func(line int, text string)
	// AboutRateCard is called for each rate card that is new, with a sentence about it.
	AboutRateCard func(line int, text string)
	// PricedElsewhere is called for each new lease that was billed at another amount than the rate cards of the books give, with a sentence
	// about it.
	PricedElsewhere func(line int, text string)
	// Rates are the prices of the first rate card of books that have none, if the records have none before the first lease. Nil means the
	// standard ones. Books with cards must agree with rates that are given.
	Rates *billing.Rates
}

// Import reads records and puts them into the books. A bad line is reported with its number and left out; the error
// returned is one that stopped the import, which can then simply be run again.
func Import(ctx context.Context, service *billing.Service, r io.Reader, options Options) (Summary, error) {
	if options.Bad == nil {
		options.Bad = func(int, error) {}
	}
	if options.AboutToken == nil {
		options.AboutToken = func(int, string) {}
	}
	if options.AboutRateCard == nil {
		options.AboutRateCard = func(int, string) {}
	}
	if options.PricedElsewhere == nil {
		options.PricedElsewhere = func(int, string) {}
	}
	in := &importer{Options: options, service: service, orgs: map[string]billing.ID{}, waiting: map[billing.ID]*pending{}}
	err := in.run(ctx, r)
	return in.summary, err
}

type importer struct {
	Options
	service *billing.Service
	summary Summary
	orgs    map[string]billing.ID
	waiting map[billing.ID]*pending
	records int                                 // number of operations in waiting
	tokens  map[billing.TokenHash]billing.Token // of the database; nil until one is looked up
	priced  bool                                // whether the database certainly has a rate card
	// hasLeases tells whether the database had leases before the first rate card; nil until there is one.
	hasLeases *bool
}

// pending has the operations that are not written yet to the books of one organization, in the order of the lines.
type pending struct {
	ops   []billing.Imported
	lines []int
}

const (
	// flushEvery is the number of pending operations, over all organizations, at which they are written.
	flushEvery = 1000
	maxLine    = 1 << 20 // bytes, without the newline
)

// untilDone is a reader that fails once the context has ended, also in the middle of a line.
type untilDone struct {
	ctx context.Context //nolint:containedctx // io.Reader has no place for it
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (in *importer) run(ctx context.Context, r io.Reader) error {
	lines := bufio.NewReaderSize(untilDone{ctx, r}, maxLine+1)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			in.bad(number, fmt.Errorf("the line is longer than %d bytes", maxLine))
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
			line = nil
		case number == 1:
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("stopped at line %d: %w", number, err), in.flush(ctx))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if stop := in.take(ctx, number, line); stop != nil {
				return stop
			}
		}
		if err != nil {
			return in.flush(ctx)
		}
	}
}

func (in *importer) bad(line int, err error) {
	in.summary.Bad++
	in.Bad(line, err)
}

// stop is an error that stops the import.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// take handles one line. The error returned is one that stops the import.
func (in *importer) take(ctx context.Context, number int, line []byte) error {
	err := in.record(ctx, number, line)
	if _, stops := errors.AsType[stop](err); stops || errors.Is(err, billing.ErrUnavailable) || ctx.Err() != nil {
		return fmt.Errorf("stopped at line %d: %w", number, err)
	}
	if err != nil {
		in.bad(number, err)
	}
	if in.records >= flushEvery {
		return in.flush(ctx)
	}
	return nil
}

func (in *importer) record(ctx context.Context, number int, line []byte) error {
	kind, err := typeOf(line)
	if err != nil {
		return err
	}
	switch kind {
	case typeOrganization:
		return in.organization(ctx, line)
	case typeToken:
		return in.token(ctx, number, line)
	case typeRateCard:
		return in.rateCard(ctx, number, line)
	case typeLease:
		var slug string
		op := &billing.ImportLease{}
		given, err := read(line, keyOrg, &slug, billing.LeaseFields, &op.Lease)
		if err == nil {
			err = given.require("started_at")
		}
		if err != nil {
			return err
		}
		return in.enqueue(ctx, number, slug, op)
	case typeCredit:
		var r creditRecord
		if err := strictjson.Decode(line, &r, nil); err != nil {
			return err
		}
		op := &billing.PostCredit{
			AmountCents: r.AmountCents, Source: r.Source, Description: r.Description, IdempotencyKey: r.IdempotencyKey,
		}
		return in.enqueue(ctx, number, r.Org, op)
	case typeEntry:
		var slug string
		op := &billing.ImportEntry{}
		given, err := read(line, keyOrg, &slug, billing.EntryFields, &op.Entry)
		if err == nil {
			err = given.require("id", "amount_cents", "created_at")
		}
		if err != nil {
			return err
		}
		return in.enqueue(ctx, number, slug, op)
	case typeHead:
		var slug string
		var h head
		given, err := read(line, keyOrg, &slug, headFields, &h)
		if err == nil {
			err = given.require("seq", "digest")
		}
		if err != nil {
			return err
		}
		return in.checkHead(ctx, slug, h)
	}
	return fmt.Errorf("%q is not a type of record", kind)
}

// enqueue validates an operation, and adds it to the pending operations of its organization.
func (in *importer) enqueue(ctx context.Context, number int, slug string, op billing.Imported) error {
	if err := op.Validate(); err != nil {
		return err
	}
	if slug == "" {
		return errors.New("org is required: the slug of the organization")
	}
	if _, lease := op.(*billing.ImportLease); lease && !in.priced {
		if err := in.service.EnsureRateCard(ctx, in.Rates); err != nil {
			return stop{err} // no later line could be taken either
		}
		in.priced = true
	}
	org, err := in.resolve(ctx, slug)
	if err != nil {
		return err
	}
	p := in.waiting[org]
	if p == nil {
		p = new(pending)
		in.waiting[org] = p
	}
	p.ops, p.lines = append(p.ops, op), append(p.lines, number)
	in.records++
	return nil
}

// resolve returns the id of the organization with the slug. It creates the organization if the database does not have it.
func (in *importer) resolve(ctx context.Context, slug string) (billing.ID, error) {
	if id, ok := in.orgs[slug]; ok {
		return id, nil
	}
	org, err := in.service.OrganizationBySlug(ctx, slug)
	if errors.Is(err, billing.ErrOrganizationNotFound) {
		org = billing.Organization{ID: billing.NewID(), Slug: slug, Name: slug, CreatedAt: in.service.Now()}
		if err = in.service.CreateOrganization(ctx, org); err == nil {
			in.summary.Created = append(in.summary.Created, slug)
		}
	}
	if err != nil {
		return billing.ID{}, err
	}
	in.orgs[slug] = org.ID
	return org.ID, nil
}

// flush writes the pending operations of every organization, and counts or reports each one.
func (in *importer) flush(ctx context.Context) error {
	for _, org := range slices.SortedFunc(maps.Keys(in.waiting), func(a, b billing.ID) int { return slices.Compare(a[:], b[:]) }) {
		p := in.waiting[org]
		errs, err := in.service.Import(ctx, org, p.ops)
		if err != nil {
			return fmt.Errorf("stopped at line %d: %w", p.lines[0], err)
		}
		for i, op := range p.ops {
			switch {
			case errors.Is(errs[i], billing.ErrUnavailable):
				return fmt.Errorf("stopped at line %d: %w", p.lines[i], errs[i])
			case errs[i] != nil:
				in.bad(p.lines[i], errs[i])
			default:
				in.count(p.lines[i], op)
			}
		}
		delete(in.waiting, org)
	}
	in.records = 0
	return nil
}

// checkHead compares the digest of a ledger, up to the entry of the head, with the digest in the exported head. Later entries are allowed.
func (in *importer) checkHead(ctx context.Context, slug string, h head) error {
	if err := in.flush(ctx); err != nil { // the entries up to the head must be in the ledger first
		return err
	}
	org, err := in.service.OrganizationBySlug(ctx, slug)
	if err != nil {
		return err
	}
	digest, err := in.service.DigestAt(ctx, org.ID, h.Seq)
	if err == nil && digest != h.Digest {
		err = fmt.Errorf("the ledger of %s up to entry %d is not the one that was exported: its digest is %s, not %s", slug, h.Seq, digest, h.Digest)
	}
	return err
}

func (in *importer) count(line int, op billing.Imported) {
	switch op := op.(type) {
	case *billing.ImportLease:
		in.summary.Leases.add(op.Duplicate)
		if op.PricedElsewhere {
			in.summary.PricedElsewhere++
			in.PricedElsewhere(line, fmt.Sprintf("the amount_cents of the lease is %d, which no rate card of the books gives; it was priced elsewhere", *op.Lease.AmountCents))
		}
	case *billing.PostCredit:
		in.summary.Credits.add(op.Replayed)
	case *billing.ImportEntry:
		in.summary.Entries.add(op.Duplicate)
	}
}

func (in *importer) organization(ctx context.Context, line []byte) error {
	org := billing.Organization{}
	given, err := read(line, "", nil, billing.OrganizationFields, &org)
	if err != nil {
		return err
	}
	if !given.has("id") {
		org.ID = billing.NewID()
	}
	if !given.has("created_at") {
		org.CreatedAt = in.service.Now()
	}
	stored, err := in.service.OrganizationBySlug(ctx, org.Slug)
	known := err == nil
	if known {
		if (given.has("id") && stored.ID != org.ID) || (given.has("created_at") && stored.CreatedAt != org.CreatedAt) || stored.Name != org.Name {
			return fmt.Errorf("the organization %s exists with another id, name or time", org.Slug)
		}
	} else if errors.Is(err, billing.ErrOrganizationNotFound) {
		stored, err = org, in.service.CreateOrganization(ctx, org)
	}
	if err != nil {
		return err
	}
	in.orgs[org.Slug] = stored.ID
	in.summary.Organizations.add(known)
	return nil
}

func (in *importer) rateCard(ctx context.Context, number int, line []byte) error {
	var slug *string
	var card billing.RateCard
	given, err := read(line, keyOrg, &slug, billing.RateCardFields, &card)
	if err == nil {
		err = given.require("name", "effective_from", "created_at")
	}
	if err != nil {
		return err
	}
	if slug != nil {
		org, err := in.resolve(ctx, *slug)
		if err != nil {
			return err
		}
		card.OrgID = &org
	}
	if in.hasLeases == nil {
		has, err := in.service.HasLeases(ctx)
		if err != nil {
			return err
		}
		in.hasLeases = &has
	}
	stored, known, err := in.service.ImportRateCard(ctx, card, *in.hasLeases)
	if err != nil {
		return err
	}
	in.summary.RateCards.add(known)
	switch {
	case known:
	case stored.ImportedAt != nil:
		in.AboutRateCard(number, fmt.Sprintf("the rate card %q bills only the imported leases that name it, since the books had leases before", stored.Name))
	default:
		in.AboutRateCard(number, fmt.Sprintf("the rate card %q bills leases that start from %s on", stored.Name, stored.EffectiveFrom))
	}
	return nil
}

func (in *importer) token(ctx context.Context, number int, line []byte) error {
	if !in.Tokens {
		return errors.New("a token gives access to the books, so tokens are taken over only with --tokens")
	}
	var token billing.Token
	given, err := read(line, keyOrganizations, &token.Organizations, billing.TokenFields, &token)
	if err == nil {
		err = given.require("sha256", "created_at")
	}
	if err != nil {
		return err
	}
	slices.Sort(token.Organizations)
	err = in.service.CreateToken(ctx, token)
	known := errors.Is(err, billing.ErrExists)
	if err != nil && !known {
		return err
	}
	if known {
		stored, err := in.storedToken(ctx, token.Hash)
		if err != nil {
			return err
		}
		revoke := stored.RevokedAt == nil && token.RevokedAt != nil // an earlier import had the token before it was revoked
		if revoke {
			stored.RevokedAt = token.RevokedAt
		}
		if !reflect.DeepEqual(stored, token) {
			return errors.New("the token exists with other contents")
		}
		if revoke {
			if err := in.service.RevokeToken(ctx, token.Hash, *token.RevokedAt); err != nil {
				return err
			}
			in.AboutToken(number, fmt.Sprintf("the token %s is revoked from now on", token.Name))
		}
	}
	if in.tokens != nil {
		in.tokens[token.Hash] = token
	}
	if !known {
		state := "gives access"
		switch {
		case token.RevokedAt != nil:
			state = "is revoked"
		case token.ExpiresAt != nil && *token.ExpiresAt <= in.service.Now():
			state = "has expired"
		case token.ExpiresAt != nil:
			state = "gives access until " + token.ExpiresAt.String()
		}
		in.AboutToken(number, fmt.Sprintf("the token %s with the role %s for %s %s", token.Name, token.Role, strings.Join(token.Organizations, ", "), state))
	}
	in.summary.Tokens.add(known)
	return nil
}

func (in *importer) storedToken(ctx context.Context, hash billing.TokenHash) (billing.Token, error) {
	if in.tokens == nil {
		tokens, err := in.service.Tokens(ctx)
		if err != nil {
			return billing.Token{}, err
		}
		in.tokens = make(map[billing.TokenHash]billing.Token, len(tokens))
		for _, t := range tokens {
			in.tokens[t.Hash] = t
		}
	}
	return in.tokens[hash], nil
}
