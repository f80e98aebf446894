// Package contracttest holds the answers that tests get against the contract.
package contracttest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/conformance"
	"github.com/harmont-dev/harmont-billing/gen"
)

// Envelope is the body of every answer outside 2xx.
type Envelope = gen.Error

// Check holds an answer against the contract: its status, headers and body. It returns the id of the operation, empty
// for a path outside the contract.
func Check(req *http.Request, status int, header http.Header, body []byte) (operation string, err error) {
	outsideAPI := !strings.HasPrefix(req.URL.Path, "/api/v0/") && status < 400
	preflight := status == http.StatusNoContent && req.Method == http.MethodOptions // of CORS, sent by a browser
	if outsideAPI || preflight {
		if id := header.Get("x-request-id"); len(id) < 20 || len(id) > 200 {
			return "", fmt.Errorf("x-request-id is %q", id)
		}
		return "", nil
	}
	if req.Method == http.MethodHead && len(body) > 0 {
		return "", fmt.Errorf("an answer to HEAD with a body")
	}
	return conformance.CheckAnswer(req, status, header, body)
}

// Handler passes requests on and fails the test on an answer that the contract does not allow.
func Handler(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		answer := recorder.Body.Bytes()
		if r.Method == http.MethodHead {
			answer = nil // as net/http does
		}
		if _, err := Check(r, recorder.Code, recorder.Header(), answer); err != nil {
			t.Errorf("%s %s: %d %s\n%v", r.Method, r.URL, recorder.Code, answer, err)
		}
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(answer)
	})
}
