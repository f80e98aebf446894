package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A module with a test of every outcome gives each failure with its package, its name and its output, and the exit status
// of go test.
func TestRun(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":            "module github.com/harmont-dev/harmont-billing\n\ngo 1.26\n",
		"good/a_test.go":    "package good\n\nimport (\"fmt\"; \"testing\")\n\nfunc TestGood(t *testing.T) { fmt.Println(\"NOTE: a note\"); t.Run(\"skipped\", func(t *testing.T) { t.Skip(\"no browser\") }) }\n",
		"wrong/a_test.go":   "package wrong\n\nimport \"testing\"\n\nfunc TestOuter(t *testing.T) { t.Run(\"inner\", func(t *testing.T) { t.Error(\"one is not two\") }) }\n",
		"panics/a_test.go":  "package panics\n\nimport \"testing\"\n\nfunc TestPanics(t *testing.T) { panic(\"out of order\") }\n",
		"unbuilt/a_test.go": "package unbuilt\n\nfunc broken() { missing() }\n",
		"exits/a_test.go":   "package exits\n\nimport (\"os\"; \"testing\")\n\nfunc TestExits(t *testing.T) { os.Exit(3) }\n",
		"empty/a.go":        "package empty\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(folder)
	var out bytes.Buffer
	status, err := run(&out, []string{"-vet=off", "./..."}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if status != 1 {
		t.Errorf("the exit status is %d, want 1", status)
	}
	for _, want := range []string{
		"\nFAIL  ./wrong TestOuter/inner\n", "one is not two",
		"TestPanics", "out of order",
		"undefined: missing", "FAIL\tgithub.com/harmont-dev/harmont-billing/unbuilt [build failed]\n",
		"ok  \tgithub.com/harmont-dev/harmont-billing/good\t",
		"      ./wrong TestOuter/inner\n", "      ./panics TestPanics\n", "      ./exits TestExits\n",
		"1 skipped: no browser\n", "\na note\n", "\n1 passed, ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not printed", want)
		}
	}
	if _, end, _ := strings.Cut(out.String(), "These failed:"); strings.Contains(end, "TestOuter\n") {
		t.Error("a test that failed only through its subtest is listed")
	}
	if t.Failed() {
		t.Logf("it printed:\n%s", out.String())
	}
}

func TestRunPasses(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for name, text := range map[string]string{
		"go.mod":    "module github.com/harmont-dev/harmont-billing\n\ngo 1.26\n",
		"a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	status, err := run(&out, []string{"-vet=off", "./..."}, time.Hour)
	if err != nil || status != 0 || !strings.Contains(out.String(), "\n1 passed, 0 failed, 0 skipped in ") {
		t.Errorf("the exit status is %d, the error %v; it printed:\n%s", status, err, out.String())
	}
}

// lines counts the lines that are written to it.
type lines struct {
	mu    sync.Mutex
	text  strings.Builder
	count chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	l.count <- struct{}{}
	return len(b), nil
}

// While nothing happens, a line for each interval names the running tests.
func TestQuietIntervals(t *testing.T) {
	events, send := io.Pipe()
	out := &lines{count: make(chan struct{}, 100)}
	p := newProgress(out, time.Millisecond)
	done := make(chan error)
	go func() { done <- p.follow(events) }()
	<-out.count // it is building
	for _, event := range []string{
		`{"Action":"run","Package":"github.com/harmont-dev/harmont-billing/client","Test":"TestSlow"}`,
		`{"Action":"run","Package":"github.com/harmont-dev/harmont-billing/client","Test":"TestSlow/part"}`,
		`{"Action":"run","Package":"github.com/harmont-dev/harmont-billing/client","Test":"TestWaits"}`,
		`{"Action":"pause","Package":"github.com/harmont-dev/harmont-billing/client","Test":"TestWaits"}`,
	} {
		if _, err := io.WriteString(send, event+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		<-out.count
	}
	go func() {
		for range out.count { // the summary must not block
		}
	}()
	send.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	text := out.text.String()
	if !strings.Contains(text, ": building\n") || !strings.Contains(text, ": running ./client TestSlow/part\n") {
		t.Errorf("it printed:\n%s", text)
	}
}
