// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package client

import (
	"github.com/harmont-dev/harmont-billing/gen"
)

// The types of the API under the names of its contract, openapi.yaml, which describes each field with its unit.
type (
	// BalanceResponse: An organization's balance.
	BalanceResponse = gen.BalanceResponse
	// LedgerHead: The state of an organization's ledger.
	LedgerHead = gen.LedgerHead
	// TransactionList: A page of ledger entries.
	TransactionList = gen.TransactionList
	// Transaction: One entry of the ledger. Entries are never changed and never removed.
	Transaction = gen.Transaction
	// TransactionSource: Where an entry comes from: `stripe_topup`, a payment; `coupon_redemption`, a coupon;
	// `admin_grant`, a credit given by an operator; `vm_lease_debit`, the cost of one lease; `refund`, money given back.
	TransactionSource = gen.TransactionSource
	// TransactionDetail: One entry of the ledger, with all that is known of its source.
	TransactionDetail = gen.TransactionDetail
	// LeaseCost: The arithmetic of the cost of one lease. Each resource costs count × price × seconds; the sum is
	// rounded down to whole cents once.
	LeaseCost = gen.LeaseCost
	// ResourceCost: What one resource of a machine cost.
	ResourceCost = gen.ResourceCost
	// LeaseList: A page of leases.
	LeaseList = gen.LeaseList
	// LeaseRecord: One lease as it is recorded.
	LeaseRecord = gen.LeaseRecord
	// LeaseState: `running`, recorded and not yet finished; `billed`, finished and debited. Later versions may have more
	// states.
	LeaseState = gen.LeaseState
	// UsageResponse: The usage of a window. 9223372036854775807 in one of the seconds stands for this much or more.
	UsageResponse = gen.UsageResponse
	// UsageSeriesResponse: The usage of a window per day.
	UsageSeriesResponse = gen.UsageSeriesResponse
	// UsageSeriesBucket: The usage of the leases that started on one UTC day, inside the window. 9223372036854775807 in
	// one of the seconds stands for this much or more.
	UsageSeriesBucket = gen.UsageSeriesBucket
	// UsageBreakdownResponse: The leases of a window by build.
	UsageBreakdownResponse = gen.UsageBreakdownResponse
	// UsageBreakdownBuild: One build and its leases in the window. All leases that belong to no build form one group,
	// whose build and pipeline fields are null.
	UsageBreakdownBuild = gen.UsageBreakdownBuild
	// UsageBreakdownJob: One lease of a virtual machine by a job.
	UsageBreakdownJob = gen.UsageBreakdownJob
	// Lease: One virtual machine held by one job. `job_id` or `lease_id` is required: the lease is known by its `job_id`,
	// or by its `lease_id` where it has no job. Texts hold at most 1 024 characters.
	Lease = gen.Lease
	// RecordedLease: What became of one lease.
	RecordedLease = gen.RecordedLease
	// LeaseStatus: `running`, recorded and not yet finished; `billed`, finished and debited by this request; `duplicate`,
	// already recorded with the same contents, so that nothing was done.
	LeaseStatus = gen.LeaseStatus
	// PostCreditRequest: A credit to post.
	PostCreditRequest = gen.PostCreditRequest
	// CreditSource: Why the credit is given. `admin_grant`, by an operator; `refund`, money given back.
	CreditSource = gen.CreditSource
	// OrganizationList: A page of organizations.
	OrganizationList = gen.OrganizationList
	// Organization: An organization.
	Organization = gen.Organization
	// ErrorType: The kind of failure, which decides how a program should react.
	ErrorType = gen.ErrorType
)

// The values of TransactionSource. Later versions of the API may have more.
const (
	TransactionSourceStripeTopup      = gen.TransactionSourceStripeTopup      // "stripe_topup"
	TransactionSourceCouponRedemption = gen.TransactionSourceCouponRedemption // "coupon_redemption"
	TransactionSourceAdminGrant       = gen.TransactionSourceAdminGrant       // "admin_grant"
	TransactionSourceVMLeaseDebit     = gen.TransactionSourceVMLeaseDebit     // "vm_lease_debit"
	TransactionSourceRefund           = gen.TransactionSourceRefund           // "refund"
)

// The values of LeaseState. Later versions of the API may have more.
const (
	LeaseStateRunning = gen.LeaseStateRunning // "running"
	LeaseStateBilled  = gen.LeaseStateBilled  // "billed"
)

// The values of LeaseStatus. Later versions of the API may have more.
const (
	LeaseStatusRunning   = gen.LeaseStatusRunning   // "running"
	LeaseStatusBilled    = gen.LeaseStatusBilled    // "billed"
	LeaseStatusDuplicate = gen.LeaseStatusDuplicate // "duplicate"
)

// The values of CreditSource. Later versions of the API may have more.
const (
	CreditSourceAdminGrant = gen.CreditSourceAdminGrant // "admin_grant"
	CreditSourceRefund     = gen.CreditSourceRefund     // "refund"
)

// The values of ErrorType. Later versions of the API may have more.
const (
	ErrorTypeInvalidRequest   = gen.ErrorTypeInvalidRequest   // "invalid_request"
	ErrorTypeUnauthorized     = gen.ErrorTypeUnauthorized     // "unauthorized"
	ErrorTypeForbidden        = gen.ErrorTypeForbidden        // "forbidden"
	ErrorTypeNotFound         = gen.ErrorTypeNotFound         // "not_found"
	ErrorTypeConflict         = gen.ErrorTypeConflict         // "conflict"
	ErrorTypeValidationFailed = gen.ErrorTypeValidationFailed // "validation_failed"
	ErrorTypeRateLimited      = gen.ErrorTypeRateLimited      // "rate_limited"
	ErrorTypeServerError      = gen.ErrorTypeServerError      // "server_error"
)
