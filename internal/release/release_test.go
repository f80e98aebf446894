package main

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

const root = "../.."

// requiredVersion is the version of the client that go.mod requires, which is that of the next release or of the last one.
func requiredVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(clientModule) + ` (v\S+)$`).FindSubmatch(text)
	if match == nil {
		t.Fatal("go.mod does not require the client")
	}
	return string(match[1])
}

// textFile is a file of a made-up module.
type textFile struct{ name, text string }

func (f textFile) Path() string                 { return f.name }
func (f textFile) Lstat() (os.FileInfo, error)  { return textInfo(f), nil }
func (f textFile) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(f.text)), nil }

type textInfo textFile

func (i textInfo) Name() string       { return i.name }
func (i textInfo) Size() int64        { return int64(len(i.text)) }
func (i textInfo) Mode() fs.FileMode  { return 0o644 }
func (i textInfo) ModTime() time.Time { return time.Time{} }
func (i textInfo) IsDir() bool        { return false }
func (i textInfo) Sys() any           { return nil }

func addModule(t *testing.T, proxy, folder, name, version string) {
	t.Helper()
	files, err := moduleFiles(root, folder)
	if err != nil {
		t.Skip("no git: ", err)
	}
	if err := addToProxy(proxy, module.Version{Path: name, Version: version}, files); err != nil {
		t.Fatal(err)
	}
}

// builder runs the go command with an empty cache of modules. It gets modules from a folder and from the cache of this machine, and
// nothing from a network.
type builder struct {
	t      *testing.T
	folder string
	env    []string
	cache  string
}

func newBuilder(t *testing.T, proxy string) *builder {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{t: t, folder: t.TempDir(), cache: t.TempDir()}
	b.env = append(os.Environ(),
		"GOPROXY=file://"+filepath.ToSlash(proxy)+",file://"+filepath.ToSlash(strings.TrimSpace(string(out)))+"/cache/download",
		"GOMODCACHE="+b.cache, "GOSUMDB=off", "GOWORK=off", "GOFLAGS=-modcacherw -trimpath", "CGO_ENABLED=0", "GOBIN="+b.folder)
	return b
}

func (b *builder) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) run(args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), "go", args...)
	cmd.Dir, cmd.Env = b.folder, b.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// downloads counts the modules that were downloaded, and their bytes.
func (b *builder) downloads() (zips int, size int64) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(b.cache, "cache", "download"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".zip" {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			zips, size = zips+1, size+info.Size()
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return zips, size
}

const importer = `package main

import (
	"fmt"

	"github.com/harmont-dev/harmont-billing/client"
)

func main() { fmt.Println(client.FormatCents(-1234)) }
`

// A program that imports the client downloads little, and keeps its versions of other modules.
func TestImporterOfClient(t *testing.T) {
	t.Parallel()
	proxy, version := t.TempDir(), requiredVersion(t)
	addModule(t, proxy, "client", clientModule, version)
	// go get downloads it too, to see that the package is not in there.
	addModule(t, proxy, "", rootModule, version)
	b := newBuilder(t, proxy)
	b.write("go.mod", "module example.com/importer\n\ngo 1.26.0\n")
	b.write("main.go", importer)
	b.run("get", clientModule+"@"+version)
	b.run("mod", "tidy")
	if out := b.run("run", "."); out != "-$12.34\n" {
		t.Errorf("it prints %q", out)
	}
	zips, size := b.downloads()
	sums, err := os.ReadFile(filepath.Join(b.folder, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Count(sums, []byte("\n"))
	if zips > 6 || size > 3_000_000 || lines > 16 {
		t.Errorf("it downloads %d modules of %d bytes, and go.sum has %d lines", zips, size, lines)
	}
	t.Logf("%d modules of %d bytes, %d lines of go.sum, %d modules in the graph", zips, size, lines, strings.Count(b.run("list", "-m", "all"), "\n"))

	// The same program with older versions of two modules of the server. Only the names of these modules are real.
	others := map[string]string{"github.com/jackc/pgx/v5": "v5.0.0", "github.com/labstack/echo/v4": "v4.0.0"}
	uses := "package main\n"
	for name, older := range others {
		files := []zip.File{textFile{"go.mod", "module " + name + "\n"}, textFile{"p.go", "package p\n"}}
		if err := addToProxy(proxy, module.Version{Path: name, Version: older}, files); err != nil {
			t.Fatal(err)
		}
		uses += "\nimport _ \"" + name + "\"\n"
	}
	b.write("uses.go", uses)
	for name, older := range others {
		b.run("get", name+"@"+older)
	}
	b.run("get", clientModule+"@"+version)
	b.run("mod", "tidy")
	b.run("build", ".")
	for name, older := range others {
		if got := b.run("list", "-m", name); got != name+" "+older+"\n" {
			t.Errorf("the importer gets %s, not %s", got, older)
		}
	}
}

// The program can be installed as its users install it, once both modules are released.
func TestInstall(t *testing.T) {
	testlong.Only(t, "this builds the program from an empty cache of modules")
	proxy, version := t.TempDir(), requiredVersion(t)
	addModule(t, proxy, "", rootModule, version)
	addModule(t, proxy, "client", clientModule, version)
	b := newBuilder(t, proxy)
	b.run("install", rootModule+"/cmd/harmont-billing@"+version)
	b.run("install", rootModule+"/cmd/harmont-billing@latest")
	out, err := exec.CommandContext(t.Context(), filepath.Join(b.folder, "harmont-billing"), "--help").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("balance")) {
		t.Errorf("it does not run: %v\n%s", err, out)
	}

	// The root module without the workspace, with the checksums that a release adds to go.sum.
	files, err := moduleFiles(root, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.Path())))
		if err != nil {
			t.Fatal(err)
		}
		if f.Path() == "go.sum" {
			// The client in this tree may differ from the released one of the same version.
			sums := bytes.NewBuffer(regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(clientModule)+` .*\n`).ReplaceAll(text, nil))
			if err := printSums(sums, root, version); err != nil {
				t.Fatal(err)
			}
			text = sums.Bytes()
		}
		name := filepath.Join(b.folder, filepath.FromSlash(f.Path()))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.run("build", "-mod=readonly", "./...")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"proxy"}, {"sums"}, {"tag", "v0.1.0"}} {
		if err := run(io.Discard, args); err == nil || !strings.Contains(err.Error(), "usage") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
