package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/internal/contracttest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/server"
)

// postHead is the head of a request that records leases, as it is sent.
func postHead(token string, headers ...string) string {
	head := "POST /api/v0/billing/leases/acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	return head + strings.Join(headers, "\r\n") + "\r\n\r\n"
}

// dial opens a connection with a read deadline of fifty seconds, which is less than the server's time for a body.
func (s *service) dial() *net.TCPConn {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(50 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// raw sends bytes as they are, and nothing after them.
func (s *service) raw(text string) (rawAnswer, contracttest.Envelope) {
	s.t.Helper()
	conn := s.dial()
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	return s.answer(conn)
}

// rawAnswer is an answer without its body.
type rawAnswer struct {
	StatusCode int
	Header     http.Header
	Close      bool // the connection is closed after it
}

// answer reads an answer and its envelope.
func (s *service) answer(conn net.Conn) (answer rawAnswer, envelope contracttest.Envelope) {
	s.t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode >= 300 {
		if err := json.Unmarshal(body, &envelope); err != nil {
			s.t.Errorf("%d %s: %v", res.StatusCode, body, err)
		}
		if id := res.Header.Get("x-request-id"); id == "" || id != envelope.Error.RequestID {
			s.t.Errorf("the x-request-id is %q: %s", id, body)
		}
	}
	return rawAnswer{res.StatusCode, res.Header, res.Close}, envelope
}

func zip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// zipPadded compresses a body that is padded to size bytes. Each whole MiB of padding repeats one gzip member, since
// compressing all of a large body takes seconds under the race detector; a smaller body is a single member.
func zipPadded(body string, size int) string {
	const member = 1 << 20
	rest := size - len(body)
	return zip(body+strings.Repeat(" ", rest%member)) + strings.Repeat(zip(strings.Repeat(" ", member)), rest/member)
}

// padded makes a body longer, to a number of bytes.
func padded(body string, size int) string { return body + strings.Repeat(" ", size-len(body)) }

// post sends a body. One with the header Transfer-Encoding is sent without its length.
func (s *service) post(path, token, body string, header map[string]string) response {
	s.t.Helper()
	var reader io.Reader = strings.NewReader(body)
	if header["Transfer-Encoding"] != "" {
		reader = io.MultiReader(reader)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/api/v0/billing/"+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if header["Transfer-Encoding"] == "" {
		req.Header.Set("Expect", "100-continue") // so that an answer that does not wait for the body gets here
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range header {
		if name != "Transfer-Encoding" {
			req.Header.Set(name, value)
		}
	}
	return s.do(req)
}

const earlyBody = 64 << 10

// A body of 64 KiB is read before the token is looked at, a longer one after token, organization and role; each before the
// parameters. The length of the decompressed body counts, announced or not.
func TestOrderOfBodies(t *testing.T) {
	s := start(t, server.Config{})
	read := s.withOrg("acme", server.RoleRead)
	admin := s.token(server.RoleAdmin, "acme")
	for _, c := range []struct {
		name   string
		path   string
		token  string
		size   int
		status int
		code   string
	}{
		{"short, no token", "credits/acme", "", earlyBody, 400, "bad_request"},
		{"short, unknown route", "nothing/acme", "", earlyBody, 400, "bad_request"},
		{"long, unknown route", "nothing/acme", "", earlyBody + 1, 404, "route_not_found"},
		{"long, no token", "credits/acme", "", earlyBody + 1, 401, "unauthorized"},
		{"long, unknown organization", "credits/none", admin, earlyBody + 1, 404, "organization_not_found"},
		{"long, role too low", "credits/acme", read, earlyBody + 1, 403, "forbidden"},
		{"long", "credits/acme", admin, earlyBody + 1, 400, "bad_request"},
		{"too long, no token", "credits/acme", "", 1<<20 + 1, 401, "unauthorized"},
		{"too long", "credits/acme", admin, 1<<20 + 1, 413, "body_too_large"},
	} {
		for form, header := range map[string]map[string]string{
			"plain": {}, "gzip": {"Content-Encoding": "gzip"}, "no length": {"Transfer-Encoding": "chunked"},
			"gzip, no length": {"Content-Encoding": "GZIP", "Transfer-Encoding": "chunked"},
		} {
			t.Run(c.name+"/"+form, func(t *testing.T) {
				s := *s
				s.t = t
				body := padded(`{"amount_cents":`, c.size)
				if header["Content-Encoding"] != "" {
					body = zip(body)
				}
				// There is no Idempotency-Key, so a parameter is missing as well.
				s.post(c.path, c.token, body, header).want(c.status, c.code)
			})
		}
	}
}

func TestBodyLimits(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleAdmin)
	for _, c := range []struct {
		path, body string
		limit      int
		status     int
	}{
		{"credits/acme", `{"amount_cents":1,"source":"refund"}`, 1 << 20, 201},
		{"leases/acme", leaseBody(), 16 << 20, 200},
	} {
		fits, tooLong := padded(c.body, c.limit), padded(c.body, c.limit+1)
		zippedFits, zippedTooLong := zipPadded(c.body, c.limit), zipPadded(c.body, c.limit+1)
		for _, transfer := range []string{"", "chunked"} {
			// A body of 16 MiB takes seconds under the race detector, so the quick form sends it plain with its length and
			// compressed without; the small limit is tried in every combination.
			every := c.limit == 1<<20 || testlong.Asked()
			if every || transfer == "" {
				plain := map[string]string{"Idempotency-Key": "k", "Transfer-Encoding": transfer}
				s.post(c.path, token, fits, plain).want(c.status, "")
				s.post(c.path, token, tooLong, plain).want(413, "body_too_large")
			}
			if every || transfer == "chunked" {
				zipped := map[string]string{"Idempotency-Key": "k", "Transfer-Encoding": transfer, "Content-Encoding": "gzip"}
				s.post(c.path, token, zippedFits, zipped).want(c.status, "")
				s.post(c.path, token, zippedTooLong, zipped).want(413, "body_too_large")
			}
		}
	}
}

// allocated returns how many bytes server and client allocate while do runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Neither a body that unpacks to very much nor one that goes on without unpacking to anything takes room or time.
func TestBombs(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleAdmin)
	s.balance(token, "acme") // the contract, against which answers are held, is read once
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 32 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	nothing := strings.Repeat(zip(""), 2<<20/len(zip("")))
	for name, body := range map[string]string{"bomb": bomb.String(), "nothing": nothing} {
		for _, length := range []string{"", "chunked"} {
			header := map[string]string{"Idempotency-Key": "k", "Content-Encoding": "gzip", "Transfer-Encoding": length}
			for token, want := range map[string]int{"": 401, token: 413} {
				if taken := allocated(func() { s.post("credits/acme", token, body, header).want(want, "") }); taken > 8<<20 {
					t.Errorf("%s, answered with %d, takes %d bytes", name, want, taken)
				}
			}
		}
	}
}

func TestContentEncodings(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleAdmin)
	const credit = `{"amount_cents":1,"source":"refund"}`
	for _, encoding := range []string{"br", "zstd", "deflate", "compress", "gzip, gzip", "gzip;q=1", "x"} {
		header := map[string]string{"Idempotency-Key": "k", "Content-Encoding": encoding}
		if message := s.post("credits/acme", token, credit, header).want(415, "unsupported_media_type").envelope().Error.Message; !strings.Contains(message, "Content-Encoding") {
			t.Errorf("nobody learns from %q what is wrong", message)
		}
		// It keeps its place: after the token and the parameters, and the body is not looked at.
		s.post("credits/acme", "", "{", header).want(401, "unauthorized")
		s.post("credits/acme", token, "{", map[string]string{"Content-Encoding": encoding}).want(422, "body_invalid")
	}
	for name, body := range map[string]string{
		"no gzip": credit, "cut off": zip(credit)[:30], "text after it": zip(credit) + "x", "wrong checksum": zip(credit)[:len(zip(credit))-8] + "12345678",
		"no JSON": zip("{"), "empty": "",
	} {
		r := s.post("credits/acme", token, body, map[string]string{"Idempotency-Key": "k", "Content-Encoding": "gzip"})
		if r.status != 400 || r.code() != "bad_request" {
			t.Errorf("%s is answered with %d %s", name, r.status, r.body)
		}
	}
	if balance := s.balance(token, "acme"); balance != 0 {
		t.Errorf("the balance is %d: a refused request changed it", balance)
	}
	s.post("credits/acme", token, zip(credit), map[string]string{"Idempotency-Key": "k", "Content-Encoding": "gzip"}).want(201, "")
	if replayed := s.post("credits/acme", token, credit, map[string]string{"Idempotency-Key": "k", "Content-Encoding": "identity"}); replayed.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same body, not compressed, is answered with %d %s", replayed.status, replayed.body)
	}
}

