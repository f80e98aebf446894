package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// request returns the bytes of a request. They are made once, so that making them is not measured.
func request(method, path, token, body string) []byte {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n", method, path, token)
	if body != "" {
		head += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return []byte(head + "\r\n" + body)
}

// connection sends requests one after another. It reads no more of an answer than it must to find the end of it.
type connection struct {
	net.Conn
	r *bufio.Reader
}

func connect(ctx context.Context, address string) (*connection, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 1<<16)}, nil
}

// abandon closes the connection. The error of Close is ignored, because the rest of an answer is not needed.
func (c *connection) abandon() { _ = c.Close() }

// send sends a request and hands the body of its answer to w. Any status but 200 is an error.
func (c *connection) send(request []byte, w io.Writer) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	status, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := strings.HasPrefix(string(status), "HTTP/1.1 200 ")
	refusal := strings.TrimSpace(string(status))
	length, chunked := int64(-1), false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		switch {
		case hasHeader(line, "content-length:"):
			length, err = strconv.ParseInt(strings.TrimSpace(string(line[len("content-length:"):])), 10, 64)
			if err != nil {
				return err
			}
		case hasHeader(line, "transfer-encoding:"):
			chunked = true
		}
	}
	switch {
	case chunked:
		err = c.copyChunks(w)
	case length < 0:
		err = errors.New("an answer of unknown length")
	default:
		_, err = io.CopyN(w, c.r, length)
	}
	if err == nil && !ok {
		err = errors.New(refusal)
	}
	return err
}

func (c *connection) copyChunks(w io.Writer) error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(line)), 16, 64)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(w, c.r, size); err != nil {
			return err
		}
		if _, err := c.r.Discard(len("\r\n")); err != nil || size == 0 {
			return err
		}
	}
}

// hasHeader compares without regard to case; name is in lower case.
func hasHeader(line []byte, name string) bool {
	return len(line) >= len(name) && line[0]|0x20 == name[0] && strings.EqualFold(string(line[:len(name)]), name)
}

// drive sends the requests of next over several connections, until next returns nil or the time is up. Zero is no limit. It returns how
// many requests were answered with 200, and how long that took. Every other answer is an error.
func drive(ctx context.Context, address string, connections int, limit time.Duration, next func(connection int) []byte) (int64, time.Duration, error) {
	connected := make([]*connection, connections)
	for i := range connected {
		c, err := connect(ctx, address)
		if err != nil {
			for _, c := range connected[:i] {
				c.abandon()
			}
			return 0, 0, err
		}
		connected[i] = c
	}
	var answers atomic.Int64
	var firstErr error
	var once sync.Once
	var sending sync.WaitGroup
	start := time.Now()
	for i, c := range connected {
		sending.Go(func() {
			n := int64(0)
			defer func() {
				answers.Add(n)
				c.abandon()
			}()
			for limit == 0 || time.Since(start) < limit {
				request := next(i)
				if request == nil {
					return
				}
				err := c.send(request, io.Discard)
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					once.Do(func() { firstErr = err })
					return
				}
				n++
			}
		})
	}
	sending.Wait()
	return answers.Load(), time.Since(start), firstErr
}

// sameRequest returns the same request for each connection.
func sameRequest(request []byte) func(int) []byte { return func(int) []byte { return request } }

// generator is the external program that sends requests which a generator in Go could not send fast enough.
type generator struct{ wrk string } // the path of wrk; "" where there is none

func findGenerator() generator {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return generator{}
	}
	return generator{path}
}

func (g generator) String() string {
	if g.wrk == "" {
		return "the generator below, since wrk is not installed"
	}
	return "wrk"
}

var (
	wrkRate    = regexp.MustCompile(`Requests/sec: +(\d+)\.`)
	wrkFailure = regexp.MustCompile(`Non-2xx or 3xx responses: \d+|Socket errors: .*`)
)

// rate sends one GET over and over and returns how many a second were answered.
func (g generator) rate(ctx context.Context, address, path, token string, connections int, limit time.Duration) (int64, error) {
	if g.wrk == "" {
		n, elapsed, err := drive(ctx, address, connections, limit, sameRequest(request("GET", path, token, "")))
		return ratePerSecond(n, elapsed), err
	}
	out, err := exec.CommandContext(ctx, g.wrk, "--threads=1", fmt.Sprintf("--connections=%d", connections),
		fmt.Sprintf("--duration=%ds", max(1, int64(limit/time.Second))), "--header=Authorization: Bearer "+token, "http://"+address+path).Output()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(string(out))
}

func parseWrk(out string) (int64, error) {
	if failure := wrkFailure.FindString(out); failure != "" {
		return 0, fmt.Errorf("wrk: %s", failure)
	}
	found := wrkRate.FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("wrk says no rate: %s", out)
	}
	return strconv.ParseInt(found[1], 10, 64)
}
