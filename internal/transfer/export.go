package transfer

import (
	"bufio"
	"context"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Books hand their whole contents to a sink, as of one moment, organization by organization.
type Books interface {
	Export(ctx context.Context, sink billing.ExportSink) error
}

// Export writes books so that importing them into an empty database gives the same ones.
func Export(ctx context.Context, books Books, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := books.Export(ctx, &exporter{out: out}); err != nil {
		return err
	}
	return out.Flush()
}

type exporter struct {
	out  *bufio.Writer
	line []byte
}

var _ billing.ExportSink = (*exporter)(nil)

func export[T any](e *exporter, kind string, organizations slugs, fields []billing.Field[T], v *T) (err error) {
	if e.line, err = appendRecord(e.line[:0], kind, organizations, fields, v); err == nil {
		_, err = e.out.Write(e.line)
	}
	return err
}

func (e *exporter) Organization(o billing.Organization) error {
	return export(e, typeOrganization, slugs{}, billing.OrganizationFields, &o)
}

func (e *exporter) Token(t billing.Token) error {
	list, err := json.Marshal(t.Organizations)
	if err != nil {
		return err
	}
	return export(e, typeToken, slugs{keyOrganizations, string(list), "created_at"}, billing.TokenFields, &t)
}

func (e *exporter) RateCard(c *billing.RateCard, org *billing.Organization) error {
	slug := "null"
	if org != nil {
		slug = strconv.Quote(org.Slug)
	}
	return export(e, typeRateCard, slugs{keyOrg, slug, "cpu_count"}, billing.RateCardFields, c)
}

func (e *exporter) Lease(org billing.Organization, l *billing.Lease) error {
	return export(e, typeLease, slugs{keyOrg, strconv.Quote(org.Slug), "lease_id"}, billing.LeaseFields, l)
}

func (e *exporter) Entry(org billing.Organization, entry *billing.Entry) error {
	return export(e, typeEntry, slugs{keyOrg, strconv.Quote(org.Slug), "amount_cents"}, billing.EntryFields, entry)
}

// Head leaves out the head of an empty ledger, which has nothing to check.
func (e *exporter) Head(org billing.Organization, h *billing.Head) error {
	if h.Seq == 0 {
		return nil
	}
	return export(e, typeHead, slugs{keyOrg, strconv.Quote(org.Slug), "seq"}, headFields, &head{h.Seq, h.Digest})
}
