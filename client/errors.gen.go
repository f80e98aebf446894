// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package client

// The documented codes, with the HTTP status of each.
const (
	// CodeBadRequest comes with the status 400. The request could not be read: its path, query or body is malformed.
	CodeBadRequest Code = "bad_request"
	// CodeUnauthorized comes with the status 401. The request came without a token that is valid: it is missing, unknown, expired or revoked. Which of these is not said.
	CodeUnauthorized Code = "unauthorized"
	// CodeForbidden comes with the status 403. The token sees the organization, but its role does not include this call.
	CodeForbidden Code = "forbidden"
	// CodeOrganizationNotFound comes with the status 404. There is no such organization, or the token was not made for it; the two are answered alike.
	CodeOrganizationNotFound Code = "organization_not_found"
	// CodeTransactionNotFound comes with the status 404. The organization's ledger has no entry with this id.
	CodeTransactionNotFound Code = "transaction_not_found"
	// CodeRouteNotFound comes with the status 404. The server has nothing at this path.
	CodeRouteNotFound Code = "route_not_found"
	// CodeMethodNotAllowed comes with the status 405. The path exists, but does not answer this method.
	CodeMethodNotAllowed Code = "method_not_allowed"
	// CodeRequestTimeout comes with the status 408. The body of the request did not arrive in the time that the server waits for it.
	CodeRequestTimeout Code = "request_timeout"
	// CodeLeaseConflict comes with the status 409. A lease that is recorded came again with other contents. Nothing of the request was recorded.
	CodeLeaseConflict Code = "lease_conflict"
	// CodeIdempotencyKeyReused comes with the status 409. The `Idempotency-Key` was used before, with another body. No credit was posted.
	CodeIdempotencyKeyReused Code = "idempotency_key_reused"
	// CodeBodyTooLarge comes with the status 413. The body is over the limit of 1 MiB, or of 16 MiB for leases.
	CodeBodyTooLarge Code = "body_too_large"
	// CodeUnsupportedMediaType comes with the status 415. The body was not declared as JSON, or is compressed in another way than by gzip.
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	// CodeBillingUsageWindowInvalid comes with the status 422. The window, `from` and `to`, is missing, cannot be read, ends before it begins, or spans more than 3 660 days.
	CodeBillingUsageWindowInvalid Code = "billing_usage_window_invalid"
	// CodeCursorInvalid comes with the status 422. The cursor is not one that this server made for this list.
	CodeCursorInvalid Code = "cursor_invalid"
	// CodeLimitInvalid comes with the status 422. `limit` is not one whole number.
	CodeLimitInvalid Code = "limit_invalid"
	// CodeTransactionFilterInvalid comes with the status 422. The order or a filter of the list of transactions, or of credits, cannot be read, or is given more than once, or `to` is not after `from`.
	CodeTransactionFilterInvalid Code = "transaction_filter_invalid"
	// CodeLeaseFilterInvalid comes with the status 422. A filter of the list of leases cannot be read, or is given more than once.
	CodeLeaseFilterInvalid Code = "lease_filter_invalid"
	// CodeUsageGroupInvalid comes with the status 422. `by` is missing or names nothing that usage is grouped by, or the interval is unknown, or one of them is given more than once.
	CodeUsageGroupInvalid Code = "usage_group_invalid"
	// CodeLeaseInvalid comes with the status 422. A lease in the list lacks a field, or one of its values is out of bounds. Nothing of the request was recorded.
	CodeLeaseInvalid Code = "lease_invalid"
	// CodeAmountInvalid comes with the status 422. The amount is out of bounds. No credit was posted.
	CodeAmountInvalid Code = "amount_invalid"
	// CodeRateCardInvalid comes with the status 422. A value of the rate card is missing or out of bounds, or the card would change prices of the past. Nothing was changed.
	CodeRateCardInvalid Code = "rate_card_invalid"
	// CodeBodyInvalid comes with the status 422. The body or a header does not have the form that the call takes. Nothing was changed.
	CodeBodyInvalid Code = "body_invalid"
	// CodeRateLimited comes with the status 429. The token has sent more requests than the server allows it, or too many requests with invalid tokens came from the same address.
	CodeRateLimited Code = "rate_limited"
	// CodeInternal comes with the status 500. The server failed. The cause is in its log, under the request id.
	CodeInternal Code = "internal"
	// CodeUnavailable comes with the status 503. The database could not be reached, was busy for too long, or is out of space; or the server has as many large bodies, or breakdowns of this token or organization, under way as it can hold.
	CodeUnavailable Code = "unavailable"
)

// The documented codes as errors, for [errors.Is]: an [*Error] with the code is the error of the same name.
var (
	ErrBadRequest                error = codeError(CodeBadRequest)                // 400 Bad Request
	ErrUnauthorized              error = codeError(CodeUnauthorized)              // 401 Unauthorized
	ErrForbidden                 error = codeError(CodeForbidden)                 // 403 Forbidden
	ErrOrganizationNotFound      error = codeError(CodeOrganizationNotFound)      // 404 Not Found
	ErrTransactionNotFound       error = codeError(CodeTransactionNotFound)       // 404 Not Found
	ErrRouteNotFound             error = codeError(CodeRouteNotFound)             // 404 Not Found
	ErrMethodNotAllowed          error = codeError(CodeMethodNotAllowed)          // 405 Method Not Allowed
	ErrRequestTimeout            error = codeError(CodeRequestTimeout)            // 408 Request Timeout
	ErrLeaseConflict             error = codeError(CodeLeaseConflict)             // 409 Conflict
	ErrIdempotencyKeyReused      error = codeError(CodeIdempotencyKeyReused)      // 409 Conflict
	ErrBodyTooLarge              error = codeError(CodeBodyTooLarge)              // 413 Request Entity Too Large
	ErrUnsupportedMediaType      error = codeError(CodeUnsupportedMediaType)      // 415 Unsupported Media Type
	ErrBillingUsageWindowInvalid error = codeError(CodeBillingUsageWindowInvalid) // 422 Unprocessable Entity
	ErrCursorInvalid             error = codeError(CodeCursorInvalid)             // 422 Unprocessable Entity
	ErrLimitInvalid              error = codeError(CodeLimitInvalid)              // 422 Unprocessable Entity
	ErrTransactionFilterInvalid  error = codeError(CodeTransactionFilterInvalid)  // 422 Unprocessable Entity
	ErrLeaseFilterInvalid        error = codeError(CodeLeaseFilterInvalid)        // 422 Unprocessable Entity
	ErrUsageGroupInvalid         error = codeError(CodeUsageGroupInvalid)         // 422 Unprocessable Entity
	ErrLeaseInvalid              error = codeError(CodeLeaseInvalid)              // 422 Unprocessable Entity
	ErrAmountInvalid             error = codeError(CodeAmountInvalid)             // 422 Unprocessable Entity
	ErrRateCardInvalid           error = codeError(CodeRateCardInvalid)           // 422 Unprocessable Entity
	ErrBodyInvalid               error = codeError(CodeBodyInvalid)               // 422 Unprocessable Entity
	ErrRateLimited               error = codeError(CodeRateLimited)               // 429 Too Many Requests
	ErrInternal                  error = codeError(CodeInternal)                  // 500 Internal Server Error
	ErrUnavailable               error = codeError(CodeUnavailable)               // 503 Service Unavailable
)
