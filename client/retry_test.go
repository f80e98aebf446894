package client_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
)

// scriptedTransport is a transport that plays one step for each attempt. The last step is repeated.
type scriptedTransport struct {
	steps    []http.RoundTripper
	attempts []time.Time
	headers  []http.Header
	bodies   []string
}

func (s *scriptedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	step := s.steps[min(len(s.attempts), len(s.steps)-1)]
	s.attempts, s.headers, s.bodies = append(s.attempts, time.Now()), append(s.headers, r.Header.Clone()), append(s.bodies, body)
	return step.RoundTrip(r)
}

func (s *scriptedTransport) client(t *testing.T, opts ...client.Option) *client.Client {
	return newClient(t, "http://billing.invalid", append([]client.Option{client.WithHTTPClient(&http.Client{Transport: s})}, opts...)...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answersStatus answers with nothing but a status, and with the headers.
func answersStatus(code int, header ...string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		return w.Result(), nil
	}
}

func answers(code int, body string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		answer(code, "application/json", body)(w, r)
		return w.Result(), nil
	}
}

func failsWith(err error) roundTripper {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// breaksOffAfter answers with the start of a body.
func breaksOffAfter(body string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := answers(200, "")(r)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), brokenReader{}))
		return resp, err
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

var errRefused = errors.New("connection errRefused")

func TestRetries(t *testing.T) {
	good := answers(200, `{"balance_cents":7}`)
	tests := []struct {
		name     string
		steps    []http.RoundTripper
		opts     []client.Option
		attempts int
		ok       bool
	}{
		{"no failure", []http.RoundTripper{good}, nil, 1, true},
		{"two failures", []http.RoundTripper{answersStatus(503), failsWith(errRefused), good}, nil, 3, true},
		{"three failures", []http.RoundTripper{answersStatus(503), answersStatus(503), answersStatus(503), good}, nil, 3, false},
		{"a cut answer", []http.RoundTripper{breaksOffAfter(`{"balance_`), good}, nil, 2, true},
		{"408", []http.RoundTripper{answersStatus(408), good}, nil, 2, true},
		{"429", []http.RoundTripper{answersStatus(429), good}, nil, 2, true},
		{"502", []http.RoundTripper{answersStatus(502), good}, nil, 2, true},
		{"504", []http.RoundTripper{answersStatus(504), good}, nil, 2, true},
		{"a timeout", []http.RoundTripper{waitForContext{}, good}, nil, 2, true},
		{"no retries", []http.RoundTripper{answersStatus(503), good}, []client.Option{client.WithMaxRetries(0)}, 1, false},
		{"more retries", []http.RoundTripper{answersStatus(503), answersStatus(503), answersStatus(503), answersStatus(503), answersStatus(503), good}, []client.Option{client.WithMaxRetries(5)}, 6, true},
		{"400", []http.RoundTripper{answersStatus(400), good}, nil, 1, false},
		{"401", []http.RoundTripper{answersStatus(401), good}, nil, 1, false},
		{"404", []http.RoundTripper{answersStatus(404), good}, nil, 1, false},
		{"409", []http.RoundTripper{answersStatus(409), good}, nil, 1, false},
		{"422", []http.RoundTripper{answersStatus(422), good}, nil, 1, false},
		{"500", []http.RoundTripper{answersStatus(500), good}, nil, 1, false},
		{"501", []http.RoundTripper{answersStatus(501), good}, nil, 1, false},
		{"a redirect", []http.RoundTripper{answersStatus(307, "Location", "/x"), good}, nil, 1, false},
		{"what is not the API's", []http.RoundTripper{answers(200, `{}`), good}, nil, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scriptedTransport{steps: test.steps}
				got, err := s.client(t, test.opts...).GetBillingBalance(t.Context(), "acme")
				if len(s.attempts) != test.attempts || (err == nil) != test.ok || test.ok && got.BalanceCents != 7 {
					t.Errorf("%d attempts, want %d: %v, %v", len(s.attempts), test.attempts, got, err)
				}
			})
		})
	}
}

