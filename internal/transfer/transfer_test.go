package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
	"github.com/harmont-dev/harmont-billing/internal/transfer"
)

// service works on a store.
type service struct {
	*billing.Service
	store billing.Store
}

func open(t *testing.T) *service {
	t.Helper()
	books, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "billing.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := books.Close(); err != nil {
			t.Error(err)
		}
	})
	return &service{billing.NewService(books), books}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load imports a text. The bad lines are returned as "NUMBER: REASON".
func load(t *testing.T, s *service, text string) (transfer.Summary, []string) {
	t.Helper()
	var bad []string
	summary, err := transfer.Import(t.Context(), s.Service, strings.NewReader(text), transfer.Options{Tokens: true, Bad: func(line int, err error) {
		bad = append(bad, fmt.Sprintf("%d: %v", line, err))
	}})
	must(t, err)
	if summary.Bad != len(bad) {
		t.Errorf("%d bad lines are counted, %d were reported", summary.Bad, len(bad))
	}
	return summary, bad
}

// loadGood imports a text of which every line is good.
func loadGood(t *testing.T, s *service, text string) transfer.Summary {
	t.Helper()
	summary, bad := load(t, s, text)
	if len(bad) > 0 {
		t.Fatalf("bad lines: %q", bad)
	}
	return summary
}

func export(t *testing.T, s *service) string {
	t.Helper()
	var b bytes.Buffer
	must(t, transfer.Export(t.Context(), s.store, &b))
	return b.String()
}

func same(t *testing.T, what, want, got string) {
	t.Helper()
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("%s (-want, +got):\n%s", what, d)
	}
}

