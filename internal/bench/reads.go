package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// connections is how many clients ask at the same time where throughput is measured.
const connections = 32

// get asks once and returns the body.
func get(ctx context.Context, p *process, path, token string) (string, error) {
	c, err := connect(ctx, p.address)
	if err != nil {
		return "", err
	}
	defer c.abandon()
	var body bytes.Buffer
	if err := c.send(request("GET", path, token, ""), &body); err != nil {
		return "", fmt.Errorf("GET %s: %w: %s", path, err, body.String())
	}
	return body.String(), nil
}

// balanceRate is a side: how many times a second a server answers with a balance.
func (b *bench) balanceRate(p *process, token string) side {
	return func(ctx context.Context) (int64, error) {
		return b.generator.rate(ctx, p.address, balancePath+largeOrg, token, connections, b.size.loadTime)
	}
}

// callTime is a side: how long one client waits for each answer.
func (b *bench) callTime(p *process, path, token string) side {
	return func(ctx context.Context) (int64, error) {
		n, elapsed, err := drive(ctx, p.address, 1, b.size.callsTime, sameRequest(request("GET", path, token, "")))
		return int64(elapsed) / max(n, 1), err
	}
}

// compare measures two sides and adds the row.
func (b *bench) compare(ctx context.Context, r row, warm bool, ours, yardstick side) error {
	measured, err := alternate(ctx, b.size.rounds, warm, ours, yardstick)
	if err != nil {
		return err
	}
	r.measurements, r.yardstick = measured[0], measured[1]
	b.add(r)
	return nil
}

func (b *bench) measureBalance(ctx context.Context, d databases) (err error) {
	name, token, err := b.filledDatabase(ctx, d)
	if err != nil {
		return err
	}
	server, err := b.serve(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	body, err := get(ctx, server, balancePath+largeOrg, token)
	if err != nil {
		return err
	}
	constant, err := b.startYardstick(ctx, "constant", strings.TrimSpace(body))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, constant.stop()) }()
	r := row{section: "balance", label: "Balance", store: d.name(), unit: perSecond, yardstickLabel: "a constant handler"}
	if d.name() == "SQLite" {
		r.bound = atLeast(50)
	}
	if err := b.compare(ctx, r, true, b.balanceRate(server, token), b.balanceRate(constant, token)); err != nil {
		return err
	}
	if d.name() == "PostgreSQL" {
		oneRow, err := b.startYardstick(ctx, "row", d.url(name))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, oneRow.stop()) }()
		r.yardstickLabel, r.bound = "a handler that reads one row", atLeast(90)
		if err := b.compare(ctx, r, true, b.balanceRate(server, token), b.balanceRate(oneRow, token)); err != nil {
			return err
		}
	}
	logging, err := b.serve(ctx, d.url(name), "--log-level", "debug")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logging.stop()) }()
	r.label, r.yardstickLabel, r.bound = "Balance, with a line in the log for each request", "the same without", bound{}
	return b.compare(ctx, r, true, b.balanceRate(logging, token), b.balanceRate(server, token))
}

