// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package gen

// The error codes.
const (
	CodeBadRequest                ErrorCode = "bad_request"                  // 400
	CodeUnauthorized              ErrorCode = "unauthorized"                 // 401
	CodeForbidden                 ErrorCode = "forbidden"                    // 403
	CodeOrganizationNotFound      ErrorCode = "organization_not_found"       // 404
	CodeTransactionNotFound       ErrorCode = "transaction_not_found"        // 404
	CodeRouteNotFound             ErrorCode = "route_not_found"              // 404
	CodeMethodNotAllowed          ErrorCode = "method_not_allowed"           // 405
	CodeRequestTimeout            ErrorCode = "request_timeout"              // 408
	CodeLeaseConflict             ErrorCode = "lease_conflict"               // 409
	CodeIdempotencyKeyReused      ErrorCode = "idempotency_key_reused"       // 409
	CodeBodyTooLarge              ErrorCode = "body_too_large"               // 413
	CodeUnsupportedMediaType      ErrorCode = "unsupported_media_type"       // 415
	CodeBillingUsageWindowInvalid ErrorCode = "billing_usage_window_invalid" // 422
	CodeCursorInvalid             ErrorCode = "cursor_invalid"               // 422
	CodeLimitInvalid              ErrorCode = "limit_invalid"                // 422
	CodeTransactionFilterInvalid  ErrorCode = "transaction_filter_invalid"   // 422
	CodeLeaseFilterInvalid        ErrorCode = "lease_filter_invalid"         // 422
	CodeUsageGroupInvalid         ErrorCode = "usage_group_invalid"          // 422
	CodeLeaseInvalid              ErrorCode = "lease_invalid"                // 422
	CodeAmountInvalid             ErrorCode = "amount_invalid"               // 422
	CodeRateCardInvalid           ErrorCode = "rate_card_invalid"            // 422
	CodeBodyInvalid               ErrorCode = "body_invalid"                 // 422
	CodeRateLimited               ErrorCode = "rate_limited"                 // 429
	CodeInternal                  ErrorCode = "internal"                     // 500
	CodeUnavailable               ErrorCode = "unavailable"                  // 503
)

// ErrorInfo is what the contract says of an error code.
type ErrorInfo struct {
	Code    ErrorCode
	Type    ErrorType
	Status  int      // the HTTP status
	Message string   // the text of every such error; empty where each has its own
	Route   bool     // whether it is answered before any operation is found
	What    string   // what happened, in a sentence; code stands between backticks
	Fix     []string // what to do, in order
}

