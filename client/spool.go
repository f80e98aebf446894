package client

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// ErrSpoolInUse is the error of a [Recorder] whose spool belongs to another recorder, of this process or of another.
var ErrSpoolInUse = errors.New("another recorder uses this spool")

// A spool is a file of lines. Each is the checksum of the rest of the line, 8 hexadecimal digits, a space, and a JSON object: a lease with its
// organization and number, or the numbers of leases that were given back. Lines are appended, and those of leases are on disk before append
// returns. When every lease has been given back the file is cut to nothing; when it has grown too long it is replaced by one of the
// remaining leases.
type spool struct {
	path    string
	lock    io.Closer
	damaged []byte // lines of the file that could not be moved

	syncing sync.Mutex // held while the file is synced or replaced; locked before mu
	synced  int64      // the last append that is on disk

	mu         sync.Mutex
	file       *os.File
	size       int64
	replaceAt  int64 // the size from which on the file is replaced
	appends    int64
	lastSeq    int64
	unfinished map[int64]struct{} // the leases that were not given back
	merged     map[int64][]int64  // the earlier reports in the file that are a part of a lease, by its number
	err        error              // after which nothing is appended
}

const minSpoolReplaceSize = 4 << 20

// spooledLease is a line of a lease.
type spooledLease struct {
	Seq   int64  `json:"number"`
	Org   string `json:"org"`
	Lease Lease  `json:"report"`

	merged []int64 // the numbers of earlier reports that are a part of it
}

// spoolLine is any line.
type spoolLine struct {
	spooledLease
	Finished []int64 `json:"finished"`
}

var spoolChecksum = crc32.MakeTable(crc32.Castagnoli)

func appendSpoolLine(to []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return to, err
	}
	sum := crc32.Checksum(text, spoolChecksum)
	to = hex.AppendEncode(to, []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	return append(append(append(to, ' '), text...), '\n'), nil
}

// parseSpoolLine reads a line without its end. It reports false if the line is damaged.
func parseSpoolLine(text []byte) (line spoolLine, ok bool) {
	var sum [4]byte
	if len(text) < 9 || text[8] != ' ' {
		return line, false
	}
	if _, err := hex.Decode(sum[:], text[:8]); err != nil {
		return line, false
	}
	text = text[9:]
	want := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	if crc32.Checksum(text, spoolChecksum) != want || json.Unmarshal(text, &line) != nil {
		return line, false
	}
	return line, line.Finished != nil || line.Org != "" && line.Seq > 0
}

// openSpool opens or makes a spool, and returns the leases in it that were not given back, in their order. Damaged lines are moved to a file
// beside it, or stay where they are if they cannot be. A last line without an end was never acknowledged, and is dropped. The error problem tells of damaged lines, and of a file that
// could not be rewritten, as on a full disk; the spool works nevertheless.
func openSpool(path string) (s *spool, leases []spooledLease, problem, err error) {
	if path, err = spoolFile(path); err != nil {
		return nil, nil, nil, err
	}
	s = &spool{path: path, unfinished: map[int64]struct{}{}}
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return nil, nil, nil, err
	}
	opened := s
	defer func() {
		if err != nil {
			opened.file.Close() // which may be nil
			opened.lock.Close()
		}
	}()
	if err := s.open(); err != nil {
		return nil, nil, nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, nil, err
	}
	content := readSpool(text)
	if content.valid == 0 && (len(content.damaged) > 0 || !mayBeTornLine(content.torn)) {
		return nil, nil, nil, fmt.Errorf("%s is not a spool: none of its lines is valid", path)
	}
	if len(content.damaged) > 0 {
		problem = fmt.Errorf("harmont-billing: the spool: damaged lines were moved to %s.damaged, and their leases are not recorded", path)
		if err := keepDamaged(path+".damaged", content.damaged); err != nil {
			s.damaged = content.damaged
			problem = fmt.Errorf("harmont-billing: the spool: damaged lines stay in it, since they cannot be moved, and their leases are not recorded: %w", err)
		}
	}
	s.lastSeq = content.lastSeq
	for _, l := range content.leases {
		s.unfinished[l.Seq] = struct{}{}
	}
	if failed := s.replace(content.leases); failed != nil {
		if err := s.keepFile(content.leases); err != nil {
			return nil, nil, nil, errors.Join(failed, err)
		}
		problem = errors.Join(problem, fmt.Errorf("harmont-billing: the spool was not rewritten: %w", failed))
	}
	return s, content.leases, problem, nil
}

