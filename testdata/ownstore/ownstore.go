// Package ownstore is an example of a store of one's own behind package httpapi: all operations of the API over maps. They get requests that
// httpapi has checked.
package ownstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
)

// Store has the books of organizations by their slugs. Stored books never change: a write puts changed copies in their place.
type Store struct {
	httpapi.Unimplemented // rate cards: the prices are those of the program here
	created               time.Time
	mu                    sync.Mutex
	orgs                  map[string]books
}

type books struct {
	entries []gen.TransactionDetail        // newest first
	leases  map[uuid.UUID]*gen.LeaseRecord // by the id of the job, or of the lease where there is no job
	credits map[string]*gen.Transaction    // by idempotency key
}

var _ httpapi.Backend = (*Store)(nil)

// New returns a store with empty books.
func New(slugs ...string) *Store {
	s := &Store{created: time.Now(), orgs: map[string]books{}}
	for _, slug := range slugs {
		s.orgs[slug] = books{leases: map[uuid.UUID]*gen.LeaseRecord{}, credits: map[string]*gen.Transaction{}}
	}
	return s
}

func (s *Store) read(org string) books {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orgs[org]
}

// write changes a copy of the books, and stores the copy unless the change fails.
func (s *Store) write(org string, change func(*books) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.orgs[org]
	b = books{b.entries, maps.Clone(b.leases), maps.Clone(b.credits)}
	err := change(&b)
	if err == nil {
		s.orgs[org] = b
	}
	return err
}

func (s *Store) GetBillingHead(_ context.Context, org string) (gen.LedgerHead, error) {
	return httpapi.Head(s.read(org).entries)
}

func (s *Store) GetBillingBalance(_ context.Context, org string) (gen.BalanceResponse, error) {
	head, err := httpapi.Head(s.read(org).entries)
	return gen.BalanceResponse{BalanceCents: head.BalanceCents}, err
}

func (s *Store) ListBillingTransactions(_ context.Context, org string, p gen.ListBillingTransactionsParams) (gen.TransactionList, error) {
	return httpapi.Transactions(s.read(org).entries, org, p)
}

func (s *Store) GetBillingTransaction(_ context.Context, org string, id uuid.UUID) (gen.TransactionDetail, error) {
	return httpapi.Transaction(s.read(org).entries, id)
}

func (s *Store) GetBillingStatement(_ context.Context, org string, p gen.GetBillingStatementParams) (gen.StatementResponse, error) {
	return httpapi.Statement(s.read(org).entries, p)
}

func (s *Store) ListBillingCredits(_ context.Context, org string, p gen.ListBillingCreditsParams) (gen.CreditList, error) {
	return httpapi.Credits(s.read(org).entries, org, p)
}

func (s *Store) PostCredit(ctx context.Context, org string, p gen.PostCreditParams, body gen.PostCreditRequest) (result httpapi.PostCreditResult, err error) {
	err = s.write(org, func(b *books) error {
		author, posted := httpapi.IdentityOf(ctx).Name, b.credits[p.IdempotencyKey]
		b.entries, result, err = httpapi.PostCredit(b.entries, posted, body, author, time.Now())
		b.credits[p.IdempotencyKey] = &result.Body
		return err
	})
	return result, err
}

func (s *Store) RecordLeases(_ context.Context, org string, body gen.RecordLeasesRequest) (list gen.RecordedLeaseList, err error) {
	if err := httpapi.CheckLeases(body.Leases, time.Now()); err != nil {
		return list, err
	}
	err = s.write(org, func(b *books) error {
		for i, report := range body.Leases {
			key := *cmp.Or(report.JobID, report.LeaseID)
			l, status, err := httpapi.RecordLease(b.leases[key], report, httpapi.StandardRates)
			if err == nil && status == gen.LeaseStatusBilled {
				entry := gen.TransactionDetail{AmountCents: l.AmountCents, Source: gen.TransactionSourceVMLeaseDebit, Lease: &l}
				b.entries, err = httpapi.Append(b.entries, entry, time.Now())
			}
			if err != nil {
				return &httpapi.Error{Code: httpapi.CodeOf(err), Message: fmt.Sprintf("leases[%d]: %v", i, err)}
			}
			b.leases[key] = &l
			list.Data = append(list.Data, gen.RecordedLease{LeaseID: l.LeaseID, Status: status, AmountCents: l.AmountCents})
		}
		return nil
	})
	return list, err
}

func (s *Store) ListBillingLeases(_ context.Context, org string, p gen.ListBillingLeasesParams) (gen.LeaseList, error) {
	return httpapi.Leases(maps.Values(s.read(org).leases), org, p, httpapi.StandardRates, time.Now())
}

func (s *Store) GetBillingRunway(_ context.Context, org string) (gen.RunwayResponse, error) {
	b := s.read(org)
	return httpapi.Runway(b.entries, maps.Values(b.leases), time.Now())
}

func (s *Store) GetBillingUsage(_ context.Context, org string, p gen.GetBillingUsageParams) (gen.UsageResponse, error) {
	return httpapi.Usage(maps.Values(s.read(org).leases), p)
}

func (s *Store) GetBillingUsageSeries(_ context.Context, org string, p gen.GetBillingUsageSeriesParams) (gen.UsageSeriesResponse, error) {
	return httpapi.Series(maps.Values(s.read(org).leases), p)
}

func (s *Store) GetBillingUsageBy(_ context.Context, org string, p gen.GetBillingUsageByParams) (gen.UsageByResponse, error) {
	return httpapi.UsageBy(maps.Values(s.read(org).leases), p)
}

func (s *Store) GetBillingUsageBreakdown(_ context.Context, org string, p gen.GetBillingUsageBreakdownParams) (httpapi.Streamed, error) {
	return httpapi.Breakdown(maps.Values(s.read(org).leases), p)
}

func (s *Store) ListOrganizations(ctx context.Context, p gen.ListOrganizationsParams) (gen.OrganizationList, error) {
	var organizations []gen.Organization
	for _, slug := range httpapi.IdentityOf(ctx).Organizations {
		organizations = append(organizations, gen.Organization{Slug: slug, Name: slug, CreatedAt: s.created})
	}
	return httpapi.Organizations(organizations, p)
}
