package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

func TestHeaders(t *testing.T) {
	var transport requestRecorder
	c := newClient(t, "https://billing.example.com", client.WithHTTPClient(&http.Client{Transport: &transport}), client.WithHeader("cf-access-client-secret", "one"))
	c.PostCredit(t.Context(), "acme", "key", client.PostCreditRequest{}, client.WithHeader("X-Team", "billing"), client.WithHeader("Cf-Access-Client-Secret", "two"),
		client.WithHeader("Idempotency-Key", "another"))
	for name, want := range map[string]string{"X-Team": "billing", "Cf-Access-Client-Secret": "two", "Idempotency-Key": "key"} {
		if got := transport.header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	c.GetBillingBalance(t.Context(), "acme")
	if transport.header.Get("X-Team") != "" || transport.header.Get("Cf-Access-Client-Secret") != "one" {
		t.Errorf("the header of a call is that of all: %v", transport.header)
	}
	if printed := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(printed, "one") {
		t.Errorf("a printed client has the value: %s", printed)
	}
	for _, header := range [][2]string{{"", "x"}, {"a b", "x"}, {"X-A", ""}, {"X-A", "a\nb"}, {"authorization", "x"}, {"x-request-id", "x"}, {"Host", "x"}} {
		if _, err := client.New("https://billing.example.com", client.WithHeader(header[0], header[1])); err == nil {
			t.Errorf("%q is taken", header)
		}
	}
}

func TestQuery(t *testing.T) {
	var transport requestRecorder
	c := newClient(t, "https://billing.example.com", client.WithHTTPClient(&http.Client{Transport: &transport}))
	c.ListBillingTransactions(t.Context(), "acme", client.ListOptions{Limit: 5}, client.WithQuery("limit", "6"), client.WithQuery("a b", "é"), client.WithQuery("a b", "2"))
	if want := "GET https://billing.example.com/api/v0/billing/transactions/acme?a+b=%C3%A9&a+b=2&limit=5"; transport.line != want {
		t.Errorf("got  %s\nwant %s", transport.line, want)
	}
	if _, err := c.GetBillingBalance(t.Context(), "acme", client.WithQuery("", "x")); err == nil || errors.Is(err, client.ErrInvalidResponse) {
		t.Errorf("got %v", err)
	}
}

// The answer of a call is there with its header and body, and without the token.
func TestWithResponse(t *testing.T) {
	c := newHandlerClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "7")
		if strings.HasSuffix(r.URL.Path, "globex") {
			answer(404, "application/json", `{"error":{"code":"organization_not_found","hint":"x"}}`)(w, r)
			return
		}
		answer(200, "application/json", `{"balance_cents":5,"currency":"usd"}`)(w, r)
	}, client.WithToken(testToken))
	var resp *http.Response
	balance, err := c.GetBillingBalance(t.Context(), "acme", client.WithResponse(&resp))
	if err != nil || balance.BalanceCents != 5 {
		t.Fatal(balance, err)
	}
	var unknown struct{ Currency string }
	if err := json.NewDecoder(resp.Body).Decode(&unknown); err != nil || unknown.Currency != "usd" {
		t.Error(unknown, err)
	}
	if limit := client.RateLimitOf(resp.Header); resp.StatusCode != http.StatusOK || limit == nil || limit.Remaining != 7 || limit.Limit != -1 {
		t.Errorf("%d, %+v", resp.StatusCode, limit)
	}
	if resp.Request.Header.Get("Authorization") != "" || resp.Request.Header.Get("X-Request-Id") == "" {
		t.Error("the response has the token, or not the request")
	}
	_, err = c.GetBillingBalance(t.Context(), "globex", client.WithResponse(&resp))
	if body, _ := io.ReadAll(resp.Body); !errors.Is(err, client.ErrOrganizationNotFound) || resp.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "hint") {
		t.Errorf("%v: %d, %s", err, resp.StatusCode, body)
	}
	if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.RateLimit == nil || apiErr.RateLimit.Remaining != 7 {
		t.Errorf("got %+v", apiErr)
	}
	down := newClient(t, "http://billing.invalid", client.WithHTTPClient(&http.Client{Transport: failsWith(errRefused)}), client.WithMaxRetries(0))
	if _, err := down.GetBillingBalance(t.Context(), "acme", client.WithResponse(&resp)); err == nil || resp != nil {
		t.Errorf("%v, %v", err, resp)
	}
	if _, err := c.GetBillingBalance(t.Context(), "acme", client.WithResponse(nil)); err == nil {
		t.Error("no place is taken")
	}
}

