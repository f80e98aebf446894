package server

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A server that cannot write is not ready, and does not start.
func TestReadyMeansWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "billing.db")
	s, err := Open(t.Context(), Config{Database: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ready := func() int {
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		return answer.Code
	}
	if status := ready(); status != http.StatusOK {
		t.Fatalf("readyz is %d", status)
	}
	other, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	for last := time.Now().Add(time.Minute); ready() != http.StatusServiceUnavailable; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(last) {
			t.Fatal("readyz is not 503 while nothing can be written")
		}
	}
	again, err := Open(t.Context(), Config{Database: "sqlite:" + file})
	if err == nil {
		again.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("a second server: %v", err)
	}
	if _, err := other.ExecContext(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	for last := time.Now().Add(time.Minute); ready() != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(last) {
			t.Fatal("readyz is not 200 again")
		}
	}
}
