package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

const (
	buildFields = `"build_id":null,"build_external_id":null,"pipeline_id":null,"pipeline_name":null,"pipeline_slug":null,` +
		`"total_cents":0,"started_at":"2026-06-06T10:00:00.000000Z","finished_at":null,"job_count":0,"jobs":[]`
	build1 = `{"build_number":1,` + buildFields + `}`
	build2 = `{"build_number":2,` + buildFields + `}`
)

// walkBuilds gives the numbers of the builds that came, and the error after them.
func walkBuilds(t *testing.T, c *client.Client, opts ...client.Option) (numbers []int64, failure error) {
	t.Helper()
	for build, err := range c.UsageBreakdown(t.Context(), "acme", client.Last(time.Hour), opts...) {
		if failure != nil {
			t.Fatal("something comes after the error")
		}
		if failure = err; err == nil {
			numbers = append(numbers, *build.BuildNumber)
		}
	}
	return numbers, failure
}

func TestUsageBreakdownAnswers(t *testing.T) {
	tests := []struct {
		name, body string
		builds     int
		err        string // none where the answer is complete
	}{
		{"none", `{"data":[]}`, 0, ""},
		{"two", `{"data":[` + build1 + `,` + build2 + `]}`, 2, ""},
		{"what later versions add", ` { "x" : [ { } , null ] , "data" : [ ` + build1 + ` ] , "y" : { "data" : 1 } } ` + "\n", 1, ""},
		{"nothing", ``, 0, "unexpected end"},
		{"null", `null`, 0, "<nil> stands where { should"},
		{"an array", `[]`, 0, "[ stands where { should"},
		{"no data", `{"x":1}`, 0, "data is missing"},
		{"null data", `{"data":null}`, 0, "data: <nil> stands where [ should"},
		{"another case", `{"Data":[]}`, 0, "Data is not how the field is spelled"},
		{"data twice", `{"data":[` + build1 + `],"data":[]}`, 1, "data comes twice"},
		{"cut between builds", `{"data":[` + build1 + `,`, 1, "unexpected end"},
		{"cut after a build", `{"data":[` + build1, 1, "unexpected end"},
		{"cut inside a build", `{"data":[` + build1 + `,` + build2[:40], 1, "unexpected end"},
		{"cut after the list", `{"data":[` + build1 + `]`, 1, "unexpected end"},
		{"two answers", `{"data":[]}{"data":[` + build1 + `]}`, 0, "something follows"},
		{"rubbish after it", `{"data":[]}<html>`, 0, "invalid character"},
		{"rubbish inside", `{"data":[` + build1 + `<html>`, 1, "expected comma after array element"},
		{"a null build", `{"data":[null]}`, 0, "data[0]: is null"},
		{"a build without its number", `{"data":[` + build1 + `,{` + buildFields + `}]}`, 1, "data[1]: build_number is missing"},
		{"an empty job", `{"data":[` + strings.Replace(build1, "[]", "[{}]", 1) + `]}`, 0, "data[0]: jobs[0].job_id is missing"},
		{"the token", `{"data":["` + testToken + `"]}`, 0, "cannot unmarshal"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			numbers, err := walkBuilds(t, newHandlerClient(t, answer(200, "application/json", test.body), client.WithToken(testToken)))
			if len(numbers) != test.builds {
				t.Errorf("builds %v", numbers)
			}
			if test.err == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, client.ErrInvalidResponse) || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), testToken) {
				t.Errorf("got %v, want %q", err, test.err)
			}
		})
	}
}

// If an answer is cut at any byte, the loop ends with an error.
func TestUsageBreakdownCutAnywhere(t *testing.T) {
	body := `{"data":[` + build1 + `,` + build2 + `]}`
	for n := range len(body) {
		s := &scriptedTransport{steps: []http.RoundTripper{breaksOffAfter(body[:n])}}
		numbers, err := walkBuilds(t, s.client(t))
		if _, ok := errors.AsType[*url.Error](err); !ok || !errors.Is(err, io.ErrUnexpectedEOF) || len(s.attempts) != 1 {
			t.Fatalf("cut after %d bytes: builds %v in %d attempts, then %v", n, numbers, len(s.attempts), err)
		}
		if numbers, err := walkBuilds(t, (&scriptedTransport{steps: []http.RoundTripper{answers(200, body[:n])}}).client(t)); !errors.Is(err, client.ErrInvalidResponse) {
			t.Fatalf("ended after %d bytes: builds %v, then %v", n, numbers, err)
		}
	}
	// The last byte is there, the end of the body is not.
	if numbers, err := walkBuilds(t, (&scriptedTransport{steps: []http.RoundTripper{breaksOffAfter(body)}}).client(t)); !errors.Is(err, io.ErrUnexpectedEOF) || len(numbers) != 2 {
		t.Errorf("builds %v, then %v", numbers, err)
	}
}