// spoolFile returns the path of a spool without symbolic links, so that the lock beside it is the same whatever path leads to it. It fails
// for anything but a regular file or none.
func spoolFile(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		var folder string
		folder, err = filepath.EvalSymlinks(filepath.Dir(path))
		resolved = filepath.Join(folder, filepath.Base(path))
	}
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(resolved)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return resolved, nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", resolved)
	}
	return resolved, nil
}

// mayBeTornLine reports whether the text may be a line that was not written to its end. After a loss of power a file may end with zeros.
func mayBeTornLine(text []byte) bool {
	text = bytes.TrimRight(text, "\x00")
	sum, object := text[:min(8, len(text))], text[min(8, len(text)):]
	isPrefix := false
	for _, start := range []string{` {"number":`, ` {"finished":`} {
		n := min(len(start), len(object))
		isPrefix = isPrefix || string(object[:n]) == start[:n]
	}
	return isPrefix && len(bytes.Trim(sum, "0123456789abcdef")) == 0
}

// keepFile goes on with the file as it is after a failure to replace it, without a last line that has no end.
func (s *spool) keepFile(leases []spooledLease) error {
	if s.file != nil {
		s.file.Close()
	}
	if s.err = s.open(); s.err != nil {
		return s.err
	}
	text, err := os.ReadFile(s.path) // the failure may have come when it was replaced already
	if err != nil {
		s.file.Close()
		return err
	}
	s.size = int64(bytes.LastIndexByte(text, '\n') + 1)
	if err := s.file.Truncate(s.size); err != nil {
		s.file.Close()
		return err
	}
	s.replaceAt = max(minSpoolReplaceSize, 2*s.size)
	s.merged = map[int64][]int64{}
	for _, l := range leases {
		if len(l.merged) > 0 {
			s.merged[l.Seq] = l.merged
		}
	}
	return nil
}

func (s *spool) open() (err error) {
	if s.file, err = os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	// The lock beside the file is that of its path. This one is that of the file, which has several paths if it has hard links.
	if err = lockOpened(s.file); err != nil {
		s.file.Close()
	}
	return err
}

// spoolContent is what a file has.
type spoolContent struct {
	leases  []spooledLease // those that were not given back
	valid   int            // how many lines are valid
	damaged []byte         // the lines that are not
	torn    []byte         // the last line if it has no end and is not valid
	lastSeq int64
}

// readSpool reads a file. Reports of a lease that is running are merged into its next report, since the server would refuse them if it had
// that one already.
func readSpool(text []byte) (content spoolContent) {
	finished := map[int64]bool{}
	var all []spooledLease
	for len(text) > 0 {
		line, rest, isWhole := bytes.Cut(text, []byte("\n"))
		text = rest
		parsed, ok := parseSpoolLine(line)
		if ok {
			content.valid++
		}
		switch {
		case !ok && !isWhole:
			content.torn = line
		case !ok:
			content.damaged = append(append(content.damaged, line...), '\n')
		case parsed.Finished != nil:
			for _, seq := range parsed.Finished {
				finished[seq] = true
			}
		default:
			all = append(all, parsed.spooledLease)
			content.lastSeq = max(content.lastSeq, parsed.Seq)
		}
	}
	var leases []spooledLease
	earlier := map[spoolKey]int{} // the place in leases of the last report of each lease
	for _, l := range all {
		if finished[l.Seq] {
			continue
		}
		i, ok := earlier[l.key()]
		if ok && leases[i].Lease.FinishedAt == nil {
			if merged, ok := mergeReports(leases[i].Lease, l.Lease); ok {
				l.Lease = merged
				leases[i].merged = append(leases[i].merged, leases[i].Seq)
				l.merged = leases[i].merged
				leases[i].Seq = 0
			}
		}
		earlier[l.key()] = len(leases)
		leases = append(leases, l)
	}
	content.leases = slices.DeleteFunc(leases, func(l spooledLease) bool { return l.Seq == 0 })
	return content
}

// mergeReports returns the later of two reports with the values that only the earlier one has. It reports false if they differ in a value
// that does not change.
func mergeReports(earlier, later Lease) (merged Lease, ok bool) {
	var values [2]map[string]json.RawMessage
	for i, l := range []Lease{earlier, later} {
		text, err := json.Marshal(l)
		if err != nil || json.Unmarshal(text, &values[i]) != nil {
			return Lease{}, false
		}
	}
	for key, value := range values[0] {
		switch other, known := values[1][key]; {
		case string(value) == "null":
		case !known || string(other) == "null":
			values[1][key] = value
		case !bytes.Equal(value, other):
			return Lease{}, false
		}
	}
	text, err := json.Marshal(values[1])
	ok = err == nil && json.Unmarshal(text, &merged) == nil
	return merged, ok
}

