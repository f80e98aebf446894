package transfer

import (
	"bufio"
	"context"
	"encoding/hex"
	"io"

	"github.com/go-json-experiment/json"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Books hand all that is in them to a sink, as of one moment, organization by organization.
type Books interface {
	Export(ctx context.Context, sink billing.ExportSink) error
}

// Export writes books so that importing them into an empty database gives the same ones.
func Export(ctx context.Context, books Books, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := books.Export(ctx, &exporter{out}); err != nil {
		return err
	}
	return out.Flush()
}

type exporter struct{ out *bufio.Writer }

var _ billing.ExportSink = (*exporter)(nil)

func (e *exporter) write(record any) error {
	if err := json.MarshalWrite(e.out, record, encoding); err != nil {
		return err
	}
	return e.out.WriteByte('\n')
}

func (e *exporter) Organization(o billing.Organization) error {
	return e.write(organizationRecord{Type: typeOrganization, Slug: o.Slug, Name: o.Name, ID: &o.ID, CreatedAt: &o.CreatedAt})
}

func (e *exporter) Token(t billing.Token) error {
	return e.write(tokenRecord{
		Type: typeToken, SHA256: hex.EncodeToString(t.Hash[:]), Name: t.Name, Role: t.Role, Organizations: t.Organizations,
		CreatedAt: &t.CreatedAt, ExpiresAt: t.ExpiresAt, RevokedAt: t.RevokedAt,
	})
}

func (e *exporter) Lease(org billing.Organization, l *billing.Lease) error {
	return e.write(toLeaseRecord(org.Slug, l))
}

func (e *exporter) Entry(org billing.Organization, entry *billing.Entry) error {
	return e.write(entryRecord{
		Type: typeEntry, ID: &entry.ID, Org: org.Slug, AmountCents: &entry.AmountCents, Source: entry.Source,
		Description: entry.Description, CreatedAt: &entry.CreatedAt, LeaseID: entry.LeaseID, IdempotencyKey: entry.IdempotencyKey,
	})
}
