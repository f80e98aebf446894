package main

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// A server that may have few open files serves new clients and its database, however many clients keep idle connections.
func TestFewOpenFiles(t *testing.T) {
	const idle = 400
	p := newProgram(t)
	p.ok("org", "create", "acme")
	token := strings.TrimSpace(p.ok("token", "create", "--name", "reader", "--role", "read", "--org", "acme"))
	limited := func(files string) *process {
		serve := p.command(t.Context(), "serve", "--listen", "127.0.0.1:0")
		limited := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, files}, serve.Args...)...)
		limited.Dir, limited.Env = serve.Dir, serve.Env
		server := &process{t: t, cmd: limited, exited: make(chan struct{})}
		server.run()
		return server
	}
	refused := limited("63")
	refused.waitFor(`this process may open only 63 files, and the database needs more; allow at least 64, with 'ulimit -n' or LimitNOFILE of systemd`)
	if state := refused.wait(); state.ExitStatus() != exitFailure {
		t.Errorf("a server that may open 63 files exits with %d", state.ExitStatus())
	}

	server := limited("256")
	address := server.waitFor(`msg=serving address=(http://\S+)`)[1]
	for range idle {
		conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{"/api/v0/billing/balance/acme", "/readyz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("beside %d idle connections, %s gets %s", idle, path, resp.Status)
		}
	}
	if log := server.text(); strings.Contains(log, "too many open files") {
		t.Errorf("the server ran out of files:\n%s", log)
	}
}