// Errors has every error code, in the order of the contract.
var Errors = []ErrorInfo{
	{
		Code: CodeBadRequest, Type: "invalid_request", Status: 400,
		What: "The request could not be read: its path, query or body is malformed.",
		Fix: []string{
			"Read the message: it says which part could not be read.",
			"Escape query values; a `+` in an offset is sent as `%2B`.",
			"Send a body as one JSON value in UTF-8, without NUL characters.",
		},
	},
	{
		Code: CodeUnauthorized, Type: "unauthorized", Status: 401,
		Message: "a valid bearer token is required",
		What:    "The request came without a token that is valid: it is missing, unknown, expired or revoked. Which of these is not said.",
		Fix: []string{
			"Send the header `Authorization: Bearer` followed by the token, which begins with `hmt_`.",
			"Check that the whole token was copied; it has 47 characters.",
			"Ask whoever runs the server for a new token: `harmont-billing token create`.",
		},
	},
	{
		Code: CodeForbidden, Type: "forbidden", Status: 403,
		What: "The token sees the organization, but its role does not include this call.",
		Fix: []string{
			"The message names the role of the token and the one that the call needs.",
			"Recording leases takes the role `write`, posting credits the role `admin`; every GET takes `read`.",
			"Ask whoever runs the server for a token with that role.",
		},
	},
	{
		Code: CodeOrganizationNotFound, Type: "not_found", Status: 404,
		Message: "no such organization",
		What:    "There is no such organization, or the token was not made for it; the two are answered alike.",
		Fix: []string{
			"Check the slug in the path: upper and lower case differ.",
			"List what the token sees: `GET /api/v0/organizations`.",
			"Ask whoever runs the server for a token that includes the organization.",
		},
	},
	{
		Code: CodeTransactionNotFound, Type: "not_found", Status: 404,
		Message: "no such transaction",
		What:    "The organization's ledger has no entry with this id.",
		Fix: []string{
			"Check the id: `GET /api/v0/billing/transactions/{org}` lists the entries.",
			"Check the organization: an entry belongs to one ledger.",
		},
	},
	{
		Code: CodeRouteNotFound, Type: "not_found", Status: 404,
		Message: "no such route",
		Route:   true,
		What:    "The server has nothing at this path.",
		Fix: []string{
			"Compare the path with the API reference; calls begin with `/api/v0`.",
			"Behind a proxy, check that the path arrives as the server's `--base-path` expects it.",
		},
	},
	{
		Code: CodeMethodNotAllowed, Type: "invalid_request", Status: 405,
		Route: true,
		What:  "The path exists, but does not answer this method.",
		Fix: []string{
			"Use one of the methods that the answer's `Allow` header lists.",
		},
	},
	{
		Code: CodeRequestTimeout, Type: "invalid_request", Status: 408,
		Message: "the body did not arrive in time",
		What:    "The body of the request did not arrive in the time that the server waits for it.",
		Fix: []string{
			"Send the request again.",
			"Send large bodies in smaller requests where the connection is slow.",
		},
	},
	{
		Code: CodeLeaseConflict, Type: "conflict", Status: 409,
		What: "A lease that is recorded came again with other contents. Nothing of the request was recorded.",
		Fix: []string{
			"The message names the lease by its place in the list.",
			"While a lease runs, its start and its counts stay as first recorded; a billed lease does not change at all. To repeat a report, send exactly what was sent before.",
			"If two machines were reported under one `job_id`, give each its own.",
			"To give money back, post a credit with the source `refund`.",
		},
	},
	{
		Code: CodeIdempotencyKeyReused, Type: "conflict", Status: 409,
		What: "The `Idempotency-Key` was used before, with another body. No credit was posted.",
		Fix: []string{
			"To repeat a credit whose answer was lost, send the same body again.",
			"For another credit, make a new key, such as a random UUID.",
		},
	},
	{
		Code: CodeBodyTooLarge, Type: "invalid_request", Status: 413,
		What: "The body is over the limit of 1 MiB, or of 16 MiB for leases.",
		Fix: []string{
			"Send fewer leases in one request; 1 000 is the most.",
		},
	},
	{
		Code: CodeUnsupportedMediaType, Type: "invalid_request", Status: 415,
		What: "The body was not declared as JSON, or is compressed in another way than by gzip.",
		Fix: []string{
			"Send the header `Content-Type: application/json`.",
			"Leave out `Content-Encoding`, or send `gzip`.",
		},
	},
	{
		Code: CodeBillingUsageWindowInvalid, Type: "validation_failed", Status: 422,
		What: "The window, `from` and `to`, is missing, cannot be read, ends before it begins, or spans more than 3 660 days.",
		Fix: []string{
			"Send both `from` and `to`, as RFC 3339 (`2026-06-01T00:00:00Z`) or as a date (`2026-06-01`), which means midnight UTC.",
			"Let `to` lie after `from`: the window includes its start and excludes its end.",
			"Escape the `+` of an offset as `%2B`.",
		},
	},
	{
		Code: CodeCursorInvalid, Type: "validation_failed", Status: 422,
		What: "The cursor is not one that this server made for this list.",
		Fix: []string{
			"Pass `next_cursor` on as it was received, escaped once.",
			"A cursor belongs to one organization, and to the order and the filters of its list; leave it out to begin anew.",
		},
	},
	{
		Code: CodeLimitInvalid, Type: "validation_failed", Status: 422,
		What: "`limit` is not one whole number.",
		Fix: []string{
			"Send a number from 1 to 100, or leave `limit` out, which means 50.",
		},
	},
	{
		Code: CodeTransactionFilterInvalid, Type: "validation_failed", Status: 422,
		What: "The order or a filter of the list of transactions, or of credits, cannot be read, or is given more than once, or `to` is not after `from`.",
		Fix: []string{
			"Send `order` as `asc` or `desc`, `after` as the UUID of an entry, and `source` as one of those of a transaction.",
			"Send `from` and `to` as RFC 3339 timestamps such as `2026-06-01T00:00:00Z`, or as dates. `from` is included and `to` is not.",
		},
	},
	{
		Code: CodeLeaseFilterInvalid, Type: "validation_failed", Status: 422,
		What: "A filter of the list of leases cannot be read, or is given more than once.",
		Fix: []string{
			"Send `state` as `running` or `billed`, and `lease_id` and `job_id` as UUIDs.",
		},
	},
	{
		Code: CodeUsageGroupInvalid, Type: "validation_failed", Status: 422,
		What: "`by` is missing or names nothing that usage is grouped by, or the interval is unknown, or one of them is given more than once.",
		Fix: []string{
			"Send `by` as `pipeline`, `job`, `shape`, `author`, or `label.` followed by the key of a label, such as `label.team`.",
			"Send `interval` as `none`, `day` or `month`, or leave it out.",
		},
	},
	{
		Code: CodeLeaseInvalid, Type: "validation_failed", Status: 422,
		What: "A lease in the list lacks a field, or one of its values is out of bounds. Nothing of the request was recorded.",
		Fix: []string{
			"The message names the lease by its place in the list, and the field.",
			"A lease needs `job_id` or `lease_id`, `cpu_count`, `memory_gb`, `disk_gb` and `started_at`; `finished_at` is not before `started_at`.",
			"Correct the lease and send the whole request again.",
		},
	},
	{
		Code: CodeAmountInvalid, Type: "validation_failed", Status: 422,
		What: "The amount is out of bounds. No credit was posted.",
		Fix: []string{
			"Send `amount_cents` as a whole number of cents, from 1 to 1 000 000 000.",
		},
	},
	{
		Code: CodeRateCardInvalid, Type: "validation_failed", Status: 422,
		What: "A value of the rate card is missing or out of bounds, or the card would change prices of the past. Nothing was changed.",
		Fix: []string{
			"The message names the field.",
			"The three prices are given together, and so are the three counts of a shape, and the key and the value of a label.",
			"Leave `effective_from` out for a card that is in force from now on. Leases that are billed keep their prices.",
		},
	},
	{
		Code: CodeBodyInvalid, Type: "validation_failed", Status: 422,
		What: "The body or a header does not have the form that the call takes. Nothing was changed.",
		Fix: []string{
			"The message names the field.",
			"Keys that are unknown, come twice, or differ from the contract's in upper and lower case are refused, not ignored.",
			"The API reference shows the form and an example.",
		},
	},
	{
		Code: CodeRateLimited, Type: "rate_limited", Status: 429,
		Message: "too many requests",
		What:    "The token has sent more requests than the server allows it, or too many requests with invalid tokens came from the same address.",
		Fix: []string{
			"Wait for as many seconds as the `Retry-After` header says, and send the request again.",
			"Fetch longer windows and larger pages instead of many small ones.",
			"If the token is invalid, stop using it. A token that was valid when it was used last is served in any case.",
		},
	},
	{
		Code: CodeInternal, Type: "server_error", Status: 500,
		Message: "the server failed to answer this request",
		What:    "The server failed. The cause is in its log, under the request id.",
		Fix: []string{
			"Send the request again; reports of leases and credits with a key are safe to repeat.",
			"If it stays, give the request id to whoever runs the server.",
		},
	},
	{
		Code: CodeUnavailable, Type: "server_error", Status: 503,
		Message: "the service is temporarily unavailable; the request may be sent again",
		What:    "The database could not be reached, was busy for too long, or is out of space; or the server has as many large bodies, or breakdowns of this token or organization, under way as it can hold.",
		Fix: []string{
			"Send the request again after as many seconds as the `Retry-After` header says.",
			"A write may or may not have taken place; repeating it is safe.",
			"Whoever runs the server sees the cause in its log, and its state at `/readyz`.",
		},
	},
}

