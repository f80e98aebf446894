package httpapi

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// apiPath begins the paths of all operations.
const apiPath = "/api/"

// routable makes of a request one that the router has a route for. HEAD becomes GET, since net/http leaves out the body of the
// answer. A path that escapes more than it must is unescaped. A path of the API loses slashes that stand twice and the one at its
// end; the pages keep theirs, since links in them are relative.
func (s *Server) routable(next http.Handler) http.Handler {
	api := s.basePath + apiPath
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, raw := withoutSlashes(r.URL.Path, api), r.URL.RawPath
		if raw != "" {
			if raw = withoutSlashes(raw, api); !strings.Contains(strings.ToLower(raw), "%2f") {
				raw = ""
			}
		}
		if r.Method == http.MethodHead || path != r.URL.Path || raw != r.URL.RawPath {
			changed, u := *r, *r.URL
			if r.Method == http.MethodHead {
				changed.Method = http.MethodGet
			}
			u.Path, u.RawPath = path, raw
			changed.URL = &u
			r = &changed
		}
		next.ServeHTTP(w, r)
	})
}

func withoutSlashes(path, api string) string {
	if !strings.HasSuffix(path, "/") && !strings.Contains(path, "//") {
		return path
	}
	short := path
	for strings.Contains(short, "//") {
		short = strings.ReplaceAll(short, "//", "/")
	}
	if !strings.HasPrefix(short, api) {
		return path
	}
	return strings.TrimSuffix(short, "/")
}

// routed corrects answers of the router. The router would accept further segments as a part of the last parameter of a path; such a path
// does not exist. If a path has handlers for other methods only, the Allow header of 405 and of the answer to OPTIONS lists them.
func routed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if strayed(sentPath(c.Request().URL), c.Path()) {
			return echo.ErrNotFound
		}
		others, ok := c.Get(echo.ContextKeyHeaderAllow).(string)
		if !ok {
			return next(c)
		}
		c.Response().Header().Set(echo.HeaderAllow, allowed(others))
		if c.Request().Method == http.MethodOptions {
			return c.NoContent(http.StatusNoContent)
		}
		return echo.ErrMethodNotAllowed
	}
}

// sentPath returns the path as the router sees it, in which a slash that is part of a slug is escaped.
func sentPath(u *url.URL) string { return cmp.Or(u.RawPath, u.Path) }

// strayed reports whether the path has more segments than the route that the router has found for it.
func strayed(path, route string) bool {
	return !strings.HasSuffix(route, "*") && strings.Count(path, "/") != strings.Count(route, "/")
}

// allowed adds HEAD and OPTIONS to the list of methods of the router, where they work.
func allowed(router string) string {
	var methods []string
	for method := range strings.SplitSeq(router, ", ") {
		switch method {
		case http.MethodGet:
			methods = append(methods, http.MethodGet, http.MethodHead)
		case http.MethodOptions:
		default:
			methods = append(methods, method)
		}
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

// Values of headers, made once.
var (
	varyEncoding = []string{echo.HeaderAcceptEncoding}
	privately    = []string{"private, max-age=0, must-revalidate"}
	noSniff      = []string{"nosniff"}
)

// compressed compresses answers for clients that accept gzip, if an answer is long enough. Other answers do not pass through the writer
// of the library, which would take a tenth of the time of a short answer. Every answer has the header Vary.
func compressed(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false))
	if err != nil {
		return nil, err
	}
	compressing := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header[echo.HeaderAcceptEncoding]) > 0 {
			compressing.ServeHTTP(w, r) // which sets Vary as well
		} else {
			w.Header()[echo.HeaderVary] = varyEncoding
			next.ServeHTTP(w, r)
		}
	}), nil
}

// identified sets the headers that depend only on the request: its id, the date, and for a request with a token that caches must keep
// the answer private. Pages, which are the same for every reader, replace the last one.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header[echo.HeaderXRequestID]
		if len(id) == 0 || !validRequestID(id[0]) {
			id = []string{billing.NewID().String()}
		}
		header := w.Header()
		header[echo.HeaderXRequestID] = id[:1:1]
		header["Date"] = date()
		if len(r.Header[echo.HeaderAuthorization]) > 0 {
			header[echo.HeaderCacheControl] = privately
			header[echo.HeaderXContentTypeOptions] = noSniff
		}
		next.ServeHTTP(w, r)
	})
}

// dateHeader is the Date header of one second. net/http would format it for each answer.
type dateHeader struct {
	second int64
	value  []string
}

var lastDate atomic.Pointer[dateHeader]

func date() []string {
	now := time.Now()
	last := lastDate.Load()
	if last == nil || last.second != now.Unix() {
		last = &dateHeader{now.Unix(), []string{now.UTC().Format(http.TimeFormat)}}
		lastDate.Store(last)
	}
	return last.value
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

func validRequestID(id string) bool {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) >= 20 && len(id) <= 200
}

// logRequests logs each request after its answer: a refused one with the level Info, others with Debug. Of failed authentications, it logs
// only some with the level Info. It tells the observer of all.
func (s *Server) logRequests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.underWay.Add(1)
		defer s.underWay.Add(-1)
		start := time.Now()
		if err := s.attempt(c, start, next); err != nil {
			c.Error(err)
		}
		s.answered(c, start, false)
		r, level := c.Request(), slog.LevelDebug
		if c.Response().Status >= http.StatusBadRequest && c.Get(unlogged) == nil {
			level = slog.LevelInfo
		}
		if !s.log.Enabled(r.Context(), level) {
			return nil
		}
		s.log.LogAttrs(r.Context(), level, "request",
			slog.String("request_id", requestID(c)),
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.Int("status", c.Response().Status),
			slog.Int64("bytes", c.Response().Size),
			slog.Duration("duration", time.Since(start)),
		)
		return nil
	}
}

// cutOff is the panic of a handler that cannot complete an answer which it has begun to send.
type cutOff struct{ err error }

// attempt turns a panic into an error. Unlike the middleware of Echo, it allocates no function for each request.
func (s *Server) attempt(c echo.Context, start time.Time, next echo.HandlerFunc) (err error) {
	defer func() {
		cause := recover()
		if cut, ok := cause.(cutOff); ok {
			level := slog.LevelWarn
			if c.Request().Context().Err() != nil {
				level = slog.LevelDebug // the client has left
			}
			s.log.Log(c.Request().Context(), level, "answer cut off", "request_id", requestID(c), "path", c.Request().URL.Path, "error", cut.err)
			s.answered(c, start, true)
			panic(http.ErrAbortHandler)
		}
		if cause != nil {
			err = fmt.Errorf("panic: %v", cause)
			s.log.Error("panic", "error", cause, "stack", string(debug.Stack()))
		}
	}()
	return next(c)
}

// refuseMalformed refuses an unreadable request before other checks. The guard of an operation checks the body.
func (s *Server) refuseMalformed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if hasBody(r) {
			s.expectBody(c)
		}
		if !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0) {
			return fail(gen.CodeBadRequest, "the path is not valid UTF-8 or has a NUL character")
		}
		if r.URL.RawQuery != "" {
			query, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil {
				return fail(gen.CodeBadRequest, "the query is malformed: "+err.Error())
			}
			for _, values := range query {
				for _, value := range values {
					if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
						return fail(gen.CodeBadRequest, "the query is not valid UTF-8 or has a NUL character")
					}
				}
			}
		}
		if hasBody(r) && operationAt(c, sentPath(r.URL)) == "" {
			if err := s.readEarly(c, true); err != nil {
				return err
			}
		}
		return next(c)
	}
}
