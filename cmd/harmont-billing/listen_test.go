package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// overSocket returns the status of /readyz over a socket file, or the error.
func overSocket(t *testing.T, socket string) string {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://proxy/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	return resp.Status
}

// socketFolder returns a folder with a short path, since that of a socket is bounded.
func socketFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "hb") //nolint:usetesting // the path of t.TempDir is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func TestUnixSocket(t *testing.T) {
	p := newProgram(t)
	socket := filepath.Join(socketFolder(t), "api.sock")
	listen := "unix:" + socket
	serve := func() *process {
		server := p.start("serve", "--listen", listen)
		server.waitFor(`msg=serving address=` + listen + " ")
		return server
	}

	server := serve()
	equal(t, "an answer", overSocket(t, socket), "200 OK")
	info, err := os.Stat(socket)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	second := p.run("serve", "--listen", listen)
	if second.status != exitFailure || !strings.Contains(second.stderr, "another process listens on "+socket) {
		t.Errorf("a second server on the socket: %+v", second)
	}
	equal(t, "an answer after the second server", overSocket(t, socket), "200 OK")

	server.signal(syscall.SIGKILL)
	server.wait()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("a killed server should leave its socket behind: %v", err)
	}
	server = serve()
	equal(t, "an answer over the socket of a killed server", overSocket(t, socket), "200 OK")
	server.signal(syscall.SIGTERM)
	if status := server.wait(); status.ExitStatus() != exitOK {
		t.Errorf("%v\n%s", server.cmd.ProcessState, server.text())
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is left behind")
	}

	if err := os.WriteFile(socket, []byte("books"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(filepath.Dir(socket), strings.Repeat("x", 120))
	for address, want := range map[string]string{
		listen: socket + " is there, and is no socket", "unix:/nowhere/api.sock": "no such file or directory",
		"unix:" + long: "the path of a socket may have about 100 bytes",
	} {
		if got := p.run("serve", "--listen", address); got.status != exitFailure || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v", address, got)
		}
	}
	if text, err := os.ReadFile(socket); string(text) != "books" {
		t.Errorf("a file of another kind was touched: %q, %v", text, err)
	}
}

// handOver starts a server as systemd does: with sockets from descriptor 3 on, for this process.
func (p program) handOver(files ...*os.File) *process {
	p.t.Helper()
	running := &process{t: p.t, exited: make(chan struct{})}
	running.cmd = exec.CommandContext(context.Background(), "sh", "-c", `LISTEN_PID=$$ exec "$0" serve`, binary)
	running.cmd.Dir, running.cmd.Env, running.cmd.ExtraFiles = p.dir, p.with(fmt.Sprintf("LISTEN_FDS=%d", len(files))).env, files
	running.run()
	return running
}

func TestSocketActivation(t *testing.T) {
	p := newProgram(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	socket := filepath.Join(socketFolder(t), "api.sock")
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	fileOf := func(listener interface{ File() (*os.File, error) }) *os.File {
		file, err := listener.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	files := []*os.File{fileOf(tcp.(*net.TCPListener)), fileOf(unix.(*net.UnixListener))}

	// The socket of a killed server goes on in the next one, and a client that came in between is answered.
	for _, end := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		server := p.handOver(files...)
		server.waitFor(`msg=serving address=http://` + tcp.Addr().String() + " ")
		server.waitFor(`msg=serving address=unix:` + socket + " ")
		equal(t, "over the socket file", overSocket(t, socket), "200 OK")
		resp, err := http.Get("http://" + tcp.Addr().String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "over TCP", resp.Status, "200 OK")
		http.DefaultClient.CloseIdleConnections()
		server.signal(end)
		server.wait()
	}
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the server removed the socket of systemd: %v", err)
	}

	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	other := p.handOver(file)
	if status := other.wait(); status.ExitStatus() != exitFailure || !strings.Contains(other.text(), "number 1 is no stream socket that listens") {
		t.Errorf("a file in the place of a socket: %v\n%s", other.cmd.ProcessState, other.text())
	}
}

func TestSystemdLearnsTheState(t *testing.T) {
	address := filepath.Join(socketFolder(t), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	next := func() string {
		buf := make([]byte, 1024)
		if err := systemd.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := systemd.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	p := newProgram(t, "NOTIFY_SOCKET="+address, "WATCHDOG_USEC=200000")
	server, api := p.serve()
	equal(t, "the first message", next(), "READY=1")
	equal(t, "the second message", next(), "WATCHDOG=1")
	equal(t, "the third message", next(), "WATCHDOG=1")

	// A server whose database file was moved away is not ready and stops notifying systemd, so the watchdog of systemd expires.
	database := filepath.Join(p.dir, "billing.db")
	if err := os.Rename(database, database+".away"); err != nil {
		t.Fatal(err)
	}
	server.waitFor(`not ready, so that the watchdog of systemd is not fed" error=".* was deleted or replaced`)
	resp, err := http.Get(api + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	equal(t, "/readyz", resp.Status, "503 Service Unavailable")
	http.DefaultClient.CloseIdleConnections()

	server.signal(syscall.SIGTERM)
	for message := next(); message != "STOPPING=1"; message = next() {
		if message != "WATCHDOG=1" { // sent before the file was gone
			t.Fatalf("systemd learns %q", message)
		}
	}
	server.wait()

	unreachable := newProgram(t, "NOTIFY_SOCKET="+address+".gone")
	server, _ = unreachable.serve()
	server.waitFor(`level=WARN msg="systemd does not learn the state of the service" state="READY=1"`)
}