func lines(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func head(t *testing.T, s *service, slug string) billing.Head {
	t.Helper()
	org, err := s.OrganizationBySlug(t.Context(), slug)
	must(t, err)
	head, err := s.Head(t.Context(), org.ID)
	must(t, err)
	return head
}

// books are small books with one of each, as they are exported.
var books = lines(
	`{"type":"organization","slug":"acme","name":"Ácme 🏗","id":"0189a2b3-c4d5-7ef0-8123-000000000001","created_at":"2026-06-01T00:00:00.000000Z"}`,
	`{"type":"organization","slug":"globex","name":"globex","id":"0189a2b3-c4d5-7ef0-8123-000000000002","created_at":"2026-06-01T00:00:00.000001Z"}`,
	`{"type":"token","sha256":"0101010101010101010101010101010101010101010101010101010101010101","name":"ci","role":"write","organizations":["acme","globex"],"created_at":"2026-06-02T00:00:00.000000Z","expires_at":null,"revoked_at":null}`,
	`{"type":"token","sha256":"ff01010101010101010101010101010101010101010101010101010101010101","name":"old","role":"admin","organizations":["globex"],"created_at":"2026-06-03T00:00:00.000000Z","expires_at":"2027-06-03T00:00:00.000000Z","revoked_at":"2026-06-04T00:00:00.000000Z"}`,
	`{"type":"rate_card","id":"d34ea241-d49d-8de8-ba9a-b6da23487dde","org":null,"effective_from":"1970-01-01T00:00:00.000000Z","cpu_microcents":10000,"memory_gb_microcents":5000,"disk_gb_microcents":100,"name":"Standard","created_at":"2026-06-01T00:00:00.000002Z"}`,
	`{"type":"rate_card","id":"ef04df0e-3143-8d5c-b2fa-91d0e1197080","org":"acme","cpu_count":2,"memory_gb":4,"disk_gb":20,"label_key":"os","label_value":"mac","effective_from":"2026-06-02T00:00:00.000000Z","cpu_microcents":11000,"memory_gb_microcents":5000,"disk_gb_microcents":100,"name":"Macs \"M4\"","created_at":"2026-06-01T00:00:00.000003Z","idempotency_key":"macs"}`,
	`{"type":"lease","org":"acme","lease_id":"0189a2b3-c4d5-7ef0-8123-000000000011","job_id":"0189a2b3-c4d5-7ef0-8123-000000000021","job_name":"Unit \"Tests\" <1>","step_key":"unit","vm_handle":"vm-1","build_id":"0189a2b3-c4d5-7ef0-8123-000000000031","build_number":7,"build_external_id":"x","pipeline_id":"0189a2b3-c4d5-7ef0-8123-000000000041","pipeline_name":"API","pipeline_slug":"api","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:00.000000Z","finished_at":"2026-06-06T10:05:00.500000Z","duration_seconds":300,"amount_cents":-13,"labels":{"os":"mac","team/x":"ü \"q\""},"author":"mara","card_id":"ef04df0e-3143-8d5c-b2fa-91d0e1197080"}`,
	`{"type":"lease","org":"acme","lease_id":"0189a2b3-c4d5-7ef0-8123-000000000012","job_id":null,"job_name":null,"step_key":null,"vm_handle":null,"build_id":null,"build_number":null,"build_external_id":null,"pipeline_id":null,"pipeline_name":null,"pipeline_slug":null,"cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-06T10:00:00.000001Z","finished_at":null,"duration_seconds":null}`,
	`{"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000051","org":"acme","amount_cents":100000000000000000,"source":"stripe_topup","description":null,"created_at":"2026-06-05T00:00:00.000000Z","lease_id":null}`,
	`{"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000050","org":"acme","amount_cents":-13,"source":"vm_lease_debit","description":"VM","created_at":"2026-06-06T10:05:00.600000Z","lease_id":"0189a2b3-c4d5-7ef0-8123-000000000011"}`,
	`{"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000052","org":"acme","amount_cents":5,"source":"refund","description":"","created_at":"2026-06-06T10:05:00.600000Z","lease_id":null,"idempotency_key":"key"}`,
	`{"type":"head","org":"acme","seq":3,"digest":"c651da5e4c709c65515659b055aeafa30da7099eaf6ee1084a49d25dda475a2e"}`,
)

func TestExportWritesWhatImportReads(t *testing.T) {
	s := open(t)
	same(t, "the export of nothing", "", export(t, s))
	summary := loadGood(t, s, books)
	if d := cmp.Diff(transfer.Summary{
		Organizations: transfer.Count{New: 2}, Tokens: transfer.Count{New: 2}, RateCards: transfer.Count{New: 2},
		Leases: transfer.Count{New: 2}, Entries: transfer.Count{New: 3},
	}, summary); d != "" {
		t.Error(d)
	}
	same(t, "the export", books, export(t, s))
	if h := head(t, s, "acme"); h.Seq != 3 || h.BalanceCents != 100_000_000_000_000_000-8 {
		t.Errorf("the head is %+v", h)
	}

	// An export of an earlier version has no heads.
	withoutHeads, _, _ := strings.Cut(books, `{"type":"head"`)
	again := loadGood(t, s, withoutHeads)
	if d := cmp.Diff(transfer.Summary{
		Organizations: transfer.Count{Known: 2}, Tokens: transfer.Count{Known: 2}, RateCards: transfer.Count{Known: 2}, Leases: transfer.Count{Known: 2}, Entries: transfer.Count{Known: 3},
	}, again); d != "" {
		t.Error(d)
	}
	same(t, "the export after importing once more", books, export(t, s))
}

// A debit without a lease is history of another system: it is taken over, exported and known again.
func TestDebitsOfAnotherSystem(t *testing.T) {
	s := open(t)
	history := lines(
		`{"type":"organization","slug":"acme","name":"acme","id":"0189a2b3-c4d5-7ef0-8123-000000000001","created_at":"2026-06-01T00:00:00.000000Z"}`,
		`{"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000061","org":"acme","amount_cents":100,"source":"stripe_topup","description":null,"created_at":"2026-06-05T00:00:00.000000Z","lease_id":null}`,
		`{"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000062","org":"acme","amount_cents":-30,"source":"vm_lease_debit","description":"May","created_at":"2026-06-06T00:00:00.000000Z","lease_id":null}`,
		`{"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000063","org":"acme","amount_cents":0,"source":"vm_lease_debit","description":null,"created_at":"2026-06-06T00:00:00.000000Z","lease_id":null}`,
		`{"type":"head","org":"acme","seq":3,"digest":"c02c200204cbc176ad18acc153d3cdb8290c44c6e2c6751ff5526762be9af23f"}`,
	)
	loadGood(t, s, history)
	same(t, "the export", history, export(t, s))
	if again := loadGood(t, s, history); again.Entries.New != 0 || again.Entries.Known != 3 {
		t.Errorf("the same import again did %+v", again)
	}
	if h := head(t, s, "acme"); h.Seq != 3 || h.BalanceCents != 70 {
		t.Errorf("the head is %+v", h)
	}
}

// use fills books the way they are filled in use.
func use(t *testing.T, s *service) {
	t.Helper()
	must(t, s.EnsureRateCard(t.Context(), nil))
	for _, slug := range []string{"acme", "Globex", "empty"} {
		must(t, s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: slug, Name: "The " + slug, CreatedAt: 5}))
	}
	for i, token := range []billing.Token{
		{Name: "ci", Role: billing.RoleWrite, Organizations: []string{"acme", "Globex"}},
		{Name: "ops", Role: billing.RoleAdmin, Organizations: []string{"empty"}, ExpiresAt: new(billing.Time(1 << 50))},
		{Name: "old", Role: billing.RoleRead, Organizations: []string{"acme"}},
	} {
		token.Hash, token.CreatedAt = billing.TokenHash{byte(i)}, billing.Time(i/2)
		must(t, s.CreateToken(t.Context(), token))
	}
	must(t, s.RevokeToken(t.Context(), billing.TokenHash{2}, 77))
	for _, slug := range []string{"acme", "Globex"} {
		org, err := s.OrganizationBySlug(t.Context(), slug)
		must(t, err)
		for i := range 20 {
			var leases []billing.Lease
			for j := range 5 {
				start := 20_000*billing.Day + billing.Time(i*i*(j+1))*17*60*billing.Second + billing.Time(j)
				l := billing.Lease{
					JobID: new(billing.NewID()), JobName: new("“Tests”\t\\ " + fmt.Sprint(i)), CPUCount: 2, MemoryGB: 4, DiskGB: 20,
					StartedAt: start, FinishedAt: new(start + billing.Time(i*100)*billing.Second + billing.Time(i)),
				}
				if j == 3 {
					l.ID, l.JobID = new(billing.NewID()), nil
				}
				if j == 4 && i%2 == 0 {
					l.FinishedAt = nil
				}
				leases = append(leases, l)
			}
			_, err := s.RecordLeases(t.Context(), org.ID, leases)
			must(t, err)
			must(t, s.PostCredit(t.Context(), org.ID, &billing.PostCredit{
				AmountCents: int64(i) + 1, Source: billing.SourceRefund, Description: new("Sorry, “you”"), IdempotencyKey: fmt.Sprintf("%s/%d", slug, i),
			}))
		}
	}
}

