package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestReferenceIsUpToDate(t *testing.T) {
	// A default from the environment must not get into it.
	p := newProgram(t, "HARMONT_API_URL=http://hmt_secret", "HARMONT_TOKEN=hmt_secret", "HARMONT_BILLING_LISTEN=hmt_secret",
		"HARMONT_BILLING_DATABASE=hmt_secret", "HARMONT_PROFILE=hmt_secret")
	file := filepath.Join(p.dir, "cli.md")
	p.ok("reference", file)
	got := read(t, file)
	if got != read(t, "../../docs/cli.md") {
		t.Error("docs/cli.md is not what the commands say; run make generate")
	}
	headings := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(got, -1) {
		headings[strings.ReplaceAll(heading[1], " ", "-")] = true
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(got, -1) {
		if !headings[link[1]] {
			t.Errorf("the link to %s leads nowhere", link[1])
		}
	}
}

func TestManPages(t *testing.T) {
	p := newProgram(t, "HARMONT_TOKEN=hmt_secret", "HARMONT_BILLING_DATABASE=hmt_secret")
	dir := filepath.Join(p.dir, "share", "man1")
	p.ok("man", dir)
	for _, cmd := range commands(newRoot(io.Discard, io.Discard, func() {})) {
		path := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
		if cmd.Hidden {
			if fileExists(path) {
				t.Errorf("%s is for the project alone", path)
			}
			continue
		}
		page := read(t, path)
		if !strings.Contains(page, `.TH "`+strings.ToUpper(strings.ReplaceAll(cmd.CommandPath(), " ", "-"))+`" "1"`) || strings.Contains(page, "hmt_secret") {
			t.Errorf("%s:\n%s", path, page)
		}
	}
}

// TestReadme runs the commands of the README, in their order, on a server and files of the test.
func TestReadme(t *testing.T) {
	p := newProgram(t)
	bin := filepath.Join(p.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(bin, "harmont-billing")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"leases.ndjson":  `{"org":"acme","lease_id":"00000000-0000-4000-8000-000000000001","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-01T00:00:00Z","finished_at":"2026-06-01T00:05:00Z"}` + "\n",
		"credits.ndjson": `{"org":"acme","amount_cents":1000,"source":"refund","description":null,"idempotency_key":"1"}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p = p.with("PATH=" + bin + ":" + os.Getenv("PATH"))

	var address, token string
	ran := map[string]bool{}
	for _, line := range shellLines(t, "../../README.md") {
		words := strings.Fields(line)
		if words[0] != "harmont-billing" {
			continue // make, go install and export are about the reader's machine
		}
		command := words[1]
		ran[command] = true
		switch command {
		case "serve":
			_, address = p.serve()
			continue
		case "login":
			line = strings.ReplaceAll(line, "https://billing.example.com", address)
			p.stdin = strings.NewReader(token)
		}
		cmd := p.command(t.Context(), "-c", line)
		cmd.Path, cmd.Args[0] = "/bin/sh", "sh"
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		p.stdin = nil
		if command == "token" {
			token = string(out)
		}
		if command == "explain" && !strings.Contains(string(out), "as these prices give") {
			t.Errorf("%s: %s", line, out)
		}
	}
	for _, command := range []string{"org", "token", "import", "serve", "login", "balance", "series", "breakdown", "runway"} {
		if !ran[command] {
			t.Errorf("the README does not show %s", command)
		}
	}
}

// shellLines are the lines of a text's shell snippets, without comments.
func shellLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(read(t, path), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s has no shell snippet", path)
	}
	return lines
}
