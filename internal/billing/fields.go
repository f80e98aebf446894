package billing

// Field describes one stored value of a T. Statements, exports and fingerprints go through the fields of a T in their order, so that a
// new value is described in one place.
type Field[T any] struct {
	// Name is the name of the column, and of the key in an export unless Key says otherwise.
	Name string
	// Of returns a pointer to the value. It is a *int64, *Time, *string, *Source, *Role, *ID, *TokenHash or *Digest, or a **int64,
	// **Time, **string or **ID if the value may be unknown.
	Of func(*T) any

	Key        string // in an export, if it differs from the name
	Unexported bool   // an export does not have it, because an import computes it
	Computed   bool   // it follows from other values, so a fingerprint does not include it
	Later      bool   // a fingerprint includes it only if it is known, so that books without it keep theirs
	OmitNull   bool   // an export has it only if it is known

	JSON      bool // the value is the JSON that FormatLabels returns, which an export has as an object
	Fill      bool // a report about a running lease may add it if it is unknown
	MaxLength int  // of a text, in characters; 0 if it is checked elsewhere
}

// ExportKey is the name of the field in an export, empty where it is not exported.
func (f *Field[T]) ExportKey() string {
	switch {
	case f.Unexported:
		return ""
	case f.Key != "":
		return f.Key
	}
	return f.Name
}

// Known returns a pointer to the value: a *int64, *Time, *string, *Source, *Role, *ID, *TokenHash or *Digest, or nil where it is
// unknown.
func (f *Field[T]) Known(of *T) any {
	switch v := f.Of(of).(type) {
	case **int64:
		return orNil(*v)
	case **Time:
		return orNil(*v)
	case **string:
		return orNil(*v)
	case **ID:
		return orNil(*v)
	case *Digest:
		if *v == (Digest{}) {
			return nil
		}
		return v
	default:
		return v
	}
}

func orNil[V any](v *V) any {
	if v == nil {
		return nil
	}
	return v
}

// LeaseFields are the fields of a lease. Their order is that of a lease in digests, so new fields are added at the end.
var LeaseFields = []Field[Lease]{
	{Name: "lease_id", Of: func(l *Lease) any { return &l.ID }},
	{Name: "job_id", Of: func(l *Lease) any { return &l.JobID }},
	{Name: "job_name", Of: func(l *Lease) any { return &l.JobName }, Fill: true, MaxLength: LeaseJobNameMaxLength},
	{Name: "step_key", Of: func(l *Lease) any { return &l.StepKey }, Fill: true, MaxLength: LeaseStepKeyMaxLength},
	{Name: "vm_handle", Of: func(l *Lease) any { return &l.VMHandle }, Fill: true, MaxLength: LeaseVMHandleMaxLength},
	{Name: "build_id", Of: func(l *Lease) any { return &l.BuildID }, Fill: true},
	{Name: "build_number", Of: func(l *Lease) any { return &l.BuildNumber }, Fill: true},
	{Name: "build_external_id", Of: func(l *Lease) any { return &l.BuildExternalID }, Fill: true},
	{Name: "pipeline_id", Of: func(l *Lease) any { return &l.PipelineID }, Fill: true},
	{Name: "pipeline_name", Of: func(l *Lease) any { return &l.PipelineName }, Fill: true, MaxLength: LeasePipelineNameMaxLength},
	{Name: "pipeline_slug", Of: func(l *Lease) any { return &l.PipelineSlug }, Fill: true, MaxLength: LeasePipelineSlugMaxLength},
	{Name: "cpu_count", Of: func(l *Lease) any { return &l.CPUCount }},
	{Name: "memory_gb", Of: func(l *Lease) any { return &l.MemoryGB }},
	{Name: "disk_gb", Of: func(l *Lease) any { return &l.DiskGB }},
	{Name: "started_at", Of: func(l *Lease) any { return &l.StartedAt }},
	{Name: "finished_at", Of: func(l *Lease) any { return &l.FinishedAt }},
	{Name: "duration_seconds", Of: func(l *Lease) any { return &l.DurationSeconds }},
	{Name: "amount_cents", Of: func(l *Lease) any { return &l.AmountCents }, OmitNull: true},
	{Name: "labels", Of: func(l *Lease) any { return &l.Labels }, OmitNull: true, Later: true, JSON: true, Fill: true},
	{Name: "author", Of: func(l *Lease) any { return &l.Author }, OmitNull: true, Later: true, Fill: true, MaxLength: LeaseAuthorMaxLength},
	{Name: "card_id", Of: func(l *Lease) any { return &l.CardID }, OmitNull: true, Later: true},
}

