package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

// pagerCommand is the program that shows what is taller than the terminal: that of PAGER, or else less where it is installed. It is empty
// for none.
func pagerCommand() []string {
	if named, set := os.LookupEnv("PAGER"); set {
		if command := strings.Fields(named); len(command) > 0 && command[0] != "cat" {
			return command
		}
		return nil
	}
	if less, err := exec.LookPath("less"); err == nil {
		return []string{less, lessFlags}
	}
	return nil
}

// lessFlags make less end by itself where all fits, show colors, and leave the text on the screen.
const lessFlags = "-FRX"

// paged does work that writes to the output, and shows what it writes in the output's pager where the terminal is too small for it. A pager
// that is quit before the end ends the work, without an error.
func (o *output) paged(ctx context.Context, work func(context.Context) error) error {
	if len(o.pager) == 0 || o.height < 1 {
		return errors.Join(work(ctx), o.flush())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &pager{command: o.pager, terminal: o.file, height: o.height, quit: cancel}
	o.w.Reset(p)
	err := errors.Join(work(ctx), o.flush())
	if left, closeErr := p.close(); left {
		return nil
	} else if err == nil {
		return closeErr
	}
	return err
}

// pager holds text back until it is taller than the terminal, and gives it to a program then.
type pager struct {
	command  []string
	terminal *os.File
	height   int
	quit     func() // called when the program has ended

	held  bytes.Buffer
	out   io.Writer // where text goes that is not held back; nil before
	in    io.Closer // the end of the program's input; nil without a program
	ended chan struct{}
	left  bool // the program has ended, or closed its input, before it had all of the text
}

// Write holds the text back, or passes it on.
func (p *pager) Write(text []byte) (int, error) {
	if p.out != nil {
		n, err := p.out.Write(text)
		p.left = p.left || err != nil && p.in != nil
		return n, err
	}
	p.held.Write(text)
	if bytes.Count(p.held.Bytes(), []byte("\n")) < p.height { // the last line of the terminal is for the shell's prompt
		return len(text), nil
	}
	if err := p.start(); err != nil {
		_, _ = os.Stderr.WriteString("note: no pager: " + message(err) + "; see PAGER and --no-pager\n")
		p.out = p.terminal
	}
	held := p.held.Bytes()
	p.held = bytes.Buffer{}
	if _, err := p.Write(held); err != nil {
		return 0, err
	}
	return len(text), nil
}

// start runs the program. An interrupt is the program's while it runs: less, for example, stops reading then, and goes on.
func (p *pager) start() error {
	cmd := exec.Command(p.command[0], p.command[1:]...) //nolint:noctx // it ends when the person who reads it says so
	cmd.Stdout, cmd.Stderr = p.terminal, os.Stderr
	if _, set := os.LookupEnv("LESS"); !set {
		cmd.Env = append(os.Environ(), "LESS="+lessFlags)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	signal.Ignore(os.Interrupt)
	p.in, p.out, p.ended = in, in, make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is between it and its reader
		close(p.ended)
		p.quit()
	}()
	return nil
}

// close shows what was held back, or waits until the program has ended. It tells whether that ended before it had all of the text.
func (p *pager) close() (left bool, err error) {
	if p.in == nil {
		_, err = p.held.WriteTo(p.terminal)
		return false, err
	}
	select {
	case <-p.ended:
		p.left = true
	default:
		err = p.in.Close()
		<-p.ended
	}
	signal.Reset(os.Interrupt)
	return p.left, err
}
