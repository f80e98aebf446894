package server

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// withoutHead lets HEAD work where GET does: net/http leaves out the body of the answer. It also lets a path match that
// escapes more than it must.
func withoutHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead || r.URL.RawPath != "" {
			changed := *r
			if r.Method == http.MethodHead {
				changed.Method = http.MethodGet
			}
			if !strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
				u := *r.URL
				u.RawPath = ""
				changed.URL = &u
			}
			r = &changed
		}
		next.ServeHTTP(w, r)
	})
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// identify names the request.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !validRequestID(id) {
			id = billing.NewID().String()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		return next(c)
	}
}

func validRequestID(id string) bool {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) >= 20 && len(id) <= 200
}

// logRequests writes a line for each request once it is answered: for the eyes of an operator those that were refused, when asked
// for details all of them.
func (s *Server) logRequests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		r, level := c.Request(), slog.LevelDebug
		if c.Response().Status >= http.StatusBadRequest {
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

// Limits of a request body, in bytes.
const (
	bodyLimit       = 1 << 20
	leasesBodyLimit = 16 << 20
	leasesPath      = "/api/v0/billing/leases/"
)

// refuseMalformed refuses what is not a readable request at all, before anything else is looked at.
func refuseMalformed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0) {
			return badRequest.with("the path is not valid UTF-8 or has a NUL character")
		}
		if r.URL.RawQuery != "" {
			if err := checkQuery(r.URL); err != nil {
				return err
			}
			for _, values := range c.QueryParams() {
				for _, value := range values {
					if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
						return badRequest.with("the query is not valid UTF-8 or has a NUL character")
					}
				}
			}
		}
		if r.Method == http.MethodGet || r.Body == nil || !isJSON(r.Header) {
			return next(c)
		}
		limit := int64(bodyLimit)
		if strings.HasPrefix(r.URL.Path, leasesPath) {
			limit = leasesBodyLimit
		}
		body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, limit))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err != nil && !tooLarge {
			return badRequest.with("the body was cut off: " + err.Error())
		} else if err != nil {
			return err
		}
		if err := checkSyntax(body); err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return next(c)
	}
}

func isJSON(header http.Header) bool {
	mediaType, params, err := mime.ParseMediaType(header.Get(echo.HeaderContentType))
	charset := params["charset"]
	return err == nil && mediaType == echo.MIMEApplicationJSON && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
