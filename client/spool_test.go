package client

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func spoolLease(i int) Lease {
	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC)
	return Lease{LeaseID: &UUID{15: byte(i), 14: byte(i >> 8)}, CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start.Add(time.Minute))}
}

func mustOpenSpool(t *testing.T, path string) (*spool, []spooledLease) {
	t.Helper()
	s, leases, damaged, err := openSpool(path)
	if err != nil || damaged != nil {
		t.Fatal(err, damaged)
	}
	return s, leases
}

func mustAppend(t *testing.T, s *spool, org string, lease Lease) queuedLease {
	t.Helper()
	seq, err := s.append(org, lease)
	if err != nil {
		t.Fatal(err)
	}
	return queuedLease{lease: lease, seq: seq}
}

func idsOf(leases []spooledLease) (ids []int) {
	for _, l := range leases {
		ids = append(ids, int(l.Lease.LeaseID[14])<<8|int(l.Lease.LeaseID[15]))
	}
	return ids
}

// A file that ends anywhere has every lease whose line is complete, and takes further ones.
func TestSpoolCutAnywhere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	s, _ := mustOpenSpool(t, path)
	for i := range 3 {
		mustAppend(t, s, "acme", spoolLease(i))
	}
	s.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut <= len(whole); cut++ {
		if cut%29 != 0 && !bytes.Contains(whole[max(cut-2, 0):min(cut+2, len(whole))], []byte("\n")) {
			continue
		}
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, leases := mustOpenSpool(t, path)
		// Without its end, a line may be complete.
		want := bytes.Count(whole[:cut], []byte("\n"))
		if n := len(leases); n != want && (n != want+1 || cut+1 < len(whole) && whole[cut] != '\n') {
			t.Fatalf("%d leases at byte %d, want %d", n, cut, want)
		}
		mustAppend(t, s, "globex", spoolLease(9))
		s.close()
		s, again := mustOpenSpool(t, path)
		s.close()
		if got := idsOf(again); !slices.Equal(got, append(idsOf(leases), 9)) || again[len(again)-1].Org != "globex" {
			t.Fatalf("after a further lease there are %v", got)
		}
	}
}

func TestSpoolDamage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	s, _ := mustOpenSpool(t, path)
	for i := range 3 {
		mustAppend(t, s, "acme", spoolLease(i))
	}
	s.close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	lines[1] = strings.Replace(lines[1], `"cpu_count":2`, `"cpu_count":1`, 1)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	s, leases, damaged, err := openSpool(path)
	if err != nil || damaged == nil || !slices.Equal(idsOf(leases), []int{0, 2}) {
		t.Fatalf("%v, %v, %v", leases, damaged, err)
	}
	s.close()
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != lines[1] {
		t.Errorf("kept %q, %v", kept, err)
	}
}

// Damaged lines that cannot be moved stay in the file until they can be, whatever happens to the leases.
func TestSpoolKeepsDamage(t *testing.T) {
	t.Parallel()
	for _, fullDisk := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "spool")
		s, _ := mustOpenSpool(t, path)
		mustAppend(t, s, "acme", spoolLease(0))
		s.close()
		const damaged = "00000000 {\"number\":7}\n"
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append([]byte(damaged), whole...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path+".damaged", 0o700); err != nil {
			t.Fatal(err)
		}
		unblock := func() {}
		if fullDisk {
			unblock = blockReplace(t, path)
		}
		reopen := func() []spooledLease {
			t.Helper()
			s, leases, problem, err := openSpool(path)
			if err != nil || problem == nil || !strings.Contains(problem.Error(), "stay in it") {
				t.Fatalf("%v, %v, %v", leases, problem, err)
			}
			for _, l := range leases {
				if err := s.remove([]queuedLease{{seq: l.Seq}}); err != nil {
					t.Fatal(err)
				}
			}
			if !fullDisk { // and the file is replaced when it has grown
				s.replaceAt = 1
				if err := s.remove([]queuedLease{mustAppend(t, s, "acme", spoolLease(1))}); err != nil {
					t.Fatal(err)
				}
			}
			s.close()
			return leases
		}
		if leases := reopen(); len(leases) != 1 {
			t.Fatalf("got %v", leases)
		}
		if leases := reopen(); len(leases) != 0 {
			t.Fatalf("got %v", leases)
		}
		unblock()
		if err := os.Remove(path + ".damaged"); err != nil {
			t.Fatal(err)
		}
		s, leases, problem, err := openSpool(path)
		if err != nil || problem == nil || len(leases) != 0 || s.bytes() != 0 {
			t.Fatalf("%v, %v, %v, %d bytes", leases, problem, err, s.bytes())
		}
		s.close()
		if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != damaged {
			t.Errorf("kept %q, %v", kept, err)
		}
	}
}

