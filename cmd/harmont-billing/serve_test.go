package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDemo(t *testing.T) {
	p := newProgram(t)
	demo := p.start("demo", "--listen", "127.0.0.1:0")
	demo.waitFor("Ctrl-C")
	address := demo.waitFor(`at (http://\S+)\n`)[1]
	ask := p.with("HARMONT_API_URL="+demo.waitFor(`export HARMONT_API_URL=(\S+)\n`)[1], "HARMONT_TOKEN="+demo.waitFor(`export HARMONT_TOKEN=(hmt_\S+)\n`)[1])
	if !slices.Contains(ask.env, "HARMONT_API_URL="+address) {
		t.Errorf("two addresses:\n%s", demo.text())
	}
	link := demo.waitFor(`\n  (http://\S+)/#token=(hmt_\S+)\n`)
	if link[1] != address || !slices.Contains(ask.env, "HARMONT_TOKEN="+link[2]) {
		t.Errorf("the link %v leads elsewhere", link[1:])
	}
	commands := regexp.MustCompile(`(?m)^  `+regexp.QuoteMeta(binary)+` (.+)$`).FindAllStringSubmatch(demo.text(), -1)
	if len(commands) != 2 {
		t.Fatalf("%d commands in:\n%s", len(commands), demo.text())
	}
	for _, command := range commands {
		if got := ask.run(strings.Fields(command[1])...); got.status != exitOK || !strings.Contains(got.stdout, "$") {
			t.Errorf("%s: %+v", command[1], got)
		}
	}
	path := demo.waitFor(`curl .*\$HARMONT_API_URL/api/v0/billing/(\S+)"`)[1]
	if got := ask.get(path); !strings.Contains(got, "vm_lease_debit") {
		t.Errorf("%s: %s", path, got)
	}
	if days := strings.Count(ask.ok("series", "acme", "--last", "89d", "-o", "csv"), "\n"); days != 90 {
		t.Errorf("%d days", days)
	}

	ask.ok("check", address)

	folders := filepath.Join(p.dir, "harmont-billing-demo-*")
	if found, err := filepath.Glob(folders); err != nil || len(found) != 1 {
		t.Errorf("%s: %v, %v", folders, found, err)
	}
	closed := p.start("demo", "--listen", "127.0.0.1:0")
	closed.waitFor("Ctrl-C")
	demo.signal(os.Interrupt)
	closed.signal(syscall.SIGHUP)
	for _, demo := range []*process{demo, closed} {
		if status := demo.wait(); status.Signaled() || status.ExitStatus() != exitOK {
			t.Errorf("%v\n%s", demo.cmd.ProcessState, demo.text())
		}
	}
	if left, err := filepath.Glob(folders); err != nil || len(left) != 0 {
		t.Errorf("it leaves %v behind (%v)", left, err)
	}
}

func TestBasePath(t *testing.T) {
	p := newProgram(t)
	if bad := p.run("serve", "--base-path", "billing"); bad.status != exitFailure || !strings.Contains(bad.stderr, `"billing" must be like /billing`) {
		t.Errorf("a bad path: %+v", bad)
	}
	if left, err := os.ReadDir(p.dir); err != nil || len(left) > 0 {
		t.Errorf("a bad path leaves %v, %v", left, err)
	}
	p.ok("org", "create", "acme")
	token := strings.TrimSpace(p.ok("token", "create", "--name", "reader", "--role", "read", "--org", "acme"))
	_, address := p.serve("--base-path", "/billing/")
	if !strings.HasSuffix(address, "/billing") {
		t.Errorf("the address is %s", address)
	}
	equal(t, "below the path", p.with("HARMONT_API_URL="+address, "HARMONT_TOKEN="+token).ok("balance", "acme"), "$0.00\n")
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			p := newProgram(t)
			p.ok("org", "create", "acme")
			token := strings.TrimSpace(p.ok("token", "create", "--name", "scheduler", "--role", "write", "--org", "acme"))
			server, address := p.serve()

			body, write := io.Pipe()
			reading := make(chan struct{})
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(reading) }})
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/api/v0/billing/leases/acme", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Expect", "100-continue") // the server answers 100 when it reads the body
			transport := &http.Transport{ExpectContinueTimeout: patience}
			t.Cleanup(transport.CloseIdleConnections)
			answered := make(chan string, 1)
			go func() {
				resp, err := transport.RoundTrip(req)
				if err != nil {
					answered <- err.Error()
					return
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				answered <- fmt.Sprint(resp.StatusCode, " ", string(text), err)
			}()

			select {
			case <-reading:
			case answer := <-answered:
				t.Fatal(answer)
			case <-time.After(patience):
				t.Fatalf("the server does not read the body:\n%s", server.text())
			}
			_, _ = io.WriteString(write, `{"leases":[{"job_id":"10000000-0000-4000-8000-000000000001","cpu_count":2,"memory_gb":4,"disk_gb":20,`)
			server.signal(s)
			for refused := false; !refused; {
				conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
				if refused = err != nil; !refused {
					conn.Close()
				}
			}
			_, _ = io.WriteString(write, `"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z"}]}`)
			write.Close()

			select {
			case answer := <-answered:
				if !strings.HasPrefix(answer, "200 ") || !strings.Contains(answer, `"billed"`) {
					t.Error(answer)
				}
			case <-time.After(patience):
				t.Fatalf("no answer:\n%s", server.text())
			}
			if status := server.wait(); status.ExitStatus() != exitOK || status.Signaled() {
				t.Errorf("%v\n%s", server.cmd.ProcessState, server.text())
			}
			equal(t, "the lease afterwards", p.asking().ok("balance", "acme"), "-$0.12\n")
		})
	}
}
