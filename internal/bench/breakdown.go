package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// breakdownWindow holds as many leases as the size says, from the start of the year on.
func (b *bench) breakdownWindow() billing.Window {
	h := yearOf(largeOrg, b.size.leases)
	return billing.Window{From: yearStart, To: h.at(b.size.breakdown)}
}

func (b *bench) breakdownRequest(token string) []byte {
	w := b.breakdownWindow()
	return request("GET", usagePath+largeOrg+"/breakdown?from="+w.From.String()+"&to="+w.To.String(), token, "")
}

// streamed has the measurements of one breakdown.
type streamed struct {
	first, whole time.Duration
	memory       int64 // the peak of the server's memory, less its memory before, in bytes
}

func (b *bench) measureBreakdown(ctx context.Context, d databases) (err error) {
	name, err := b.fill(ctx, d)
	if err != nil {
		return err
	}
	token, err := b.newToken(ctx, d.url(name))
	if err != nil {
		return err
	}
	rows, err := openRows(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	var ours []streamed
	var speeds, firsts, plainSpeeds, sortedSpeeds, plainFirsts, memories series
	org, w, n := orgIDs[largeOrg], b.breakdownWindow(), int64(b.size.breakdown)
	args := []any{org[:], int64(w.From), int64(w.To)}
	for range b.size.rounds {
		one, err := b.streamOnce(ctx, d.url(name), token)
		if err != nil {
			return err
		}
		ours = append(ours, one)
		speeds, firsts, memories = append(speeds, rate(n, one.whole)), append(firsts, int64(one.first)), append(memories, one.memory)
		start := time.Now()
		read, _, err := rows.drain(ctx, leasesInWindow, args...)
		plainSpeeds = append(plainSpeeds, rate(n, time.Since(start)))
		if err != nil || read != n {
			return errors.Join(err, fmt.Errorf("the window has %d leases, not %d", read, n))
		}
		start = time.Now()
		_, sorted, err := rows.drain(ctx, leasesByBuild, args...)
		if err != nil {
			return err
		}
		sortedSpeeds = append(sortedSpeeds, rate(n, time.Since(start)))
		plainFirsts = append(plainFirsts, int64(sorted))
	}
	r := row{section: "breakdown", store: d.name(), what: "Breakdown, leases", unit: perSecond, ours: speeds}
	r.against, r.yardstick, r.bound = "the same rows in their order, read and thrown away", sortedSpeeds, least(50)
	b.add(r)
	r.against, r.yardstick = "the same rows in no order, read and thrown away", plainSpeeds
	b.add(r)
	r.what, r.unit, r.ours = "Breakdown, first byte", nanos, firsts
	r.against, r.yardstick, r.bound = "the first row of the same order", plainFirsts, most(100)
	b.add(r)
	r.what, r.unit, r.ours, r.against, r.yardstick, r.bound = "Breakdown, extra memory", octets, memories, "", nil, bound{most: 32 << 20}
	b.add(r)
	return b.measureDisconnect(ctx, d, name, token, ours[0])
}

// streamOnce asks a server that has just begun, so that no earlier answer has made room for this one.
func (b *bench) streamOnce(ctx context.Context, database, token string) (s streamed, err error) {
	server, err := b.serve(ctx, database)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if _, err := get(ctx, server, balancePath+largeOrg, token); err != nil {
		return s, err
	}
	before, err := memory(server.pid(), "VmRSS")
	if err != nil {
		return s, err
	}
	if err := forgetPeak(server.pid()); err != nil {
		return s, err
	}
	c, err := connect(ctx, server.address)
	if err != nil {
		return s, err
	}
	defer c.leave()
	watch := &firstByte{start: time.Now()}
	if err := c.send(b.breakdownRequest(token), watch); err != nil {
		return s, err
	}
	s.first, s.whole = watch.after, time.Since(watch.start)
	peak, err := memory(server.pid(), "VmHWM")
	s.memory = peak - before
	return s, err
}

// firstByte discards writes and records the time of the first byte.
type firstByte struct {
	start time.Time
	after time.Duration
}

func (w *firstByte) Write(p []byte) (int, error) {
	if w.after == 0 {
		w.after = time.Since(w.start)
	}
	return len(p), nil
}

// measureDisconnect closes connections of receivers, and measures how long server and database continue to work.
func (b *bench) measureDisconnect(ctx context.Context, d databases, name, token string, usual streamed) (err error) {
	server, err := b.serve(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	for _, moment := range []struct {
		what  string
		leave func(*connection) error
	}{
		{"Breakdown, work after a receiver left that waits for the first byte", func(*connection) error {
			time.Sleep(usual.first / 2)
			return nil
		}},
		{"Breakdown, work after a receiver left that has read some", func(c *connection) error {
			_, err := io.CopyN(io.Discard, c.r, 1<<16)
			return err
		}},
	} {
		var after series
		for range b.size.rounds {
			c, err := connect(ctx, server.address)
			if err != nil {
				return err
			}
			if _, err := c.Write(b.breakdownRequest(token)); err != nil {
				return err
			}
			err = moment.leave(c)
			c.leave()
			if err != nil {
				return err
			}
			took, err := untilIdle(ctx, server, d, name)
			if err != nil {
				return err
			}
			after = append(after, int64(took))
		}
		b.add(row{
			section: "breakdown", store: d.name(), what: moment.what, unit: nanos, ours: after, bound: bound{most: int64(time.Second)},
		})
	}
	return nil
}

// untilIdle is the time until the server computes no more and the database runs no statement.
func untilIdle(ctx context.Context, server *process, d databases, name string) (time.Duration, error) {
	const quiet, tick = 10, 20 * time.Millisecond // idle is when the CPU time stands still for so many ticks
	start := time.Now()
	last, since, still := time.Duration(-1), start, 0
	for still < quiet {
		used, err := cpuTime(server.pid())
		if err != nil {
			return 0, err
		}
		busy, err := d.busy(ctx, name)
		if err != nil {
			return 0, err
		}
		if used != last || busy {
			last, since, still = used, time.Now(), -1
		}
		still++
		if time.Since(start) > patience {
			return 0, fmt.Errorf("the server is still at work after %s", patience)
		}
		time.Sleep(tick)
	}
	return since.Sub(start), nil
}
