// Command contractgen generates the code that oapi-codegen does not: encoders of answers, decoders of requests, the models
// and the requests of the client, the tables of operations and of errors, constants of bounds, and the reference for people. It reads openapi.yaml in the given folder and writes
// below that folder. It refuses a document with a rule that it cannot turn into code, and names the place.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"os"
	pathpkg "path"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: contractgen FOLDER")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "contractgen: openapi.yaml:", err)
		os.Exit(1)
	}
}

// outputs are the files that are generated, each by one function.
var outputs = map[string]func(*document) []byte{
	"gen/errors.gen.go":                errorTable,
	"gen/httpserver/encode.gen.go":     encoders,
	"gen/httpserver/decode.gen.go":     decoders,
	"gen/httpserver/operations.gen.go": operationTable,
	"client/errors.gen.go":             clientErrors,
	"client/models.gen.go":             clientModels,
	"client/requests.gen.go":           clientRequests,
	"client/answers.gen_test.go":       clientExamples,
	"internal/billing/bounds.gen.go":   boundConstants,
	"docs/api.md":                      reference,
}

func generate(folder string) error {
	doc, err := load(filepath.Join(folder, "openapi.yaml"))
	if err != nil {
		return err
	}
	var errs []error
	for name, output := range outputs {
		text := output(doc)
		if filepath.Ext(name) == ".go" {
			formatted, err := format.Source(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w\n%s", name, err, text))
				continue
			}
			text = formatted
		}
		errs = append(errs, write(filepath.Join(folder, name), text))
	}
	return errors.Join(errs...)
}

// write does not touch a file that has the text already, so that its package is not built again.
func write(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// source collects the text of a file.
type source struct{ bytes.Buffer }

func (s *source) line(format string, args ...any) {
	_, _ = fmt.Fprintf(s, format+"\n", args...) // a buffer takes all
}

// usedImports returns the import lines of the packages that a text uses.
func usedImports(text string, paths ...string) (lines []string) {
	for _, path := range paths {
		if strings.Contains(text, pathpkg.Base(path)+".") {
			lines = append(lines, strconv.Quote(path))
		}
	}
	return lines
}

// goFile begins a file of Go.
func goFile(pkg string, imports ...string) *source {
	s := &source{}
	s.line("// Code generated from openapi.yaml by contractgen. DO NOT EDIT.\n")
	s.line("package %s\n", pkg)
	if len(imports) > 0 {
		s.line("import (")
		for _, path := range imports {
			s.line("\t%s", path)
		}
		s.line(")\n")
	}
	return s
}