func TestMove(t *testing.T) {
	from, to := open(t), open(t)
	use(t, from)
	text := export(t, from)
	if n := strings.Count(text, "\n"); n != 3+3+1+2*20*(5+5+1)-2*10+2 {
		t.Fatalf("the export has %d lines", n)
	}
	loadGood(t, to, text)
	same(t, "the books after the move", text, export(t, to))

	window := billing.Window{From: 0, To: 30_000 * billing.Day}
	for _, slug := range []string{"acme", "Globex", "empty"} {
		if a, b := head(t, from, slug), head(t, to, slug); a != b {
			t.Errorf("%s: the head was %+v and is %+v", slug, a, b)
		}
		org, err := to.OrganizationBySlug(t.Context(), slug)
		must(t, err)
		before, err := from.UsageSeries(t.Context(), org.ID, window)
		must(t, err)
		after, err := to.UsageSeries(t.Context(), org.ID, window)
		must(t, err)
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%s: the usage has changed:\n%s", slug, d)
		}
	}
	for what, s := range map[string]*service{"the old": from, "the new": to} {
		if summary := loadGood(t, s, text); summary.Leases.New+summary.Entries.New+summary.Tokens.New+summary.Organizations.New > 0 {
			t.Errorf("%s books learn something: %+v", what, summary)
		}
		same(t, what+" books after importing once more", text, export(t, s))
	}

	// After the move, repeated requests are recognized, and new entries follow the last entry of the old ledger.
	org, err := to.OrganizationBySlug(t.Context(), "acme")
	must(t, err)
	credit := billing.PostCredit{AmountCents: 1, Source: billing.SourceRefund, Description: new("Sorry, “you”"), IdempotencyKey: "acme/0"}
	must(t, to.PostCredit(t.Context(), org.ID, &credit))
	if !credit.Replayed {
		t.Error("a credit that was posted before the move was posted again")
	}
	credit.AmountCents++
	if err := to.PostCredit(t.Context(), org.ID, &credit); !errors.Is(err, billing.ErrKeyReused) {
		t.Errorf("its key with another amount gives %v", err)
	}
	same(t, "the books after that", text, export(t, to))
	credit.IdempotencyKey = "new"
	must(t, to.PostCredit(t.Context(), org.ID, &credit))
	if want := head(t, from, "acme").Seq + 1; credit.Entry.Seq != want {
		t.Errorf("a new entry has the seq %d; want %d", credit.Entry.Seq, want)
	}
	if _, err := to.Authenticate(t.Context(), billing.TokenHash{2}, "acme"); !errors.Is(err, billing.ErrUnauthorized) {
		t.Errorf("a token that was revoked before the move gives %v", err)
	}
}

// Leases that are not billed yet are billed as if they were recorded, and credits are posted under their keys.
func TestImportBills(t *testing.T) {
	const (
		// 300 seconds, two organizations without a record, and lines without a type.
		job    = `{"org":"acme","job_id":"0189A2B3-c4d5-7ef0-8123-000000000021","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06","finished_at":"2026-06-06T00:05:00.9+00:00"}`
		begun  = `{"type":"lease","org":"globex","lease_id":"0189a2b3-c4d5-7ef0-8123-000000000011","job_id":null,"cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T00:00:00Z"}`
		ended  = `{"org":"globex","lease_id":"0189a2b3-c4d5-7ef0-8123-000000000011","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T00:00:00Z","finished_at":"2026-06-06T01:00:00Z"}`
		credit = `{"org":"acme","amount_cents":500,"source":"admin_grant","description":"Welcome","idempotency_key":"key"}`
	)
	s := open(t)
	summary := loadGood(t, s, lines(job, begun, credit, ended, credit, job))
	if d := cmp.Diff(transfer.Summary{
		Leases: transfer.Count{New: 3, Known: 1}, Credits: transfer.Count{New: 1, Known: 1}, Created: []string{"acme", "globex"},
	}, summary); d != "" {
		t.Error(d)
	}
	if h := head(t, s, "acme"); h.Seq != 2 || h.BalanceCents != 500-12 {
		t.Errorf("acme's head is %+v", h)
	}
	if h := head(t, s, "globex"); h.Seq != 1 || h.BalanceCents != -151 {
		t.Errorf("globex's head is %+v", h)
	}
	text := export(t, s)
	summary = loadGood(t, s, lines(job, ended, credit))
	if d := cmp.Diff(transfer.Summary{Leases: transfer.Count{Known: 2}, Credits: transfer.Count{Known: 1}}, summary); d != "" {
		t.Error(d)
	}
	same(t, "the books after importing once more", text, export(t, s))

	// The files that books were made of change nothing where these books were moved to.
	moved := open(t)
	loadGood(t, moved, text)
	summary = loadGood(t, moved, lines(credit, job, ended))
	if d := cmp.Diff(transfer.Summary{Leases: transfer.Count{Known: 2}, Credits: transfer.Count{Known: 1}}, summary); d != "" {
		t.Error(d)
	}
	same(t, "the moved books", text, export(t, moved))
}

