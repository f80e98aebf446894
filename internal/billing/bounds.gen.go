// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package billing

// Numbers of rules that no schema expresses.
const (
	WindowMaxDays               = 3660 // the longest window that a usage call answers, in days
	LeaseFutureToleranceSeconds = 600  // how far ahead of the server's clock a lease may start or finish, in seconds
	MaxRateCards                = 1000 // how many rate cards one organization may have, and how many may be for all organizations
)

// Bounds and defaults of parameters.
const (
	ListBillingTransactionsLimitDefault      = 50
	ListBillingTransactionsLimitClampMinimum = 1
	ListBillingTransactionsLimitClampMaximum = 100
	GetBillingUsageByByMaxLength             = 69
	GetBillingUsageByLimitDefault            = 50
	GetBillingUsageByLimitClampMinimum       = 1
	GetBillingUsageByLimitClampMaximum       = 100
	ListBillingLeasesLimitDefault            = 50
	ListBillingLeasesLimitClampMinimum       = 1
	ListBillingLeasesLimitClampMaximum       = 100
	ListBillingCreditsLimitDefault           = 50
	ListBillingCreditsLimitClampMinimum      = 1
	ListBillingCreditsLimitClampMaximum      = 100
	PostCreditIdempotencyKeyMinLength        = 1
	PostCreditIdempotencyKeyMaxLength        = 255
	ListBillingRateCardsLimitDefault         = 50
	ListBillingRateCardsLimitClampMinimum    = 1
	ListBillingRateCardsLimitClampMaximum    = 100
	SetRateCardIdempotencyKeyMinLength       = 1
	SetRateCardIdempotencyKeyMaxLength       = 255
	ListOrganizationsLimitDefault            = 50
	ListOrganizationsLimitClampMinimum       = 1
	ListOrganizationsLimitClampMaximum       = 100
)

// Bounds of the properties of requests.
const (
	SetRateCardRequestNameMinLength             = 1
	SetRateCardRequestNameMaxLength             = 255
	SetRateCardRequestCPUCountMinimum           = 1
	SetRateCardRequestCPUCountMaximum           = 10000
	SetRateCardRequestMemoryGBMinimum           = 1
	SetRateCardRequestMemoryGBMaximum           = 100000
	SetRateCardRequestDiskGBMinimum             = 1
	SetRateCardRequestDiskGBMaximum             = 10000000
	SetRateCardRequestLabelKeyMinLength         = 1
	SetRateCardRequestLabelKeyMaxLength         = 63
	SetRateCardRequestLabelValueMinLength       = 1
	SetRateCardRequestLabelValueMaxLength       = 255
	SetRateCardRequestCPUMicrocentsMinimum      = 0
	SetRateCardRequestCPUMicrocentsMaximum      = 100000000
	SetRateCardRequestMemoryGBMicrocentsMinimum = 0
	SetRateCardRequestMemoryGBMicrocentsMaximum = 100000000
	SetRateCardRequestDiskGBMicrocentsMinimum   = 0
	SetRateCardRequestDiskGBMicrocentsMaximum   = 100000000
	LabelsMaxProperties                         = 16
	LabelsKeyPattern                            = "^[A-Za-z0-9][A-Za-z0-9._/-]*$"
	LabelsKeyMaxLength                          = 63
	LabelsValueMinLength                        = 1
	LabelsValueMaxLength                        = 255
	RecordLeasesRequestLeasesMinItems           = 1
	RecordLeasesRequestLeasesMaxItems           = 1000
	LeaseJobNameMaxLength                       = 1024
	LeaseStepKeyMaxLength                       = 1024
	LeaseVMHandleMaxLength                      = 1024
	LeasePipelineNameMaxLength                  = 1024
	LeasePipelineSlugMaxLength                  = 1024
	LeaseAuthorMaxLength                        = 1024
	LeaseCPUCountMinimum                        = 1
	LeaseCPUCountMaximum                        = 10000
	LeaseCPUCountRecordedMaximum                = 1000000000
	LeaseMemoryGBMinimum                        = 1
	LeaseMemoryGBMaximum                        = 100000
	LeaseMemoryGBRecordedMaximum                = 1000000000
	LeaseDiskGBMinimum                          = 1
	LeaseDiskGBMaximum                          = 10000000
	LeaseDiskGBRecordedMaximum                  = 1000000000
	LeaseDurationSecondsMinimum                 = 0
	LeaseDurationSecondsMaximum                 = 31622400
	PostCreditRequestAmountCentsMinimum         = 1
	PostCreditRequestAmountCentsMaximum         = 1000000000
	PostCreditRequestDescriptionMaxLength       = 1024
)
