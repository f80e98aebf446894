package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPanicIsAnswered(t *testing.T) {
	var log strings.Builder
	var broken struct{ Backend } // it panics on every call
	s, err := New(broken, Config{Admit: anyToken, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v0/billing/balance/acme", http.NoBody)
	req.Header.Set("Authorization", "Bearer hmt_x")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"code":"internal"`) {
		t.Errorf("the answer is %d %s", w.Code, w.Body)
	}
	id := w.Header().Get("x-request-id")
	if strings.Contains(w.Body.String(), "nil pointer") || !strings.Contains(log.String(), "nil pointer") || !strings.Contains(log.String(), id) {
		t.Errorf("the cause must be in the log under the request's id and nowhere else: answer %s, log %s", w.Body, log.String())
	}
	if strings.Contains(log.String(), "hmt_x") {
		t.Errorf("the log has the token: %s", log.String())
	}
}
