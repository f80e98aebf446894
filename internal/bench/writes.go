package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

const leasesPerRequest = billing.RecordLeasesRequestLeasesMaxItems

// writtenHistory has the leases that a run writes, as dense as they come from a scheduler of a large organization: some
// twenty a minute.
func (b *bench) writtenHistory() history {
	return history{largeOrg, b.size.writtenLeases, billing.Time(b.size.writtenLeases) * 3 * billing.Second}
}

// onScratch has do work on a copy of a database.
func (b *bench) onScratch(ctx context.Context, d databases, from string, run func(database string) error) error {
	if err := d.copyTo(ctx, from, scratchDatabase); err != nil {
		return err
	}
	return run(d.url(scratchDatabase))
}

func (b *bench) measureWrites(ctx context.Context, d databases) error {
	token, err := b.newToken(ctx, d.url(emptyDatabase))
	if err != nil {
		return err
	}
	h := b.writtenHistory()
	var requests [][]byte
	for first := 0; first < h.n; first += leasesPerRequest {
		body, err := recordBody(h.leases(first, min(first+leasesPerRequest, h.n)))
		if err != nil {
			return err
		}
		requests = append(requests, request("POST", leasesPath+largeOrg, token, body))
	}
	record := func(clients int) side {
		return func(ctx context.Context) (speed int64, err error) {
			err = b.onScratch(ctx, d, emptyDatabase, func(database string) error {
				server, err := b.serve(ctx, database)
				if err != nil {
					return err
				}
				var sent atomic.Int64
				_, elapsed, err := drive(ctx, server.address, clients, 0, func(int) []byte {
					if i := int(sent.Add(1)); i <= len(requests) {
						return requests[i-1]
					}
					return nil
				})
				speed = ratePerSecond(int64(h.n), elapsed)
				if err := errors.Join(err, server.stop()); err != nil {
					return err
				}
				return b.verify(ctx, database)
			})
			return speed, err
		}
	}
	// Not measured: it brings the rows that the yardstick writes.
	if _, err := record(1)(ctx); err != nil {
		return err
	}
	bulk, withoutTriggers, err := b.bulkInserts(ctx, d)
	if err != nil {
		return err
	}
	clients := []int{1, 2, 4}
	sides := []side{bulk, withoutTriggers}
	for _, n := range clients {
		sides = append(sides, record(n))
	}
	measured, err := alternate(ctx, b.size.rounds, false, sides...)
	if err != nil {
		return err
	}
	r := row{section: "writes", store: d.name(), unit: perSecond, yardstickLabel: "bulk insert of the same rows", yardstick: measured[0]}
	for i, n := range clients {
		r.label, r.measurements, r.bound = fmt.Sprintf("Recorded leases, %s a request, %s", groupDigits(leasesPerRequest), clientsText(n)), measured[2+i], atLeast(60)
		b.add(r)
	}
	if d.name() == "SQLite" {
		r.label, r.measurements, r.bound = "Bulk insert without the triggers that guard the tables", measured[1], bound{}
		b.add(r)
	}
	return nil
}

func clientsText(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

// bulkInserts reads the rows of the scratch database and returns two sides that write the same rows into an empty one, as
// many leases to a transaction as a request has: with the guards of the tables, and without.
func (b *bench) bulkInserts(ctx context.Context, d databases) (withTriggers, withoutTriggers side, err error) {
	source, err := openRows(ctx, d.url(scratchDatabase))
	if err != nil {
		return nil, nil, err
	}
	tables, err := source.tables(ctx)
	if err := errors.Join(err, source.close()); err != nil {
		return nil, nil, err
	}
	bulk := func(withTriggers bool) side {
		return func(ctx context.Context) (speed int64, err error) {
			err = b.onScratch(ctx, d, emptyDatabase, func(database string) error {
				into, err := openRows(ctx, database)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, into.close()) }()
				if !withTriggers {
					if err := into.dropTriggers(ctx); err != nil {
						return err
					}
				}
				leases := len(tables[0].rows)
				transactions := (leases + leasesPerRequest - 1) / leasesPerRequest
				start := time.Now()
				for i := range transactions {
					if err := into.insert(ctx, slicesOf(tables, i, transactions)); err != nil {
						return err
					}
				}
				speed = ratePerSecond(int64(leases), time.Since(start))
				return nil
			})
			return speed, err
		}
	}
	return bulk(true), bulk(false), nil
}

