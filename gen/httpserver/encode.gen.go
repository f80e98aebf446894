// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package httpserver

import (
	. "github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// AppendBalanceResponse appends the value as JSON.
func AppendBalanceResponse(b []byte, v *BalanceResponse) []byte {
	b = append(b, "{\"balance_cents\":"...)
	b = wire.AppendInteger(b, v.BalanceCents)
	return append(b, '}')
}

// AppendLedgerHead appends the value as JSON.
func AppendLedgerHead(b []byte, v *LedgerHead) []byte {
	b = append(b, "{\"seq\":"...)
	b = wire.AppendInteger(b, v.Seq)
	b = append(b, ",\"balance_cents\":"...)
	b = wire.AppendInteger(b, v.BalanceCents)
	b = append(b, ",\"digest\":"...)
	b = wire.AppendString(b, v.Digest)
	return append(b, '}')
}

// AppendTransactionList appends the value as JSON.
func AppendTransactionList(b []byte, v *TransactionList) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendTransaction)
	b = append(b, ",\"next_cursor\":"...)
	b = wire.AppendNullable(b, v.NextCursor, wire.AppendString)
	return append(b, '}')
}

// AppendTransaction appends the value as JSON.
func AppendTransaction(b []byte, v *Transaction) []byte {
	b = append(b, "{\"id\":"...)
	b = wire.AppendUUID(b, v.ID)
	b = append(b, ",\"amount_cents\":"...)
	b = wire.AppendInteger(b, v.AmountCents)
	b = append(b, ",\"source\":"...)
	b = wire.AppendString(b, string(v.Source))
	b = append(b, ",\"description\":"...)
	b = wire.AppendNullable(b, v.Description, wire.AppendString)
	b = append(b, ",\"created_at\":"...)
	b = wire.AppendTime(b, v.CreatedAt)
	return append(b, '}')
}

// AppendStatementResponse appends the value as JSON.
func AppendStatementResponse(b []byte, v *StatementResponse) []byte {
	b = append(b, "{\"opening_balance_cents\":"...)
	b = wire.AppendInteger(b, v.OpeningBalanceCents)
	b = append(b, ",\"closing_balance_cents\":"...)
	b = wire.AppendInteger(b, v.ClosingBalanceCents)
	b = append(b, ",\"entry_count\":"...)
	b = wire.AppendInteger(b, v.EntryCount)
	b = append(b, ",\"sources\":"...)
	b = wire.AppendList(b, v.Sources, AppendStatementSource)
	b = append(b, ",\"opening_head\":"...)
	b = AppendLedgerHead(b, &v.OpeningHead)
	b = append(b, ",\"closing_head\":"...)
	b = AppendLedgerHead(b, &v.ClosingHead)
	return append(b, '}')
}

// AppendStatementSource appends the value as JSON.
func AppendStatementSource(b []byte, v *StatementSource) []byte {
	b = append(b, "{\"source\":"...)
	b = wire.AppendString(b, string(v.Source))
	b = append(b, ",\"entry_count\":"...)
	b = wire.AppendInteger(b, v.EntryCount)
	b = append(b, ",\"amount_cents\":"...)
	b = wire.AppendInteger(b, v.AmountCents)
	return append(b, '}')
}

// AppendCreditList appends the value as JSON.
func AppendCreditList(b []byte, v *CreditList) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendCredit)
	b = append(b, ",\"next_cursor\":"...)
	b = wire.AppendNullable(b, v.NextCursor, wire.AppendString)
	return append(b, '}')
}

// AppendCredit appends the value as JSON.
func AppendCredit(b []byte, v *Credit) []byte {
	b = append(b, "{\"id\":"...)
	b = wire.AppendUUID(b, v.ID)
	b = append(b, ",\"amount_cents\":"...)
	b = wire.AppendInteger(b, v.AmountCents)
	b = append(b, ",\"source\":"...)
	b = wire.AppendString(b, string(v.Source))
	b = append(b, ",\"description\":"...)
	b = wire.AppendNullable(b, v.Description, wire.AppendString)
	b = append(b, ",\"author\":"...)
	b = wire.AppendNullable(b, v.Author, wire.AppendString)
	b = append(b, ",\"created_at\":"...)
	b = wire.AppendTime(b, v.CreatedAt)
	b = append(b, ",\"balance_after_cents\":"...)
	b = wire.AppendInteger(b, v.BalanceAfterCents)
	return append(b, '}')
}

