// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package httpserver

import (
	"math"
	"regexp"

	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// Operations has what the contract says of each operation, by operationId.
var Operations = map[string]*wire.Operation{
	"getBillingBalance": {
		ID: "getBillingBalance", Method: "GET", Path: "/api/v0/billing/balance/{org}", Role: "read",
		InOrganization: true,
		Errors:         []string{"bad_request", "unauthorized", "organization_not_found", "rate_limited", "internal", "unavailable"},
	},
	"listBillingTransactions": {
		ID: "listBillingTransactions", Method: "GET", Path: "/api/v0/billing/transactions/{org}", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "order", Code: "transaction_filter_invalid", String: &wire.String{MinLength: 0, MaxLength: math.MaxInt, Values: []string{"asc", "desc"}}},
			{Name: "after", Code: "transaction_filter_invalid", UUID: true},
			{Name: "from", Code: "transaction_filter_invalid"},
			{Name: "to", Code: "transaction_filter_invalid"},
			{Name: "source", Code: "transaction_filter_invalid", String: &wire.String{MinLength: 0, MaxLength: math.MaxInt, Values: []string{"stripe_topup", "coupon_redemption", "admin_grant", "vm_lease_debit", "refund"}}},
			{Name: "limit", Default: "50", Code: "limit_invalid", Clamped: true, Integer: &wire.Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}},
			{Name: "cursor", Code: "cursor_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "transaction_not_found", "transaction_filter_invalid", "limit_invalid", "cursor_invalid", "rate_limited", "internal", "unavailable"},
	},
	"getBillingTransaction": {
		ID: "getBillingTransaction", Method: "GET", Path: "/api/v0/billing/transactions/{org}/{id}", Role: "read",
		InOrganization: true,
		PathParameters: []wire.Parameter{
			{Name: "id", Required: true, Code: "transaction_not_found", UUID: true},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "transaction_not_found", "rate_limited", "internal", "unavailable"},
	},
	"getBillingHead": {
		ID: "getBillingHead", Method: "GET", Path: "/api/v0/billing/head/{org}", Role: "read",
		InOrganization: true,
		Errors:         []string{"bad_request", "unauthorized", "organization_not_found", "rate_limited", "internal", "unavailable"},
	},
	"getBillingStatement": {
		ID: "getBillingStatement", Method: "GET", Path: "/api/v0/billing/statement/{org}", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "from", Required: true, Code: "billing_usage_window_invalid"},
			{Name: "to", Required: true, Code: "billing_usage_window_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "billing_usage_window_invalid", "rate_limited", "internal", "unavailable"},
	},
	"getBillingRunway": {
		ID: "getBillingRunway", Method: "GET", Path: "/api/v0/billing/runway/{org}", Role: "read",
		InOrganization: true,
		Errors:         []string{"bad_request", "unauthorized", "organization_not_found", "rate_limited", "internal", "unavailable"},
	},
	"getBillingUsage": {
		ID: "getBillingUsage", Method: "GET", Path: "/api/v0/billing/usage/{org}", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "from", Required: true, Code: "billing_usage_window_invalid"},
			{Name: "to", Required: true, Code: "billing_usage_window_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "billing_usage_window_invalid", "rate_limited", "internal", "unavailable"},
	},
	"getBillingUsageSeries": {
		ID: "getBillingUsageSeries", Method: "GET", Path: "/api/v0/billing/usage/{org}/series", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "from", Required: true, Code: "billing_usage_window_invalid"},
			{Name: "to", Required: true, Code: "billing_usage_window_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "billing_usage_window_invalid", "rate_limited", "internal", "unavailable"},
	},
	"getBillingUsageBy": {
		ID: "getBillingUsageBy", Method: "GET", Path: "/api/v0/billing/usage/{org}/by", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "by", Required: true, Code: "usage_group_invalid", String: &wire.String{MinLength: 0, MaxLength: 69, Pattern: regexp.MustCompile("^(pipeline|job|shape|author|label\\.[A-Za-z0-9][A-Za-z0-9._/-]*)$")}},
			{Name: "from", Required: true, Code: "billing_usage_window_invalid"},
			{Name: "to", Required: true, Code: "billing_usage_window_invalid"},
			{Name: "interval", Code: "usage_group_invalid", String: &wire.String{MinLength: 0, MaxLength: math.MaxInt, Values: []string{"none", "day", "month"}}},
			{Name: "limit", Default: "50", Code: "limit_invalid", Clamped: true, Integer: &wire.Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "billing_usage_window_invalid", "usage_group_invalid", "limit_invalid", "rate_limited", "internal", "unavailable"},
	},
	"getBillingUsageBreakdown": {
		ID: "getBillingUsageBreakdown", Method: "GET", Path: "/api/v0/billing/usage/{org}/breakdown", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "from", Required: true, Code: "billing_usage_window_invalid"},
			{Name: "to", Required: true, Code: "billing_usage_window_invalid"},
		},
		Streamed: true,
		Errors:   []string{"bad_request", "unauthorized", "organization_not_found", "billing_usage_window_invalid", "rate_limited", "internal", "unavailable"},
	},
	"listBillingLeases": {
		ID: "listBillingLeases", Method: "GET", Path: "/api/v0/billing/leases/{org}", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "state", Code: "lease_filter_invalid", String: &wire.String{MinLength: 0, MaxLength: math.MaxInt, Values: []string{"running", "billed"}}},
			{Name: "lease_id", Code: "lease_filter_invalid", UUID: true},
			{Name: "job_id", Code: "lease_filter_invalid", UUID: true},
			{Name: "limit", Default: "50", Code: "limit_invalid", Clamped: true, Integer: &wire.Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}},
			{Name: "cursor", Code: "cursor_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "limit_invalid", "cursor_invalid", "lease_filter_invalid", "rate_limited", "internal", "unavailable"},
	},
	"recordLeases": {
		ID: "recordLeases", Method: "POST", Path: "/api/v0/billing/leases/{org}", Role: "write",
		InOrganization: true,
		MaxBodyBytes:   16777216,
		Errors:         []string{"bad_request", "unauthorized", "forbidden", "organization_not_found", "request_timeout", "body_too_large", "unsupported_media_type", "lease_conflict", "lease_invalid", "body_invalid", "rate_limited", "internal", "unavailable"},
	},
	"listBillingCredits": {
		ID: "listBillingCredits", Method: "GET", Path: "/api/v0/billing/credits/{org}", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "from", Code: "transaction_filter_invalid"},
			{Name: "to", Code: "transaction_filter_invalid"},
			{Name: "limit", Default: "50", Code: "limit_invalid", Clamped: true, Integer: &wire.Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}},
			{Name: "cursor", Code: "cursor_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "transaction_filter_invalid", "limit_invalid", "cursor_invalid", "rate_limited", "internal", "unavailable"},
	},
	"postCredit": {
		ID: "postCredit", Method: "POST", Path: "/api/v0/billing/credits/{org}", Role: "admin",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "Idempotency-Key", Header: true, Required: true, Code: "body_invalid", String: &wire.String{MinLength: 1, MaxLength: 255}},
		},
		MaxBodyBytes: 1048576,
		Errors:       []string{"bad_request", "unauthorized", "forbidden", "organization_not_found", "request_timeout", "body_too_large", "unsupported_media_type", "idempotency_key_reused", "amount_invalid", "body_invalid", "rate_limited", "internal", "unavailable"},
	},
	"listBillingRateCards": {
		ID: "listBillingRateCards", Method: "GET", Path: "/api/v0/billing/rate-cards/{org}", Role: "read",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "limit", Default: "50", Code: "limit_invalid", Clamped: true, Integer: &wire.Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}},
			{Name: "cursor", Code: "cursor_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "organization_not_found", "limit_invalid", "cursor_invalid", "rate_limited", "internal", "unavailable"},
	},
	"setRateCard": {
		ID: "setRateCard", Method: "POST", Path: "/api/v0/billing/rate-cards/{org}", Role: "admin",
		InOrganization: true,
		Parameters: []wire.Parameter{
			{Name: "Idempotency-Key", Header: true, Required: true, Code: "body_invalid", String: &wire.String{MinLength: 1, MaxLength: 255}},
		},
		MaxBodyBytes: 1048576,
		Errors:       []string{"bad_request", "unauthorized", "forbidden", "organization_not_found", "request_timeout", "body_too_large", "unsupported_media_type", "idempotency_key_reused", "rate_card_invalid", "body_invalid", "rate_limited", "internal", "unavailable"},
	},
	"listOrganizations": {
		ID: "listOrganizations", Method: "GET", Path: "/api/v0/organizations", Role: "read",
		Parameters: []wire.Parameter{
			{Name: "limit", Default: "50", Code: "limit_invalid", Clamped: true, Integer: &wire.Integer{Minimum: math.MinInt64, Maximum: math.MaxInt64}},
			{Name: "cursor", Code: "cursor_invalid"},
		},
		Errors: []string{"bad_request", "unauthorized", "limit_invalid", "cursor_invalid", "rate_limited", "internal", "unavailable"},
	},
}
