package web

// Advice says what an error means to the one who gets it.
type Advice struct {
	What string   // what happened, in a sentence; code stands between backticks
	Fix  []string // what to do, in order
}

var advices = map[string]Advice{
	"bad_request": {
		"The request could not be read: its path, query or body is malformed.",
		[]string{
			"Read the message: it says which part could not be read.",
			"Escape query values; a `+` in an offset is sent as `%2B`.",
			"Send a body as one JSON value in UTF-8, without NUL characters.",
		},
	},
	"unauthorized": {
		"The request came without a token that is valid: it is missing, unknown, expired or revoked. Which of these is not said.",
		[]string{
			"Send the header `Authorization: Bearer` followed by the token, which begins with `hmt_`.",
			"Check that the whole token was copied; it has 47 characters.",
			"Ask whoever runs the server for a new token: `harmont-billing token create`.",
		},
	},
	"forbidden": {
		"The token sees the organization, but its role does not include this call.",
		[]string{
			"The message names the role of the token and the one that the call needs.",
			"Recording leases takes the role `write`, posting credits the role `admin`; every GET takes `read`.",
			"Ask whoever runs the server for a token with that role.",
		},
	},
	"organization_not_found": {
		"There is no such organization, or the token was not made for it; the two are answered alike.",
		[]string{
			"Check the slug in the path: upper and lower case differ.",
			"List what the token sees: `GET /api/v0/organizations`.",
			"Ask whoever runs the server for a token that includes the organization.",
		},
	},
	"route_not_found": {
		"The server has nothing at this path.",
		[]string{
			"Compare the path with the API reference; calls begin with `/api/v0`.",
			"Behind a proxy, check that the path arrives as the server's `--base-path` expects it.",
		},
	},
	"method_not_allowed": {
		"The path exists, but does not answer this method.",
		[]string{"Use one of the methods that the answer's `Allow` header lists."},
	},
	"request_timeout": {
		"The body did not arrive in time, so the server stopped waiting for it. Nothing was changed.",
		[]string{
			"Send the request again; the connection was closed.",
			"Over a slow connection, send fewer leases in one request, or compress the body with gzip.",
		},
	},
	"lease_conflict": {
		"A lease that was billed already came again with other contents. Nothing of the request was recorded.",
		[]string{
			"The message names the lease by its place in the list.",
			"A billed lease cannot change. To repeat a report, send exactly what was sent before.",
			"If two machines were reported under one `job_id`, give each its own.",
			"To give money back, post a credit with the source `refund`.",
		},
	},
	"idempotency_key_reused": {
		"The `Idempotency-Key` was used before, with another body. No credit was posted.",
		[]string{
			"To repeat a credit whose answer was lost, send the same body again.",
			"For another credit, make a new key, such as a random UUID.",
		},
	},
	"body_too_large": {
		"The body is over the limit of 1 MiB, or of 16 MiB for leases.",
		[]string{"Send fewer leases in one request; 1 000 is the most."},
	},
	"unsupported_media_type": {
		"The body was not declared as JSON, or is compressed in a way that the server does not take.",
		[]string{
			"Send the header `Content-Type: application/json`.",
			"Send the body as it is, or compress it with gzip and say `Content-Encoding: gzip`.",
		},
	},
	"billing_usage_window_invalid": {
		"The window, `from` and `to`, is missing, cannot be read, ends before it begins, or spans more than 3 660 days.",
		[]string{
			"Send both `from` and `to`, as RFC 3339 (`2026-06-01T00:00:00Z`) or as a date (`2026-06-01`), which means midnight UTC.",
			"Let `to` lie after `from`: the window includes its start and excludes its end.",
			"Escape the `+` of an offset as `%2B`.",
		},
	},
	"cursor_invalid": {
		"The cursor is not one that this server made for this list.",
		[]string{
			"Pass `next_cursor` on as it was received, escaped once.",
			"A cursor belongs to one organization; leave it out to begin anew.",
		},
	},
	"limit_invalid": {
		"`limit` is not a whole number.",
		[]string{"Send a number from 1 to 100, or leave `limit` out, which means 50."},
	},
	"lease_invalid": {
		"A lease in the list lacks a field, or one of its values is out of bounds. None of the request was recorded.",
		[]string{
			"The message names the lease by its place in the list, and the field.",
			"A lease needs `job_id` or `lease_id`, `cpu_count`, `memory_gb`, `disk_gb` and `started_at`; `finished_at` is not before `started_at`.",
			"Correct the lease and send the whole request again.",
		},
	},
	"amount_invalid": {
		"The amount is out of bounds. No credit was posted.",
		[]string{"Send `amount_cents` as a whole number of cents, from 1 to 1 000 000 000."},
	},
	"body_invalid": {
		"The body or a header does not have the form that the call takes. Nothing was changed.",
		[]string{
			"The message names the field.",
			"Keys that are unknown, come twice, or differ from the contract's in upper and lower case are refused, not ignored.",
			"The API reference shows the form and an example.",
		},
	},
	"rate_limited": {
		"The token has sent more requests than the server allows it.",
		[]string{
			"Wait for as many seconds as the `Retry-After` header says, and send the request again.",
			"Fetch longer windows and larger pages instead of many small ones.",
		},
	},
	"internal": {
		"The server failed. The cause is in its log, under the request id.",
		[]string{
			"Send the request again; reports of leases and credits with a key are safe to repeat.",
			"If it stays, give the request id to whoever runs the server.",
		},
	},
	"unavailable": {
		"The database could not be reached, was busy for too long, or is out of space.",
		[]string{
			"Send the request again after as many seconds as the `Retry-After` header says.",
			"A write may or may not have taken place; repeating it is safe.",
			"Whoever runs the server sees the cause in its log, and its state at `/readyz`.",
		},
	},
}
