package httpapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

const (
	// earlyBody is the length, in bytes, up to which the body of a refused request is read, because a malformed body is reported before
	// other errors. A longer body is read only for a valid token, so that a caller without one cannot make the server hold more memory.
	earlyBody = 64 << 10
	// bodyRate is how many bytes a second of a longer body must arrive.
	bodyRate = 64 << 10
)

// requestBody is the JSON body of a request.
type requestBody struct {
	gzipped bool
	text    []byte    // all of the body, decompressed; nil as long as rest is not
	rest    io.Reader // the body from its first byte on, as it is sent; nil once it was read
}

// bodyKey is where the context of a request has its *requestBody until the guard takes it over.
const bodyKey = "request body"

// hasBody reports whether the request has a body.
func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// expectBody prepares a request that has a body. Until the token was found valid, the connection is one that makes room for a new client.
// Unless all of the body is read, the connection is closed after the answer.
func (s *Server) expectBody(c echo.Context) {
	r := c.Request()
	setEvictable(r, true)
	setBodyDeadline(c, s.refusedBodyTime)
	if r.ProtoMajor == 1 { // other protocols close only the stream
		c.Response().Header().Set(echo.HeaderConnection, "close")
	}
}

// bodyWasRead keeps the connection for further requests.
func bodyWasRead(c echo.Context) { c.Response().Header().Del(echo.HeaderConnection) }

// setBodyDeadline ends reads of the body after d.
func setBodyDeadline(c echo.Context, d time.Duration) {
	// It fails for a writer that has no deadline to set, such as a test's recorder, which has no slow sender either.
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(d))
}

// readEarly reads the body of a request and checks its syntax, if it is JSON and short. Of a longer body it reads no more than
// it takes to see that. The body of a request that is refused anyway has less time to arrive; if it is late, it is not read.
func (s *Server) readEarly(c echo.Context, refused bool) error {
	r := c.Request()
	if r.Method == http.MethodGet || !hasBody(r) {
		return nil
	}
	gzipped, err := checkMediaType(r.Header)
	if err != nil {
		return nil //nolint:nilerr // the guard of the operation reports it, after the token and the parameters
	}
	if !refused {
		setBodyDeadline(c, s.bodyTime)
	}
	body := &requestBody{gzipped: gzipped, rest: r.Body}
	c.Set(bodyKey, body)
	limit := sentLimit(earlyBody, gzipped)
	if r.ContentLength > limit {
		return nil
	}
	sent, err := readUpTo(r.Body, limit, r.ContentLength)
	switch {
	case errors.Is(err, errLonger):
		body.rest = io.MultiReader(bytes.NewReader(sent), r.Body)
		return nil
	case refused && errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		return unreadable(err)
	}
	bodyWasRead(c)
	if !gzipped {
		return body.is(sent)
	}
	body.rest = bytes.NewReader(sent)
	if err := body.readShort(earlyBody); !errors.Is(err, errLonger) {
		return err
	}
	body.rest = bytes.NewReader(sent)
	return nil
}

// readRest reads the body if readEarly has not, and refuses one of more than limit bytes. The caller
// releases what it returns, if it is not nil, after the request.
func (s *Server) readRest(c echo.Context, limit int64, token billing.TokenHash) (text []byte, decoding *held, err error) {
	body, ok := c.Get(bodyKey).(*requestBody)
	if !ok {
		return nil, nil, nil // there is none, or it is of another media type
	}
	if body.rest != nil {
		if decoding, err = s.receive(c, body, limit, token); err != nil && decoding != nil {
			decoding.release()
			decoding = nil
		}
	}
	if errors.Is(err, errLonger) || err == nil && int64(len(body.text)) > limit {
		err = &http.MaxBytesError{Limit: limit}
	}
	return body.text, decoding, err
}

// receive reads a body that was not read early, within the budget for such bodies.
func (s *Server) receive(c echo.Context, body *requestBody, limit int64, token billing.TokenHash) (decoding *held, err error) {
	r := c.Request()
	if r.ContentLength > sentLimit(limit, body.gzipped) {
		return nil, errLonger
	}
	// The length of a body that is compressed, or sent without its length, is not known. Its share grows with it.
	first := min(limit, 256<<10)
	if !body.gzipped && r.ContentLength >= 0 {
		first = r.ContentLength
	}
	control := http.NewResponseController(c.Response())
	receiving := s.bodies.hold(s.bodies.receiving, token)
	defer func() {
		if err != nil { // what has arrived is garbage, and no request that follows may collect it for minutes
			receiving.releaseMemory()
		} else {
			receiving.release()
		}
	}()
	err = receiving.add(r.Context(), first)
	body.rest = &pacedReader{from: body.rest, control: control, end: time.Now().Add(s.bodyTime), stall: s.bodyStall, patience: s.bodyStall}
	if err != nil {
		if errors.Is(err, errOverload) && r.Header.Get("Expect") == "" {
			// Many clients read no answer before they have sent all of the body.
			most := sentLimit(limit, body.gzipped)
			if n, err := io.Copy(io.Discard, io.LimitReader(body.rest, most+1)); err == nil && n <= most {
				bodyWasRead(c)
			}
		}
		return nil, err
	}
	text, err := body.unpacked(limit, first, func(more int64) error { return receiving.add(r.Context(), more) })
	if err != nil {
		return nil, err
	}
	bodyWasRead(c)
	// The deadline of a read that has not begun would end the request.
	_ = control.SetReadDeadline(time.Now().Add(s.bodyTime))
	decoding = s.bodies.hold(s.bodies.decoding, token)
	if err := decoding.add(r.Context(), int64(len(text))); err != nil {
		return nil, err
	}
	return decoding, body.is(text)
}

