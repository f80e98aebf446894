package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
)

// The handlers in this file stand for proxies between the client and the billing server, which cut, delay and garble answers, and for
// other servers in its place.

const testToken = "hmt_4Zk0d2l3bGwgbmV2ZXIgYmUgcHJpbnRlZCBhbnl3aGV"

// newHandlerClient makes a client of a server with the handler.
func newHandlerClient(t *testing.T, handler http.HandlerFunc, opts ...client.Option) *client.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return newClient(t, srv.URL, opts...)
}

func newClient(t testing.TB, url string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestErrorResponses(t *testing.T) {
	const envelope = `{"error":{"type":"not_found","code":"organization_not_found","message":"no such organization",
		"doc_url":"https://harmont.dev/docs/errors/organization_not_found","request_id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10"}}`
	tests := []struct {
		name        string
		status      int
		contentType string
		body        string
		want        client.Error
		text        string
	}{
		{
			name: "the API's envelope", status: 404, contentType: "application/json", body: envelope,
			want: client.Error{
				Status: 404, Type: client.ErrorTypeNotFound, Code: client.CodeOrganizationNotFound, Message: "no such organization",
				DocURL: "https://harmont.dev/docs/errors/organization_not_found", RequestID: "01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10",
			},
			text: "harmont-billing: 404 organization_not_found: no such organization (request 01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10)",
		},
		{
			name: "a code that the client does not know", status: 402, contentType: "application/json",
			body: `{"error":{"type":"payment","code":"card_declined","message":"no","doc_url":"","param":"x"}}`,
			want: client.Error{Status: 402, Type: "payment", Code: "card_declined", Message: "no", RequestID: "from-the-header"},
			text: "harmont-billing: 402 card_declined: no (request from-the-header)",
		},
		{
			name: "a proxy's page", status: 502, contentType: "text/html",
			body: "<html>\r\n<head><title>502 Bad Gateway</title></head>\n\x1b[31m</html>\n",
			want: client.Error{Status: 502, Message: "<html> <head><title>502 Bad Gateway</title></head> [31m</html>", RequestID: "from-the-header"},
			text: "harmont-billing: 502 Bad Gateway: <html> <head><title>502 Bad Gateway</title></head> [31m</html> (request from-the-header)",
		},
		{
			name: "nothing", status: 503, contentType: "", body: "",
			want: client.Error{Status: 503, RequestID: "from-the-header"},
			text: "harmont-billing: 503 Service Unavailable (request from-the-header)",
		},
		{
			name: "JSON of something else", status: 403, contentType: "application/json", body: `{"error":{"message":"denied"}}`,
			want: client.Error{Status: 403, Message: `{"error":{"message":"denied"}}`, RequestID: "from-the-header"},
			text: `harmont-billing: 403 Forbidden: {"error":{"message":"denied"}} (request from-the-header)`,
		},
		{
			name: "a long page, cut inside a character", status: 500, contentType: "text/plain", body: "x" + strings.Repeat("é", 1<<20),
			want: client.Error{Status: 500, Message: "x" + strings.Repeat("é", 255) + "…", RequestID: "from-the-header"},
			text: "harmont-billing: 500 Internal Server Error: x" + strings.Repeat("é", 255) + "… (request from-the-header)",
		},
		{
			name: "a page that quotes the token", status: 400, contentType: "text/plain", body: "Authorization: Bearer " + testToken,
			want: client.Error{Status: 400, Message: "Authorization: Bearer [token]", RequestID: "from-the-header"},
			text: "harmont-billing: 400 Bad Request: Authorization: Bearer [token] (request from-the-header)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newHandlerClient(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Request-Id", "from-the-header")
				answer(test.status, test.contentType, test.body)(w, r)
			}, client.WithToken(testToken))
			_, err := c.GetBillingBalance(t.Context(), "acme")
			got, ok := errors.AsType[*client.Error](err)
			if !ok {
				t.Fatalf("not a *client.Error: %v", err)
			}
			if *got != test.want {
				t.Errorf("got  %+v\nwant %+v", *got, test.want)
			}
			if err.Error() != test.text {
				t.Errorf("got  %s\nwant %s", err, test.text)
			}
		})
	}
}