// The file is empty when nothing is left, and is replaced when it has grown too long.
func TestSpoolShrinks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	s, _ := mustOpenSpool(t, path)
	var all []queuedLease
	for i := range 6 {
		all = append(all, mustAppend(t, s, "acme", spoolLease(i)))
	}
	full := s.bytes()
	if err := s.remove(all[:2]); err != nil || s.bytes() <= full {
		t.Fatal(s.bytes(), err)
	}
	s.replaceAt = 1
	if err := s.remove(all[3:4]); err != nil || s.bytes() >= full {
		t.Fatal(s.bytes(), err)
	}
	all = append(all, mustAppend(t, s, "acme", spoolLease(6)))
	if text, err := os.ReadFile(path); err != nil || int64(len(text)) != s.bytes() {
		t.Fatalf("%d bytes, want %d: %v", len(text), s.bytes(), err)
	} else if content := readSpool(text); !slices.Equal(idsOf(content.leases), []int{2, 4, 5, 6}) || content.damaged != nil {
		t.Errorf("got %v, %q", idsOf(content.leases), content.damaged)
	}
	if err := s.remove(all); err != nil || s.bytes() != 0 {
		t.Error(s.bytes(), err)
	}
	mustAppend(t, s, "acme", spoolLease(7))
	if _, _, _, err := openSpool(path); !errors.Is(err, ErrSpoolInUse) {
		t.Errorf("got %v", err)
	}
	s.close()
	s, leases := mustOpenSpool(t, path)
	s.close()
	if got := idsOf(leases); !slices.Equal(got, []int{7}) {
		t.Errorf("got %v", got)
	}
}

