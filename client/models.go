package client

import (
	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/oapi-codegen/runtime/types"
)

// The types of the API under the names of its contract, openapi.yaml, which describes each field with its unit.
type (
	BalanceResponse        = gen.BalanceResponse        // an organization's balance
	CreditSource           = gen.CreditSource           // why a credit is given
	ErrorType              = gen.ErrorType              // the kind of failure, by which a program decides how to react
	Lease                  = gen.Lease                  // one virtual machine held by one job, to be recorded
	LeaseStatus            = gen.LeaseStatus            // what became of a lease
	Organization           = gen.Organization           // an organization
	OrganizationList       = gen.OrganizationList       // a page of organizations
	PostCreditRequest      = gen.PostCreditRequest      // a credit to post
	RecordedLease          = gen.RecordedLease          // what became of one lease
	Transaction            = gen.Transaction            // one entry of the ledger
	TransactionList        = gen.TransactionList        // a page of ledger entries
	TransactionSource      = gen.TransactionSource      // where a ledger entry comes from
	UsageBreakdownBuild    = gen.UsageBreakdownBuild    // one build and its leases in a window
	UsageBreakdownJob      = gen.UsageBreakdownJob      // one lease of a build
	UsageBreakdownResponse = gen.UsageBreakdownResponse // the leases of a window by build
	UsageResponse          = gen.UsageResponse          // the usage of a window
	UsageSeriesBucket      = gen.UsageSeriesBucket      // the usage of one UTC day
	UsageSeriesResponse    = gen.UsageSeriesResponse    // the usage of a window per day
)

// UUID is the UUID of github.com/google/uuid.
type UUID = types.UUID

// Date is a day without a time, at midnight UTC. It prints and encodes as YYYY-MM-DD.
type Date = types.Date

// Why a credit is given.
const (
	CreditSourceAdminGrant = gen.CreditSourceAdminGrant // given by an operator
	CreditSourceRefund     = gen.CreditSourceRefund     // money given back
)

// What became of a lease.
const (
	LeaseStatusRunning   = gen.LeaseStatusRunning   // recorded, not yet finished
	LeaseStatusBilled    = gen.LeaseStatusBilled    // finished, and debited by this request
	LeaseStatusDuplicate = gen.LeaseStatusDuplicate // recorded before with the same contents; nothing was done
)

// Where a ledger entry comes from. Others may be added to the API.
const (
	TransactionSourceStripeTopup      = gen.TransactionSourceStripeTopup      // a payment
	TransactionSourceCouponRedemption = gen.TransactionSourceCouponRedemption // a coupon
	TransactionSourceAdminGrant       = gen.TransactionSourceAdminGrant       // a credit given by an operator
	TransactionSourceVMLeaseDebit     = gen.TransactionSourceVMLeaseDebit     // the cost of one lease
	TransactionSourceRefund           = gen.TransactionSourceRefund           // money given back
)

// The kinds of failure.
const (
	ErrorTypeInvalidRequest   = gen.ErrorTypeInvalidRequest
	ErrorTypeUnauthorized     = gen.ErrorTypeUnauthorized
	ErrorTypeForbidden        = gen.ErrorTypeForbidden
	ErrorTypeNotFound         = gen.ErrorTypeNotFound
	ErrorTypeConflict         = gen.ErrorTypeConflict
	ErrorTypeValidationFailed = gen.ErrorTypeValidationFailed
	ErrorTypeRateLimited      = gen.ErrorTypeRateLimited
	ErrorTypeServerError      = gen.ErrorTypeServerError
)
