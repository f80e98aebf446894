// Package client is the Go client of the Harmont billing API. It reads the balance of an organization, the usage of the virtual machines
// that ran its CI jobs, and the source of each charge.
//
//	c, err := client.FromEnv() // HARMONT_API_URL and HARMONT_TOKEN
//	if err != nil {
//		return err
//	}
//	balance, err := c.GetBillingBalance(ctx, "acme")
//	if errors.Is(err, client.ErrOrganizationNotFound) {
//		return fmt.Errorf("no such organization, or the token may not see it")
//	} else if err != nil {
//		return err
//	}
//	fmt.Println(client.FormatCents(balance.BalanceCents))
//
// A [Client] has one method for each operation of the API, named after its operationId. Other methods iterate over long lists:
// [Client.Transactions], [Client.Leases], [Client.RateCards] and [Client.Organizations] fetch pages, [Client.FilterTransactions] those of a part of the ledger,
// [Client.TransactionsSince] continues after a known entry, and [Client.UsageBreakdown] decodes one build at a time. [Client.Do] calls what
// has no method. A [Recorder] records single leases in batches, and keeps them in a file if it is given one.
//
// An [Option] applies to all calls of a client, or to the one call that it is passed to.
//
//	balance, err := c.GetBillingBalance(ctx, "acme", client.WithTimeout(time.Second), client.WithMaxRetries(0))
//
// The package declares all types of the API under the names of the contract, so that programs import no other package. Optional fields are
// pointers, which the built-in function new makes from values:
//
//	lease := client.Lease{JobID: new(job.ID), JobName: new("Integration"), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start}
//
// # Values
//
// Amounts are integer cents, which [FormatCents] prints. Credits are positive and debits are negative or 0. The TotalCents of usage and of its series are costs, which
// are positive or 0. Times have microsecond precision. A nil pointer in an answer stands for null: the value is unknown or does not apply.
// [Value] reads such a pointer. The JSON of a type of the API is what the API itself sends and takes.
//
// # Errors
//
// A method returns one of four kinds of errors. It never returns a zero value for a field that the answer lacks.
//
//   - [*Error]: the server, or a proxy in front of it, answered with a status other than 2xx. [errors.Is] compares its code, as in
//     errors.Is(err, client.ErrLeaseConflict). Type is for codes that a program does not know.
//   - [ErrInvalidResponse], found by [errors.Is]: the answer was 2xx but does not follow the contract.
//   - [*net/url.Error], found by [errors.AsType]: there was no answer, or an incomplete one. It wraps
//     [context.DeadlineExceeded], [context.Canceled] or [io.ErrUnexpectedEOF].
//   - Any other error concerns an argument, a token source or a middleware. No request was sent.
//
// After an error of the second or the third kind, a write may have taken place. Repeating it is safe: see [Client.RecordLeases],
// [Client.PostCredit] and [Client.SetRateCard].
//
// # Retries
//
// The client sends a request again if the answer has the status 408, 429, 502, 503 or 504, or if there is no complete answer within the time
// of [WithTimeout]. It does so at most twice, unless [WithMaxRetries] sets another number. The wait before the first retry is random, up to
// 0.5 seconds. The limit doubles with each further retry, up to 8 seconds. The time of a Retry-After header is added, up to one minute; of a
// 429 without one that says that no request remains, the time until the reset of its rate limit. If a wait would end after the deadline of
// the context, the call returns the last error immediately. Each write has a key from its first attempt on. The server executes it once
// under this key. Each attempt has an x-request-id of its own, which errors show.
//
// # The token
//
// The client sends the token only to the host of the base URL. It does not follow redirects, and returns them as an [*Error]. The token does
// not appear in errors, in log lines or in a printed Client.
//
// # Testing
//
// The example "Testing" shows a test with a handler of its own. The package server of the module github.com/harmont-dev/harmont-billing
// opens a real server on a temporary file, and [net/http/httptest] serves it in the process of the test.
package client