// EntryFields are the fields of a ledger entry. Their order is that of an entry in digests, so new fields are added at the end, before the
// digest, which is not part of itself.
var EntryFields = []Field[Entry]{
	{Name: "seq", Of: func(e *Entry) any { return &e.Seq }, Unexported: true},
	{Name: "entry_id", Of: func(e *Entry) any { return &e.ID }, Key: "id"},
	{Name: "amount_cents", Of: func(e *Entry) any { return &e.AmountCents }},
	{Name: "balance_after_cents", Of: func(e *Entry) any { return &e.BalanceAfterCents }, Unexported: true, Computed: true},
	{Name: "source", Of: func(e *Entry) any { return &e.Source }},
	{Name: "description", Of: func(e *Entry) any { return &e.Description }},
	{Name: "created_at", Of: func(e *Entry) any { return &e.CreatedAt }},
	{Name: "lease_id", Of: func(e *Entry) any { return &e.LeaseID }},
	// It is exported so that a credit that is sent again after a move is still known.
	{Name: "idempotency_key", Of: func(e *Entry) any { return &e.IdempotencyKey }, OmitNull: true},
	{Name: "author", Of: func(e *Entry) any { return &e.Author }, OmitNull: true, Later: true},
	{Name: "digest", Of: func(e *Entry) any { return &e.Digest }, Unexported: true, Computed: true},
}

// OrganizationFields are the fields of an organization. Their order is that of an organization in digests, so new fields are added at
// the end.
var OrganizationFields = []Field[Organization]{
	{Name: "slug", Of: func(o *Organization) any { return &o.Slug }},
	{Name: "name", Of: func(o *Organization) any { return &o.Name }},
	{Name: "org_id", Of: func(o *Organization) any { return &o.ID }, Key: "id"},
	{Name: "created_at", Of: func(o *Organization) any { return &o.CreatedAt }},
}

// TokenFields are the fields of a token, without its organizations.
var TokenFields = []Field[Token]{
	{Name: "sha256", Of: func(t *Token) any { return &t.Hash }},
	{Name: "name", Of: func(t *Token) any { return &t.Name }},
	{Name: "role", Of: func(t *Token) any { return &t.Role }},
	{Name: "created_at", Of: func(t *Token) any { return &t.CreatedAt }},
	{Name: "expires_at", Of: func(t *Token) any { return &t.ExpiresAt }},
	{Name: "revoked_at", Of: func(t *Token) any { return &t.RevokedAt }},
}