func (b *bench) measureSingleWrites(ctx context.Context, d databases) error {
	if err := b.makeStarted(ctx, d); err != nil {
		return err
	}
	token, err := b.newToken(ctx, d.url(startedDatabase))
	if err != nil {
		return err
	}
	template, err := newLeaseTemplate(b.writtenHistory(), token)
	if err != nil {
		return err
	}
	// A side writes to a server that start starts, as long as a run lasts.
	writeSide := func(clients int, verified bool, start func(ctx context.Context, database string) (*process, error)) side {
		return func(ctx context.Context) (speed int64, err error) {
			err = b.onScratch(ctx, d, startedDatabase, func(database string) error {
				server, err := start(ctx, database)
				if err != nil {
					return err
				}
				n, elapsed, err := drive(ctx, server.address, clients, b.size.loadTime, template.sender(clients))
				speed = ratePerSecond(n, elapsed)
				if err := errors.Join(err, server.stop()); err != nil || !verified {
					return err
				}
				return b.verify(ctx, database)
			})
			return speed, err
		}
	}
	yardstick := func(clients int, kind string) side {
		return writeSide(clients, false, func(ctx context.Context, database string) (*process, error) {
			return b.startYardstick(ctx, kind, database)
		})
	}
	manyClientsBound := atLeast(350)
	if d.name() == "PostgreSQL" {
		manyClientsBound = atLeast(800)
	}
	for _, run := range []struct {
		clients int
		bound   bound
	}{{connections, manyClientsBound}, {1, atLeast(100)}} {
		ours := writeSide(run.clients, true, func(ctx context.Context, database string) (*process, error) { return b.serve(ctx, database) })
		measured, err := alternate(ctx, b.size.rounds, false, ours, yardstick(run.clients, "naive"), yardstick(run.clients, "bare"))
		if err != nil {
			return err
		}
		r := row{section: "single", store: d.name(), unit: perSecond, measurements: measured[0]}
		r.label = "Recorded leases, one a request, " + clientsText(run.clients)
		r.yardstickLabel, r.yardstick, r.bound = "a transaction for each request", measured[1], run.bound
		b.add(r)
		r.yardstickLabel, r.yardstick, r.bound = "a transaction for each request, of two statements", measured[2], bound{}
		b.add(r)
	}
	return nil
}

// leaseTemplate is a request that records one lease, of which each copy has other ids.
type leaseTemplate struct {
	text []byte
	ids  []int // where the last digits of ids are
}

// idDigits is how many digits of an id tell the copies apart.
const idDigits = 12

func newLeaseTemplate(h history, token string) (*leaseTemplate, error) {
	body, err := recordBody(h.leases(0, 1))
	if err != nil {
		return nil, err
	}
	s := &leaseTemplate{text: request("POST", leasesPath+largeOrg, token, body)}
	for _, key := range []string{`"lease_id":"`, `"job_id":"`} {
		i := bytes.Index(s.text, []byte(key))
		if i < 0 {
			return nil, fmt.Errorf("no %s in %s", key, s.text)
		}
		s.ids = append(s.ids, i+len(key)+36-idDigits)
	}
	return s, nil
}

// sender gives each of several clients a copy of its own, with ids that count on.
func (s *leaseTemplate) sender(clients int) func(client int) []byte {
	copies := make([][]byte, clients)
	for i := range copies {
		copies[i] = bytes.Clone(s.text)
	}
	var sent atomic.Int64
	return func(client int) []byte {
		n := sent.Add(1)
		for _, at := range s.ids {
			for i, rest := at+idDigits-1, n; i >= at; i, rest = i-1, rest/10 {
				copies[client][i] = byte('0' + rest%10)
			}
		}
		return copies[client]
	}
}

func (b *bench) measureImport(ctx context.Context, d databases) error {
	h := b.writtenHistory()
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for i := range h.n {
		line := toJSON(h.lease(i))
		line.Type, line.Org = "lease", largeOrg
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	file := filepath.Join(b.workFolder, "leases.ndjson")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		return err
	}
	importOnce := func(ctx context.Context) (speed int64, err error) {
		err = b.onScratch(ctx, d, emptyDatabase, func(database string) error {
			start := time.Now()
			if _, err := b.run(ctx, "", "import", "--database", database, file); err != nil {
				return err
			}
			speed = ratePerSecond(int64(h.n), time.Since(start))
			return b.verify(ctx, database)
		})
		return speed, err
	}
	if _, err := importOnce(ctx); err != nil {
		return err
	}
	bulk, _, err := b.bulkInserts(ctx, d)
	if err != nil {
		return err
	}
	return b.compare(ctx, row{
		section: "import", label: "Imported leases", store: d.name(), unit: perSecond, yardstickLabel: "bulk insert of the same rows",
	}, false, importOnce, bulk)
}