// A call without a method is made like all others.
func TestDo(t *testing.T) {
	type request struct {
		line, authorization, contentType, body string
	}
	var got []request
	status := 200
	c := newHandlerClient(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, request{r.Method + " " + r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)})
		switch status {
		case http.StatusNoContent:
			w.WriteHeader(status)
		case http.StatusOK:
			answer(status, "application/json", `{"n":1}`)(w, r)
		default:
			answer(status, "application/json", `{"error":{"type":"conflict","code":"coupon_already_claimed"}}`)(w, r)
		}
	}, client.WithToken("hmt_x"))
	var out struct{ N int }
	if err := c.Do(t.Context(), "POST", "/api/v0/billing/coupon/redeem/acme?x=1", map[string]string{"code": "WELCOME"}, &out); err != nil || out.N != 1 {
		t.Error(out, err)
	}
	if want := (request{"POST /api/v0/billing/coupon/redeem/acme?x=1", "Bearer hmt_x", "application/json", `{"code":"WELCOME"}`}); got[0] != want {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
	var raw json.RawMessage
	if err := c.Do(t.Context(), "GET", "api/v1/new", nil, &raw); err != nil || string(raw) != `{"n":1}` || got[1].contentType != "" || got[1].body != "" {
		t.Error(string(raw), err, got[1])
	}
	if err := c.Do(t.Context(), "PUT", "x", json.RawMessage(`[1]`), nil); err != nil || got[2].body != "[1]" {
		t.Error(err, got[2])
	}
	var text string
	if err := c.Do(t.Context(), "GET", "x", nil, &text); !errors.Is(err, client.ErrInvalidResponse) {
		t.Errorf("got %v", err)
	}
	if err := c.Do(t.Context(), "GET", "x?path=a/../b", nil, nil); err != nil {
		t.Error(err)
	}
	status = 204
	if err := c.Do(t.Context(), "DELETE", "x", nil, nil); err != nil {
		t.Error(err)
	}
	status = 409
	err := c.Do(t.Context(), "POST", "x", nil, nil)
	if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.Code != "coupon_already_claimed" || apiErr.Type != client.ErrorTypeConflict {
		t.Errorf("got %v", err)
	}
	n := len(got)
	for _, path := range []string{"", "/", "//elsewhere.invalid/x", "https://elsewhere.invalid/x", "x#y", "\x00", "..", "api/../x", "api/v0/%2E%2e/x", "./x?y=1"} {
		if err := c.Do(t.Context(), "GET", path, nil, nil); err == nil {
			t.Errorf("the path %q is taken", path)
		}
	}
	for _, out := range []any{out, map[string]any{}, (*string)(nil)} {
		if err := c.Do(t.Context(), "POST", "x", nil, out); err == nil || errors.Is(err, client.ErrInvalidResponse) {
			t.Errorf("a %T is taken for the answer: %v", out, err)
		}
	}
	if err := c.Do(t.Context(), "GET", "x", func() {}, nil); err == nil || len(got) != n {
		t.Errorf("a body that cannot be encoded is sent: %v", err)
	}
}

// An option that is nil is an error wherever options are taken.
func TestNilOption(t *testing.T) {
	c := newClient(t, "https://billing.invalid", client.WithHTTPClient(&http.Client{Transport: failsWith(errRefused)}))
	_, ofNew := client.New("https://billing.invalid", nil)
	_, ofCall := c.GetBillingBalance(t.Context(), "acme", nil)
	_, ofRecorder := client.NewRecorder(c, "acme", client.RecorderOptions{OnRejected: func(client.Lease, error) {}}, nil)
	for name, err := range map[string]error{"New": ofNew, "a call": ofCall, "NewRecorder": ofRecorder, "Do": c.Do(t.Context(), "GET", "x", nil, nil, nil)} {
		if err == nil || !strings.Contains(err.Error(), "an option is nil") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, err := range c.UsageBreakdown(t.Context(), "acme", client.Window{}, nil) {
		if err == nil || !strings.Contains(err.Error(), "an option is nil") {
			t.Errorf("UsageBreakdown: got %v", err)
		}
	}
}

// A request that is not safe to repeat is sent once, unless it has an idempotency key.
func TestDoRetries(t *testing.T) {
	for _, test := range []struct {
		method   string
		opts     []client.Option
		attempts int
	}{
		{"GET", nil, 3}, {"PUT", nil, 3}, {"DELETE", nil, 3}, {"POST", nil, 1}, {"PATCH", nil, 1}, {"MERGE", nil, 1},
		{"POST", []client.Option{client.WithHeader("Idempotency-Key", "k")}, 3}, {"GET", []client.Option{client.WithMaxRetries(0)}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scriptedTransport{steps: []http.RoundTripper{answersStatus(503)}}
			if err := s.client(t).Do(t.Context(), test.method, "x", 1, nil, test.opts...); err == nil || len(s.attempts) != test.attempts {
				t.Errorf("%s: %d attempts, want %d: %v", test.method, len(s.attempts), test.attempts, err)
			}
		})
	}
}

