// Package billing is the domain: money, leases, the ledger and the sums over them. It knows neither SQL nor HTTP.
package billing

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"time"
)

// Service has a method for each call of the API. The methods check everything that is written.
type Service struct {
	directory Directory
	ledger    Ledger
	meter     Meter
	clock     func() time.Time
}

// NewService returns a service on a store.
func NewService(store Store) *Service {
	return &Service{directory: store, ledger: store, meter: store, clock: time.Now}
}

// SetClock replaces the clock. It is called before the first use.
func (s *Service) SetClock(now func() time.Time) { s.clock = now }

// Now returns the time of the service.
func (s *Service) Now() Time { return TimeOf(s.clock()) }

// CreateOrganization adds an organization with an empty ledger. It fails with ErrInvalid, and with ErrExists where the slug or
// the id is taken.
func (s *Service) CreateOrganization(ctx context.Context, org Organization) error {
	if err := org.Validate(); err != nil {
		return err
	}
	return s.directory.CreateOrganization(ctx, org)
}

// OrganizationBySlug fails with ErrOrganizationNotFound.
func (s *Service) OrganizationBySlug(ctx context.Context, slug string) (Organization, error) {
	return s.directory.OrganizationBySlug(ctx, slug)
}

// Organizations lists all organizations by slug.
func (s *Service) Organizations(ctx context.Context) ([]Organization, error) {
	return s.directory.Organizations(ctx, "", math.MaxInt32, nil)
}

// CreateToken adds a token. It fails with ErrInvalid, with ErrExists where the hash is known, and with
// ErrOrganizationNotFound.
func (s *Service) CreateToken(ctx context.Context, token Token) error {
	if err := token.Validate(); err != nil {
		return err
	}
	return s.directory.CreateToken(ctx, token)
}

// Tokens lists all tokens, oldest first.
func (s *Service) Tokens(ctx context.Context) ([]Token, error) { return s.directory.Tokens(ctx) }

// RevokeToken sets the time of revocation if the token is not revoked yet. It fails with ErrTokenNotFound.
func (s *Service) RevokeToken(ctx context.Context, hash TokenHash, at Time) error {
	return s.directory.RevokeToken(ctx, hash, at)
}

// clamp moves the size of a page to the nearer one of two bounds; nil is the default.
func clamp(limit *int64, minimum, maximum, defaultValue int64) int { //nolint:unparam // the bounds are those of the contract, which are alike for now
	if limit == nil {
		return int(defaultValue)
	}
	return int(min(max(*limit, minimum), maximum))
}

// Authenticate returns the access of a token to an organization. It fails with ErrUnauthorized if the token is unknown, expired or
// revoked. The organization of the Grant is nil if it does not exist or the token may not see it.
func (s *Service) Authenticate(ctx context.Context, hash TokenHash, slug string) (Grant, error) {
	grant, err := s.directory.Grant(ctx, hash, slug)
	if err != nil {
		return Grant{}, err
	}
	if !grant.valid(s.Now()) {
		return Grant{}, ErrUnauthorized
	}
	return grant, nil
}

// Page is a part of a list, and the cursor of the next page, nil after the last one.
type Page[T any] struct {
	Items []T
	Next  *string
}

const organizationList = "organizations"

// VisibleOrganizations returns a page of the organizations that the token can see, by slug. It fails with
// ErrCursorInvalid.
func (s *Service) VisibleOrganizations(ctx context.Context, token TokenHash, limit *int64, cursor *string) (Page[Organization], error) {
	return organizationPage(limit, cursor, func(after string, number int) ([]Organization, error) {
		return s.directory.Organizations(ctx, after, number, &token)
	})
}