// A bad line is reported with its number, and neither the line before nor the one after suffers.
func TestBadLines(t *testing.T) {
	const (
		lease = `"lease_id":"0189a2b3-c4d5-7ef0-8123-000000000099","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T00:00:00Z"`
		entry = `"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000099","org":"acme","source":"refund","created_at":"2026-06-07T00:00:00Z"`
		token = `"type":"token","name":"new","role":"read","created_at":"2026-06-07T00:00:00Z"`
		hash  = `"sha256":"aa01010101010101010101010101010101010101010101010101010101010101"`
	)
	s := open(t)
	// Room for another credit before the balance overflows.
	before := strings.NewReplacer("100000000000000000", "5000",
		"c651da5e4c709c65515659b055aeafa30da7099eaf6ee1084a49d25dda475a2e", "c6e7fec658780d4717fbf0e79f4f554878e691870326c1754de919b07090b18c").Replace(books)
	loadGood(t, s, before)
	for _, c := range []struct{ name, line, says string }{
		{"no JSON", `hello`, "is not a JSON object"},
		{"half an object", `{"type":"credit"`, "unexpected EOF"},
		{"two objects", `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x"} {}`, "after top-level value"},
		{"a list", `[{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x"}]`, "is not a JSON object"},
		{"null", `null`, "is not a JSON object"},
		{"a number", `1`, "is not a JSON object"},
		{"an empty object", `{}`, "has no type"},
		{"an unknown type", `{"type":"invoice"}`, `"invoice" is not a type of record`},
		{"a type in capitals", `{"type":"Credit","org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x"}`, `"Credit" is not`},
		{"a type that is no text", `{"type":1}`, "type: must be a string"},
		{"a type of null", `{"type":null,"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x"}`, "type: must be a string"},
		{"two types", `{"type":"lease","type":"credit","org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x"}`, "type: comes twice"},
		{"bad UTF-8", `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"` + "\xff" + `"}`, "invalid UTF-8"},
		{"half a surrogate pair", `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"\ud800"}`, "surrogate"},
		{"a NUL", `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"a\u0000"}`, "NUL"},

		{"an unknown key", `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x","note":""}`, ": is not a known key"},
		{"an unknown key of null", `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x","note":null}`, ": is not a known key"},
		{"a key of another type", `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"x","lease_id":null}`, ": is not a known key"},
		{"a key twice", `{"org":"acme","amount_cents":1,"amount_cents":1,"source":"refund","idempotency_key":"x"}`, "amount_cents: comes twice"},
		{"a key twice, once in capitals", `{"org":"acme","amount_cents":5,"AMOUNT_CENTS":-100,"source":"refund","idempotency_key":"x"}`, ": is not a known key"},
		{"a key in capitals", `{"type":"credit","org":"acme","Amount_Cents":1,"source":"refund","idempotency_key":"x"}`, ": is not a known key"},
		{"a key twice, once escaped", `{"org":"acme","amount_cents":5,"amount\u005fcents":1,"source":"refund","idempotency_key":"x"}`, "amount_cents: comes twice"},

		{"no organization", `{"amount_cents":1,"source":"refund","idempotency_key":"x"}`, "org is required"},
		{"an organization of null", `{"org":null,"amount_cents":1,"source":"refund","idempotency_key":"x"}`, "org is required"},
		{"a bad organization", `{"org":"a b","amount_cents":1,"source":"refund","idempotency_key":"x"}`, `the slug "a b"`},

		{"a fraction", `{"org":"acme","amount_cents":1.5,"source":"refund","idempotency_key":"x"}`, "amount_cents: must"},
		{"an exponent", `{"org":"acme","amount_cents":1e2,"source":"refund","idempotency_key":"x"}`, "amount_cents: must"},
		{"an amount as text", `{"org":"acme","amount_cents":"1","source":"refund","idempotency_key":"x"}`, "amount_cents: must"},
		{"an amount above an int64", `{"org":"acme","amount_cents":9223372036854775808,"source":"refund","idempotency_key":"x"}`, "amount_cents: must"},
		{"a negative credit", `{"org":"acme","amount_cents":-1,"source":"refund","idempotency_key":"x"}`, "amount_cents must be"},
		{"a credit of null", `{"org":"acme","amount_cents":null,"source":"refund","idempotency_key":"x"}`, "amount_cents must be"},
		{"a credit without a key", `{"org":"acme","amount_cents":1,"source":"refund"}`, "idempotency key"},
		{"a credit from nowhere", `{"org":"acme","amount_cents":1,"idempotency_key":"x"}`, "source must be"},
		{"a used key", `{"org":"acme","amount_cents":6,"source":"refund","description":"","idempotency_key":"key"}`, "used with another body"},

		{"a lease without ids", `{"org":"acme","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T00:00:00Z"}`, "job_id or lease_id is required"},
		{"a lease without a start", `{"org":"acme","lease_id":"0189a2b3-c4d5-7ef0-8123-000000000099","cpu_count":2,"memory_gb":4,"disk_gb":20}`, "started_at is required"},
		{"a lease of nothing", `{"org":"acme",` + strings.Replace(lease, `"cpu_count":2`, `"cpu_count":0`, 1) + `}`, "cpu_count must be"},
		{"a count of null", `{"org":"acme",` + strings.Replace(lease, `"cpu_count":2`, `"cpu_count":null`, 1) + `}`, "cpu_count must be"},
		{"a bad id", `{"org":"acme",` + lease + `,"job_id":"x"}`, `"x" is not a UUID`},
		{"an id that is no text", `{"org":"acme",` + lease + `,"job_id":7}`, "must be a string"},
		{"a bad time", `{"org":"acme",` + lease + `,"finished_at":"2026-06-31T00:00:00Z"}`, "does not exist"},
		{"a time that is no text", `{"org":"acme",` + lease + `,"finished_at":1780740000}`, "must be a string"},
		{"an end before the start", `{"org":"acme",` + lease + `,"finished_at":"2026-06-05T00:00:00Z"}`, "finished_at must not be before"},
		{"a lease billed before it ends", `{"org":"acme",` + lease + `,"amount_cents":-5}`, "finished_at is not"},
		{"a lease that earns", `{"org":"acme",` + lease + `,"finished_at":"2026-06-07T00:00:00Z","amount_cents":5}`, "amount_cents of a lease is a debit and must be"},
		{"a billed lease with other contents", `{"org":"acme","job_id":"0189a2b3-c4d5-7ef0-8123-000000000021","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T00:00:00Z","finished_at":"2026-06-06T00:05:00Z"}`, "was recorded with another value of started_at"},
		{"a card of an organization with another id", strings.Replace(strings.Split(books, "\n")[5], `"org":"acme"`, `"org":"globex"`, 1), "or the organization had another id there"},
		{"a card with other prices", strings.Replace(strings.Split(books, "\n")[4], "10000", "10001", 1), "the id is not that of a card with these contents"},
		{"a job under another lease", `{"org":"acme",` + lease + `,"job_id":"0189a2b3-c4d5-7ef0-8123-000000000021"}`, "is recorded as lease"},

		{"an entry without an id", `{"type":"entry","org":"acme","amount_cents":5,"source":"refund","created_at":"2026-06-07T00:00:00Z"}`, "id is required"},
		{"an entry without a date", `{"type":"entry","id":"0189a2b3-c4d5-7ef0-8123-000000000099","org":"acme","amount_cents":5,"source":"refund"}`, "created_at is required"},
		{"an entry without an amount", `{` + entry + `}`, "amount_cents is required"},
		{"an entry with an amount of null", `{` + entry + `,"amount_cents":null}`, "amount_cents is required"},
		{"an entry with a seq", `{` + entry + `,"amount_cents":5,"seq":9}`, ": is not a known key"},
		{"an entry with an empty key", `{` + entry + `,"amount_cents":5,"":9}`, ": is not a known key"},
		{"an organization with an empty key", `{"type":"organization","slug":"new","name":"New","":9}`, ": is not a known key"},
		{"an entry that goes back in time", `{` + strings.Replace(entry, "2026-06-07", "2026-06-05", 1) + `,"amount_cents":5}`, "created_at is before the newest entry's, 2026-06-06T10:05:00.600000Z"},
		{"an entry known with another amount", `{` + strings.Replace(entry, "000000000099", "000000000052", 1) + `,"amount_cents":6}`, "other contents"},
		{"an entry with a used key", `{` + entry + `,"amount_cents":5,"idempotency_key":"key"}`, "belongs to another entry"},
		{"too large an entry", `{` + entry + `,"amount_cents":9223372036854775807}`, "amount_cents must be -100000000000000000 to 100000000000000000"},
		{"an entry of the year 9999", `{` + strings.Replace(entry, "2026", "9999", 1) + `,"amount_cents":5}`, "created_at must not be more than 600 seconds ahead"},
		{"a credit that takes", `{` + entry + `,"amount_cents":-5}`, "must be above 0"},
		{"a credit with a lease", `{` + entry + `,"amount_cents":5,"lease_id":"0189a2b3-c4d5-7ef0-8123-000000000011"}`, "lease_id must be null for a credit"},
		{"a debit of an unknown lease", `{` + strings.Replace(entry, "refund", "vm_lease_debit", 1) + `,"amount_cents":-5,"lease_id":"0189a2b3-c4d5-7ef0-8123-000000000077"}`, "is not recorded as billed"},
		{"a debit of a running lease", `{` + strings.Replace(entry, "refund", "vm_lease_debit", 1) + `,"amount_cents":-5,"lease_id":"0189a2b3-c4d5-7ef0-8123-000000000012"}`, "is not recorded as billed"},
		{"a second debit", `{` + strings.Replace(entry, "refund", "vm_lease_debit", 1) + `,"amount_cents":-13,"lease_id":"0189a2b3-c4d5-7ef0-8123-000000000011"}`, "is debited by entry 0189a2b3-c4d5-7ef0-8123-000000000050"},

		{"an organization known by another id", `{"type":"organization","slug":"acme","name":"Ácme 🏗","id":"0189a2b3-c4d5-7ef0-8123-000000000009"}`, "another id, name or time"},
		{"an organization known by another name", `{"type":"organization","slug":"acme","name":"Acme"}`, "another id, name or time"},
		{"an organization known from another time", `{"type":"organization","slug":"acme","name":"Ácme 🏗","created_at":"2026-06-02"}`, "another id, name or time"},
		{"an id known by another slug", `{"type":"organization","slug":"new","name":"New","id":"0189a2b3-c4d5-7ef0-8123-000000000001"}`, "exists"},
		{"an organization without a name", `{"type":"organization","slug":"new"}`, "name must have"},
		{"an organization without a slug", `{"type":"organization","name":"New"}`, "the slug"},

		{"a head of other entries", `{"type":"head","org":"acme","seq":2,"digest":"c651da5e4c709c65515659b055aeafa30da7099eaf6ee1084a49d25dda475a2e"}`, "entry 2 is not the one that was exported: its digest is"},
		{"a head of an entry that is missing", `{"type":"head","org":"acme","seq":4,"digest":"c651da5e4c709c65515659b055aeafa30da7099eaf6ee1084a49d25dda475a2e"}`, "has no entry 4"},
		{"a head without a digest", `{"type":"head","org":"acme","seq":3}`, "digest is required"},
		{"a head with half a digest", `{"type":"head","org":"acme","seq":3,"digest":"cc8c5b45"}`, "64 hexadecimal digits"},
		{"a head of an unknown organization", `{"type":"head","org":"nobody","seq":3,"digest":"c651da5e4c709c65515659b055aeafa30da7099eaf6ee1084a49d25dda475a2e"}`, `no organization "nobody"`},

		{"a token without a hash", `{` + token + `,"organizations":["acme"]}`, "sha256 is required"},
		{"a token with half a hash", `{` + token + `,"organizations":["acme"],"sha256":"aa01"}`, "sha256: must be 64"},
		{"a token with too much of a hash", `{` + token + `,"organizations":["acme"],` + strings.Replace(hash, `"aa`, `"aaaa`, 1) + `}`, "sha256: must be 64"},
		{"a token whose hash is none", `{` + token + `,"organizations":["acme"],` + strings.Replace(hash, `"aa`, `"zz`, 1) + `}`, "sha256: must be 64"},
		{"a token without organizations", `{` + token + `,"organizations":[],` + hash + `}`, "at least one organization"},
		{"a token of an unknown organization", `{` + token + `,"organizations":["acme","nobody"],` + hash + `}`, `no organization "nobody"`},
		{"a token that names one twice", `{` + token + `,"organizations":["acme","acme"],` + hash + `}`, "once"},
		{"a token with another role", `{` + strings.Replace(token, "read", "root", 1) + `,"organizations":["acme"],` + hash + `}`, "must be read, write or admin"},
		{"a token without a date", `{"type":"token","name":"new","role":"read","organizations":["acme"],` + hash + `}`, "created_at is required"},
		{"a token known with another role", `{"type":"token","sha256":"0101010101010101010101010101010101010101010101010101010101010101","name":"ci","role":"admin","organizations":["acme","globex"],"created_at":"2026-06-02T00:00:00Z"}`, "exists with other contents"},
		{"a revoked token that is not", `{"type":"token","sha256":"ff01010101010101010101010101010101010101010101010101010101010101","name":"old","role":"admin","organizations":["globex"],"created_at":"2026-06-03T00:00:00Z","expires_at":"2027-06-03T00:00:00Z"}`, "exists with other contents"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := head(t, s, "globex")
			good := func(key string) string {
				return fmt.Sprintf(`{"type":"credit","org":"globex","amount_cents":1,"source":"refund","idempotency_key":"%s %s"}`, key, c.name)
			}
			_, bad := load(t, s, lines(good("before"), c.line, good("after")))
			if len(bad) != 1 || !strings.HasPrefix(bad[0], "2: ") || !strings.Contains(bad[0], c.says) {
				t.Errorf("the bad lines are %q; want 2: %s", bad, c.says)
			}
			if h := head(t, s, "globex"); h.Seq != n.Seq+2 || h.BalanceCents != n.BalanceCents+2 {
				t.Errorf("the good lines have made %+v of %+v", h, n)
			}
			var rest []string
			for line := range strings.Lines(export(t, s)) {
				if !strings.Contains(line, `"org":"globex"`) {
					rest = append(rest, line)
				}
			}
			same(t, "the books beside", before, strings.Join(rest, ""))
		})
	}
}