// measureReads asks for two windows of a year: one of whole days, and one as of now, which cuts a minute, an hour and a day off at either end.
func (b *bench) measureReads(ctx context.Context, d databases) (err error) {
	name, token, err := b.filledDatabase(ctx, d)
	if err != nil {
		return err
	}
	server, err := b.serve(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := b.waitForGroupSums(ctx, d.url(name)); err != nil {
		return err
	}
	smallOrgLabel := fmt.Sprintf("the same with %s leases", groupDigits(int64(b.size.smallOrgLeases)))
	for _, call := range []struct {
		name, path, query string
		upToNow           bound
	}{
		{"Usage", "", "", atMost(150)},
		{"Series", "/series", "", atMost(150)},
		// They read the leases of incomplete days one by one.
		{"Usage by job", "/by", "&by=job", bound{}},
		{"Usage by shape and month", "/by", "&by=shape&interval=month", bound{}},
	} {
		for _, window := range []struct {
			name, query string
			bound       bound
		}{
			{"a year of whole days", "?from=2025-01-01&to=2026-01-01", atMost(150)},
			{"a year up to now", "?from=2025-01-01T00:17:23.123456Z&to=2025-12-31T23:42:41.654321Z", call.upToNow},
		} {
			err := b.compare(ctx, row{
				section: "reads", label: call.name + ", " + window.name, store: d.name(), unit: nanoseconds, yardstickLabel: smallOrgLabel,
				bound: window.bound,
			}, true, b.callTime(server, usagePath+largeOrg+call.path+window.query+call.query, token),
				b.callTime(server, usagePath+smallOrg+call.path+window.query+call.query, token))
			if err != nil {
				return err
			}
		}
	}
	first := row{
		section: "reads", label: "Transactions, first page", store: d.name(), unit: nanoseconds, yardstickLabel: smallOrgLabel, bound: atMost(150),
	}
	large := b.callTime(server, transactionsPath+largeOrg, token)
	if err := b.compare(ctx, first, true, large, b.callTime(server, transactionsPath+smallOrg, token)); err != nil {
		return err
	}
	cursor, err := cursorAtHalf(ctx, server, token, b.size.largeOrgLeases)
	if err != nil {
		return err
	}
	first.label, first.yardstickLabel = fmt.Sprintf("Transactions, a page %s entries deep", groupDigits(int64(b.size.largeOrgLeases/2))), "the first page"
	first.bound = atMost(110)
	return b.compare(ctx, first, true, b.callTime(server, transactionsPath+largeOrg+"?cursor="+url.QueryEscape(cursor), token), large)
}

// waitForGroupSums waits until a server has added the entries of all ledgers to the sums of groups. It begins with those of a database that
// was filled by another process.
func (b *bench) waitForGroupSums(ctx context.Context, database string) (err error) {
	rows, err := openRows(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		behind, _, err := rows.discardAll(ctx, `SELECT h.org_id FROM ledger_heads h LEFT JOIN usage_progress p ON p.org_id = h.org_id
			WHERE h.seq - coalesce(p.seq, 0) >= 1024`)
		if err != nil || behind == 0 {
			b.logf("  waited %s for the sums of groups", time.Since(start).Round(time.Second))
			return err
		}
	}
}

const (
	usagePath        = "/api/v0/billing/usage/"
	transactionsPath = "/api/v0/billing/transactions/"
)

// cursorAtHalf follows the pages of the large organization up to the middle of its ledger and returns the cursor there.
func cursorAtHalf(ctx context.Context, server *process, token string, entries int) (cursor string, err error) {
	c, err := connect(ctx, server.address)
	if err != nil {
		return "", err
	}
	defer c.abandon()
	const page = 100
	path := fmt.Sprintf("%s%s?limit=%d", transactionsPath, largeOrg, page)
	for range max(1, entries/2/page) {
		next := path
		if cursor != "" {
			next += "&cursor=" + url.QueryEscape(cursor)
		}
		var body bytes.Buffer
		if err := c.send(request("GET", next, token, ""), &body); err != nil {
			return "", err
		}
		// It stands at the end, and the page before it is long.
		tail := body.Bytes()[max(0, body.Len()-200):]
		i := bytes.LastIndex(tail, []byte(`"next_cursor":`))
		if i < 0 {
			return "", fmt.Errorf("no cursor in …%s", tail)
		}
		err := json.Unmarshal(bytes.TrimSuffix(bytes.TrimSpace(tail[i+len(`"next_cursor":`):]), []byte("}")), &cursor)
		if err != nil || cursor == "" {
			return "", fmt.Errorf("a cursor that cannot be read in …%s", tail)
		}
	}
	return cursor, ctx.Err()
}

func (b *bench) measureNaive(ctx context.Context, d databases) (err error) {
	name, token, err := b.filledDatabase(ctx, d)
	if err != nil {
		return err
	}
	server, err := b.serve(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	rows, err := openRows(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	org := orgIDs[largeOrg]
	timed := func(read func(context.Context) error) side {
		return func(ctx context.Context) (int64, error) {
			start := time.Now()
			err := read(ctx)
			return int64(time.Since(start)), err
		}
	}
	err = b.compare(ctx, row{
		section: "naive", label: "Balance", store: d.name(), unit: nanoseconds,
		yardstickLabel: fmt.Sprintf("SUM over %s entries", groupDigits(int64(b.size.largeOrgLeases))),
	}, false, b.callTime(server, balancePath+largeOrg, token), timed(func(ctx context.Context) error {
		_, _, err := rows.discardAll(ctx, `SELECT sum(amount_cents) FROM ledger_entries WHERE org_id = $1`, org[:])
		return err
	}))
	if err != nil {
		return err
	}
	w := b.breakdownWindow()
	query := usagePath + largeOrg + "?from=" + w.From.String() + "&to=" + w.To.String()
	return b.compare(ctx, row{
		section: "naive", label: "Usage", store: d.name(), unit: nanoseconds,
		yardstickLabel: fmt.Sprintf("loading %s leases", groupDigits(int64(b.size.breakdownLeases))),
	}, false, b.callTime(server, query, token), timed(func(ctx context.Context) error {
		return rows.readIntoMemory(ctx, leasesInWindow, org[:], int64(w.From), int64(w.To))
	}))
}
