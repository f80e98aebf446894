package billing

// Field describes one value of a T that is stored. What reads or writes all values of a T, such as a statement, an export or
// a fingerprint, goes through its fields in their order, so that a new value is added in one place.
type Field[T any] struct {
	// Name is the name of the column, and of the key in an export unless Key says otherwise.
	Name string
	// Of returns a pointer to the value. It is a *int64, *Time, *string, *Source, *Role, *ID or *TokenHash, or a **int64,
	// **Time, **string or **ID where the value may be unknown.
	Of func(*T) any

	Key        string // in an export, where it differs from the name
	Unexported bool   // it is not exported, since an import finds it anew
	Computed   bool   // it follows from other values, so a fingerprint leaves it out
	OmitNull   bool   // an export has it only where it is known

	Fill      bool // a report about a running lease may add it where it is unknown
	MaxLength int  // of a text, in characters; 0 where it is checked elsewhere
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

// Known returns a pointer to the value: a *int64, *Time, *string, *Source, *Role, *ID or *TokenHash, or nil where it is
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

// LeaseFields are those of a lease.
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
}

// EntryFields are those of a ledger entry.
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
}

// OrganizationFields are those of an organization.
var OrganizationFields = []Field[Organization]{
	{Name: "slug", Of: func(o *Organization) any { return &o.Slug }},
	{Name: "name", Of: func(o *Organization) any { return &o.Name }},
	{Name: "org_id", Of: func(o *Organization) any { return &o.ID }, Key: "id"},
	{Name: "created_at", Of: func(o *Organization) any { return &o.CreatedAt }},
}

// TokenFields are those of a token, but for its organizations.
var TokenFields = []Field[Token]{
	{Name: "sha256", Of: func(t *Token) any { return &t.Hash }},
	{Name: "name", Of: func(t *Token) any { return &t.Name }},
	{Name: "role", Of: func(t *Token) any { return &t.Role }},
	{Name: "created_at", Of: func(t *Token) any { return &t.CreatedAt }},
	{Name: "expires_at", Of: func(t *Token) any { return &t.ExpiresAt }},
	{Name: "revoked_at", Of: func(t *Token) any { return &t.RevokedAt }},
}

// UsageFields are those of a sum of usage.
var UsageFields = []Field[Usage]{
	{Name: "cpu_seconds", Of: func(u *Usage) any { return &u.CPUSeconds }},
	{Name: "memory_gb_seconds", Of: func(u *Usage) any { return &u.MemoryGBSeconds }},
	{Name: "disk_gb_seconds", Of: func(u *Usage) any { return &u.DiskGBSeconds }},
	{Name: "total_cents", Of: func(u *Usage) any { return &u.Cents }},
}

// HeadFields are those of where a ledger stands.
var HeadFields = append([]Field[Head]{
	{Name: "seq", Of: func(h *Head) any { return &h.Seq }},
	{Name: "balance_cents", Of: func(h *Head) any { return &h.BalanceCents }},
	{Name: "last_at", Of: func(h *Head) any { return &h.LastAt }},
}, within(UsageFields, func(h *Head) *Usage { return &h.Lifetime })...)

// SumFields are those of the sum of a period.
var SumFields = append([]Field[PeriodUsage]{
	{Name: "span", Of: func(s *PeriodUsage) any { return &s.Span }},
	{Name: "start_at", Of: func(s *PeriodUsage) any { return &s.Start }},
}, within(UsageFields, func(s *PeriodUsage) *Usage { return &s.Usage })...)

// within makes fields of a U out of those of a T that it has.
func within[T, U any](fields []Field[T], part func(*U) *T) []Field[U] {
	outer := make([]Field[U], len(fields))
	for i, f := range fields {
		outer[i] = Field[U]{Name: f.Name, Of: func(u *U) any { return f.Of(part(u)) }}
	}
	return outer
}
