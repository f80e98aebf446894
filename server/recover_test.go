package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// broken panics on every call.
type broken struct{ billing.Store }

func TestPanicIsAnswered(t *testing.T) {
	s, err := Open(t.Context(), Config{Database: "sqlite:" + t.TempDir() + "/billing.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var log strings.Builder
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	*s.service = *billing.NewService(broken{}, billing.StandardRates)

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