// A sender that holds the last byte back is answered and cut off, whether its body is short or long.
func TestSlowBodies(t *testing.T) {
	const patience = 100 * time.Millisecond
	s := start(t, server.Config{Limits: httpapi.Limits{BodyTime: patience}})
	token := s.withOrg("acme", server.RoleWrite)
	long := padded("{", 80<<10)
	for name, text := range map[string]string{
		"short":           postHead(token, "Content-Length: 3") + "{}",
		"long":            postHead(token, fmt.Sprintf("Content-Length: %d", len(long)+1)) + long,
		"no length":       postHead(token, "Transfer-Encoding: chunked") + "2\r\n{}\r\n",
		"long, no length": postHead(token, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n", len(long), long),
		"gzip":            postHead(token, "Content-Encoding: gzip", "Content-Length: 20") + zip("{}")[:19],
		"nothing at all":  postHead(token, "Content-Length: 1"),
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			start := time.Now()
			res, envelope := s.raw(text)
			if res.StatusCode != http.StatusRequestTimeout || envelope.Error.Code != "request_timeout" || !res.Close {
				t.Errorf("the answer is %d %+v", res.StatusCode, envelope)
			}
			if took := time.Since(start); took < patience || took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	// The handler bounds the time in every server in which it is mounted.
	mounted := *s
	outside := httptest.NewServer(s.Handler())
	t.Cleanup(outside.Close)
	mounted.url = outside.URL
	if res, _ := mounted.raw(postHead(token, "Content-Length: 3") + "{}"); res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("mounted, a body that does not come is answered with %d", res.StatusCode)
	}
}

// A request without a valid token is answered before its body has arrived. Only a short body is waited for, and not for long, because
// it may be malformed. A connection is closed unless all of the body was read.
func TestRefusedBodies(t *testing.T) {
	s := start(t, server.Config{Limits: httpapi.Limits{RefusedBodyTime: 100 * time.Millisecond}})
	patient := start(t, server.Config{Limits: httpapi.Limits{RefusedBodyTime: 10 * time.Minute}})
	unknown := "hmt_" + strings.Repeat("x", 43)
	unread := func(target string) string {
		return target + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
	}
	for name, c := range map[string]struct {
		s      *service
		text   string
		status int
		close  bool
	}{
		"short, late":                 {s, postHead("", "Content-Length: 3") + "{}", 401, true},
		"short, late, unknown token":  {s, postHead(unknown, "Content-Length: 3") + "{}", 401, true},
		"short, late, no length":      {s, postHead("", "Transfer-Encoding: chunked") + "2\r\n{}\r\n", 401, true},
		"short, late, unknown route":  {s, unread("POST /api/v0/nothing"), 404, true},
		"short, late, unknown method": {s, unread("POST /api/v0/billing/balance/acme"), 405, true},
		"short":                       {patient, postHead("", "Content-Length: 2") + "{}", 401, false},
		"short, unknown token":        {patient, postHead(unknown, "Content-Length: 2") + "{}", 401, false},
		"malformed":                   {patient, postHead("", "Content-Length: 1") + "{", 400, false},
		"malformed, unknown token":    {patient, postHead(unknown, "Content-Length: 1") + "{", 400, false},
		"long":                        {patient, postHead("", "Content-Length: 100000") + "{", 401, true},
		"long, unknown token":         {patient, postHead(unknown, "Content-Length: 100000") + "{", 401, true},
		"of a GET":                    {patient, unread("GET /api/v0/billing/balance/acme"), 401, true},
		"of a page":                   {patient, unread("GET /healthz"), 200, true},
		"of another media type":       {patient, strings.Replace(unread("POST /api/v0/billing/leases/acme"), "json", "x", 1), 401, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := *c.s
			s.t = t
			if res, envelope := s.raw(c.text); res.StatusCode != c.status || res.Close != c.close {
				t.Errorf("the answer is %+v %+v", res, envelope)
			}
		})
	}
}