// A token that is revoked between two copies of the books is revoked in the second.
func TestRevocationIsCarriedOver(t *testing.T) {
	s := open(t)
	loadGood(t, s, books)
	revoked := strings.Replace(books, `"role":"write","organizations":["acme","globex"],"created_at":"2026-06-02T00:00:00.000000Z","expires_at":null,"revoked_at":null`,
		`"role":"write","organizations":["acme","globex"],"created_at":"2026-06-02T00:00:00.000000Z","expires_at":null,"revoked_at":"2026-06-05T00:00:00.000000Z"`, 1)
	for range 2 {
		if summary := loadGood(t, s, revoked); summary.Tokens != (transfer.Count{Known: 2}) {
			t.Errorf("%+v", summary)
		}
		same(t, "the books with a token revoked", revoked, export(t, s))
	}
}

func TestTokensTwiceInAFile(t *testing.T) {
	token := func(hash, organizations string) string {
		return `{"type":"token","sha256":"` + strings.Repeat(hash, 32) + `","name":"ci","role":"read","organizations":[` + organizations + `],"created_at":"2026-06-02"}`
	}
	s := open(t)
	loadGood(t, s, books)
	// The order of the organizations says nothing, and a token that is new is known from then on.
	summary := loadGood(t, s, lines(
		token("aa", `"globex","acme"`), token("AA", `"globex","acme"`), token("bb", `"acme"`), token("aa", `"acme","globex"`), token("bb", `"acme"`)))
	if summary.Tokens != (transfer.Count{New: 2, Known: 3}) {
		t.Errorf("%+v", summary)
	}
}

