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
	serve := p.command(t.Context(), "serve", "--listen", "127.0.0.1:0")
	limited := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, "256"}, serve.Args...)...)
	limited.Dir, limited.Env = serve.Dir, serve.Env
	server := &process{t: t, cmd: limited, exited: make(chan struct{})}
	server.run()
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
}
