package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watchFlags are the flags of the commands that can repeat their question.
type watchFlags struct {
	on       bool
	interval time.Duration
}

const (
	defaultInterval = 5 * time.Second
	minInterval     = time.Second
)

func newWatchFlags(cmd *cobra.Command) *watchFlags {
	w := &watchFlags{interval: defaultInterval}
	cmd.Flags().BoolVar(&w.on, "watch", false, "ask again and again, until Ctrl-C")
	cmd.Flags().Func("interval", "the `TIME` between two questions of --watch (default 5s)", parseInto(&w.interval, func(text string) (time.Duration, error) {
		interval, err := parseSpan(text)
		if err == nil && interval < minInterval {
			err = fmt.Errorf("must be %s or more", minInterval)
		}
		return interval, err
	}))
	noFileCompletion(cmd, "interval")
	return w
}

// check refuses an output that could not be read.
func (w *watchFlags) check(cmd *cobra.Command, out *output) error {
	switch {
	case !w.on && cmd.Flags().Changed("interval"):
		return usagef("--interval goes with --watch")
	case w.on && !out.terminal && out.format != formatNDJSON:
		return usagef("--watch needs a terminal, or -o ndjson")
	}
	return nil
}

// run asks until the context is done, which is how it is meant to end. On a terminal a later failure is shown, since it
// may pass; elsewhere it ends the watch, so that a script learns of it.
func (w *watchFlags) run(ctx context.Context, stdout io.Writer, format, title string, ask func(context.Context, *output) error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	out := newOutput(stdout, format)
	for first := true; ; {
		select {
		case <-ctx.Done():
			if out.terminal {
				out.text("\n") // below the ^C
			}
			return out.flush()
		case <-timer.C:
		}
		out = newOutput(stdout, format) // the terminal's size may have changed
		var answer bytes.Buffer
		screen := *out
		screen.w = bufio.NewWriter(&answer)
		err := errors.Join(ask(ctx, &screen), screen.flush())
		if ctx.Err() != nil {
			continue
		}
		if err != nil && (first || !out.terminal) {
			return err
		}
		if out.terminal {
			if err != nil {
				answer.Reset()
				answer.WriteString(message(err) + "\n")
			}
			head := fmt.Sprintf("Every %s: %s, %s UTC", w.interval, title, toSecond(time.Now()))
			out.redraw(head, answer.String(), screen.rowLines, screen.newestLast)
		} else {
			out.text(answer.String())
		}
		if err := out.flush(); err != nil {
			return err
		}
		first = false
		timer.Reset(w.interval)
	}
}

// redraw replaces the contents of the terminal, and cuts them at its last line.
func (o *output) redraw(head, text string, rowLines int, newestLast bool) {
	if o.width > 0 {
		head = shorten(printable(head), o.width)
	}
	o.text("\x1b[H\x1b[2J" + o.styled(faint, head) + "\n\n")
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range fit(lines, o.height-3, max(rowLines, 1), newestLast) { // the two above, and the cursor's
		o.text(line)
	}
	o.text("\n")
}

// fit leaves lines out where there are more than the room for them, but neither the titles nor the totals, which are the
// first and the last row. A row has so many lines. Where there is no room for a row between them, nothing is left out.
func fit(lines []string, room, rowLines int, newestLast bool) []string {
	kept := (room - 2*rowLines - 1) / rowLines * rowLines
	if kept < 1 || len(lines) <= room {
		return lines
	}
	titles, between, total := lines[:rowLines], lines[rowLines:len(lines)-rowLines], lines[len(lines)-rowLines:]
	left := []string{fmt.Sprintf("… %s\n", count(int64(len(between)-kept), "more line", "more lines"))}
	if newestLast {
		return slices.Concat(titles, left, between[len(between)-kept:], total)
	}
	return slices.Concat(titles, between[:kept], left, total)
}