// pacedReader reads a body, and fails with os.ErrDeadlineExceeded if its sender is too slow.
type pacedReader struct {
	from     io.Reader
	control  *http.ResponseController
	end      time.Time     // when the whole body must be there
	stall    time.Duration // the most of patience
	patience time.Duration // for how long the sender may stall; what arrives adds to it
}

func (p *pacedReader) Read(b []byte) (n int, err error) {
	begun := time.Now()
	deadline := begun.Add(p.patience)
	if deadline.After(p.end) {
		deadline = p.end
	}
	// It fails for a writer that has no deadline to set, such as a test's recorder, which has no slow sender either.
	_ = p.control.SetReadDeadline(deadline)
	n, err = p.from.Read(b)
	p.patience = min(p.patience-time.Since(begun)+time.Duration(n)*time.Second/bodyRate, p.stall)
	return n, err
}

// readShort reads a body that was sent early, to at most limit bytes. It returns errLonger for a longer one.
func (b *requestBody) readShort(limit int64) error {
	text, err := b.unpacked(limit, limit, func(int64) error { return nil })
	if err != nil {
		return err
	}
	return b.is(text)
}

// unpacked reads the rest. It returns errLonger for a body of more than limit bytes. It begins with room for first bytes, and calls more
// before it makes room for others.
func (b *requestBody) unpacked(limit, first int64, more func(bytes int64) error) ([]byte, error) {
	from := b.rest
	if b.gzipped {
		// The bound ends a stream that goes on and on and unpacks to nothing.
		bounded := http.MaxBytesReader(nil, io.NopCloser(from), sentLimit(limit, true))
		unzip, err := gzip.NewReader(bounded)
		if err != nil {
			return nil, unreadable(err)
		}
		from = unzip
	}
	text := make([]byte, 0, first+bytes.MinRead)
	for {
		n, err := from.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case int64(len(text)) > limit:
			return nil, errLonger
		case err == io.EOF:
			return text, nil
		case err != nil:
			return nil, unreadable(err)
		}
		if len(text) == cap(text) {
			room := min(2*first, limit)
			if err := more(room - first); err != nil {
				return nil, err
			}
			first = room
			text = append(make([]byte, 0, room+bytes.MinRead), text...)
		}
	}
}

// is checks the syntax of all of the body, and keeps it.
func (b *requestBody) is(text []byte) error {
	b.text, b.rest = text, nil
	if reason := strictjson.CheckSyntax(text); reason != nil {
		return fail(gen.CodeBadRequest, "the body "+reason.Error())
	}
	return nil
}

// sentLimit returns how many bytes a body of at most limit bytes may have on the wire. Compressed with gzip, a body may become a little
// longer.
func sentLimit(limit int64, gzipped bool) int64 {
	if gzipped {
		return limit + limit/64 + 1<<10
	}
	return limit
}

// errLonger says that a body goes on after as much of it as may be read.
var errLonger = errors.New("the body is longer")

// readUpTo reads to the end. If there are more than limit bytes, it returns the bytes that it has read and errLonger. It allocates the
// announced length at the start only if the body is short.
func readUpTo(from io.Reader, limit, announced int64) ([]byte, error) {
	var read bytes.Buffer
	read.Grow(int(min(max(announced, 0), earlyBody)) + bytes.MinRead)
	_, err := read.ReadFrom(io.LimitReader(from, limit+1))
	if err == nil && int64(read.Len()) > limit {
		err = errLonger
	}
	return read.Bytes(), err
}

// unreadable finds the failure that goes with an error of reading a body.
func unreadable(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || errors.Is(err, errLonger) {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fail(gen.CodeRequestTimeout, "")
	}
	return fail(gen.CodeBadRequest, "the body was cut off or is damaged: "+err.Error())
}

// checkMediaType refuses a body that is not JSON, or is encoded in another way than by gzip.
func checkMediaType(header http.Header) (gzipped bool, err error) {
	if !isJSON(header) {
		return false, fail(gen.CodeUnsupportedMediaType, "the Content-Type must be "+echo.MIMEApplicationJSON)
	}
	encodings := header[echo.HeaderContentEncoding]
	switch {
	case len(encodings) == 0:
		return false, nil
	case len(encodings) == 1 && strings.EqualFold(encodings[0], "gzip"):
		return true, nil
	case len(encodings) == 1 && strings.EqualFold(encodings[0], "identity"):
		return false, nil
	}
	return false, fail(gen.CodeUnsupportedMediaType, "the Content-Encoding must be gzip or identity")
}

func isJSON(header http.Header) bool {
	if header.Get(echo.HeaderContentType) == echo.MIMEApplicationJSON {
		return true // as most requests have it, without taking it apart
	}
	mediaType, params, err := mime.ParseMediaType(header.Get(echo.HeaderContentType))
	charset := params["charset"]
	return err == nil && mediaType == echo.MIMEApplicationJSON && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// strictBinder decodes request bodies for the generated handlers.
type strictBinder struct{}

func (strictBinder) Bind(into any, c echo.Context) error {
	call := callOf(c.Request().Context())
	if len(call.body) == 0 {
		return fail(gen.CodeBadRequest, "the body is empty; JSON is expected")
	}
	err := httpserver.DecodeBody(call.body, into)
	call.body = nil // the decoded values are copies
	return err
}
