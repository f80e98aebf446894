package store

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// walIndex watches an SQLite database in WAL mode for commits of any process. All processes share an index of the write-ahead
// log in memory, whose header changes with every commit before that is acknowledged, and never becomes again what it was. To
// look at it costs less than any statement. Its form is part of SQLite's documentation, in walformat.html.
type walIndex struct {
	*mapping
	header *header
}

type header [len(stamp{})]uint64

// stamp reads the header. It fails where there is none yet: the first number in it is the version of its form.
func (w *walIndex) stamp() (s stamp, ok bool) {
	for i := range s {
		s[i] = atomic.LoadUint64(&w.header[i])
	}
	return s, uint32(s[0]) == 3007000
}

// next tells whether the second of two stamps is of the commit after the first: the header counts them.
func (before stamp) next(after stamp) bool { return uint32(after[1]-before[1]) == 1 }

// ownCommits are commits of waiting writes by this store that followed one another with no other between them.
type ownCommits struct{ from, to stamp }

// sinceOthers stamps the database as it was before the last commits, where those were its own. They change no
// organization and no token.
func (s *Store) sinceOthers() (stamp, bool) {
	now, ok := s.headStamp()
	if own := s.own.Load(); own != nil && own.to == now {
		return own.from, ok
	}
	return now, ok
}

// noteOwn takes note of a commit of waiting writes that left the heads. The store was the only one who could commit from when the
// database had the stamp until it has; where somebody has since, nothing is known.
func (s *Store) noteOwn(before stamp, heads map[billing.ID]*billing.Book) {
	after, ok := s.headStamp()
	if !ok || !before.next(after) {
		return
	}
	for org, book := range heads {
		s.heads.keep(org, after, book.Head)
	}
	own := &ownCommits{before, after}
	if last := s.own.Load(); last != nil && last.to == before {
		own.from = last.from
	}
	s.own.Store(own)
}

// mapping is an index that is mapped into memory. When a process closes a file it loses all locks that it holds on it, those of
// SQLite's own connections among them. So there is one mapping for all stores of this process, and its file stays open while
// any connection may have it, too.
type mapping struct {
	name   string
	file   *os.File
	memory []byte
	users  int
}

var (
	mappingsMu sync.Mutex
	mappings   = map[string]*mapping{} // by the name of the file
)

// watchWAL maps the index of the log of the database in the file. A connection that has read must be open until close is called,
// or the index would be taken away. It returns nil where files cannot be mapped.
func watchWAL(database string) (*walIndex, error) {
	name := database + "-shm"
	mappingsMu.Lock()
	defer mappingsMu.Unlock()
	m := mappings[name]
	if m == nil || !m.current() {
		file, memory, err := mapFile(name, int(unsafe.Sizeof(header{})))
		if memory == nil {
			return nil, err
		}
		m = &mapping{name: name, file: file, memory: memory}
		// Whoever still asks for a stamp while the store is closed must find the memory there.
		runtime.AddCleanup(m, unmap, memory)
		mappings[name] = m
	}
	m.users++
	return &walIndex{m, (*header)(unsafe.Pointer(&m.memory[0]))}, nil
}

// close is called once all connections of the store are closed.
func (m *mapping) close() error {
	mappingsMu.Lock()
	defer mappingsMu.Unlock()
	m.users--
	// Whoever closes the last connection removes the file. If it is there still, somebody has it open, perhaps in this process.
	if m.users > 0 || m.current() {
		return nil
	}
	if mappings[m.name] == m {
		delete(mappings, m.name)
	}
	return m.file.Close()
}

// current tells whether the mapped file is still the one with its name.
func (m *mapping) current() bool {
	mapped, err := m.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(m.name)
	return err == nil && os.SameFile(mapped, named)
}