// A sender that stalls is cut off long before the time for a whole body ends, and one that stays behind the least rate as well.
func TestStalledBodies(t *testing.T) {
	s := start(t, server.Config{Limits: httpapi.Limits{BodyStall: 100 * time.Millisecond}})
	token := s.withOrg("acme", server.RoleWrite)
	for name, header := range map[string]string{"length": "Content-Length: 200001", "no length": "Transfer-Encoding: chunked", "gzip": "Content-Encoding: gzip"} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			text := padded("{", 200_000)
			switch name {
			case "no length":
				text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
			case "gzip":
				var random [200_000]byte
				rand.NewChaCha8([32]byte{}).Read(random[:])
				text = zip(string(random[:]))[:150_000]
				header += "\r\nContent-Length: 150001"
			}
			if res, envelope := s.raw(postHead(token, header) + text); res.StatusCode != http.StatusRequestTimeout || !res.Close {
				t.Errorf("the answer is %d %+v", res.StatusCode, envelope)
			}
			if n := s.Load().BodyBytes; n != 0 {
				t.Errorf("%d bytes of the budget are still in use", n)
			}
		})
	}
}

// Bodies that are received or decoded share a budget. A request that gets no part of it in time is answered with 503, also if its client
// reads no answer before it has sent everything. A token cannot take all of the budget. Short bodies need no share.
func TestBodiesShareABudget(t *testing.T) {
	const large = 300_000
	s := start(t, server.Config{Limits: httpapi.Limits{ReceivingBytes: 4 * large, DecodingBytes: 4 * large, Wait: 50 * time.Millisecond}})
	token := s.withOrg("acme", server.RoleWrite)
	other := s.token(server.RoleWrite, "acme")
	body := padded(leaseBody(), large)
	var slow []*net.TCPConn
	for range 2 { // of one token
		conn := s.dial()
		if _, err := io.WriteString(conn, postHead(token, fmt.Sprintf("Content-Length: %d", large))+body[:large-1]); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	eventually(t, func() bool { return s.Load().BodyBytes == 2*large })
	for name, header := range map[string]map[string]string{"plain": {}, "no length": {"Transfer-Encoding": "chunked"}, "gzip": {"Content-Encoding": "gzip"}} {
		sent := body
		if name == "gzip" {
			sent = zip(body)
		}
		if refused := s.post("leases/acme", token, sent, header).want(503, "unavailable"); refused.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After in %v", name, refused.header)
		}
		s.post("leases/acme", other, sent, header).want(200, "")
	}
	conn := s.dial()
	if _, err := io.WriteString(conn, postHead(token, fmt.Sprintf("Content-Length: %d", large))+body); err != nil {
		t.Fatal(err)
	}
	if res, envelope := s.answer(conn); res.StatusCode != http.StatusServiceUnavailable || res.Close {
		t.Errorf("a client that sends everything first gets %d %+v", res.StatusCode, envelope)
	}
	s.post("leases/acme", token, leaseBody(), nil).want(200, "")
	for _, conn := range slow {
		if _, err := io.WriteString(conn, body[large-1:]); err != nil {
			t.Fatal(err)
		}
		if res, envelope := s.answer(conn); res.StatusCode != http.StatusOK {
			t.Errorf("a slow sender gets %d %+v", res.StatusCode, envelope)
		}
	}
	s.post("leases/acme", token, body, nil).want(200, "")
	eventually(t, func() bool { return s.Load().BodyBytes == 0 })
}