// discard is the log of servers that would report the faults of a test.
var discard = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)

// A certificate that is not to be trusted will not be a second later.
func TestCertificatesAreNotRetried(t *testing.T) {
	srv := httptest.NewUnstartedServer(answer(200, "application/json", `{"balance_cents":7}`))
	srv.Config.ErrorLog = discard
	srv.StartTLS()
	t.Cleanup(srv.Close)
	attempts := 0
	count := func(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		attempts++
		return next(r)
	}
	_, err := newClient(t, srv.URL, client.WithMiddleware(count)).GetBillingBalance(t.Context(), "acme")
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok || attempts != 1 {
		t.Errorf("%d attempts: %v", attempts, err)
	}
}

// Waits grow, are random, and are never shorter than the time that the server asks for, nor much longer than the cap.
func TestRetryWaits(t *testing.T) {
	tests := []struct {
		name     string
		step     http.RoundTripper
		from, to []time.Duration // of the waits
	}{
		{"backoff", failsWith(errRefused), []time.Duration{0, 0, 0, 0, 0, 0}, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second}},
		{"seconds", answersStatus(429, "Retry-After", "7"), []time.Duration{7 * time.Second, 7 * time.Second}, []time.Duration{7500 * time.Millisecond, 8 * time.Second}},
		// synctest's clock begins at midnight of 2000-01-01.
		{"a date", answersStatus(503, "Retry-After", "Sat, 01 Jan 2000 00:00:20 GMT"), []time.Duration{20 * time.Second, 0}, []time.Duration{20500 * time.Millisecond, time.Second}},
		{"a date that has passed", answersStatus(503, "Retry-After", "Fri, 31 Dec 1999 00:00:20 GMT"), []time.Duration{0}, []time.Duration{500 * time.Millisecond}},
		{"an hour", answersStatus(503, "Retry-After", "3600"), []time.Duration{time.Minute}, []time.Duration{time.Minute + 500*time.Millisecond}},
		{"a negative number", answersStatus(503, "Retry-After", "-5"), []time.Duration{0}, []time.Duration{500 * time.Millisecond}},
		{"nonsense", answersStatus(503, "Retry-After", "soon"), []time.Duration{0}, []time.Duration{500 * time.Millisecond}},
		{"200 with it", answers(200, "{}"), nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			different := map[time.Duration]bool{}
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					s := &scriptedTransport{steps: []http.RoundTripper{test.step}}
					s.client(t, client.WithMaxRetries(len(test.from))).GetBillingBalance(t.Context(), "acme")
					if len(s.attempts) != len(test.from)+1 {
						t.Fatalf("%d attempts", len(s.attempts))
					}
					for i, from := range test.from {
						wait := s.attempts[i+1].Sub(s.attempts[i])
						if wait < from || wait > test.to[i] {
							t.Errorf("wait %d is %s, want %s to %s", i, wait, from, test.to[i])
						}
						different[wait] = true
					}
				})
			}
			if len(test.from) > 0 && len(different) < 10 {
				t.Errorf("all clients would come back together: %v", different)
			}
		})
	}
}

// No wait is begun that the deadline would end, and the error is the failure itself.
func TestRetriesEndWithTheContext(t *testing.T) {
	t.Run("by deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &scriptedTransport{steps: []http.RoundTripper{answersStatus(503, "Retry-After", "10")}}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			start := time.Now()
			_, err := s.client(t).GetBillingBalance(ctx, "acme")
			if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.Status != 503 || apiErr.RetryAfter != 10*time.Second {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("it slept for %s", took)
			}
		})
	})
	t.Run("by cancellation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &scriptedTransport{steps: []http.RoundTripper{answersStatus(503, "Retry-After", "10")}}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(3*time.Second, cancel)
			start := time.Now()
			_, err := s.client(t).GetBillingBalance(ctx, "acme")
			if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.Status != 503 || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != 3*time.Second || len(s.attempts) != 1 {
				t.Errorf("%d attempts in %s", len(s.attempts), took)
			}
		})
	})
}

