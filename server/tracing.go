package server

import (
	"context"
	"iter"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// tracerName is the instrumentation scope of the spans of the store.
const tracerName = "github.com/harmont-dev/harmont-billing/server"

// tracedStore makes a span for each use of the store by an operation.
type tracedStore struct {
	billing.Store
	tracer trace.Tracer
}

func (s tracedStore) start(ctx context.Context, name string) (context.Context, trace.Span) {
	return s.tracer.Start(ctx, "store."+name, trace.WithSpanKind(trace.SpanKindInternal))
}

// endSpan ends a span. The text of an error may quote what an organization has sent, so it is left out.
func endSpan(span trace.Span, err error) {
	if err != nil {
		code := httpapi.CodeOf(err)
		span.SetAttributes(attribute.String("harmont.error", code))
		if gen.ErrorInfoOf(code).Status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

// observed runs a read or a write of the store within a span.
func observed[T any](ctx context.Context, s tracedStore, name string, do func(context.Context) (T, error)) (T, error) {
	ctx, span := s.start(ctx, name)
	result, err := do(ctx)
	endSpan(span, err)
	return result, err
}

func (s tracedStore) Grant(ctx context.Context, hash billing.TokenHash, slug string) (billing.Grant, error) {
	return observed(ctx, s, "Grant", func(ctx context.Context) (billing.Grant, error) { return s.Store.Grant(ctx, hash, slug) })
}

func (s tracedStore) Organizations(ctx context.Context, after string, limit int, token *billing.TokenHash) ([]billing.Organization, error) {
	return observed(ctx, s, "Organizations", func(ctx context.Context) ([]billing.Organization, error) {
		return s.Store.Organizations(ctx, after, limit, token)
	})
}

// Write has a span from the queue to the end of the commit.
func (s tracedStore) Write(ctx context.Context, org billing.ID, ops ...billing.Operation) ([]error, error) {
	return observed(ctx, s, "Write", func(ctx context.Context) ([]error, error) {
		trace.SpanFromContext(ctx).SetAttributes(attribute.Int("harmont.operations", len(ops)))
		return s.Store.Write(ctx, org, ops...)
	})
}

func (s tracedStore) Head(ctx context.Context, org billing.ID) (billing.Head, error) {
	return observed(ctx, s, "Head", func(ctx context.Context) (billing.Head, error) { return s.Store.Head(ctx, org) })
}

func (s tracedStore) Entries(ctx context.Context, org billing.ID, before int64, limit int) ([]billing.Entry, error) {
	return observed(ctx, s, "Entries", func(ctx context.Context) ([]billing.Entry, error) { return s.Store.Entries(ctx, org, before, limit) })
}

func (s tracedStore) WalkEntries(ctx context.Context, org billing.ID, walk billing.EntryWalk, limit int) ([]billing.Entry, error) {
	return observed(ctx, s, "WalkEntries", func(ctx context.Context) ([]billing.Entry, error) {
		return s.Store.WalkEntries(ctx, org, walk, limit)
	})
}

func (s tracedStore) SeqAt(ctx context.Context, org billing.ID, at billing.Time) (int64, error) {
	return observed(ctx, s, "SeqAt", func(ctx context.Context) (int64, error) { return s.Store.SeqAt(ctx, org, at) })
}

func (s tracedStore) Statement(ctx context.Context, org billing.ID, w billing.Window) (billing.Statement, error) {
	return observed(ctx, s, "Statement", func(ctx context.Context) (billing.Statement, error) { return s.Store.Statement(ctx, org, w) })
}

func (s tracedStore) Entry(ctx context.Context, org, id billing.ID) (billing.Entry, *billing.Lease, error) {
	ctx, span := s.start(ctx, "Entry")
	entry, lease, err := s.Store.Entry(ctx, org, id)
	endSpan(span, err)
	return entry, lease, err
}

func (s tracedStore) RecordedLeases(
	ctx context.Context, org billing.ID, filter billing.LeaseFilter, before billing.LeasePlace, limit int,
) ([]billing.LeaseRecord, error) {
	return observed(ctx, s, "RecordedLeases", func(ctx context.Context) ([]billing.LeaseRecord, error) {
		return s.Store.RecordedLeases(ctx, org, filter, before, limit)
	})
}

func (s tracedStore) Usage(ctx context.Context, org billing.ID, w billing.Window) (billing.Usage, error) {
	return observed(ctx, s, "Usage", func(ctx context.Context) (billing.Usage, error) { return s.Store.Usage(ctx, org, w) })
}

func (s tracedStore) UsageByDay(ctx context.Context, org billing.ID, w billing.Window) ([]billing.DayUsage, error) {
	return observed(ctx, s, "UsageByDay", func(ctx context.Context) ([]billing.DayUsage, error) { return s.Store.UsageByDay(ctx, org, w) })
}

// Breakdown has a span from its first row to its last, in which the receiver reads as well.
func (s tracedStore) Breakdown(ctx context.Context, org billing.ID, w billing.Window) iter.Seq2[*billing.BreakdownRow, error] {
	return func(yield func(*billing.BreakdownRow, error) bool) {
		ctx, span := s.start(ctx, "Breakdown")
		var failure error
		defer func() { endSpan(span, failure) }() // also after a panic of yield
		for row, err := range s.Store.Breakdown(ctx, org, w) {
			if failure = err; !yield(row, err) {
				return
			}
		}
	}
}
