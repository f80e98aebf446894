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
//	fmt.Println(balance.BalanceCents)
//
// A [Client] has one method for each operation of the API, named after its operationId. Further methods walk long lists:
// [Client.Transactions] and [Client.Organizations] page by page, [Client.TransactionsSince] from where a poller was last,
// and [Client.UsageBreakdown] build by build. A [Recorder] takes the leases of a scheduler one by one.
//
// An [Option] is for a whole client or for one call: every method takes some at its end.
//
//	balance, err := c.GetBillingBalance(ctx, "acme", client.WithTimeout(time.Second), client.WithMaxRetries(0))
//
// The types of the API are all here, under the names of the contract, so that this is the only package to import. Optional
// fields are pointers; Go's new makes one from a value:
//
//	lease := client.Lease{JobID: new(job.ID), JobName: new("Integration"), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start}
//
// # Values
//
// Amounts are integer cents. Credits are positive, debits negative or 0; only the total_cents of usage and of its series
// is a cost, and positive. Times are exact to the microsecond. A nil pointer in an answer is the API's null: unknown or
// not applicable.
//
// # Errors
//
// A method fails in one of four ways, and never returns a zero value for a field that the answer does not have:
//
//   - [*Error]: the server, or a proxy before it, answered outside 2xx. Programs go by its code, as
//     errors.Is(err, client.ErrLeaseConflict), and by Type for a code they do not know.
//   - [ErrInvalidResponse], by [errors.Is]: the answer was 2xx but does not follow the contract.
//   - [*net/url.Error], by [errors.AsType]: no answer, or half of one. [errors.Is] finds [context.DeadlineExceeded],
//     [context.Canceled] and [io.ErrUnexpectedEOF] in it.
//   - An error about an argument, of a token source or of a middleware; nothing was sent.
//
// After the second and the third a write may or may not have taken place. Repeating it is safe: see
// [Client.RecordLeases] and [Client.PostCredit].
//
// # Retries
//
// A request is sent again, at most twice unless [WithMaxRetries] says otherwise, when the answer is a 408, 429, 502, 503 or
// 504, or when there is none, or half of one, in the time of [WithTimeout]. Before the first retry lie up to 0.5 seconds, and
// up to twice as long before each further one, at random; and before that the time that the server's Retry-After asks for,
// at most a minute of it. If the context's deadline would end a wait, the call fails immediately, with
// the failure itself. Every write has a key before its first attempt, under which the server does it once.
//
// # The token
//
// The token goes to the host of the base URL and nowhere else: redirects are not followed, they are an [*Error]. It is in
// no error, in no line of a log and in no print of a Client.
//
// # Testing
//
// A program that uses this package is best tested against the real server, in-process: the package server of this module
// opens one on a temporary file, and [net/http/httptest] serves it. The example "Testing" shows how.
package client