// All attempts of a write are one and the same write, also when the caller gave no key.
func TestRetriedWritesKeepTheirKey(t *testing.T) {
	flaky := func(body string) *scriptedTransport {
		return &scriptedTransport{steps: []http.RoundTripper{answersStatus(503), failsWith(errRefused), answers(200, body)}}
	}
	t.Run("PostCredit", func(t *testing.T) {
		for _, key := range []string{"", "invoice 42"} {
			synctest.Test(t, func(t *testing.T) {
				s := flaky(`{"id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10","amount_cents":5,"source":"refund","description":null,"created_at":"2026-06-06T10:00:00Z"}`)
				posted, err := s.client(t).PostCredit(t.Context(), "acme", key, client.PostCreditRequest{AmountCents: 5, Source: client.CreditSourceRefund})
				if err != nil {
					t.Fatal(err)
				}
				if key == "" {
					if _, err := uuid.Parse(posted.IdempotencyKey); err != nil {
						t.Errorf("the key is %q", posted.IdempotencyKey)
					}
				} else if posted.IdempotencyKey != key {
					t.Errorf("the key is %q", posted.IdempotencyKey)
				}
				for i, header := range s.headers {
					if got := header.Get("Idempotency-Key"); got != posted.IdempotencyKey || s.bodies[i] != `{"amount_cents":5,"source":"refund"}` {
						t.Errorf("attempt %d has the key %q and the body %s", i, got, s.bodies[i])
					}
				}
				if len(s.headers) != 3 {
					t.Errorf("%d attempts", len(s.headers))
				}
			})
		}
	})
	t.Run("SetRateCard", func(t *testing.T) {
		for _, key := range []string{"", "prices of July"} {
			synctest.Test(t, func(t *testing.T) {
				s := flaky(contractAnswers["POST /api/v0/billing/rate-cards/{org}"].body)
				added, err := s.client(t).SetRateCard(t.Context(), "acme", key, client.SetRateCardRequest{Name: "July"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := uuid.Parse(added.IdempotencyKey); (err != nil || key != "") && added.IdempotencyKey != key {
					t.Errorf("the key is %q", added.IdempotencyKey)
				}
				for i, header := range s.headers {
					if got := header.Get("Idempotency-Key"); got != added.IdempotencyKey || s.bodies[i] != `{"name":"July"}` {
						t.Errorf("attempt %d has the key %q and the body %s", i, got, s.bodies[i])
					}
				}
				if len(s.headers) != 3 {
					t.Errorf("%d attempts", len(s.headers))
				}
			})
		}
	})
	t.Run("RecordLeases", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			result := `{"lease_id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10","status":"running","amount_cents":0}`
			s := flaky(`{"data":[` + result + `,` + result + `,` + result + `]}`)
			leases := []client.Lease{{JobID: new(uuid.New())}, {}, {}}
			if _, err := s.client(t).RecordLeases(t.Context(), "acme", leases); err != nil {
				t.Fatal(err)
			}
			if leases[1].LeaseID != nil || leases[2].LeaseID != nil {
				t.Error("the caller's leases were changed")
			}
			if len(s.bodies) != 3 || s.bodies[0] != s.bodies[1] || s.bodies[0] != s.bodies[2] || strings.Count(s.bodies[0], "lease_id") != 2 {
				t.Errorf("sent %q", s.bodies)
			}
		})
	})
}