// RateCardFields are the fields of a rate card. Those after the first three are, in this order, what the id of a card is made of, so new
// fields are added at the end.
var RateCardFields = []Field[RateCard]{
	{Name: "card_id", Of: func(c *RateCard) any { return &c.ID }, Key: "id"},
	{Name: "seq", Of: func(c *RateCard) any { return &c.Seq }, Unexported: true},
	{Name: "imported_at", Of: func(c *RateCard) any { return &c.ImportedAt }, OmitNull: true},
	{Name: "org_id", Of: func(c *RateCard) any { return &c.OrgID }, Unexported: true},
	{Name: "cpu_count", Of: func(c *RateCard) any { return &c.CPUCount }, OmitNull: true},
	{Name: "memory_gb", Of: func(c *RateCard) any { return &c.MemoryGB }, OmitNull: true},
	{Name: "disk_gb", Of: func(c *RateCard) any { return &c.DiskGB }, OmitNull: true},
	{Name: "label_key", Of: func(c *RateCard) any { return &c.LabelKey }, OmitNull: true},
	{Name: "label_value", Of: func(c *RateCard) any { return &c.LabelValue }, OmitNull: true},
	{Name: "effective_from", Of: func(c *RateCard) any { return &c.EffectiveFrom }},
	{Name: "cpu_microcents", Of: func(c *RateCard) any { return &c.CPUMicrocents }},
	{Name: "memory_gb_microcents", Of: func(c *RateCard) any { return &c.MemoryGBMicrocents }},
	{Name: "disk_gb_microcents", Of: func(c *RateCard) any { return &c.DiskGBMicrocents }},
	{Name: "name", Of: func(c *RateCard) any { return &c.Name }},
	{Name: "created_at", Of: func(c *RateCard) any { return &c.CreatedAt }},
	{Name: "idempotency_key", Of: func(c *RateCard) any { return &c.IdempotencyKey }, OmitNull: true},
}

// UsageFields are the fields of a sum of usage.
var UsageFields = []Field[Usage]{
	{Name: "cpu_seconds", Of: func(u *Usage) any { return &u.CPUSeconds }},
	{Name: "memory_gb_seconds", Of: func(u *Usage) any { return &u.MemoryGBSeconds }},
	{Name: "disk_gb_seconds", Of: func(u *Usage) any { return &u.DiskGBSeconds }},
	{Name: "total_cents", Of: func(u *Usage) any { return &u.Cents }},
}

// HeadFields are the fields of the head of a ledger.
var HeadFields = append([]Field[Head]{
	{Name: "seq", Of: func(h *Head) any { return &h.Seq }},
	{Name: "balance_cents", Of: func(h *Head) any { return &h.BalanceCents }},
	{Name: "last_at", Of: func(h *Head) any { return &h.LastAt }},
	{Name: "digest", Of: func(h *Head) any { return &h.Digest }},
}, within(UsageFields, func(h *Head) *Usage { return &h.Lifetime })...)

// SumFields are the fields of the sum of a period.
var SumFields = append([]Field[PeriodUsage]{
	{Name: "span", Of: func(s *PeriodUsage) any { return &s.Span }},
	{Name: "start_at", Of: func(s *PeriodUsage) any { return &s.Start }},
}, within(UsageFields, func(s *PeriodUsage) *Usage { return &s.Usage })...)

// GroupValueFields are the fields of a value that leases are grouped by.
var GroupValueFields = []Field[GroupValue]{
	{Name: "grouped_by", Of: func(v *GroupValue) any { return (*string)(&v.Grouping) }},
	{Name: "number", Of: func(v *GroupValue) any { return &v.Number }},
	{Name: "value", Of: func(v *GroupValue) any { return &v.Value }},
	{Name: "name", Of: func(v *GroupValue) any { return &v.Name }},
}

// GroupSumFields are the fields of the sum of a group in a period.
var GroupSumFields = append([]Field[GroupSum]{
	{Name: "grouped_by", Of: func(s *GroupSum) any { return (*string)(&s.Grouping) }},
	{Name: "span", Of: func(s *GroupSum) any { return (*string)(&s.Span) }},
	{Name: "start_at", Of: func(s *GroupSum) any { return &s.Start }},
	{Name: "number", Of: func(s *GroupSum) any { return &s.Number }},
	{Name: "lease_count", Of: func(s *GroupSum) any { return &s.Leases }},
}, within(UsageFields, func(s *GroupSum) *Usage { return &s.Usage })...)

// within turns the fields of a T into fields of a U that contains a T.
func within[T, U any](fields []Field[T], part func(*U) *T) []Field[U] {
	outer := make([]Field[U], len(fields))
	for i, f := range fields {
		outer[i] = Field[U]{Name: f.Name, Of: func(u *U) any { return f.Of(part(u)) }}
	}
	return outer
}
