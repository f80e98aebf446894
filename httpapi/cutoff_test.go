package httpapi

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
)

// answers is an Observer that keeps what it learns.
type answers []Answer

func (a *answers) Answered(answer Answer) { *a = append(*a, answer) }

// A breakdown that fails after its first rows were sent is cut off. The log says why, and the observer learns of it.
func TestCutOffIsLogged(t *testing.T) {
	var log strings.Builder
	var told answers
	s := &Server{log: slog.New(slog.NewTextHandler(&log, nil)), observer: &told}
	rows := func(yield func(*BreakdownRow, error) bool) {
		row := &BreakdownRow{Build: new(gen.UsageBreakdownBuild), Job: &gen.UsageBreakdownJob{JobName: new(strings.Repeat("x", 2*streamChunk))}}
		if yield(row, nil) {
			yield(nil, errors.New("the disk is gone"))
		}
	}
	w := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v0/billing/usage/acme/breakdown", http.NoBody), w)
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this as well
			t.Errorf("the handler ended with %v", cause)
		}
		if text := log.String(); !strings.Contains(text, "answer cut off") || !strings.Contains(text, "the disk is gone") || !strings.Contains(text, "/acme/breakdown") {
			t.Errorf("the log has %q", text)
		}
		if len(told) != 1 || !told[0].CutOff || told[0].ClientLeft || told[0].Status != http.StatusOK {
			t.Errorf("the observer learns %+v", told)
		}
	}()
	err := s.attempt(c, time.Now(), func(c echo.Context) error {
		return breakdownStream{rows: rows, stall: streamStall}.Write(c.Response())
	})
	t.Errorf("the handler returned %v", err)
}

// A receiver that takes less than the least rate is cut off, also if it goes on taking a little.
func TestSlowReceiverIsCutOff(t *testing.T) {
	rows := func(yield func(*BreakdownRow, error) bool) { // without end
		for yield(&BreakdownRow{Build: new(gen.UsageBreakdownBuild), Job: &gen.UsageBreakdownJob{JobName: new(strings.Repeat("x", 1000))}}, nil) {
		}
	}
	ended := make(chan any, 1)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer func() { ended <- recover() }()
		_ = breakdownStream{rows: rows, stall: 100 * time.Millisecond}.Write(w)
	}))
	defer ts.Close()
	conn, err := net.Dial("tcp", ts.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	piece := make([]byte, 50)
	for {
		select {
		case cause := <-ended:
			if cut, ok := cause.(cutOff); !ok || !errors.Is(cut.err, os.ErrDeadlineExceeded) {
				t.Errorf("the answer ended with %v", cause)
			}
			return
		case <-time.After(10 * time.Millisecond):
			_, _ = conn.Read(piece)
		case <-t.Context().Done():
			t.Fatal("the answer does not end")
		}
	}
}
