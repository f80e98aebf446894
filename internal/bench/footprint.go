package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

func (b *bench) measureFootprint(ctx context.Context, d databases) error {
	name, token, err := b.filledDatabase(ctx, d)
	if err != nil {
		return err
	}
	size, err := d.size(ctx, name)
	if err != nil {
		return err
	}
	var starts, idle series
	for range b.size.rounds {
		startedAt := time.Now()
		server, err := b.serve(ctx, d.url(name))
		if err != nil {
			return err
		}
		_, err = get(ctx, server, balancePath+largeOrg, token)
		starts = append(starts, int64(time.Since(startedAt)))
		if err != nil {
			return errors.Join(err, server.stop())
		}
		time.Sleep(time.Second) // until the program has finished its start
		resident, err := memory(server.pid(), "VmRSS")
		if err := errors.Join(err, server.stop()); err != nil {
			return err
		}
		idle = append(idle, resident)
	}
	b.add(row{
		section: "footprint", label: fmt.Sprintf("Start to first answer, on a database of %s", byteCount.format(size)), store: d.name(),
		unit: nanoseconds, measurements: starts, bound: bound{maximum: int64(150 * time.Millisecond)},
	})
	b.add(row{section: "footprint", label: "Resident memory when idle", store: d.name(), unit: byteCount, measurements: idle, bound: bound{maximum: 40 << 20}})
	if d.name() != "SQLite" {
		return nil
	}
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	b.add(row{section: "footprint", label: "The program's file", unit: byteCount, measurements: series{info.Size()}, bound: bound{maximum: 45 << 20}})
	return nil
}
