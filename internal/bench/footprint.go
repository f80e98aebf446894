package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

func (b *bench) measureFootprint(ctx context.Context, d databases) error {
	name, err := b.fill(ctx, d)
	if err != nil {
		return err
	}
	token, err := b.newToken(ctx, d.url(name))
	if err != nil {
		return err
	}
	size, err := d.size(ctx, name)
	if err != nil {
		return err
	}
	var starts, idle series
	for range b.size.rounds {
		begun := time.Now()
		server, err := b.serve(ctx, d.url(name))
		if err != nil {
			return err
		}
		_, err = get(ctx, server, balancePath+largeOrg, token)
		starts = append(starts, int64(time.Since(begun)))
		if err != nil {
			return errors.Join(err, server.stop())
		}
		time.Sleep(time.Second) // until the program has finished its start
		held, err := memory(server.pid(), "VmRSS")
		if err := errors.Join(err, server.stop()); err != nil {
			return err
		}
		idle = append(idle, held)
	}
	b.add(row{
		section: "footprint", what: fmt.Sprintf("Start to first answer, on a database of %s", octets.text(size)), store: d.name(),
		unit: nanos, ours: starts, bound: bound{most: int64(150 * time.Millisecond)},
	})
	b.add(row{section: "footprint", what: "Resident memory when idle", store: d.name(), unit: octets, ours: idle, bound: bound{most: 40 << 20}})
	if d.name() != "SQLite" {
		return nil
	}
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	b.add(row{section: "footprint", what: "The program's file", unit: octets, ours: series{info.Size()}, bound: bound{most: 45 << 20}})
	return nil
}