// AppendTransactionDetail appends the value as JSON.
func AppendTransactionDetail(b []byte, v *TransactionDetail) []byte {
	b = append(b, "{\"id\":"...)
	b = wire.AppendUUID(b, v.ID)
	b = append(b, ",\"amount_cents\":"...)
	b = wire.AppendInteger(b, v.AmountCents)
	b = append(b, ",\"source\":"...)
	b = wire.AppendString(b, string(v.Source))
	b = append(b, ",\"description\":"...)
	b = wire.AppendNullable(b, v.Description, wire.AppendString)
	b = append(b, ",\"author\":"...)
	b = wire.AppendNullable(b, v.Author, wire.AppendString)
	b = append(b, ",\"created_at\":"...)
	b = wire.AppendTime(b, v.CreatedAt)
	b = append(b, ",\"balance_after_cents\":"...)
	b = wire.AppendInteger(b, v.BalanceAfterCents)
	b = append(b, ",\"lease\":"...)
	b = wire.AppendNullableObject(b, v.Lease, AppendLeaseRecord)
	b = append(b, ",\"cost\":"...)
	b = wire.AppendNullableObject(b, v.Cost, AppendLeaseCost)
	b = append(b, ",\"rate_card\":"...)
	b = wire.AppendNullableObject(b, v.RateCard, AppendRateCard)
	return append(b, '}')
}

// AppendRateCardList appends the value as JSON.
func AppendRateCardList(b []byte, v *RateCardList) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendRateCard)
	b = append(b, ",\"next_cursor\":"...)
	b = wire.AppendNullable(b, v.NextCursor, wire.AppendString)
	return append(b, '}')
}

// AppendRateCard appends the value as JSON.
func AppendRateCard(b []byte, v *RateCard) []byte {
	b = append(b, "{\"id\":"...)
	b = wire.AppendUUID(b, v.ID)
	b = append(b, ",\"name\":"...)
	b = wire.AppendString(b, v.Name)
	b = append(b, ",\"organization\":"...)
	b = wire.AppendNullable(b, v.Organization, wire.AppendString)
	b = append(b, ",\"cpu_count\":"...)
	b = wire.AppendNullable(b, v.CPUCount, wire.AppendInteger)
	b = append(b, ",\"memory_gb\":"...)
	b = wire.AppendNullable(b, v.MemoryGB, wire.AppendInteger)
	b = append(b, ",\"disk_gb\":"...)
	b = wire.AppendNullable(b, v.DiskGB, wire.AppendInteger)
	b = append(b, ",\"label_key\":"...)
	b = wire.AppendNullable(b, v.LabelKey, wire.AppendString)
	b = append(b, ",\"label_value\":"...)
	b = wire.AppendNullable(b, v.LabelValue, wire.AppendString)
	b = append(b, ",\"cpu_microcents\":"...)
	b = wire.AppendNullable(b, v.CPUMicrocents, wire.AppendInteger)
	b = append(b, ",\"memory_gb_microcents\":"...)
	b = wire.AppendNullable(b, v.MemoryGBMicrocents, wire.AppendInteger)
	b = append(b, ",\"disk_gb_microcents\":"...)
	b = wire.AppendNullable(b, v.DiskGBMicrocents, wire.AppendInteger)
	b = append(b, ",\"effective_from\":"...)
	b = wire.AppendTime(b, v.EffectiveFrom)
	b = append(b, ",\"created_at\":"...)
	b = wire.AppendTime(b, v.CreatedAt)
	return append(b, '}')
}