func TestOptionsOfACall(t *testing.T) {
	s := &scriptedTransport{steps: []http.RoundTripper{answers(200, `{"balance_cents":7}`)}}
	order := ""
	mark := func(name string) client.Middleware {
		return func(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			order += name
			r.Header.Add("X-Mark", name)
			return next(r)
		}
	}
	c := s.client(t, client.WithToken("hmt_client"), client.WithUserAgent("one"), client.WithMiddleware(mark("a"), mark("b")))
	call := func(opts ...client.Option) {
		t.Helper()
		if _, err := c.GetBillingBalance(t.Context(), "acme", opts...); err != nil {
			t.Fatal(err)
		}
	}
	call(client.WithToken("hmt_call"), client.WithUserAgent("two"), client.WithMiddleware(mark("c")))
	call()
	if got := fmt.Sprint(s.headers[0]["Authorization"], s.headers[0]["User-Agent"], s.headers[0]["X-Mark"]); got != "[Bearer hmt_call] [two] [a b c]" {
		t.Errorf("the call sent %s", got)
	}
	if got := fmt.Sprint(s.headers[1]["Authorization"], s.headers[1]["User-Agent"], s.headers[1]["X-Mark"]); got != "[Bearer hmt_client] [one] [a b]" {
		t.Errorf("the call after it sent %s", got)
	}
	if order != "abcab" {
		t.Errorf("the middleware ran as %s", order)
	}
	if _, err := c.GetBillingBalance(t.Context(), "acme", client.WithTimeout(-1)); err == nil || len(s.headers) != 2 {
		t.Errorf("a call with a wrong option: %v", err)
	}
}

func TestMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedTransport{steps: []http.RoundTripper{answersStatus(503), answers(200, `{"balance_cents":7}`)}}
		tries := 0
		c := s.client(t, client.WithMiddleware(func(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			tries++
			r.Header.Add("X-Try", fmt.Sprint(tries))
			return next(r)
		}))
		if _, err := c.GetBillingBalance(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.headers[0]["X-Try"], s.headers[1]["X-Try"]); got != "[1] [2]" {
			t.Errorf("the attempts share a request: %s", got)
		}
		own := errors.New("not on Sundays")
		for want, result := range map[string]error{"not on Sundays": own, "neither an answer nor an error": nil} {
			tries = 0
			_, err := c.GetBillingBalance(t.Context(), "acme", client.WithMiddleware(func(*http.Request, func(*http.Request) (*http.Response, error)) (*http.Response, error) {
				return nil, result
			}))
			if err == nil || !strings.Contains(err.Error(), want) || tries != 1 {
				t.Errorf("%d tries: %v", tries, err)
			}
		}
	})
}

func TestTokenSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedTransport{steps: []http.RoundTripper{answersStatus(503), answers(200, `{"balance_cents":7}`)}}
		tokens := 0
		c := s.client(t, client.WithTokenSource(func(context.Context) (string, error) {
			tokens++
			return fmt.Sprint("hmt_", tokens), nil
		}))
		if _, err := c.GetBillingBalance(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.headers[0]["Authorization"], s.headers[1]["Authorization"]); got != "[Bearer hmt_1] [Bearer hmt_2]" {
			t.Errorf("sent %s", got)
		}
		down := errors.New("the vault is sealed")
		_, err := c.GetBillingBalance(t.Context(), "acme", client.WithTokenSource(func(context.Context) (string, error) { return "", down }))
		if !errors.Is(err, down) || len(s.attempts) != 2 {
			t.Errorf("got %v", err)
		}
		_, err = c.GetBillingBalance(t.Context(), "acme", client.WithTokenSource(func(context.Context) (string, error) { return testToken + "\n", nil }))
		if err == nil || strings.Contains(err.Error(), testToken) || len(s.attempts) != 2 {
			t.Errorf("got %v", err)
		}
	})
}

