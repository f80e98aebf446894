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
	h := yearOf(largeOrg, b.size.largeOrgLeases)
	return billing.Window{From: yearStart, To: h.at(b.size.breakdownLeases)}
}

func (b *bench) breakdownRequest(token string) []byte {
	w := b.breakdownWindow()
	return request("GET", usagePath+largeOrg+"/breakdown?from="+w.From.String()+"&to="+w.To.String(), token, "")
}

// breakdownTimes has the measurements of one breakdown.
type breakdownTimes struct {
	first, whole time.Duration
	memory       int64 // the peak of the server's memory, less its memory before, in bytes
}

func (b *bench) measureBreakdown(ctx context.Context, d databases) (err error) {
	name, token, err := b.filledDatabase(ctx, d)
	if err != nil {
		return err
	}
	rows, err := openRows(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	var streams []breakdownTimes
	var speeds, firstBytes, plainSpeeds, sortedSpeeds, firstRows, memories series
	org, w, n := orgIDs[largeOrg], b.breakdownWindow(), int64(b.size.breakdownLeases)
	args := []any{org[:], int64(w.From), int64(w.To)}
	for range b.size.rounds {
		stream, err := b.streamOnce(ctx, d.url(name), token)
		if err != nil {
			return err
		}
		streams = append(streams, stream)
		speeds, firstBytes, memories = append(speeds, ratePerSecond(n, stream.whole)), append(firstBytes, int64(stream.first)), append(memories, stream.memory)
		start := time.Now()
		read, _, err := rows.discardAll(ctx, leasesInWindow, args...)
		plainSpeeds = append(plainSpeeds, ratePerSecond(n, time.Since(start)))
		if err != nil || read != n {
			return errors.Join(err, fmt.Errorf("the window has %d leases, not %d", read, n))
		}
		start = time.Now()
		_, sorted, err := rows.discardAll(ctx, leasesByBuild, args...)
		if err != nil {
			return err
		}
		sortedSpeeds = append(sortedSpeeds, ratePerSecond(n, time.Since(start)))
		firstRows = append(firstRows, int64(sorted))
	}
	r := row{section: "breakdown", store: d.name(), label: "Breakdown, leases", unit: perSecond, measurements: speeds}
	r.yardstickLabel, r.yardstick, r.bound = "the same rows in their order, read and thrown away", sortedSpeeds, atLeast(50)
	b.add(r)
	r.yardstickLabel, r.yardstick = "the same rows in no order, read and thrown away", plainSpeeds
	b.add(r)
	r.label, r.unit, r.measurements = "Breakdown, first byte", nanoseconds, firstBytes
	r.yardstickLabel, r.yardstick, r.bound = "the first row of the same order", firstRows, atMost(100)
	b.add(r)
	r.label, r.unit, r.measurements, r.yardstickLabel, r.yardstick, r.bound = "Breakdown, extra memory", byteCount, memories, "", nil, bound{maximum: 32 << 20}
	b.add(r)
	return b.measureDisconnect(ctx, d, name, token, streams[0])
}

// streamOnce asks a server that has just begun, so that no earlier answer has made room for this one.
func (b *bench) streamOnce(ctx context.Context, database, token string) (s breakdownTimes, err error) {
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
	if err := resetPeakMemory(server.pid()); err != nil {
		return s, err
	}
	c, err := connect(ctx, server.address)
	if err != nil {
		return s, err
	}
	defer c.abandon()
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
func (b *bench) measureDisconnect(ctx context.Context, d databases, name, token string, undisturbed breakdownTimes) (err error) {
	server, err := b.serve(ctx, d.url(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	for _, disconnect := range []struct {
		what  string
		leave func(*connection) error
	}{
		{"Breakdown, work after a receiver left that waits for the first byte", func(*connection) error {
			time.Sleep(undisturbed.first / 2)
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
			err = disconnect.leave(c)
			c.abandon()
			if err != nil {
				return err
			}
			took, err := timeUntilIdle(ctx, server, d, name)
			if err != nil {
				return err
			}
			after = append(after, int64(took))
		}
		b.add(row{
			section: "breakdown", store: d.name(), label: disconnect.what, unit: nanoseconds, measurements: after, bound: bound{maximum: int64(time.Second)},
		})
	}
	return nil
}

// timeUntilIdle waits until the server uses no CPU time and the database runs no statement, and returns how long that took.
func timeUntilIdle(ctx context.Context, server *process, d databases, name string) (time.Duration, error) {
	const idleAfter, tick = 10, 20 * time.Millisecond // the server is idle after its CPU time has not changed for idleAfter ticks
	start := time.Now()
	last, busyUntil, idleTicks := time.Duration(-1), start, 0
	for idleTicks < idleAfter {
		used, err := cpuTime(server.pid())
		if err != nil {
			return 0, err
		}
		busy, err := d.busy(ctx, name)
		if err != nil {
			return 0, err
		}
		if used != last || busy {
			last, busyUntil, idleTicks = used, time.Now(), -1
		}
		idleTicks++
		if time.Since(start) > startStopTimeout {
			return 0, fmt.Errorf("the server is still at work after %s", startStopTimeout)
		}
		time.Sleep(tick)
	}
	return busyUntil.Sub(start), nil
}