// A body that is cut off is answered immediately.
func TestBodiesCutOff(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	long := padded("{", 80<<10)
	for _, text := range []string{
		postHead(token, "Content-Length: 3") + "{}",
		postHead(token, "Transfer-Encoding: chunked") + "2\r\n{}\r\n",
		postHead(token, fmt.Sprintf("Content-Length: %d", len(long)+1)) + long,
	} {
		conn := s.dial()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if res, envelope := s.answer(conn); res.StatusCode != http.StatusBadRequest || envelope.Error.Code != "bad_request" {
			t.Errorf("a body that is cut off is answered with %d %+v", res.StatusCode, envelope)
		}
	}
}

// The time for a body begins again with each request on a connection.
func TestBodyTimeBeginsAnew(t *testing.T) {
	const patience = 3 * time.Second // long enough for a short body on a slow machine
	s := start(t, server.Config{Limits: httpapi.Limits{BodyTime: patience}})
	token := s.withOrg("acme", server.RoleWrite)
	post := request{method: "POST", path: "/billing/leases/acme", token: token, body: leaseBody()}
	s.send(post).want(200, "")
	time.Sleep(patience + patience/4)
	s.send(post).want(200, "")
}

// The time that a long body takes is not that of the operation.
func TestLateBody(t *testing.T) {
	const timeout = 2 * time.Second
	s := start(t, server.Config{RequestTimeout: timeout})
	token := s.withOrg("acme", server.RoleWrite)
	body := padded(leaseBody(), 2*earlyBody)
	conn := s.dial()
	if _, err := io.WriteString(conn, postHead(token, fmt.Sprintf("Content-Length: %d", len(body)))+body[:len(body)-1]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(timeout + timeout/4)
	if _, err := io.WriteString(conn, body[len(body)-1:]); err != nil {
		t.Fatal(err)
	}
	if res, envelope := s.answer(conn); res.StatusCode != http.StatusOK {
		t.Errorf("a body that takes longer than the operation may is answered with %d %+v", res.StatusCode, envelope)
	}
}

// wrapped is a body in a middleware's own type.
type wrapped struct{ io.ReadCloser }

// A program may wrap the handler, and also the body of a request.
func TestWrappedBody(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = wrapped{r.Body}
		s.Handler().ServeHTTP(w, r)
	}))
	defer outside.Close()
	s.url = outside.URL
	s.post("leases/acme", token, leaseBody(), nil).want(200, "")
	s.post("leases/acme", token, padded(leaseBody(), 2*earlyBody), nil).want(200, "")
	s.post("leases/acme", token, zip(leaseBody()), map[string]string{"Content-Encoding": "gzip"}).want(200, "")

	limited := httptest.NewServer(http.MaxBytesHandler(s.Handler(), 100))
	defer limited.Close()
	s.url = limited.URL
	s.post("leases/acme", token, leaseBody(), nil).want(413, "body_too_large")
}