// ErrorInfoOf returns what the contract says of the code, or nil where it has no such code.
func ErrorInfoOf(code ErrorCode) *ErrorInfo {
	switch code {
	case CodeBadRequest:
		return &Errors[0]
	case CodeUnauthorized:
		return &Errors[1]
	case CodeForbidden:
		return &Errors[2]
	case CodeOrganizationNotFound:
		return &Errors[3]
	case CodeTransactionNotFound:
		return &Errors[4]
	case CodeRouteNotFound:
		return &Errors[5]
	case CodeMethodNotAllowed:
		return &Errors[6]
	case CodeRequestTimeout:
		return &Errors[7]
	case CodeLeaseConflict:
		return &Errors[8]
	case CodeIdempotencyKeyReused:
		return &Errors[9]
	case CodeBodyTooLarge:
		return &Errors[10]
	case CodeUnsupportedMediaType:
		return &Errors[11]
	case CodeBillingUsageWindowInvalid:
		return &Errors[12]
	case CodeCursorInvalid:
		return &Errors[13]
	case CodeLimitInvalid:
		return &Errors[14]
	case CodeTransactionFilterInvalid:
		return &Errors[15]
	case CodeLeaseFilterInvalid:
		return &Errors[16]
	case CodeUsageGroupInvalid:
		return &Errors[17]
	case CodeLeaseInvalid:
		return &Errors[18]
	case CodeAmountInvalid:
		return &Errors[19]
	case CodeRateCardInvalid:
		return &Errors[20]
	case CodeBodyInvalid:
		return &Errors[21]
	case CodeRateLimited:
		return &Errors[22]
	case CodeInternal:
		return &Errors[23]
	case CodeUnavailable:
		return &Errors[24]
	}
	return nil
}
