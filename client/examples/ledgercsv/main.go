// Command ledgercsv appends the entries of an organization's ledger to a CSV file, oldest first. It continues after the last entry in the
// file, so it can be run again and again, also after it was killed.
package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ledgercsv ORG FILE")
		os.Exit(2)
	}
	c, err := client.FromEnv()
	if err == nil {
		err = export(context.Background(), c, os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func export(ctx context.Context, c *client.Client, org, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	last, err := lastEntry(f)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	defer func() {
		w.Flush()
		if err == nil {
			err = w.Error()
		}
	}()
	for tx, err := range c.TransactionsSince(ctx, org, last) {
		if err != nil {
			return err // the file has the entries before, and the next run continues after them
		}
		record := []string{tx.CreatedAt.UTC().Format(time.RFC3339Nano), strconv.FormatInt(tx.AmountCents, 10), string(tx.Source), client.Value(tx.Description), tx.ID.String()}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	return nil
}

// lastEntry returns the id of the last entry in the file, the zero UUID if there is none. It cuts off a line that was not written to its
// end, and leaves the file at its end. A description with a newline makes a record of several lines, but an id ends the last of them.
func lastEntry(f *os.File) (client.UUID, error) {
	const maxRecord = 64 << 10 // no record is longer
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return client.UUID{}, err
	}
	tail := make([]byte, min(size, maxRecord))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return client.UUID{}, err
	}
	start := size - int64(len(tail))
	for end := bytes.LastIndexByte(tail, '\n'); end >= 0; end = bytes.LastIndexByte(tail[:end], '\n') {
		id, err := uuid.Parse(string(tail[bytes.LastIndexByte(tail[:end], ',')+1 : end]))
		if err != nil {
			continue
		}
		if err := f.Truncate(start + int64(end) + 1); err != nil {
			return client.UUID{}, err
		}
		_, err = f.Seek(0, io.SeekEnd)
		return id, err
	}
	if start > 0 || bytes.IndexByte(tail, '\n') >= 0 {
		return client.UUID{}, fmt.Errorf("%s is not a file of this program", f.Name())
	}
	if err := f.Truncate(0); err != nil {
		return client.UUID{}, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return client.UUID{}, err
}
