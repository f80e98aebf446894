// Package ownstore is an example of a store of one's own behind package httpapi. This file has the operations of the API, which get requests
// that httpapi has checked; books.go has the books, which are maps here.
package ownstore

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
)

var _ httpapi.Backend = (*Store)(nil)

func (s *Store) GetBillingHead(_ context.Context, org string) (head gen.LedgerHead, err error) {
	entries := s.read(org).entries
	if head.Seq = int64(len(entries)); head.Seq > 0 {
		head.BalanceCents = entries[0].BalanceAfterCents
	}
	text, err := json.Marshal(entries)
	head.Digest = fmt.Sprintf("%x", sha256.Sum256(text))
	return head, err
}

func (s *Store) GetBillingBalance(ctx context.Context, org string) (gen.BalanceResponse, error) {
	head, err := s.GetBillingHead(ctx, org)
	return gen.BalanceResponse{BalanceCents: head.BalanceCents}, err
}

func (s *Store) ListBillingTransactions(_ context.Context, org string, p gen.ListBillingTransactionsParams) (gen.TransactionList, error) {
	var entries []gen.Transaction
	for _, e := range s.read(org).entries {
		entries = append(entries, summary(e))
	}
	return httpapi.Transactions(entries, org, p)
}

func summary(e gen.TransactionDetail) gen.Transaction {
	return gen.Transaction{ID: e.ID, AmountCents: e.AmountCents, Source: e.Source, Description: e.Description, CreatedAt: e.CreatedAt}
}

func (s *Store) GetBillingTransaction(_ context.Context, org string, id uuid.UUID) (gen.TransactionDetail, error) {
	for _, e := range s.read(org).entries {
		if e.ID == id {
			return e, nil
		}
	}
	return gen.TransactionDetail{}, &httpapi.Error{Code: gen.CodeTransactionNotFound}
}

func (s *Store) PostCredit(_ context.Context, org string, p gen.PostCreditParams, body gen.PostCreditRequest) (result httpapi.PostCreditResult, err error) {
	err = s.write(org, func(b *books) error {
		c, known := b.credits[p.IdempotencyKey]
		switch {
		case !known:
			c = credit{body, b.append(gen.TransactionDetail{AmountCents: body.AmountCents, Source: gen.TransactionSource(body.Source), Description: body.Description})}
			b.credits[p.IdempotencyKey] = c
		case reflect.DeepEqual(c.request, body):
			result.IdempotencyReplayed = new(true)
		default:
			return &httpapi.Error{Code: gen.CodeIdempotencyKeyReused, Message: "the key was used with another body"}
		}
		result.Body = summary(c.entry)
		return nil
	})
	return result, err
}

func (s *Store) RecordLeases(_ context.Context, org string, body gen.RecordLeasesRequest) (list gen.RecordedLeaseList, err error) {
	if err := httpapi.CheckLeases(body.Leases, time.Now()); err != nil {
		return list, err
	}
	err = s.write(org, func(b *books) error {
		for i, l := range body.Leases {
			recorded, err := b.record(l)
			if err != nil {
				return &httpapi.Error{Code: gen.CodeLeaseConflict, Message: fmt.Sprintf("leases[%d]: %v", i, err)}
			}
			list.Data = append(list.Data, recorded)
		}
		return nil
	})
	return list, err
}

func (s *Store) ListBillingLeases(_ context.Context, org string, p gen.ListBillingLeasesParams) (list gen.LeaseList, err error) {
	leases := s.started(org, func(l *gen.LeaseRecord) bool {
		return (p.State == nil || string(*p.State) == string(l.State)) && (p.LeaseID == nil || *p.LeaseID == l.LeaseID) &&
			(p.JobID == nil || l.JobID != nil && *p.JobID == *l.JobID)
	})
	list.Data, list.NextCursor, err = httpapi.Page(leases, "leases of "+org, p.Limit, p.Cursor, func(l *gen.LeaseRecord) string { return l.LeaseID.String() })
	return list, err
}

func (s *Store) window(org, from, to string) (start, end time.Time, leases []gen.LeaseRecord, err error) {
	start, end, err = httpapi.ParseWindow(from, to)
	return start, end, s.started(org, func(l *gen.LeaseRecord) bool { return !l.StartedAt.Before(start) && l.StartedAt.Before(end) }), err
}

func (s *Store) GetBillingUsage(_ context.Context, org string, p gen.GetBillingUsageParams) (sum gen.UsageResponse, err error) {
	_, _, leases, err := s.window(org, p.From, p.To)
	if err == nil {
		sum, err = httpapi.Usage(leases)
	}
	return sum, err
}

func (s *Store) GetBillingUsageSeries(_ context.Context, org string, p gen.GetBillingUsageSeriesParams) (series gen.UsageSeriesResponse, err error) {
	start, end, leases, err := s.window(org, p.From, p.To)
	if err == nil {
		series, err = httpapi.Series(start, end, leases)
	}
	return series, err
}

func (s *Store) GetBillingUsageBreakdown(_ context.Context, org string, p gen.GetBillingUsageBreakdownParams) (httpapi.Streamed, error) {
	_, _, leases, err := s.window(org, p.From, p.To)
	return httpapi.Breakdown(leases), err
}

func (s *Store) ListOrganizations(ctx context.Context, p gen.ListOrganizationsParams) (list gen.OrganizationList, err error) {
	for _, slug := range slices.Sorted(slices.Values(httpapi.IdentityOf(ctx).Organizations)) {
		list.Data = append(list.Data, gen.Organization{Slug: slug, Name: slug, CreatedAt: s.created})
	}
	list.Data, list.NextCursor, err = httpapi.Page(list.Data, "organizations", p.Limit, p.Cursor, func(o *gen.Organization) string { return o.Slug })
	return list, err
}