func TestSpoolConcurrently(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	s, _ := mustOpenSpool(t, path)
	s.replaceAt = 1 << 10
	const workers, each = 8, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				lease := mustAppend(t, s, "acme", spoolLease(w*each+i))
				if i%2 == 0 {
					if err := s.remove([]queuedLease{lease}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	s.close()
	s, leases := mustOpenSpool(t, path)
	s.close()
	got := idsOf(leases)
	slices.Sort(got)
	if len(got) != workers*each/2 || len(slices.Compact(got)) != workers*each/2 || got[0] != 1 {
		t.Errorf("got %v", got)
	}
}

// Reports of one lease are one report, unless they contradict each other.
func TestSpoolMergesReports(t *testing.T) {
	job := UUID{15: 1}
	running := Lease{JobID: &job, JobName: new("Build"), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: spoolLease(0).StartedAt}
	finished := running
	finished.JobName, finished.StepKey, finished.FinishedAt = nil, new("build"), spoolLease(0).FinishedAt
	other := finished
	other.CPUCount = 3
	for _, test := range []struct {
		reports  []Lease
		finished string
		want     string
	}{
		{[]Lease{running, finished}, "", "Build/build/2/true"},
		{[]Lease{running, running, finished}, "", "Build/build/2/true"},
		{[]Lease{running, other}, "", "Build//2/false /build/3/true"},
		{[]Lease{finished, running}, "", "/build/2/true Build//2/false"},
		{[]Lease{running, finished}, "1", "/build/2/true"},
	} {
		var text []byte
		for i, lease := range test.reports {
			var err error
			if text, err = appendSpoolLine(text, spooledLease{Seq: int64(i + 1), Org: "acme", Lease: lease}); err != nil {
				t.Fatal(err)
			}
		}
		if test.finished != "" {
			text, _ = appendSpoolLine(text, map[string][]int64{"finished": {1}})
		}
		var got []string
		for _, l := range readSpool(text).leases {
			got = append(got, fmt.Sprintf("%s/%s/%d/%t", Value(l.Lease.JobName), Value(l.Lease.StepKey), l.Lease.CPUCount, l.Lease.FinishedAt != nil))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// After an error of the file, nothing is acknowledged.
func TestSpoolErrors(t *testing.T) {
	t.Parallel()
	if _, _, _, err := openSpool(filepath.Join(t.TempDir(), "missing", "spool")); err == nil {
		t.Error("a folder that does not exist is taken")
	}
	s, _ := mustOpenSpool(t, filepath.Join(t.TempDir(), "spool"))
	first := mustAppend(t, s, "acme", spoolLease(0))
	s.file.Close()
	if _, err := s.append("acme", spoolLease(1)); err == nil {
		t.Error("a lease that was not written is acknowledged")
	}
	if _, err := s.append("acme", spoolLease(2)); err == nil {
		t.Error("a lease that was not written is acknowledged")
	}
	if err := s.remove([]queuedLease{first}); err == nil {
		t.Error("there is no error")
	}
	s.lock.Close()
}

// A file that is not a spool is refused and stays as it is.
func TestSpoolRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"lines": "precious: config\nfile: yes\n", "no end": "precious", "half a line": "precious: config\nfile", "a short text": "abc\n", "digits": "0123456789",
		"a damaged line": "00000000 {}\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := openSpool(path); err == nil || !strings.Contains(err.Error(), "not a spool") {
			t.Errorf("%s: got %v", name, err)
		}
		if kept, err := os.ReadFile(path); string(kept) != text {
			t.Errorf("%s: %q is left, %v", name, kept, err)
		}
		if _, err := os.Stat(path + ".damaged"); err == nil {
			t.Errorf("%s was moved", name)
		}
	}
	if _, _, _, err := openSpool(folder); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a folder: got %v", err)
	}
	if _, _, _, err := openSpool(os.DevNull); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a device: got %v", err)
	}
	for _, torn := range []string{"0", "0123abcd", "0123abcd {", `0123abcd {"number":1,"org":"ac`, `0123abcd {"finished":[`, "0123\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00"} {
		path := filepath.Join(folder, "torn")
		if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		s, leases := mustOpenSpool(t, path)
		s.close()
		if len(leases) != 0 {
			t.Errorf("%q: got %v", torn, leases)
		}
	}
}

// Every path to a file has the same lock, and a link stays a link.
func TestSpoolLinks(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, link, other := filepath.Join(folder, "spool"), filepath.Join(folder, "link"), filepath.Join(folder, "folder")
	for name, target := range map[string]string{link: "spool", other: "."} {
		if err := os.Symlink(target, name); err != nil {
			t.Skip(err)
		}
	}
	if _, _, _, err := openSpool(link); err == nil {
		t.Error("a link to no file is taken")
	}
	s, _ := mustOpenSpool(t, filepath.Join(other, "spool"))
	mustAppend(t, s, "acme", spoolLease(1))
	for _, path := range []string{path, link, filepath.Join(other, "link")} {
		if _, _, _, err := openSpool(path); !errors.Is(err, ErrSpoolInUse) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	s.close()
	s, leases := mustOpenSpool(t, link)
	s.close()
	if info, err := os.Lstat(link); len(leases) != 1 || err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("got %v, %v, %v", leases, info, err)
	}
}