// spoolKey is what the server knows a lease by.
type spoolKey struct {
	org   string
	id    UUID
	isJob bool
}

func (l spooledLease) key() spoolKey {
	switch {
	case l.Lease.JobID != nil:
		return spoolKey{l.Org, *l.Lease.JobID, true}
	case l.Lease.LeaseID != nil:
		return spoolKey{l.Org, *l.Lease.LeaseID, false}
	}
	return spoolKey{org: l.Org}
}

func keepDamaged(path string, lines []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Sync(), f.Close())
}

// append writes a lease, and returns its number when it is on disk. Appends that come together share one sync.
func (s *spool) append(org string, lease Lease) (seq int64, err error) {
	seq, number, err := s.write(org, lease)
	if err != nil {
		return 0, err
	}
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if s.synced >= number {
		return seq, nil
	}
	s.mu.Lock()
	number, file, err := s.appends, s.file, s.err
	s.mu.Unlock()
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		// After a failed sync nobody knows what is on disk.
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
		delete(s.unfinished, seq)
		return 0, err
	}
	s.synced = number
	return seq, nil
}

// write appends the line of a lease. It returns the numbers of the lease and of the append.
func (s *spool) write(org string, lease Lease) (seq, number int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, 0, s.err
	}
	line, err := appendSpoolLine(nil, spooledLease{Seq: s.lastSeq + 1, Org: org, Lease: lease})
	if err != nil {
		return 0, 0, err
	}
	if err := s.writeLine(line); err != nil {
		return 0, 0, err
	}
	s.lastSeq++
	s.appends++
	s.unfinished[s.lastSeq] = struct{}{}
	return s.lastSeq, s.appends, nil
}

// writeLine writes a line as a whole or not at all.
func (s *spool) writeLine(line []byte) error {
	if _, err := s.file.Write(line); err != nil {
		if cut := s.file.Truncate(s.size); cut != nil {
			s.err = fmt.Errorf("%w, and a part of the line cannot be removed: %w", err, cut)
		}
		return err
	}
	s.size += int64(len(line))
	return nil
}

// remove notes that leases were given back. This need not be on disk, since they may be recorded again.
func (s *spool) remove(batch []queuedLease) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	finished := spoolLine{}.Finished
	for i := range batch {
		seq := batch[i].seq
		finished = append(append(finished, seq), s.merged[seq]...)
		delete(s.unfinished, seq)
		delete(s.merged, seq)
	}
	switch {
	case s.err != nil:
		return s.err
	case len(s.unfinished) == 0 && s.damaged == nil:
		if err := s.file.Truncate(0); err != nil {
			return err
		}
		s.size, s.replaceAt = 0, minSpoolReplaceSize
		return nil
	}
	line, err := appendSpoolLine(nil, map[string][]int64{"finished": finished})
	if err != nil {
		return err
	}
	if err := s.writeLine(line); err != nil {
		return err
	}
	if s.size < s.replaceAt {
		return nil
	}
	text, err := os.ReadFile(s.path)
	if err == nil {
		err = s.replace(readSpool(text).leases)
	}
	if err != nil {
		s.replaceAt = max(s.replaceAt, 2*s.size) // not with each lease
	}
	return err
}

// replace makes a new file of the leases, and puts it in the place of the old one. After an error the old one stays, or all of the new one is
// in its place.
func (s *spool) replace(leases []spooledLease) error {
	text := slices.Clone(s.damaged)
	var err error
	if s.damaged != nil {
		// A file of damaged lines alone would be taken for one of another program.
		if text, err = appendSpoolLine(text, map[string][]int64{"finished": {}}); err != nil {
			return err
		}
	}
	for _, l := range leases {
		if text, err = appendSpoolLine(text, l); err != nil {
			return err
		}
	}
	next := s.path + ".tmp"
	if err := writeNewFile(next, text); err != nil {
		return err
	}
	if s.file != nil {
		s.file.Close() // all of it is in the new file
	}
	renamed := os.Rename(next, s.path)
	if renamed != nil {
		renamed = errors.Join(renamed, os.Remove(next))
	}
	if err := s.open(); err != nil {
		s.err = err
		return errors.Join(renamed, err)
	}
	if renamed != nil {
		return renamed
	}
	s.size, s.synced, s.merged = int64(len(text)), s.appends, nil
	s.replaceAt = max(minSpoolReplaceSize, 2*s.size)
	return syncFolder(filepath.Dir(s.path))
}

// writeNewFile writes a file to disk, or leaves none. A file of an earlier process is removed first.
func writeNewFile(path string, text []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (s *spool) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

func (s *spool) close() {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, os.ErrClosed)
	s.file.Close()
	s.lock.Close()
}