// Each attempt has an id of its own, which the error has if there is no answer.
func TestRequestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		collect := client.WithMiddleware(func(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			ids = append(ids, r.Header.Get("X-Request-Id"))
			return next(r)
		})
		s := &scriptedTransport{steps: []http.RoundTripper{waitForContext{}}}
		_, err := s.client(t).GetBillingBalance(t.Context(), "acme", collect)
		if !errors.Is(err, context.DeadlineExceeded) || len(ids) != 3 || ids[0] == ids[1] || ids[1] == ids[2] || !strings.Contains(err.Error(), "(request "+ids[2]+")") {
			t.Errorf("%v, ids %v", err, ids)
		}
		s = &scriptedTransport{steps: []http.RoundTripper{answersStatus(404)}}
		_, err = s.client(t).GetBillingBalance(t.Context(), "acme", collect)
		if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.RequestID != ids[3] {
			t.Errorf("%v, id %s", err, ids[3])
		}
	})
}

// The log has one line when an outage begins and one when it ends, independent of the number of calls.
func TestOutageLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &scriptedTransport{}
		for _, status := range []int{200, 503, 200, 503, 503, 503, 503, 503, 503, 503, 503, 503, 429, 429, 429, 404, 200} {
			s.steps = append(s.steps, answersStatus(status, "X-Request-Id", fmt.Sprint("id-of-", status)))
		}
		c := s.client(t, client.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))))
		for range 8 {
			c.GetBillingBalance(t.Context(), "acme", client.WithTimeout(time.Second))
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "status=503") || !strings.Contains(lines[0], "request_id=id-of-503") ||
			!strings.Contains(lines[1], "level=INFO") || !strings.Contains(lines[1], "after=") {
			t.Errorf("got\n%s", &log)
		}
	})
}

func TestRateLimitOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in90s := fmt.Sprint(time.Now().Add(90 * time.Second).Unix())
		for _, test := range []struct {
			header map[string]string
			want   *client.RateLimit
		}{
			{map[string]string{}, nil},
			{map[string]string{"RateLimit-Limit": "x", "RateLimit": "limit"}, nil},
			{map[string]string{"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "3", "RateLimit-Reset": "30"}, &client.RateLimit{Limit: 100, Remaining: 3, Reset: 30 * time.Second}},
			{map[string]string{"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in90s}, &client.RateLimit{Limit: 100, Remaining: 0, Reset: 90 * time.Second}},
			{map[string]string{"X-RateLimit-Limit": "9", "RateLimit-Limit": "8"}, &client.RateLimit{Limit: 8, Remaining: -1}},
			{map[string]string{"RateLimit": "limit=10, remaining=2, reset=5"}, &client.RateLimit{Limit: 10, Remaining: 2, Reset: 5 * time.Second}},
			{map[string]string{"RateLimit": `"default";r=2;t=5`}, &client.RateLimit{Limit: -1, Remaining: 2, Reset: 5 * time.Second}},
			{map[string]string{"RateLimit-Remaining": "-1", "X-RateLimit-Reset": "99999999999999999999"}, nil},
		} {
			header := http.Header{}
			for name, value := range test.header {
				header.Set(name, value)
			}
			if got := client.RateLimitOf(header); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%v: got %+v, want %+v", test.header, got, test.want)
			}
		}
		// Without a Retry-After, the client waits for the next period.
		s := &scriptedTransport{steps: []http.RoundTripper{answersStatus(429, "RateLimit-Remaining", "0", "RateLimit-Reset", "20"), answers(200, `{"balance_cents":1}`)}}
		start := time.Now()
		if _, err := s.client(t).GetBillingBalance(t.Context(), "acme"); err != nil || time.Since(start) < 20*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}