// OrganizationsBySlugs returns a page of the organizations with the slugs, by slug. Slugs of no organization are left out. It fails with
// ErrCursorInvalid.
func (s *Service) OrganizationsBySlugs(ctx context.Context, slugs []string, limit *int64, cursor *string) (Page[Organization], error) {
	return organizationPage(limit, cursor, func(after string, number int) (orgs []Organization, err error) {
		for _, slug := range slices.Compact(slices.Sorted(slices.Values(slugs))) {
			if slug <= after || len(orgs) == number {
				continue
			}
			org, err := s.directory.OrganizationBySlug(ctx, slug)
			if errors.Is(err, ErrOrganizationNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			orgs = append(orgs, org)
		}
		return orgs, nil
	})
}

// organizationPage returns a page of organizations. The function lists a number of them after a slug, in the order of their slugs.
func organizationPage(limit *int64, cursor *string, list func(after string, number int) ([]Organization, error)) (Page[Organization], error) {
	after := ""
	if cursor != nil {
		place, err := DecodeCursor(organizationList, nil, *cursor)
		if err != nil {
			return Page[Organization]{}, err
		}
		if after = string(place); !slugForm.MatchString(after) {
			return Page[Organization]{}, errCursor
		}
	}
	size := clamp(limit, ListOrganizationsLimitClampMinimum, ListOrganizationsLimitClampMaximum, ListOrganizationsLimitDefault)
	orgs, err := list(after, size+1)
	if err != nil {
		return Page[Organization]{}, err
	}
	page := Page[Organization]{Items: orgs}
	if len(orgs) > size {
		page.Items = orgs[:size]
		next := EncodeCursor(organizationList, nil, []byte(orgs[size-1].Slug))
		page.Next = &next
	}
	return page, nil
}

// Head returns where the ledger stands.
func (s *Service) Head(ctx context.Context, org ID) (Head, error) { return s.ledger.Head(ctx, org) }

// DigestAt returns the digest of the entry with the number. It fails with ErrEntryNotFound.
func (s *Service) DigestAt(ctx context.Context, org ID, seq int64) (Digest, error) {
	entries, err := s.ledger.Entries(ctx, org, seq+1, 1)
	if err != nil {
		return Digest{}, err
	}
	if len(entries) == 0 || entries[0].Seq != seq {
		return Digest{}, Faultf(ErrEntryNotFound, "the ledger has no entry %d", seq)
	}
	return entries[0].Digest, nil
}

// Usage sums the finished leases that started in the window.
func (s *Service) Usage(ctx context.Context, org ID, w Window) (Usage, error) {
	return s.meter.Usage(ctx, org, w)
}

// UsageByGroup sums the finished leases that started in the window of the query by group. See Meter.
func (s *Service) UsageByGroup(ctx context.Context, org ID, q GroupQuery) (Groups, error) {
	return s.meter.UsageByGroup(ctx, org, q)
}

// Breakdown yields the leases that started in the window, build by build. See Meter.
func (s *Service) Breakdown(ctx context.Context, org ID, w Window) iter.Seq2[*BreakdownRow, error] {
	return s.meter.Breakdown(ctx, org, w)
}

// UsageSeries returns the usage of every UTC day from that of the window's start to that of its end, both included.
func (s *Service) UsageSeries(ctx context.Context, org ID, w Window) ([]DayUsage, error) {
	used, err := s.meter.UsageByDay(ctx, org, w)
	if err != nil {
		return nil, err
	}
	first, last := w.From.Floor(Day), w.To.Floor(Day)
	series := make([]DayUsage, 0, (last-first)/Day+1)
	for day := first; day <= last; day += Day {
		bucket := DayUsage{Day: day}
		if len(used) > 0 && used[0].Day == day {
			bucket.Usage, used = used[0].Usage, used[1:]
		}
		series = append(series, bucket)
	}
	return series, nil
}

// RecordLeases records leases, all or none, as many as the contract allows in one request. It fails with ErrInvalid, ErrLeaseInvalid and
// ErrLeaseConflict.
func (s *Service) RecordLeases(ctx context.Context, org ID, leases []Lease) ([]RecordedLease, error) {
	if n := len(leases); n < RecordLeasesRequestLeasesMinItems || n > RecordLeasesRequestLeasesMaxItems {
		return nil, Faultf(ErrInvalid, "leases must have %d to %d items", RecordLeasesRequestLeasesMinItems, RecordLeasesRequestLeasesMaxItems)
	}
	if err := NormalizeLeases(leases, s.Now()); err != nil {
		return nil, err
	}
	op := &RecordLeases{Leases: leases}
	if err := s.write(ctx, org, op); err != nil {
		return nil, err
	}
	return op.Results, nil
}

// PostCredit appends a credit, unless an earlier call with the same key has appended it. It fails with ErrInvalid, ErrAmountInvalid and
// ErrKeyReused.
func (s *Service) PostCredit(ctx context.Context, org ID, op *PostCredit) error {
	if err := op.Validate(); err != nil {
		return err
	}
	return s.write(ctx, org, op)
}

// Imported is an operation that takes over a record of another system or another database.
type Imported interface {
	Operation
	// Validate checks the record independently of the books, and computes missing values.
	Validate() error
}

// Import applies operations, one after another, each as a whole or not at all. It returns the same as Ledger.Write. A lease that is not
// billed yet is billed by its rate card.
func (s *Service) Import(ctx context.Context, org ID, imported []Imported) ([]error, error) {
	ops := make([]Operation, len(imported))
	for i, op := range imported {
		if err := op.Validate(); err != nil {
			return nil, err
		}
		ops[i] = op
	}
	return s.ledger.Write(ctx, org, ops...)
}

func (s *Service) write(ctx context.Context, org ID, op Operation) error {
	errs, err := s.ledger.Write(ctx, org, op)
	if err != nil {
		return err
	}
	return errs[0]
}
