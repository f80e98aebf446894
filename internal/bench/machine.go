package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// machine describes where the figures were measured.
type machine struct {
	CPU, Memory, Kernel, Go, SQLite, PostgreSQL, Disk string
	Cores                                             int
}

func describeMachine(ctx context.Context, data string) (machine, error) {
	m := machine{
		CPU: fieldOf("/proc/cpuinfo", "model name"), Kernel: firstLine("/proc/sys/kernel/osrelease"), Go: runtime.Version(),
		Cores: runtime.NumCPU(), PostgreSQL: "none", Disk: fileSystem(data),
	}
	if kib, err := strconv.ParseInt(strings.TrimSuffix(fieldOf("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = decimal(kib, 1<<20, 1) + " GiB"
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return m, err
	}
	err = db.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&m.SQLite)
	m.SQLite += " (modernc.org/sqlite " + moduleVersion("modernc.org/sqlite") + ")"
	return m, errors.Join(err, db.Close())
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// fieldOf finds a field in a file of lines "name: value".
func fieldOf(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if field, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(field) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// fileSystem is the type of the file system that holds the folder.
func fileSystem(folder string) string {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "unknown"
	}
	at, kind := "", "unknown"
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if rel, err := filepath.Rel(fields[1], folder); err == nil && !strings.HasPrefix(rel, "..") && len(fields[1]) >= len(at) {
			at, kind = fields[1], fields[2]
		}
	}
	return kind
}

func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == path {
				return module.Version
			}
		}
	}
	return "unknown"
}

// memory reads a field of a process's status that counts memory, such as VmRSS or VmHWM, in bytes.
func memory(pid int, field string) (int64, error) {
	value := fieldOf(fmt.Sprintf("/proc/%d/status", pid), field)
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s of process %d is %s; this needs Linux", field, pid, value)
	}
	return kib << 10, nil
}

// resetPeakMemory resets VmHWM of a process.
func resetPeakMemory(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// cpuTime is how long a process has computed. The kernel counts in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may hold spaces
	fields := strings.Fields(rest)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	ticks := int64(0)
	for _, i := range []int{user, system} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