// AppendLeaseCost appends the value as JSON.
func AppendLeaseCost(b []byte, v *LeaseCost) []byte {
	b = append(b, "{\"duration_seconds\":"...)
	b = wire.AppendInteger(b, v.DurationSeconds)
	b = append(b, ",\"cpu\":"...)
	b = AppendResourceCost(b, &v.CPU)
	b = append(b, ",\"memory_gb\":"...)
	b = AppendResourceCost(b, &v.MemoryGB)
	b = append(b, ",\"disk_gb\":"...)
	b = AppendResourceCost(b, &v.DiskGB)
	b = append(b, ",\"microcents\":"...)
	b = wire.AppendInteger(b, v.Microcents)
	b = append(b, ",\"cents\":"...)
	b = wire.AppendInteger(b, v.Cents)
	return append(b, '}')
}

// AppendResourceCost appends the value as JSON.
func AppendResourceCost(b []byte, v *ResourceCost) []byte {
	b = append(b, "{\"count\":"...)
	b = wire.AppendInteger(b, v.Count)
	b = append(b, ",\"microcents_per_second\":"...)
	b = wire.AppendInteger(b, v.MicrocentsPerSecond)
	b = append(b, ",\"microcents\":"...)
	b = wire.AppendInteger(b, v.Microcents)
	return append(b, '}')
}

// AppendLeaseList appends the value as JSON.
func AppendLeaseList(b []byte, v *LeaseList) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendLeaseRecord)
	b = append(b, ",\"next_cursor\":"...)
	b = wire.AppendNullable(b, v.NextCursor, wire.AppendString)
	return append(b, '}')
}

// AppendLeaseRecord appends the value as JSON.
func AppendLeaseRecord(b []byte, v *LeaseRecord) []byte {
	b = append(b, "{\"lease_id\":"...)
	b = wire.AppendUUID(b, v.LeaseID)
	b = append(b, ",\"state\":"...)
	b = wire.AppendString(b, string(v.State))
	b = append(b, ",\"job_id\":"...)
	b = wire.AppendNullable(b, v.JobID, wire.AppendUUID)
	b = append(b, ",\"job_name\":"...)
	b = wire.AppendNullable(b, v.JobName, wire.AppendString)
	b = append(b, ",\"step_key\":"...)
	b = wire.AppendNullable(b, v.StepKey, wire.AppendString)
	b = append(b, ",\"vm_handle\":"...)
	b = wire.AppendNullable(b, v.VMHandle, wire.AppendString)
	b = append(b, ",\"build_id\":"...)
	b = wire.AppendNullable(b, v.BuildID, wire.AppendUUID)
	b = append(b, ",\"build_number\":"...)
	b = wire.AppendNullable(b, v.BuildNumber, wire.AppendInteger)
	b = append(b, ",\"build_external_id\":"...)
	b = wire.AppendNullable(b, v.BuildExternalID, wire.AppendUUID)
	b = append(b, ",\"pipeline_id\":"...)
	b = wire.AppendNullable(b, v.PipelineID, wire.AppendUUID)
	b = append(b, ",\"pipeline_name\":"...)
	b = wire.AppendNullable(b, v.PipelineName, wire.AppendString)
	b = append(b, ",\"pipeline_slug\":"...)
	b = wire.AppendNullable(b, v.PipelineSlug, wire.AppendString)
	b = append(b, ",\"cpu_count\":"...)
	b = wire.AppendInteger(b, v.CPUCount)
	b = append(b, ",\"memory_gb\":"...)
	b = wire.AppendInteger(b, v.MemoryGB)
	b = append(b, ",\"disk_gb\":"...)
	b = wire.AppendInteger(b, v.DiskGB)
	b = append(b, ",\"started_at\":"...)
	b = wire.AppendTime(b, v.StartedAt)
	b = append(b, ",\"finished_at\":"...)
	b = wire.AppendNullable(b, v.FinishedAt, wire.AppendTime)
	b = append(b, ",\"duration_seconds\":"...)
	b = wire.AppendNullable(b, v.DurationSeconds, wire.AppendInteger)
	b = append(b, ",\"amount_cents\":"...)
	b = wire.AppendInteger(b, v.AmountCents)
	b = append(b, ",\"transaction_id\":"...)
	b = wire.AppendNullable(b, v.TransactionID, wire.AppendUUID)
	b = append(b, ",\"labels\":"...)
	b = wire.AppendNullableObject(b, v.Labels, AppendLabels)
	b = append(b, ",\"author\":"...)
	b = wire.AppendNullable(b, v.Author, wire.AppendString)
	b = append(b, ",\"rate_card_id\":"...)
	b = wire.AppendNullable(b, v.RateCardID, wire.AppendUUID)
	b = append(b, ",\"accrued_cents\":"...)
	b = wire.AppendNullable(b, v.AccruedCents, wire.AppendInteger)
	return append(b, '}')
}

