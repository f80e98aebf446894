//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A server does not start on files that it cannot write, such as a log that another user's command left, and names the file and its owner.
// Where the test runs as the system administrator, the server runs as another user.
func TestFilesOfAnotherUser(t *testing.T) {
	p := newProgram(t)
	p.ok("org", "create", "acme")
	file := filepath.Join(p.dir, "billing.db")
	const another = 65534
	mine := os.Getuid() != 0
	if !mine {
		// The folders above that of the test are closed to other users.
		dir, err := os.MkdirTemp("", "harmont-billing-user-") //nolint:usetesting // t.TempDir is closed to other users
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		moved := filepath.Join(dir, "billing.db")
		program := copyFile(t, binary, filepath.Join(dir, "harmont-billing"), 0o755)
		for _, err := range []error{
			os.Chmod(dir, 0o700), os.Chown(dir, another, another), os.WriteFile(moved, contentsOf(t, file), 0o600), os.Chown(moved, another, another),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		file, p.dir, p.binary = moved, dir, program
		p.env = append(p.env, "HARMONT_BILLING_DATABASE=sqlite:"+file)
		p.credential = &syscall.Credential{Uid: another, Gid: another}
	}
	p.ok("org", "list")
	if err := os.WriteFile(file+"-wal", nil, 0o400); err != nil {
		t.Fatal(err)
	}
	owner := "belongs to the user "
	if !mine {
		owner += "root"
	}
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"org", "create", "globex"}, {"token", "create", "--name", "x", "--role", "read", "--org", "acme"}} {
		if r := p.run(args...); r.status != exitFailure || !strings.Contains(r.stderr, file+"-wal "+owner) {
			t.Errorf("%q: status %d\n%s", args, r.status, r.stderr)
		}
	}
	if err := os.Remove(file + "-wal"); err != nil {
		t.Fatal(err)
	}
	// A colleague who can only read leaves no files behind.
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if got := p.ok("verify"); !strings.Contains(got, "acme") {
		t.Errorf("verify:\n%s", got)
	}
	if left, err := filepath.Glob(file + "?*"); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

func contentsOf(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) string {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	return to
}

// Commands that look after existing books make none.
func TestCommandsMakeNoBooks(t *testing.T) {
	p := newProgram(t)
	file, card := filepath.Join(p.dir, "billing.db"), filepath.Join(p.dir, "card.json")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.WriteFile(card, []byte(`{"name":"x","organization":"acme"}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify"}, {"export"}, {"org", "list"}, {"token", "list"}, {"token", "create", "--name", "x", "--role", "read", "--org", "acme"},
		{"token", "revoke", "x"}, {"backup", filepath.Join(p.dir, "copy.db")},
		{"price", "set", "--name", "x", "--cpu", "1", "--memory-gb", "1", "--disk-gb", "1"}, {"price", "list"}, {"price", "try", card, "--last", "1d"},
	} {
		if r := p.run(args...); r.status != exitFailure || !strings.Contains(r.stderr, "has no books") || r.stdout != "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if data := contentsOf(t, file); len(data) > 0 {
		t.Errorf("the file has %d bytes", len(data))
	}
	equal(t, "migrate", p.ok("migrate"), "The schema is up to date.\n")
	if got := p.ok("verify"); !strings.HasPrefix(got, "ORGANIZATION") {
		t.Errorf("verify:\n%s", got)
	}
	// The URL of a replica may have a password, so it may come from the environment.
	if r := p.with("HARMONT_BILLING_READ_DATABASES=postgres://replica/books").run("serve", "--listen", "127.0.0.1:0"); r.status != exitFailure ||
		!strings.Contains(r.stderr, "replicas to read from need a PostgreSQL database") {
		t.Errorf("serve with a replica: %+v", r)
	}
}