// A wrong 2xx answer is an error with the reason, never a zero value.
func TestInvalidResponses(t *testing.T) {
	balance := func(c *client.Client) error {
		_, err := c.GetBillingBalance(t.Context(), "acme")
		return err
	}
	list := func(c *client.Client) error {
		_, err := c.ListBillingTransactions(t.Context(), "acme", client.ListOptions{})
		return err
	}
	breakdown := func(c *client.Client) error {
		_, err := c.GetBillingUsageBreakdown(t.Context(), "acme", client.Last(time.Hour))
		return err
	}
	record := func(c *client.Client) error {
		_, err := c.RecordLeases(t.Context(), "acme", make([]client.Lease, 2))
		return err
	}
	const json = "application/json"
	const build = `"build_id":null,"build_number":null,"build_external_id":null,"pipeline_id":null,"pipeline_name":null,` +
		`"pipeline_slug":null,"total_cents":0,"started_at":"2026-06-06T10:00:00.000000Z","finished_at":null,"job_count":1`
	tests := []struct {
		name        string
		call        func(*client.Client) error
		status      int
		contentType string
		body        string
		want        string
	}{
		{"a captive portal", balance, 200, "text/html", "<html>Welcome</html>", `Content-Type "text/html"`},
		{"JSON under another name", balance, 200, "text/plain", `{"balance_cents":1}`, `Content-Type "text/plain"`},
		{"no content", balance, 204, "", "", "status 204"},
		{"an empty body", balance, 200, json, "", "unexpected end of JSON input"},
		{"half a body", balance, 200, json, `{"balance_cents":12`, "unexpected end of JSON input"},
		{"two bodies", balance, 200, json, `{"balance_cents":1}{"balance_cents":2}`, "after top-level value"},
		{"null", balance, 200, json, ` null `, "is null"},
		{"an array", balance, 200, json, `[]`, "cannot unmarshal array"},
		{"no fields", balance, 200, json, `{}`, "balance_cents is missing"},
		{"other fields", balance, 200, json, `{"balance":1,"a":[{"b":"]}\""}],"c":null}`, "balance_cents is missing"},
		{"a null amount", balance, 200, json, `{"balance_cents":null}`, "balance_cents is null"},
		{"another case", balance, 200, json, `{"Balance_Cents":7}`, "Balance_Cents is not how the field is spelled"},
		{"a fraction", balance, 200, json, `{"balance_cents":0.5}`, "cannot unmarshal number 0.5"},
		{"more than 64 bits", balance, 200, json, `{"balance_cents":9223372036854775808}`, "cannot unmarshal number"},
		{"a list without cursor", list, 200, json, `{"data":[]}`, "next_cursor is missing"},
		{"a null list", list, 200, json, `{"data":null,"next_cursor":null}`, "data is null"},
		{"a null item", list, 200, json, `{"data":[null],"next_cursor":null}`, "data[0] is null"},
		{
			"an entry without amount", list, 200, json,
			`{"next_cursor":null,"data":[` +
				`{"id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10","amount_cents":-1,"source":"refund","description":"a \"}, b","created_at":"2026-06-06T10:00:00Z"},` +
				`{"id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a11","source":"refund","description":null,"created_at":"2026-06-06T10:00:00Z"}]}`,
			"data[1].amount_cents is missing",
		},
		{"a time that is none", list, 200, json, `{"data":[{"created_at":"yesterday"}],"next_cursor":null}`, `parsing time "yesterday"`},
		{"a build without jobs", breakdown, 200, json, `{"data":[{` + build + `}]}`, "data[0].jobs is missing"},
		{"an empty job", breakdown, 200, json, `{"data":[{` + build + `,"jobs":[{}]}]}`, "data[0].jobs[0].job_id is missing"},
		{
			"a result too few", record, 200, json,
			`{"data":[{"lease_id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10","status":"billed","amount_cents":-1}]}`, "1 results for 2 leases",
		},
		{"the token as a time", list, 200, json, `{"data":[{"created_at":"` + testToken + `"}],"next_cursor":null}`, `parsing time "[token]"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.call(newHandlerClient(t, answer(test.status, test.contentType, test.body), client.WithToken(testToken)))
			if !errors.Is(err, client.ErrInvalidResponse) {
				t.Fatalf("not ErrInvalidResponse: %v", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v\nlacks: %s", err, test.want)
			}
			if !strings.Contains(err.Error(), "/api/v0/billing/") {
				t.Errorf("%v\nlacks the URL", err)
			}
		})
	}
}

// The client accepts answers without the properties that later versions added, and refuses answers without any other required property.
func TestAnswersOfEarlierServers(t *testing.T) {
	later := map[string]bool{}
	for _, model := range []reflect.Type{reflect.TypeFor[client.LeaseRecord](), reflect.TypeFor[client.TransactionDetail]()} {
		for field := range model.Fields() {
			later[field.Tag.Get("json")] = field.Tag.Get("since") != ""
		}
	}
	for key, want := range map[string]bool{"labels": true, "author": true, "rate_card": true, "rate_card_id": true, "accrued_cents": true, "lease": false, "cost": false} {
		if later[key] != want {
			t.Errorf("%s: the client does without it: %t", key, later[key])
		}
	}
	calls := map[string]func(*client.Client) error{
		"GET /api/v0/billing/leases/{org}": func(c *client.Client) error {
			list, err := c.ListBillingLeases(t.Context(), "acme", client.LeaseFilter{}, client.ListOptions{})
			if err == nil && (list.Data[0].Labels != nil || list.Data[0].AccruedCents != nil) {
				t.Errorf("got %+v", list.Data[0])
			}
			return err
		},
		"GET /api/v0/billing/transactions/{org}/{id}": func(c *client.Client) error {
			detail, err := c.GetBillingTransaction(t.Context(), "acme", client.UUID{})
			if err == nil && (detail.Author != nil || detail.RateCard != nil || detail.Lease.RateCardID != nil) {
				t.Errorf("got %+v", detail)
			}
			return err
		},
	}
	for pattern, call := range calls {
		for dropped := range later {
			if later[dropped] {
				continue
			}
			body, found := without(t, contractAnswers[pattern].body, func(key string) bool { return later[key] || key == dropped })
			if !found[dropped] {
				continue
			}
			err := call(newHandlerClient(t, answer(200, "application/json", body)))
			if !errors.Is(err, client.ErrInvalidResponse) || !strings.Contains(err.Error(), dropped+" is missing") {
				t.Errorf("%s without %s: %v", pattern, dropped, err)
			}
		}
		body, _ := without(t, contractAnswers[pattern].body, func(key string) bool { return later[key] })
		if err := call(newHandlerClient(t, answer(200, "application/json", body))); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// without removes the keys for which drop is true from every object in a JSON text. It returns the rest, and the keys that it removed.
func without(t *testing.T, text string, drop func(key string) bool) (rest string, found map[string]bool) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	found = map[string]bool{}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, item := range value {
				walk(item)
			}
		case map[string]any:
			for key, item := range value {
				if drop(key) {
					found[key] = true
					delete(value, key)
				}
				walk(item)
			}
		}
	}
	walk(value)
	dropped, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(dropped), found
}

// Additions of later versions of the API to answers do not disturb this client.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	c := newHandlerClient(t, answer(200, "Application/JSON; charset=utf-8",
		` { "new" : null , "more":[1, null, {"x":[]}, "\\\"" ],"balance_cents" : -9223372036854775808 , "even" : {"a":true} } `))
	got, err := c.GetBillingBalance(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if got.BalanceCents != -9223372036854775808 {
		t.Errorf("got %d", got.BalanceCents)
	}
}

func TestCutResponses(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"before the promised length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"balance_cents":12}`)
		},
		"between chunks": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"balance_cents":12}`)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := newHandlerClient(t, handler).GetBillingBalance(t.Context(), "acme")
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestMaxResponseBytes(t *testing.T) {
	const body = `{"balance_cents":12}`
	t.Run("just fits", func(t *testing.T) {
		c := newHandlerClient(t, answer(200, "application/json", body), client.WithMaxResponseBytes(int64(len(body))))
		if _, err := c.GetBillingBalance(t.Context(), "acme"); err != nil {
			t.Error(err)
		}
	})
	t.Run("one too many", func(t *testing.T) {
		c := newHandlerClient(t, answer(200, "application/json", body), client.WithMaxResponseBytes(int64(len(body))-1))
		_, err := c.GetBillingBalance(t.Context(), "acme")
		if !errors.Is(err, client.ErrInvalidResponse) || !strings.Contains(err.Error(), "larger than 19 bytes") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("without end", func(t *testing.T) {
		sent := make(chan int64, 1)
		c := newHandlerClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			n, _ := io.Copy(w, endlessReader{})
			sent <- n
		}, client.WithMaxResponseBytes(1<<20))
		if _, err := c.GetBillingBalance(t.Context(), "acme"); !errors.Is(err, client.ErrInvalidResponse) {
			t.Errorf("got %v", err)
		}
		<-sent
	})
	t.Run("an error without end", func(t *testing.T) {
		c := newHandlerClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			io.Copy(w, endlessReader{})
		})
		_, err := c.GetBillingBalance(t.Context(), "acme")
		if got, ok := errors.AsType[*client.Error](err); !ok || got.Status != 500 {
			t.Errorf("got %v", err)
		}
	})
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

// The token is sent only to the host of the base URL, for every answer and every http.Client.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{elsewhere.URL + "/x?token=" + testToken, "/api/v0/organizations"} {
			t.Run(fmt.Sprintf("%d to %.8s", status, location), func(t *testing.T) {
				var requests atomic.Int32
				hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
				c := newHandlerClient(t, func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					w.Header().Set("Location", location)
					w.WriteHeader(status)
				}, client.WithToken(testToken), client.WithHTTPClient(hc))

				_, err := c.PostCredit(t.Context(), "acme", "key", client.PostCreditRequest{})
				got, ok := errors.AsType[*client.Error](err)
				want := "redirected to " + strings.ReplaceAll(location, testToken, "[token]") + ", which is not followed"
				if !ok || got.Status != status || got.Message != want {
					t.Errorf("got %v", err)
				}
				if n := requests.Load(); n != 1 {
					t.Errorf("%d requests", n)
				}
				if hc.CheckRedirect == nil || hc.CheckRedirect(nil, nil) != nil {
					t.Error("the caller's http.Client was changed")
				}
			})
		}
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

func TestTimeouts(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	hangInBody := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"balance_cents":`)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, handler := range map[string]http.HandlerFunc{"before the answer": hang, "inside the answer": hangInBody} {
		t.Run(name, func(t *testing.T) {
			t.Run("WithTimeout", func(t *testing.T) {
				_, err := newHandlerClient(t, handler, client.WithTimeout(50*time.Millisecond)).GetBillingBalance(t.Context(), "acme")
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
			t.Run("the context's deadline", func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				_, err := newHandlerClient(t, handler, client.WithTimeout(0)).GetBillingBalance(ctx, "acme")
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
			t.Run("the context's end", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(50*time.Millisecond, cancel)
				_, err := newHandlerClient(t, handler).GetBillingBalance(ctx, "acme")
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
			t.Run("the http.Client's", func(t *testing.T) {
				c := newHandlerClient(t, handler, client.WithHTTPClient(&http.Client{Timeout: 50 * time.Millisecond}))
				_, err := c.GetBillingBalance(t.Context(), "acme")
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// waitForContext is a transport that waits until the context of the request ends.
type waitForContext struct{}

func (waitForContext) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestDefaultTimeout(t *testing.T) {
	for timeout, opts := range map[time.Duration][]client.Option{
		30 * time.Second: nil,
		24 * time.Hour:   {client.WithTimeout(0)}, // the context's deadline below
	} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
				defer cancel()
				c := newClient(t, "http://billing.invalid", append(opts, client.WithMaxRetries(0), client.WithHTTPClient(&http.Client{Transport: waitForContext{}}))...)
				start := time.Now()
				_, err := c.GetBillingBalance(ctx, "acme")
				if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != timeout {
					t.Errorf("%v after %s", err, took)
				}
			})
		})
	}
}

func TestNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = newClient(t, "http://"+l.Addr().String(), client.WithToken(testToken)).GetBillingBalance(t.Context(), "acme")
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Errorf("not a *net.OpError: %v", err)
	}
	if urlErr, ok := errors.AsType[*url.Error](err); !ok || urlErr.Op != "Get" {
		t.Errorf("not a *url.Error: %v", err)
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", err, err), testToken) {
		t.Errorf("the token is in %v", err)
	}
}

func TestTokenIsNotPrinted(t *testing.T) {
	c := newClient(t, "https://billing.example.com", client.WithToken(testToken))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{c, *c, struct{ C *client.Client }{c}, []any{*c}} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, testToken) || strings.Contains(s, fmt.Sprintf("%x", testToken)) {
				t.Errorf("%s prints the token: %s", verb, s)
			}
		}
	}
	// A printer that follows every pointer, like that of a test library, finds no token either.
	if path := findString(reflect.ValueOf(c), testToken, map[uintptr]bool{}); path != "" {
		t.Errorf("the token is at c%s", path)
	}
	for _, token := range []string{"", " ", testToken + "\n", "\t" + testToken, testToken + "\x00", testToken + "é"} {
		_, err := client.New("https://billing.example.com", client.WithToken(token))
		if err == nil {
			t.Errorf("the token %q is taken", token)
		} else if strings.Contains(err.Error(), testToken) {
			t.Errorf("the token is in %v", err)
		}
	}
}