// A second path to a file does not make a second recorder of it.
func TestSpoolHardLinks(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the file itself has no lock")
	}
	path := filepath.Join(t.TempDir(), "spool")
	link := path + "2"
	s, _ := mustOpenSpool(t, path)
	mustAppend(t, s, "acme", spoolLease(1))
	s.close()
	if err := os.Link(path, link); err != nil {
		t.Skip(err)
	}
	unblock := blockReplace(t, path) // or the path would get a file of its own
	s, leases, problem, err := openSpool(path)
	if err != nil || problem == nil || len(leases) != 1 {
		t.Fatal(leases, problem, err)
	}
	if _, _, _, err := openSpool(link); !errors.Is(err, ErrSpoolInUse) {
		t.Errorf("got %v", err)
	}
	s.close()
	unblock()
	s, leases = mustOpenSpool(t, link)
	defer s.close()
	if len(leases) != 1 {
		t.Errorf("got %v", leases)
	}
	// The two paths have files of their own now, each with the lease.
	other, leases := mustOpenSpool(t, path)
	other.close()
	if len(leases) != 1 {
		t.Errorf("got %v", leases)
	}
}

// blockReplace makes the file unable to be replaced, as on a full disk, until the function is called.
func blockReplace(t *testing.T, path string) func() {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(path+".tmp", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(path + ".tmp"); err != nil {
			t.Fatal(err)
		}
	}
}

// A spool that cannot be rewritten is used as it is.
func TestSpoolOpensOnAFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	s, _ := mustOpenSpool(t, path)
	running := spoolLease(2)
	running.FinishedAt = nil
	for _, lease := range []Lease{spoolLease(0), spoolLease(1), running, spoolLease(2)} {
		mustAppend(t, s, "acme", lease)
	}
	s.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `0123abcd {"num`...), 0o600); err != nil {
		t.Fatal(err)
	}
	unblock := blockReplace(t, path)
	s, leases, problem, err := openSpool(path)
	if err != nil || problem == nil || !slices.Equal(idsOf(leases), []int{0, 1, 2}) {
		t.Fatalf("%v, %v, %v", leases, problem, err)
	}
	if text, err := os.ReadFile(path); !bytes.Equal(text, whole) || int64(len(text)) != s.bytes() {
		t.Errorf("the file has %d bytes, %v; want %d", len(text), err, len(whole))
	}
	// Both reports of a lease are finished.
	if err := s.remove([]queuedLease{{seq: leases[2].Seq}, {seq: leases[0].Seq}}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, "acme", spoolLease(3))
	s.close()
	unblock()
	s, leases = mustOpenSpool(t, path)
	s.close()
	if !slices.Equal(idsOf(leases), []int{1, 3}) {
		t.Errorf("got %v", idsOf(leases))
	}
}

// A file that cannot be replaced is not tried again with each lease, and nothing is left of the attempt.
func TestSpoolReplaceFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	s, _ := mustOpenSpool(t, path)
	defer s.close()
	var all []queuedLease
	for i := range 6 {
		all = append(all, mustAppend(t, s, "acme", spoolLease(i)))
	}
	s.replaceAt = 1
	unblock := blockReplace(t, path)
	if err := s.remove(all[:1]); err == nil {
		t.Error("there is no error")
	}
	if err := s.remove(all[1:2]); err != nil {
		t.Errorf("it is tried again: %v", err)
	}
	unblock()
	mustAppend(t, s, "acme", spoolLease(6))
	s.replaceAt = 1
	if err := s.remove(all[2:3]); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(path)
	if got := idsOf(readSpool(text).leases); err != nil || !slices.Equal(got, []int{3, 4, 5, 6}) {
		t.Errorf("got %v, %v", got, err)
	}

	// A folder cannot be replaced by a file.
	s.path = filepath.Join(filepath.Dir(path), "folder")
	if err := os.MkdirAll(filepath.Join(s.path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.replace(nil); err == nil {
		t.Error("there is no error")
	}
	if _, err := os.Lstat(s.path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a temporary file is left: %v", err)
	}
}
