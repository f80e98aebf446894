// Package web has the pages for people: the usage of an organization, a statement to print, the API reference, and a page about each
// error. They are plain files without a build step. They call the public API with a token, and every link in them is relative, so that
// they work below any path.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"path"
	"strings"
)

//go:embed pages assets
var files embed.FS

// File is an answer to a browser.
type File struct {
	Body        []byte
	ContentType string
	ETag        string
	// Policy is the Content-Security-Policy.
	Policy string
}

// The content security policies of the pages. A page loads nothing from another host, has no inline scripts or styles, and may not be put
// into a frame.
const (
	assetPolicy = "default-src 'none'; frame-ancestors 'none'"
	pagePolicy  = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	// No script of these pages makes markup of text.
	usagePolicy = pagePolicy + "; require-trusted-types-for 'script'; trusted-types 'none'"
	// Swagger UI's style sheet draws its arrows from data: URLs.
	referencePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// The pages without parameters.
var (
	Usage     = page("usage.html", usagePolicy)
	Reference = page("reference.html", referencePolicy)
	Statement = page("statement.html", usagePolicy)
)

func page(name, policy string) File {
	body, err := files.ReadFile("pages/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return file(name, body, policy)
}

func file(name string, body []byte, policy string) File {
	sum := sha256.Sum256(body)
	// Weak, since the bytes sent may be compressed.
	return File{body, contentTypes[path.Ext(name)], `W/"` + hex.EncodeToString(sum[:12]) + `"`, policy}
}

// contentTypes do not depend on /etc/mime.types.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

// Asset finds a file that the pages load, by its path below assets/.
func Asset(name string) (File, bool) {
	name = "assets/" + name
	if !fs.ValidPath(name) {
		return File{}, false
	}
	body, err := files.ReadFile(name)
	return file(name, body, assetPolicy), err == nil
}

// Failure is one error of the API, as the contract describes it.
type Failure struct {
	Code   string
	Type   string
	Status int
	Title  string   // the status in words
	What   string   // a description of the error in a sentence; code stands between backticks
	Fix    []string // the steps to correct it, in order
}

var errorPages = template.Must(template.New("").Funcs(template.FuncMap{"marked": marked}).
	ParseFS(files, "pages/errors.html", "pages/error.html"))

// marked marks text between backticks as code.
func marked(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String())
}

// ErrorPage describes an error and how to correct it.
func ErrorPage(f Failure) File { return render("error.html", f) }

// ErrorIndex lists the errors.
func ErrorIndex(failures []Failure) File { return render("errors.html", failures) }

func render(name string, data any) File {
	var body bytes.Buffer
	if err := errorPages.ExecuteTemplate(&body, name, data); err != nil {
		panic(err) // the templates ask for nothing but the fields above
	}
	return file(name, body.Bytes(), pagePolicy)
}
