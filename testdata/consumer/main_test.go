package main

import (
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

func newTestClient(t *testing.T) *client.Client {
	t.Helper()
	billing, err := server.Open(t.Context(), server.Config{Database: "sqlite:" + filepath.Join(t.TempDir(), "billing.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { billing.Close() })
	if _, err := billing.CreateOrganization(t.Context(), "acme", "Acme, Inc."); err != nil {
		t.Fatal(err)
	}
	options := server.TokenOptions{Name: "test", Role: server.RoleAdmin, Organizations: []string{"acme"}}
	token, _, err := billing.CreateToken(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(billing.Handler())
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReport(t *testing.T) {
	c := newTestClient(t)
	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC)
	lease := client.Lease{CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start.Add(time.Hour))}
	if _, err := c.RecordLeases(t.Context(), "acme", []client.Lease{lease}); err != nil {
		t.Fatal(err)
	}

	window := client.Window{From: start, To: start.AddDate(0, 0, 1)}
	var out strings.Builder
	if err := report(t.Context(), c, "acme", window, &out); err != nil {
		t.Fatal(err)
	}
	if want := "2026-06-06 10:00:00 1 jobs 151 cents\ntotal 151 cents\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if err := report(t.Context(), c, "globex", window, &out); !errors.Is(err, client.ErrOrganizationNotFound) {
		t.Errorf("got %v", err)
	}
}