// AppendLabels appends the value as JSON, with its keys sorted.
func AppendLabels(b []byte, v *Labels) []byte { return wire.AppendMap(b, *v) }

// AppendUsageResponse appends the value as JSON.
func AppendUsageResponse(b []byte, v *UsageResponse) []byte {
	b = append(b, "{\"cpu_seconds\":"...)
	b = wire.AppendInteger(b, v.CPUSeconds)
	b = append(b, ",\"memory_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.MemoryGBSeconds)
	b = append(b, ",\"disk_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.DiskGBSeconds)
	b = append(b, ",\"total_cents\":"...)
	b = wire.AppendInteger(b, v.TotalCents)
	return append(b, '}')
}

// AppendRunwayResponse appends the value as JSON.
func AppendRunwayResponse(b []byte, v *RunwayResponse) []byte {
	b = append(b, "{\"balance_cents\":"...)
	b = wire.AppendInteger(b, v.BalanceCents)
	b = append(b, ",\"last_7_days\":"...)
	b = AppendRunwayPace(b, &v.Last7Days)
	b = append(b, ",\"last_30_days\":"...)
	b = AppendRunwayPace(b, &v.Last30Days)
	return append(b, '}')
}

// AppendRunwayPace appends the value as JSON.
func AppendRunwayPace(b []byte, v *RunwayPace) []byte {
	b = append(b, "{\"from\":"...)
	b = wire.AppendTime(b, v.From)
	b = append(b, ",\"to\":"...)
	b = wire.AppendTime(b, v.To)
	b = append(b, ",\"total_cents\":"...)
	b = wire.AppendInteger(b, v.TotalCents)
	b = append(b, ",\"average_cents\":"...)
	b = wire.AppendInteger(b, v.AverageCents)
	b = append(b, ",\"days_with_cost\":"...)
	b = wire.AppendInteger(b, v.DaysWithCost)
	b = append(b, ",\"outlook\":"...)
	b = wire.AppendString(b, string(v.Outlook))
	b = append(b, ",\"days_left\":"...)
	b = wire.AppendNullable(b, v.DaysLeft, wire.AppendInteger)
	b = append(b, ",\"zero_on\":"...)
	b = wire.AppendNullable(b, v.ZeroOn, wire.AppendDate)
	return append(b, '}')
}

// AppendUsageSeriesResponse appends the value as JSON.
func AppendUsageSeriesResponse(b []byte, v *UsageSeriesResponse) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendUsageSeriesBucket)
	return append(b, '}')
}

// AppendUsageSeriesBucket appends the value as JSON.
func AppendUsageSeriesBucket(b []byte, v *UsageSeriesBucket) []byte {
	b = append(b, "{\"date\":"...)
	b = wire.AppendDate(b, v.Date)
	b = append(b, ",\"cpu_seconds\":"...)
	b = wire.AppendInteger(b, v.CPUSeconds)
	b = append(b, ",\"memory_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.MemoryGBSeconds)
	b = append(b, ",\"disk_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.DiskGBSeconds)
	b = append(b, ",\"total_cents\":"...)
	b = wire.AppendInteger(b, v.TotalCents)
	return append(b, '}')
}

// AppendUsageByResponse appends the value as JSON.
func AppendUsageByResponse(b []byte, v *UsageByResponse) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendUsageGroup)
	b = append(b, ",\"other\":"...)
	b = wire.AppendNullableObject(b, v.Other, AppendUsageGroup)
	b = append(b, ",\"group_count\":"...)
	b = wire.AppendInteger(b, v.GroupCount)
	return append(b, '}')
}

