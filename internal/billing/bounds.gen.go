// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package billing

// Numbers of rules that no schema expresses.
const (
	WindowMaxDays               = 3660 // the longest window that a usage call answers, in days
	LeaseFutureToleranceSeconds = 600  // how far ahead of the server's clock a lease may start or finish, in seconds
)

// Bounds and defaults of parameters.
const (
	ListBillingTransactionsLimitDefault      = 50
	ListBillingTransactionsLimitClampMinimum = 1
	ListBillingTransactionsLimitClampMaximum = 100
	ListBillingLeasesLimitDefault            = 50
	ListBillingLeasesLimitClampMinimum       = 1
	ListBillingLeasesLimitClampMaximum       = 100
	PostCreditIdempotencyKeyMinLength        = 1
	PostCreditIdempotencyKeyMaxLength        = 255
	ListOrganizationsLimitDefault            = 50
	ListOrganizationsLimitClampMinimum       = 1
	ListOrganizationsLimitClampMaximum       = 100
)

// Bounds of the properties of requests.
const (
	RecordLeasesRequestLeasesMinItems     = 1
	RecordLeasesRequestLeasesMaxItems     = 1000
	LeaseJobNameMaxLength                 = 1024
	LeaseStepKeyMaxLength                 = 1024
	LeaseVMHandleMaxLength                = 1024
	LeasePipelineNameMaxLength            = 1024
	LeasePipelineSlugMaxLength            = 1024
	LeaseCPUCountMinimum                  = 1
	LeaseCPUCountMaximum                  = 10000
	LeaseCPUCountRecordedMaximum          = 1000000000
	LeaseMemoryGBMinimum                  = 1
	LeaseMemoryGBMaximum                  = 100000
	LeaseMemoryGBRecordedMaximum          = 1000000000
	LeaseDiskGBMinimum                    = 1
	LeaseDiskGBMaximum                    = 10000000
	LeaseDiskGBRecordedMaximum            = 1000000000
	LeaseDurationSecondsMinimum           = 0
	LeaseDurationSecondsMaximum           = 31622400
	PostCreditRequestAmountCentsMinimum   = 1
	PostCreditRequestAmountCentsMaximum   = 1000000000
	PostCreditRequestDescriptionMaxLength = 1024
)
