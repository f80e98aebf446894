package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/web"
)

// servePages adds the pages for people.
func servePages(e *echo.Echo) {
	pages := make([]web.Failure, len(gen.Errors))
	for i, info := range gen.Errors {
		pages[i] = web.Failure{
			Code: info.Code, Type: string(info.Type), Status: info.Status, Title: http.StatusText(info.Status), What: info.What, Fix: info.Fix,
		}
		e.GET(httpapi.ErrorsPath+info.Code, sendFile(web.ErrorPage(pages[i])))
	}
	e.GET(httpapi.ErrorsPath, sendFile(web.ErrorIndex(pages)))
	e.GET("/", sendFile(web.Usage))
	e.GET("/docs", sendFile(web.Reference))
	e.GET("/statement", sendFile(web.Statement))
	e.GET("/assets/*", func(c echo.Context) error {
		asset, ok := web.Asset(c.Param("*"))
		if !ok {
			return echo.ErrNotFound
		}
		return sendFile(asset)(c)
	})
}

// sendFile answers with a file, or with 304 where the browser has it already.
func sendFile(f web.File) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set("Content-Security-Policy", f.Policy)
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set(echo.HeaderCacheControl, "no-cache") // which means: ask each time whether the ETag is still right
		header.Set("ETag", f.ETag)
		if c.Request().Header.Get("If-None-Match") == f.ETag {
			return c.NoContent(http.StatusNotModified)
		}
		return c.Blob(http.StatusOK, f.ContentType, f.Body)
	}
}