func TestSameLeaseTwiceInAFile(t *testing.T) {
	const (
		lease = `{"org":"acme","job_id":"0189a2b3-c4d5-7ef0-8123-000000000021","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06","finished_at":"2026-06-06T00:05:00Z"}`
		other = `{"org":"acme","job_id":"0189a2b3-c4d5-7ef0-8123-000000000021","cpu_count":2,"memory_gb":4,"disk_gb":21,"started_at":"2026-06-06","finished_at":"2026-06-06T00:05:00Z"}`
	)
	s := open(t)
	summary, bad := load(t, s, lines(lease, other, lease))
	if len(bad) != 1 || !strings.HasPrefix(bad[0], "2: ") || summary.Leases != (transfer.Count{New: 1, Known: 1}) {
		t.Errorf("bad lines %q, %+v", bad, summary)
	}
	if h := head(t, s, "acme"); h.Seq != 1 || h.BalanceCents != -12 {
		t.Errorf("the head is %+v", h)
	}
}

func creditLine(key string) string {
	return `{"org":"acme","amount_cents":1,"source":"refund","idempotency_key":"` + key + `"}`
}

func TestLines(t *testing.T) {
	// padded is a line of n bytes.
	padded := func(key string, n int) string {
		line := creditLine(key)
		return line[:1] + strings.Repeat(" ", n-len(line)) + line[1:]
	}
	const mebibyte = 1 << 20
	const tooLong = "the line is longer than 1048576 bytes"
	for _, c := range []struct {
		name, text string
		credits    int64
		bad        []string
	}{
		{"nothing", "", 0, nil},
		{"blank lines", "\n\n  \n\t\r\n", 0, nil},
		{"no line feed at the end", creditLine("a") + "\n" + creditLine("b"), 2, nil},
		{"blank lines between", "\n" + creditLine("a") + "\n\n \n" + creditLine("b") + "\n\n", 2, nil},
		{"blank lines count", "\n\nx\n\n", 0, []string{"3: "}},
		{"Windows", creditLine("a") + "\r\n\r\n" + creditLine("b") + "\r\nx\r\n", 2, []string{"4: "}},
		{"spaces around", "  " + creditLine("a") + " \t\n", 1, nil},
		{"a byte order mark", "\ufeff" + creditLine("a") + "\n" + creditLine("b"), 2, nil},
		{"a byte order mark and nothing", "\ufeff", 0, nil},
		{"a byte order mark that comes late", creditLine("a") + "\n\ufeff" + creditLine("b"), 1, []string{"2: "}},
		{"two byte order marks", "\ufeff\ufeff" + creditLine("a"), 0, []string{"1: "}},
		{"the longest line", padded("a", mebibyte) + "\n" + padded("b", mebibyte), 2, nil},
		{"a line that is too long", padded("a", mebibyte+1) + "\n" + creditLine("b"), 1, []string{"1: " + tooLong}},
		{"lines that are much too long", creditLine("a") + "\n" + strings.Repeat(padded("b", 2*mebibyte+7)+"\n", 2) + creditLine("c") + "\nx\n", 2,
			[]string{"2: " + tooLong, "3: " + tooLong, "5: "}},
		{"a line that is too long at the end", creditLine("a") + "\n" + padded("b", mebibyte+1), 1, []string{"2: " + tooLong}},
		{"much too long at the end", creditLine("a") + "\n" + padded("b", 2*mebibyte+2), 1, []string{"2: " + tooLong}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			must(t, s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: "acme", Name: "acme"}))
			summary, bad := load(t, s, c.text)
			if int64(summary.Credits.New) != c.credits || head(t, s, "acme").BalanceCents != c.credits {
				t.Errorf("%+v, and the head is %+v; want %d credits", summary, head(t, s, "acme"), c.credits)
			}
			if len(bad) != len(c.bad) {
				t.Fatalf("the bad lines are %q; want %q", bad, c.bad)
			}
			for i := range bad {
				if !strings.HasPrefix(bad[i], c.bad[i]) {
					t.Errorf("a bad line is %q; want %q", bad[i], c.bad[i])
				}
			}
		})
	}
}