// If a transport, a proxy or the API quotes the token, it is in no error and no log.
func TestTokenIsInNoErrorAndNoLog(t *testing.T) {
	quoting := fmt.Errorf("cannot send Authorization: Bearer %s: %w", testToken, io.ErrClosedPipe)
	steps := map[string]http.RoundTripper{
		"a transport":         failsWith(quoting),
		"a transport's URL":   failsWith(&url.Error{Op: "Get", URL: "http://billing.invalid/?t=" + testToken, Err: quoting}),
		"a page":              answers(502, "<p>"+testToken),
		"a page in two parts": answers(502, "<p>"+testToken[:20]+"\xff"+testToken[20:]),
		"a code":              answers(400, `{"error":{"type":"`+testToken+`","code":"`+testToken+`","message":"`+testToken+`","doc_url":"`+testToken+`","request_id":"`+testToken+`"}}`),
		"an escaped message":  answers(400, `{"error":{"code":"x","message":"\u0068`+testToken[1:]+`"}}`),
		"a request id":        answersStatus(500, "X-Request-Id", testToken),
		"a location":          answersStatus(302, "Location", "http://elsewhere.invalid/"+testToken),
		"an answer":           answers(200, `{"balance_cents":"`+testToken+`"}`),
		"a field":             answers(200, `{"`+testToken+`":1}`),
		"a type":              answersStatus(200, "Content-Type", "text/"+testToken),
		"a body that breaks":  breaksOffAfter(`{"x":"` + testToken),
		"a body with its error": roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := answers(200, "")(r)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), readerFunc(func([]byte) (int, error) { return 0, quoting })))
			return resp, err
		}),
	}
	for name, opt := range map[string]client.Option{
		"WithToken":       client.WithToken(testToken),
		"WithTokenSource": client.WithTokenSource(func(context.Context) (string, error) { return testToken, nil }),
	} {
		for step, transport := range steps {
			t.Run(name+", "+step, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log bytes.Buffer
					s := &scriptedTransport{steps: []http.RoundTripper{transport}}
					c := s.client(t, opt, client.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
					_, err := c.GetBillingBalance(t.Context(), "acme")
					if err == nil {
						t.Fatal("no error")
					}
					for e := err; e != nil; e = errors.Unwrap(e) {
						if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, testToken) {
							t.Errorf("the token is in %s", text)
						}
					}
					if strings.Count(log.String(), "level=DEBUG") != len(s.attempts) || !strings.Contains(log.String(), "attempt=1") {
						t.Errorf("logged for %d attempts:\n%s", len(s.attempts), &log)
					}
					if strings.Contains(log.String(), testToken) {
						t.Errorf("the token is in the log:\n%s", &log)
					}
					if strings.HasPrefix(step, "a transport") || step == "a body with its error" {
						if _, ok := errors.AsType[*url.Error](err); !ok || !errors.Is(err, io.ErrClosedPipe) || len(s.attempts) != 3 {
							t.Errorf("%d attempts: %v", len(s.attempts), err)
						}
					}
				})
			})
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestFromEnv(t *testing.T) {
	const url = "https://billing.example.com"
	tests := []struct{ url, token, want string }{
		{"", testToken, "HARMONT_API_URL is not set"},
		{url, "", "HARMONT_TOKEN is not set"},
		{"billing.example.com", testToken, "HARMONT_API_URL"},
		{url, testToken + "\n", "HARMONT_TOKEN: the token"},
	}
	for _, test := range tests {
		t.Setenv("HARMONT_API_URL", test.url)
		t.Setenv("HARMONT_TOKEN", test.token)
		if _, err := client.FromEnv(); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), testToken) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
	s := &scriptedTransport{steps: []http.RoundTripper{answers(200, `{"balance_cents":7}`)}}
	through := client.WithHTTPClient(&http.Client{Transport: s})
	t.Setenv("HARMONT_API_URL", url)
	for token, opts := range map[string][]client.Option{
		testToken: {through}, "": {through, client.WithTokenSource(func(context.Context) (string, error) { return testToken, nil })},
		"hmt_other": {through, client.WithToken(testToken)},
	} {
		t.Setenv("HARMONT_TOKEN", token)
		c, err := client.FromEnv(opts...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetBillingBalance(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if got := s.headers[len(s.headers)-1].Get("Authorization"); got != "Bearer "+testToken {
			t.Errorf("sent %q", got)
		}
	}
}
