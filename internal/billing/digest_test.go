package billing

import (
	"testing"
)

// The digests of fixed records were computed by another program, from docs/ledger.md alone. They may never change: books hold such digests,
// and people have noted them. Where this test fails after a field was added, the field is not at the end of its list.
func TestDigestsAreFixed(t *testing.T) {
	id := func(n byte) ID { return ID{0x01, 0x97, 6: 0x70, 8: 0x80, 15: n} }
	org := Organization{ID: id(1), Slug: "acme", Name: "Acmé, Inc.", CreatedAt: 1_780_000_000_000_000}
	lease := Lease{
		ID: new(id(2)), JobID: new(id(3)), JobName: new("test ✓"), BuildNumber: new(int64(17)), CPUCount: 2, MemoryGB: 4, DiskGB: 20,
		StartedAt: 1_780_000_001_000_000, FinishedAt: new(Time(1_780_000_301_000_000)), DurationSeconds: new(int64(300)), AmountCents: new(int64(-12)),
	}
	credit := Entry{
		Seq: 1, ID: id(4), AmountCents: 10_000, BalanceAfterCents: 10_000, Source: SourceAdminGrant, Description: new("Welcome ☕"),
		CreatedAt: 1_780_000_000_500_000, IdempotencyKey: new("welcome"),
	}
	debit := Entry{
		Seq: 2, ID: id(5), AmountCents: -12, BalanceAfterCents: 9_988, Source: SourceVMLeaseDebit, CreatedAt: 1_780_000_301_000_000, LeaseID: new(id(2)),
	}
	empty := org.Digest()
	first := credit.Chain(empty, org.ID, nil)
	second := debit.Chain(first, org.ID, &lease)
	authored := credit
	authored.Author = new("ops")
	for _, c := range []struct {
		of   string
		got  Digest
		want string
	}{
		{"the organization", empty, "9d810c268f1c6fc4dc41c9f243d273c6db2be8efca965dc4897f8c9bb7b2f9cc"},
		{"the credit", first, "226e245d1274f8170048394612e8bbe273588d9fedf641d95541fb573186ebf6"},
		{"the credit with an author", authored.Chain(empty, org.ID, nil), "6324ab3b4e8b708978e3c285e283e5165d9bbe2c9b1c6b9f3c6a9da5cb5b811b"},
		{"the debit", second, "a9936e5cd950677ba5ce5836f902aca7c39f8aae7fb7324c76a7383373bda4aa"},
	} {
		if c.got.String() != c.want {
			t.Errorf("the digest of %s is %s, want %s", c.of, c.got, c.want)
		}
		if parsed, err := ParseDigest(c.want); err != nil || parsed != c.got {
			t.Errorf("%s is read as %s, %v", c.want, parsed, err)
		}
	}
	for _, text := range []string{"", "digest", second.String()[:63], second.String() + "0", "x" + second.String()[1:]} {
		if d, err := ParseDigest(text); err == nil {
			t.Errorf("%q is read as %s", text, d)
		}
	}
}