// findString gives the path to a string that contains s, following every pointer.
func findString(v reflect.Value, s string, seen map[uintptr]bool) string {
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(v.String(), s) {
			return " "
		}
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return ""
		}
		seen[v.Pointer()] = true
		return findString(v.Elem(), s, seen)
	case reflect.Interface:
		return findString(v.Elem(), s, seen)
	case reflect.Struct:
		for i := range v.NumField() {
			if path := findString(v.Field(i), s, seen); path != "" {
				return "." + v.Type().Field(i).Name + path
			}
		}
	}
	return ""
}

func TestNewRefuses(t *testing.T) {
	urls := []string{
		"", "billing.example.com", "localhost:8080", "//billing.example.com", "/billing", "https://", "https:///billing", "http://:8080",
		"ftp://billing.example.com", "unix:/run/billing.sock", "https://billing.example.com:port", "https://billing.example.com/%zz",
		"https://user:s3cret@billing.example.com", "https://s3cret@billing.example.com", "https://:s3cret@billing.example.com:x",
		"https://billing.example.com?", "https://billing.example.com/?key=s3cret", "https://billing.example.com/#s3cret",
	}
	for _, u := range urls {
		if _, err := client.New(u); err == nil {
			t.Errorf("the base URL %q is taken", u)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("a secret is in %v", err)
		}
	}
	options := map[string]client.Option{
		"a nil http.Client":     client.WithHTTPClient(nil),
		"a nil token source":    client.WithTokenSource(nil),
		"a nil logger":          client.WithLogger(nil),
		"a nil middleware":      client.WithMiddleware(nil),
		"negative retries":      client.WithMaxRetries(-1),
		"a negative timeout":    client.WithTimeout(-1),
		"no response bytes":     client.WithMaxResponseBytes(0),
		"an empty user agent":   client.WithUserAgent(""),
		"a broken user agent":   client.WithUserAgent("a\r\nb"),
		"a user agent in UTF-8": client.WithUserAgent("naïve"),
	}
	for name, opt := range options {
		if _, err := client.New("https://billing.example.com", opt); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// receivedRequest is a request as a server has received it.
type receivedRequest struct {
	line   string
	header http.Header
	body   string
}

// requestRecorder is a transport that keeps the last request and answers with an empty object.
type requestRecorder struct{ receivedRequest }

func (s *requestRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	s.line = r.Method + " " + r.URL.String()
	s.header = r.Header
	s.body = ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		s.body = string(b)
	}
	w := httptest.NewRecorder()
	answer(200, "application/json", "{}")(w, r)
	return w.Result(), nil
}

// The exact bytes of requests.
// setRequestID checks the request's id, a random one, and replaces it.
func (s *requestRecorder) setRequestID(t *testing.T) {
	t.Helper()
	if _, err := uuid.Parse(s.header.Get("X-Request-Id")); err != nil {
		t.Error(err)
	}
	s.header.Set("X-Request-Id", "set")
}

func TestRequests(t *testing.T) {
	userAgent := "harmont-billing-go/" + client.Version + " (" + runtime.Version() + "; " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	berlin := time.FixedZone("", 2*60*60)
	window := client.Window{From: time.Date(2026, 6, 1, 1, 2, 3, 999_999_999, berlin), To: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)}
	const sent = "from=2026-05-31T23%3A02%3A03.999999Z&to=2026-07-01T00%3A00%3A00.000000Z"
	getBalance := func(ctx context.Context, c *client.Client) error {
		_, err := c.GetBillingBalance(ctx, "acme")
		return err
	}
	tests := []struct {
		name string
		base string
		call func(context.Context, *client.Client) error
		want string
		body string
	}{
		{
			"balance", "https://billing.example.com",
			getBalance,
			"GET https://billing.example.com/api/v0/billing/balance/acme", "",
		},
		{
			"a path before the API's", "http://[::1]:8080/a%2Fb/billing//",
			getBalance,
			"GET http://[::1]:8080/a%2Fb/billing/api/v0/billing/balance/acme", "",
		},
		{
			"an empty fragment", "https://billing.example.com/#",
			getBalance,
			"GET https://billing.example.com/api/v0/billing/balance/acme", "",
		},
		{
			"a slug that must be escaped", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.GetBillingUsage(ctx, "../a b/series?x=é#", window)
				return err
			},
			"GET https://billing.example.com/api/v0/billing/usage/..%2Fa%20b%2Fseries%3Fx=%C3%A9%23?" + sent, "",
		},
		{
			"the first page", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.ListBillingTransactions(ctx, "acme", client.ListOptions{})
				return err
			},
			"GET https://billing.example.com/api/v0/billing/transactions/acme", "",
		},
		{
			"another page", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.ListBillingTransactions(ctx, "acme", client.ListOptions{Limit: 7, Cursor: "a+/=&"})
				return err
			},
			"GET https://billing.example.com/api/v0/billing/transactions/acme?limit=7&cursor=a%2B%2F%3D%26", "",
		},
		{
			"a negative limit is the server's to clamp", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.ListOrganizations(ctx, client.ListOptions{Limit: -1})
				return err
			},
			"GET https://billing.example.com/api/v0/organizations?limit=-1", "",
		},
		{
			"series", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.GetBillingUsageSeries(ctx, "acme", window)
				return err
			},
			"GET https://billing.example.com/api/v0/billing/usage/acme/series?" + sent, "",
		},
		{
			"breakdown", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.GetBillingUsageBreakdown(ctx, "acme", window)
				return err
			},
			"GET https://billing.example.com/api/v0/billing/usage/acme/breakdown?" + sent, "",
		},
		{
			"credit", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.PostCredit(ctx, "acme", "invoice 42, again", client.PostCreditRequest{AmountCents: 5, Source: client.CreditSourceRefund})
				return err
			},
			"POST https://billing.example.com/api/v0/billing/credits/acme", `{"amount_cents":5,"source":"refund"}`,
		},
		{
			"rate card", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				card := client.SetRateCardRequest{
					Name: "GPUs", LabelKey: new("gpu"), LabelValue: new("l4"), CPUMicrocents: new(int64(3)), MemoryGBMicrocents: new(int64(2)), DiskGBMicrocents: new(int64(0)),
					EffectiveFrom: &window.From,
				}
				_, err := c.SetRateCard(ctx, "acme", "invoice 42, again", card)
				return err
			},
			"POST https://billing.example.com/api/v0/billing/rate-cards/acme",
			`{"name":"GPUs","label_key":"gpu","label_value":"l4","cpu_microcents":3,"memory_gb_microcents":2,"disk_gb_microcents":0,"effective_from":"2026-05-31T23:02:03.999999Z"}`,
		},
		{
			"rate cards", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.ListBillingRateCards(ctx, "acme", client.ListOptions{Limit: 5, Cursor: "a b"})
				return err
			},
			"GET https://billing.example.com/api/v0/billing/rate-cards/acme?limit=5&cursor=a+b", "",
		},
		{
			"statement", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.GetBillingStatement(ctx, "acme", window)
				return err
			},
			"GET https://billing.example.com/api/v0/billing/statement/acme?from=2026-05-31T23%3A02%3A03.999999Z&to=2026-07-01T00%3A00%3A00.000000Z", "",
		},
		{
			"all credits", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.ListBillingCredits(ctx, "acme", client.CreditFilter{}, client.ListOptions{})
				return err
			},
			"GET https://billing.example.com/api/v0/billing/credits/acme", "",
		},
		{
			"credits", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.ListBillingCredits(ctx, "acme", client.CreditFilter(window), client.ListOptions{Limit: 5, Cursor: "a b"})
				return err
			},
			"GET https://billing.example.com/api/v0/billing/credits/acme?from=2026-05-31T23%3A02%3A03.999999Z&to=2026-07-01T00%3A00%3A00.000000Z&limit=5&cursor=a+b", "",
		},
		{
			"runway", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.GetBillingRunway(ctx, "acme")
				return err
			},
			"GET https://billing.example.com/api/v0/billing/runway/acme", "",
		},
		{
			"usage by label", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.GetBillingUsageBy(ctx, "acme", window, client.ByLabel("a/b"), client.UsageByOptions{Interval: client.IntervalMonth, Limit: 5})
				return err
			},
			"GET https://billing.example.com/api/v0/billing/usage/acme/by?by=label.a%2Fb&from=2026-05-31T23%3A02%3A03.999999Z&to=2026-07-01T00%3A00%3A00.000000Z&interval=month&limit=5", "",
		},
		{
			"usage by pipeline", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.GetBillingUsageBy(ctx, "acme", window, "pipeline", client.UsageByOptions{})
				return err
			},
			"GET https://billing.example.com/api/v0/billing/usage/acme/by?by=pipeline&from=2026-05-31T23%3A02%3A03.999999Z&to=2026-07-01T00%3A00%3A00.000000Z", "",
		},
		{
			"leases", "https://billing.example.com",
			func(ctx context.Context, c *client.Client) error {
				_, err := c.RecordLeases(ctx, "acme", []client.Lease{{LeaseID: &client.UUID{15: 1}, JobName: new("x"), Labels: client.Labels{"team": "web", "gpu": "l4"}, CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: window.From}})
				return err
			},
			"POST https://billing.example.com/api/v0/billing/leases/acme",
			`{"leases":[{"lease_id":"00000000-0000-0000-0000-000000000001","job_name":"x","labels":{"gpu":"l4","team":"web"},"cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-05-31T23:02:03.999999Z"}]}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var transport requestRecorder
			c := newClient(t, test.base, client.WithToken(testToken), client.WithHTTPClient(&http.Client{Transport: &transport}))
			if err := test.call(t.Context(), c); !errors.Is(err, client.ErrInvalidResponse) {
				t.Fatal(err)
			}
			if transport.line != test.want {
				t.Errorf("got  %s\nwant %s", transport.line, test.want)
			}
			want := http.Header{
				"Accept": {"application/json"}, "Authorization": {"Bearer " + testToken}, "User-Agent": {userAgent}, "X-Request-Id": {"set"},
			}
			if test.body != "" {
				want.Set("Content-Type", "application/json")
			}
			if test.name == "credit" || test.name == "rate card" {
				want.Set("Idempotency-Key", "invoice 42, again")
			}
			transport.setRequestID(t)
			if !reflect.DeepEqual(transport.header, want) {
				t.Errorf("got  %v\nwant %v", transport.header, want)
			}
			if transport.body != test.body {
				t.Errorf("got  %s\nwant %s", transport.body, test.body)
			}
		})
	}

	t.Run("without a token, as another program", func(t *testing.T) {
		var transport requestRecorder
		c := newClient(t, "https://billing.example.com", client.WithUserAgent("scheduler/1.2 (linux)"), client.WithHTTPClient(&http.Client{Transport: &transport}))
		c.GetBillingBalance(t.Context(), "acme")
		transport.setRequestID(t)
		if want := (http.Header{"Accept": {"application/json"}, "User-Agent": {"scheduler/1.2 (linux)"}, "X-Request-Id": {"set"}}); !reflect.DeepEqual(transport.header, want) {
			t.Errorf("got %v", transport.header)
		}
	})
}

func TestBadArgumentsAreNotSent(t *testing.T) {
	ctx := t.Context()
	c := newHandlerClient(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) })
	calls := map[string]func(org string) error{
		"GetBillingBalance": func(org string) error { _, err := c.GetBillingBalance(ctx, org); return err },
		"ListBillingTransactions": func(org string) error {
			_, err := c.ListBillingTransactions(ctx, org, client.ListOptions{})
			return err
		},
		"GetBillingStatement": func(org string) error { _, err := c.GetBillingStatement(ctx, org, client.Window{}); return err },
		"ListBillingCredits": func(org string) error {
			_, err := c.ListBillingCredits(ctx, org, client.CreditFilter{}, client.ListOptions{})
			return err
		},
		"GetBillingRunway":      func(org string) error { _, err := c.GetBillingRunway(ctx, org); return err },
		"GetBillingUsage":       func(org string) error { _, err := c.GetBillingUsage(ctx, org, client.Window{}); return err },
		"GetBillingUsageSeries": func(org string) error { _, err := c.GetBillingUsageSeries(ctx, org, client.Window{}); return err },
		"GetBillingUsageBy": func(org string) error {
			_, err := c.GetBillingUsageBy(ctx, org, client.Window{}, "shape", client.UsageByOptions{})
			return err
		},
		"GetBillingUsageBreakdown": func(org string) error { _, err := c.GetBillingUsageBreakdown(ctx, org, client.Window{}); return err },
		"RecordLeases":             func(org string) error { _, err := c.RecordLeases(ctx, org, nil); return err },
		"PostCredit": func(org string) error {
			_, err := c.PostCredit(ctx, org, "key", client.PostCreditRequest{})
			return err
		},
		"ListBillingRateCards": func(org string) error {
			_, err := c.ListBillingRateCards(ctx, org, client.ListOptions{})
			return err
		},
		"SetRateCard": func(org string) error {
			_, err := c.SetRateCard(ctx, org, "key", client.SetRateCardRequest{})
			return err
		},
		"Transactions": func(org string) error {
			for _, err := range c.Transactions(ctx, org) {
				return err
			}
			return nil
		},
	}
	for name, call := range calls {
		// These would make the path that of another resource.
		for _, org := range []string{"", ".", ".."} {
			if err := call(org); err == nil {
				t.Errorf("%s(%q) gives no error", name, org)
			}
		}
	}
	for _, key := range []string{" ", "a ", " a", "a\n", "clé"} {
		if _, err := c.PostCredit(ctx, "acme", key, client.PostCreditRequest{}); err == nil {
			t.Errorf("the key %q gives no error", key)
		}
		if _, err := c.SetRateCard(ctx, "acme", key, client.SetRateCardRequest{}); err == nil {
			t.Errorf("the key %q of a card gives no error", key)
		}
	}
	if _, err := c.RecordLeases(ctx, "acme", []client.Lease{{StartedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}}); err == nil {
		t.Error("a time that RFC 3339 cannot tell gives no error")
	}
}

func TestLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got, want := client.Last(time.Hour), (client.Window{From: time.Now().Add(-time.Hour), To: time.Now()}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// ledgerPage is one page of a made-up ledger: as many entries as amounts, and the next cursor in JSON.
func ledgerPage(next string, amounts ...int) string {
	var items []string
	for _, amount := range amounts {
		items = append(items, fmt.Sprintf(`{"id":"01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10","amount_cents":%d,"source":"refund",`+
			`"description":null,"created_at":"2026-06-06T10:00:00.000000Z"}`, amount))
	}
	return fmt.Sprintf(`{"data":[%s],"next_cursor":%s}`, strings.Join(items, ","), next)
}

func TestTransactionsPaging(t *testing.T) {
	tests := []struct {
		name  string
		pages map[string]string // by cursor
		stop  int               // leave the loop after so many entries
		want  []int64
		calls int
		err   string
	}{
		{name: "an empty ledger", pages: map[string]string{"": ledgerPage("null")}, calls: 1},
		{name: "an empty page is not the end", pages: map[string]string{"": ledgerPage(`"a"`, 1, 2), "a": ledgerPage(`"b"`), "b": ledgerPage("null", 3)}, want: []int64{1, 2, 3}, calls: 3},
		{name: "a loop that is left asks no more", pages: map[string]string{"": ledgerPage(`"a"`, 1, 2)}, stop: 2, want: []int64{1, 2}, calls: 1},
		{name: "a cursor that leads to itself", pages: map[string]string{"": ledgerPage(`"a"`, 1), "a": ledgerPage(`"a"`, 2)}, want: []int64{1, 2}, calls: 2, err: "a cursor comes again"},
		{name: "an empty cursor is the end", pages: map[string]string{"": ledgerPage(`""`, 1)}, want: []int64{1}, calls: 1},
		{
			name: "cursors in a circle", pages: map[string]string{"": ledgerPage(`"a"`), "a": ledgerPage(`"b"`), "b": ledgerPage(`"c"`), "c": ledgerPage(`"d"`), "d": ledgerPage(`"b"`)},
			calls: 7, err: "comes again",
		},
		{name: "a page that fails", pages: map[string]string{"": ledgerPage(`"a"`, 1), "a": `{}`}, want: []int64{1}, calls: 2, err: "data is missing"},
		{name: "a first page that fails", pages: map[string]string{"": "<html>"}, calls: 1, err: "invalid character"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int32
			c := newHandlerClient(t, func(w http.ResponseWriter, r *http.Request) {
				if limit := r.URL.Query().Get("limit"); limit != "100" {
					t.Errorf("limit %q", limit)
				}
				if calls.Add(1) > 20 {
					t.Error("the walk does not end")
					return
				}
				answer(200, "application/json", test.pages[r.URL.Query().Get("cursor")])(w, r)
			})
			var got []int64
			var failure error
			for tx, err := range c.Transactions(t.Context(), "acme") {
				if failure != nil {
					t.Fatal("something comes after the error")
				}
				if err != nil {
					if tx != (client.Transaction{}) {
						t.Errorf("%v comes with the error", tx)
					}
					failure = err
					continue
				}
				got = append(got, tx.AmountCents)
				if len(got) == test.stop {
					break
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if n := int(calls.Load()); n != test.calls {
				t.Errorf("%d requests, want %d", n, test.calls)
			}
			if (test.err == "") != (failure == nil) || failure != nil && !strings.Contains(failure.Error(), test.err) {
				t.Errorf("got %v, want %q", failure, test.err)
			}
			if failure != nil && !errors.Is(failure, client.ErrInvalidResponse) {
				t.Errorf("not ErrInvalidResponse: %v", failure)
			}
		})
	}
}