// AppendUsageGroup appends the value as JSON.
func AppendUsageGroup(b []byte, v *UsageGroup) []byte {
	b = append(b, "{\"value\":"...)
	b = wire.AppendNullable(b, v.Value, wire.AppendString)
	b = append(b, ",\"name\":"...)
	b = wire.AppendNullable(b, v.Name, wire.AppendString)
	b = append(b, ",\"lease_count\":"...)
	b = wire.AppendInteger(b, v.LeaseCount)
	b = append(b, ",\"cpu_seconds\":"...)
	b = wire.AppendInteger(b, v.CPUSeconds)
	b = append(b, ",\"memory_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.MemoryGBSeconds)
	b = append(b, ",\"disk_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.DiskGBSeconds)
	b = append(b, ",\"total_cents\":"...)
	b = wire.AppendInteger(b, v.TotalCents)
	b = append(b, ",\"series\":"...)
	b = wire.AppendList(b, v.Series, AppendUsageGroupBucket)
	return append(b, '}')
}

// AppendUsageGroupBucket appends the value as JSON.
func AppendUsageGroupBucket(b []byte, v *UsageGroupBucket) []byte {
	b = append(b, "{\"date\":"...)
	b = wire.AppendDate(b, v.Date)
	b = append(b, ",\"lease_count\":"...)
	b = wire.AppendInteger(b, v.LeaseCount)
	b = append(b, ",\"cpu_seconds\":"...)
	b = wire.AppendInteger(b, v.CPUSeconds)
	b = append(b, ",\"memory_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.MemoryGBSeconds)
	b = append(b, ",\"disk_gb_seconds\":"...)
	b = wire.AppendInteger(b, v.DiskGBSeconds)
	b = append(b, ",\"total_cents\":"...)
	b = wire.AppendInteger(b, v.TotalCents)
	return append(b, '}')
}

// AppendUsageBreakdownResponseUpToData appends the value as JSON up to the first item of its list data.
// Items follow, separated by commas, and then what AppendUsageBreakdownResponseAfterData appends.
func AppendUsageBreakdownResponseUpToData(b []byte, _ *UsageBreakdownResponse) []byte {
	return append(b, "{\"data\":["...)
}

// AppendUsageBreakdownResponseAfterData appends what follows the last item of the list data.
func AppendUsageBreakdownResponseAfterData(b []byte, _ *UsageBreakdownResponse) []byte {
	b = append(b, ']')
	return append(b, '}')
}

// AppendUsageBreakdownBuildUpToJobs appends the value as JSON up to the first item of its list jobs.
// Items follow, separated by commas, and then what AppendUsageBreakdownBuildAfterJobs appends.
func AppendUsageBreakdownBuildUpToJobs(b []byte, v *UsageBreakdownBuild) []byte {
	b = append(b, "{\"build_id\":"...)
	b = wire.AppendNullable(b, v.BuildID, wire.AppendUUID)
	b = append(b, ",\"build_number\":"...)
	b = wire.AppendNullable(b, v.BuildNumber, wire.AppendInteger)
	b = append(b, ",\"build_external_id\":"...)
	b = wire.AppendNullable(b, v.BuildExternalID, wire.AppendUUID)
	b = append(b, ",\"pipeline_id\":"...)
	b = wire.AppendNullable(b, v.PipelineID, wire.AppendUUID)
	b = append(b, ",\"pipeline_name\":"...)
	b = wire.AppendNullable(b, v.PipelineName, wire.AppendString)
	b = append(b, ",\"pipeline_slug\":"...)
	b = wire.AppendNullable(b, v.PipelineSlug, wire.AppendString)
	b = append(b, ",\"total_cents\":"...)
	b = wire.AppendInteger(b, v.TotalCents)
	b = append(b, ",\"started_at\":"...)
	b = wire.AppendTime(b, v.StartedAt)
	b = append(b, ",\"finished_at\":"...)
	b = wire.AppendNullable(b, v.FinishedAt, wire.AppendTime)
	b = append(b, ",\"job_count\":"...)
	b = wire.AppendInteger(b, v.JobCount)
	return append(b, ",\"jobs\":["...)
}

// AppendUsageBreakdownBuildAfterJobs appends what follows the last item of the list jobs.
func AppendUsageBreakdownBuildAfterJobs(b []byte, _ *UsageBreakdownBuild) []byte {
	b = append(b, ']')
	return append(b, '}')
}

// AppendUsageBreakdownJob appends the value as JSON.
func AppendUsageBreakdownJob(b []byte, v *UsageBreakdownJob) []byte {
	b = append(b, "{\"job_id\":"...)
	b = wire.AppendNullable(b, v.JobID, wire.AppendUUID)
	b = append(b, ",\"job_name\":"...)
	b = wire.AppendNullable(b, v.JobName, wire.AppendString)
	b = append(b, ",\"step_key\":"...)
	b = wire.AppendNullable(b, v.StepKey, wire.AppendString)
	b = append(b, ",\"vm_handle\":"...)
	b = wire.AppendNullable(b, v.VMHandle, wire.AppendString)
	b = append(b, ",\"cpu_count\":"...)
	b = wire.AppendInteger(b, v.CPUCount)
	b = append(b, ",\"memory_gb\":"...)
	b = wire.AppendInteger(b, v.MemoryGB)
	b = append(b, ",\"disk_gb\":"...)
	b = wire.AppendInteger(b, v.DiskGB)
	b = append(b, ",\"duration_seconds\":"...)
	b = wire.AppendNullable(b, v.DurationSeconds, wire.AppendInteger)
	b = append(b, ",\"amount_cents\":"...)
	b = wire.AppendInteger(b, v.AmountCents)
	b = append(b, ",\"started_at\":"...)
	b = wire.AppendTime(b, v.StartedAt)
	b = append(b, ",\"finished_at\":"...)
	b = wire.AppendNullable(b, v.FinishedAt, wire.AppendTime)
	return append(b, '}')
}

// AppendRecordedLeaseList appends the value as JSON.
func AppendRecordedLeaseList(b []byte, v *RecordedLeaseList) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendRecordedLease)
	return append(b, '}')
}

// AppendRecordedLease appends the value as JSON.
func AppendRecordedLease(b []byte, v *RecordedLease) []byte {
	b = append(b, "{\"lease_id\":"...)
	b = wire.AppendUUID(b, v.LeaseID)
	b = append(b, ",\"status\":"...)
	b = wire.AppendString(b, string(v.Status))
	b = append(b, ",\"amount_cents\":"...)
	b = wire.AppendInteger(b, v.AmountCents)
	return append(b, '}')
}

// AppendOrganizationList appends the value as JSON.
func AppendOrganizationList(b []byte, v *OrganizationList) []byte {
	b = append(b, "{\"data\":"...)
	b = wire.AppendList(b, v.Data, AppendOrganization)
	b = append(b, ",\"next_cursor\":"...)
	b = wire.AppendNullable(b, v.NextCursor, wire.AppendString)
	return append(b, '}')
}

// AppendOrganization appends the value as JSON.
func AppendOrganization(b []byte, v *Organization) []byte {
	b = append(b, "{\"slug\":"...)
	b = wire.AppendString(b, v.Slug)
	b = append(b, ",\"name\":"...)
	b = wire.AppendString(b, v.Name)
	b = append(b, ",\"url\":"...)
	b = wire.AppendNullable(b, v.URL, wire.AppendString)
	b = append(b, ",\"created_at\":"...)
	b = wire.AppendTime(b, v.CreatedAt)
	return append(b, '}')
}

// AppendError appends the value as JSON.
func AppendError(b []byte, v *Error) []byte {
	b = append(b, "{\"error\":"...)
	b = AppendErrorDetail(b, &v.Error)
	return append(b, '}')
}

// AppendErrorDetail appends the value as JSON.
func AppendErrorDetail(b []byte, v *ErrorDetail) []byte {
	b = append(b, "{\"type\":"...)
	b = wire.AppendString(b, string(v.Type))
	b = append(b, ",\"code\":"...)
	b = wire.AppendString(b, string(v.Code))
	b = append(b, ",\"message\":"...)
	b = wire.AppendString(b, v.Message)
	b = append(b, ",\"doc_url\":"...)
	b = wire.AppendString(b, v.DocURL)
	b = append(b, ",\"request_id\":"...)
	b = wire.AppendString(b, v.RequestID)
	return append(b, '}')
}