// Records are written many at a time; which ones share a transaction makes no difference.
func TestManyLines(t *testing.T) {
	s := open(t)
	loadGood(t, s, creditLine("before"))
	var file, want []string
	for i := 1; i <= 2500; i++ {
		switch i {
		case 1, 999, 1000, 1001, 1002, 2500:
			// Known to be bad only once it is applied.
			file = append(file, strings.Replace(creditLine("before"), ":1,", ":2,", 1))
			want = append(want, fmt.Sprintf("%d: this Idempotency-Key was used with another body", i))
		default:
			file = append(file, strings.Replace(creditLine(fmt.Sprint(i)), "acme", []string{"acme", "globex"}[i%2], 1))
		}
	}
	summary, bad := load(t, s, lines(file...))
	if d := cmp.Diff(want, bad); d != "" {
		t.Errorf("the bad lines (-want, +got):\n%s", d)
	}
	if n := 2500 - len(want); summary.Credits.New != n || head(t, s, "acme").Seq+head(t, s, "globex").Seq != int64(n)+1 {
		t.Errorf("%+v; want %d credits", summary, n)
	}
}

// An import that stops returns the reason and the line. Running it again finishes it.
func TestImportStopped(t *testing.T) {
	text := lines(creditLine("a"), "", creditLine("b"))
	options := transfer.Options{Tokens: true}

	s := open(t)
	broken := errors.New("the cable was pulled")
	summary, err := transfer.Import(t.Context(), s.Service, io.MultiReader(strings.NewReader(text+`{"org":"ac`), iotest.ErrReader(broken)), options)
	if !errors.Is(err, broken) || summary.Credits.New != 2 || summary.Bad != 0 {
		t.Errorf("a reader that fails: %+v, %v", summary, err)
	}
	if h := head(t, s, "acme"); h.BalanceCents != 2 {
		t.Errorf("the lines before it have made %+v", h)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := transfer.Import(ctx, s.Service, strings.NewReader(text+creditLine("c")), options); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a context that has ended: %v", err)
	}
	if h := head(t, s, "acme"); h.BalanceCents != 2 {
		t.Errorf("a context that has ended: %+v", h)
	}
	if summary := loadGood(t, s, text+creditLine("c")); summary.Credits != (transfer.Count{New: 1, Known: 2}) {
		t.Errorf("once more: %+v", summary)
	}

	closed := open(t)
	loadGood(t, closed, books)
	must(t, closed.store.Close())
	for name, text := range map[string]string{
		"a credit":        "\n" + creditLine("a"),
		"an organization": "\n" + `{"type":"organization","slug":"x","name":"x"}`,
		"a token":         "\n" + strings.SplitN(books, "\n", 4)[2],
	} {
		summary, err := transfer.Import(t.Context(), closed.Service, strings.NewReader(text), options)
		if !errors.Is(err, billing.ErrUnavailable) || !strings.Contains(err.Error(), "line 2") || summary.Bad != 0 {
			t.Errorf("%s for a closed store: %+v, %v", name, summary, err)
		}
	}
}

// failingWriter takes so many bytes.
type failingWriter struct{ left int }

var errFull = errors.New("the disk is full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		n := w.left
		w.left = 0
		return n, errFull
	}
	w.left -= len(b)
	return len(b), nil
}

func TestExportStopped(t *testing.T) {
	s := open(t)
	use(t, s)
	size := len(export(t, s))
	for _, room := range []int{0, 1, size / 2, size - 1} {
		if err := transfer.Export(t.Context(), s.store, &failingWriter{room}); !errors.Is(err, errFull) {
			t.Errorf("with room for %d of %d bytes: %v", room, size, err)
		}
	}
	must(t, transfer.Export(t.Context(), s.store, &failingWriter{size}))
}

// endless is a line without an end. After a while it ends the context.
type endless struct {
	left int
	end  context.CancelFunc
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left -= len(p); e.left < 0 {
		e.end()
	}
	if e.left < -1<<30 {
		return 0, errors.New("it reads on after its context has ended")
	}
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// An import ends with its context, also in the middle of a line that has no end.
func TestImportOfAnEndlessLineEnds(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := transfer.Import(ctx, s.Service, &endless{left: 8 << 20, end: cancel}, transfer.Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
