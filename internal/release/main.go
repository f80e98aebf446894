// Command release packs the modules of this project as a server of modules would give them to go get, before they are released.
//
//	release proxy FOLDER VERSION   writes both modules to FOLDER, to use as GOPROXY=file://FOLDER
//	release sums VERSION           prints the lines of go.sum for the module client
//
// It packs the files of the working tree that git does not ignore.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

const (
	rootModule   = "github.com/harmont-dev/harmont-billing"
	clientModule = rootModule + "/client"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "proxy":
		for name, folder := range map[string]string{rootModule: "", clientModule: "client"} {
			files, err := moduleFiles(".", folder)
			if err == nil {
				err = addToProxy(args[1], module.Version{Path: name, Version: args[2]}, files)
			}
			if err != nil {
				return err
			}
		}
		return nil
	case len(args) == 2 && args[0] == "sums":
		return printSums(out, ".", args[1])
	}
	return fmt.Errorf("usage: release proxy FOLDER VERSION, or release sums VERSION, in the root of the repository")
}

// printSums prints the lines of go.sum for a version of the module client.
func printSums(out io.Writer, root, version string) error {
	files, err := moduleFiles(root, "client")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a folder that stays is one of the system's temporary ones
	client := module.Version{Path: clientModule, Version: version}
	if err := addToProxy(folder, client, files); err != nil {
		return err
	}
	base := filepath.Join(folder, filepath.FromSlash(clientModule), "@v", version)
	content, err := dirhash.HashZip(base+".zip", dirhash.Hash1)
	if err != nil {
		return err
	}
	mod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return os.Open(base + ".mod") })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s %s %s\n%s %s/go.mod %s\n", clientModule, version, content, clientModule, version, mod)
	return err
}

// addToProxy adds a version of a module to a folder that the go command reads as GOPROXY=file://folder. It must have lower-case letters
// only, since others are escaped in the paths of that protocol.
func addToProxy(folder string, m module.Version, files []zip.File) error {
	var content bytes.Buffer
	if err := zip.Create(&content, m, files); err != nil {
		return fmt.Errorf("%s: %w", m, err)
	}
	i := slices.IndexFunc(files, func(f zip.File) bool { return f.Path() == "go.mod" })
	if i < 0 {
		return fmt.Errorf("%s has no go.mod", m)
	}
	r, err := files[i].Open()
	if err != nil {
		return err
	}
	defer r.Close()
	mod, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": m.Version, "Time": time.Unix(0, 0).UTC()})
	if err != nil {
		return err
	}
	versions := filepath.Join(folder, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"list": []byte(m.Version + "\n"), m.Version + ".info": info, m.Version + ".mod": mod, m.Version + ".zip": content.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// moduleFiles lists the files below a folder of the repository, without the folders of other modules.
func moduleFiles(root, folder string) ([]zip.File, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate") //nolint:noctx // it is short
	cmd.Dir = filepath.Join(root, filepath.FromSlash(folder))
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	names := strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	inner := map[string]bool{} // folders of other modules
	for _, name := range names {
		if dir := path.Dir(name); path.Base(name) == "go.mod" && dir != "." {
			inner[dir] = true
		}
	}
	var files []zip.File
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(cmd.Dir, filepath.FromSlash(name))); err != nil {
			continue // it is removed in the working tree
		}
		other := false
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			other = other || inner[dir]
		}
		if !other {
			files = append(files, treeFile{cmd.Dir, name})
		}
	}
	return files, nil
}

// treeFile is a file of the working tree.
type treeFile struct{ folder, name string }

func (f treeFile) Path() string                 { return f.name }
func (f treeFile) Lstat() (os.FileInfo, error)  { return os.Lstat(f.path()) }
func (f treeFile) Open() (io.ReadCloser, error) { return os.Open(f.path()) }
func (f treeFile) path() string                 { return filepath.Join(f.folder, filepath.FromSlash(f.name)) }
