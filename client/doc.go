// Package client is the Go client of the Harmont billing API: what an organization owes for the virtual machines that
// ran its CI jobs, and where each cent of it comes from.
//
//	c, err := client.New("https://billing.example.com", client.WithToken(os.Getenv("HARMONT_TOKEN")))
//	if err != nil {
//		return err
//	}
//	balance, err := c.GetBillingBalance(ctx, "acme")
//	if apiErr, ok := errors.AsType[*client.Error](err); ok && apiErr.Code == client.CodeOrganizationNotFound {
//		return fmt.Errorf("no such organization, or the token may not see it")
//	} else if err != nil {
//		return err
//	}
//	fmt.Println(balance.BalanceCents)
//
// A [Client] has one method for each operation of the API, named after its operationId, and iterators over the lists:
// [Client.Transactions] and [Client.Organizations]. The types of the API are all here, under the names of the contract,
// so that this is the only package to import. Optional fields are pointers; Go's new makes one from a value:
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
// A method fails in one of four ways, and never gives a zero value for something that the server did not say:
//
//   - [*Error]: the server, or a proxy before it, answered outside 2xx. Programs go by Code, and by Type for a code they
//     do not know.
//   - [ErrInvalidResponse], by [errors.Is]: the answer was 2xx but is not what the contract says.
//   - The transport's error, wrapped: no answer, or half of one. [errors.Is] finds [context.DeadlineExceeded],
//     [context.Canceled] and [io.ErrUnexpectedEOF], [errors.AsType] finds [*net/url.Error].
//   - An error about an argument; nothing was sent.
//
// After the second and the third a write may or may not have taken place. Repeating it is safe: see
// [Client.RecordLeases] and [Client.PostCredit].
//
// # The token
//
// The token goes to the host of the base URL and nowhere else: redirects are not followed, they are an [*Error]. It is in
// no error and in no print of a Client.
//
// # Testing
//
// A program that uses this package is best tested against the real server, in-process: the package server of this module
// opens one on a temporary file, and [net/http/httptest] serves it. The examples below do so.
package client
