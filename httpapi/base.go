package httpapi

import (
	"net"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// ErrorsPath is where the pages about errors are if Config.DocURL is empty; a code follows. It is below BasePath.
const ErrorsPath = "/docs/errors/"

// checkBasePath makes a path of the one configured: empty, or with a slash before it and none after it.
func checkBasePath(base string) (string, error) {
	base = strings.TrimSuffix(base, "/")
	if base == "" {
		return "", nil
	}
	if base == "/" || base[0] != '/' || path.Clean(base) != base || strings.ContainsFunc(base, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`%?#"\:*`, r)
	}) {
		return "", billing.Faultf(billing.ErrInvalid, "the base path %q must be like /billing", base)
	}
	return base, nil
}

// underBase takes the base path off the paths of requests; outside it there is nothing.
func underBase(base string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			whole, u := r.URL, *r.URL
			var inside, rawInside bool
			u.Path, inside = strings.CutPrefix(u.Path, base)
			u.RawPath, rawInside = strings.CutPrefix(u.RawPath, base)
			switch {
			case inside && u.Path == "": // links of the page are relative to a path that ends in a slash
				c.Response().Header().Set(echo.HeaderLocation, path.Base(base)+"/")
				return c.NoContent(http.StatusPermanentRedirect)
			case !inside || u.Path[0] != '/' || (!rawInside && u.RawPath != ""):
				return echo.ErrNotFound
			}
			r.URL = &u // the router looks at this very request
			defer func() {
				r.URL = whole
				c.SetRequest(r) // the guard may have put another one in its place
			}()
			return next(c)
		}
	}
}

// plainHost matches a name or an address, with or without a port. net/http accepts other characters in a Host, which do not belong into
// a link.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?$`)

// docURLFor returns the beginning of the doc_url of an error. Unless it is configured, it leads to the pages of this server, at the
// address that the caller has used.
func (s *Server) docURLFor(r *http.Request) string {
	if s.docURL != "" {
		return s.docURL
	}
	host := r.Host
	if !plainHost.MatchString(host) {
		if address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			host = address.String()
		}
	}
	// A proxy that speaks TLS for the server sends this header. Other headers of proxies are not trusted.
	secure := r.TLS != nil || strings.EqualFold(r.Header.Get(echo.HeaderXForwardedProto), "https")
	return s.ownDocURL(host, secure)
}

func (s *Server) ownDocURL(host string, secure bool) string {
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	return scheme + host + s.basePath + ErrorsPath
}