// A build is yielded before the server has sent the next, and when the loop is left the server need not go on.
func TestUsageBreakdownArrives(t *testing.T) {
	taken := make(chan struct{})
	gone := make(chan struct{})
	c := newHandlerClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"data":[`+build1)
		for range 3 {
			http.NewResponseController(w).Flush()
			<-taken
			io.WriteString(w, ","+build2)
		}
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	n := 0
	for _, err := range c.UsageBreakdown(t.Context(), "acme", client.Last(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 4 {
			break
		}
		taken <- struct{}{}
	}
	<-gone
}

func TestUsageBreakdownRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedTransport{steps: []http.RoundTripper{answersStatus(503), failsWith(errRefused), answers(200, `{"data":[`+build1+`]}`)}}
		if numbers, err := walkBuilds(t, s.client(t)); err != nil || len(numbers) != 1 || len(s.attempts) != 3 {
			t.Errorf("builds %v in %d attempts: %v", numbers, len(s.attempts), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedTransport{steps: []http.RoundTripper{waitForContext{}}}
		start := time.Now()
		_, err := walkBuilds(t, s.client(t, client.WithMaxRetries(1), client.WithTimeout(time.Hour)))
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || len(s.attempts) != 2 || took < 2*time.Hour || took > 2*time.Hour+time.Second {
			t.Errorf("%d attempts in %s: %v", len(s.attempts), took, err)
		}
	})
}

// The timeout bounds only waits for the server. The loop may take longer, and so may a long answer.
func TestUsageBreakdownTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			io.WriteString(theirs, `{"data":[`+build1)
			for range 5 {
				time.Sleep(50 * time.Second)
				io.WriteString(theirs, ","+build2)
			}
		}()
		s := &scriptedTransport{steps: []http.RoundTripper{roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := answers(200, "")(r)
			resp.Body = ours
			context.AfterFunc(r.Context(), func() { ours.Close() })
			return resp, err
		})}}
		n := 0
		var failure error
		for _, err := range s.client(t, client.WithTimeout(time.Minute)).UsageBreakdown(t.Context(), "acme", client.Last(time.Hour)) {
			if failure = err; err == nil {
				n++
				time.Sleep(time.Hour)
			}
		}
		if n != 6 || !errors.Is(failure, context.DeadlineExceeded) {
			t.Errorf("%d builds, then %v", n, failure)
		}
		if _, ok := errors.AsType[*url.Error](failure); !ok {
			t.Errorf("not a *url.Error: %v", failure)
		}
	})
}

// WithMaxResponseBytes bounds each build, and text in the place of a build, but not the whole answer.
func TestUsageBreakdownMemory(t *testing.T) {
	limit := client.WithMaxResponseBytes(2 << 10)
	many := `{"data":[` + strings.Repeat(build1+",", 1000) + build2 + `]}`
	if numbers, err := walkBuilds(t, newHandlerClient(t, answer(200, "application/json", many)), limit); err != nil || len(numbers) != 1001 {
		t.Errorf("%d builds, then %v", len(numbers), err)
	}
	for name, start := range map[string]string{
		"a build":       `{"data":[` + build1 + `,{"x":"`,
		"another field": `{"x":"`,
		"a key":         `{"`,
		"space":         `{"data":[` + build1 + strings.Repeat(" ", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			c := newHandlerClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, start)
				for {
					if _, err := w.Write(bytes.Repeat([]byte{'a'}, 1<<10)); err != nil {
						return
					}
				}
			})
			_, err := walkBuilds(t, c, limit)
			if !errors.Is(err, client.ErrInvalidResponse) || !strings.Contains(err.Error(), "larger than 2048 bytes") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUsageBreakdownBadArguments(t *testing.T) {
	c := newHandlerClient(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) })
	for org, opt := range map[string]client.Option{"..": client.WithTimeout(0), "acme": client.WithTimeout(-1)} {
		n := 0
		for _, err := range c.UsageBreakdown(t.Context(), org, client.Last(time.Hour), opt) {
			if n++; err == nil {
				t.Errorf("%s: no error", org)
			}
		}
		if n != 1 {
			t.Error(fmt.Sprint(org, " yields ", n))
		}
	}
}
