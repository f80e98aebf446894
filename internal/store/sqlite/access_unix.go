//go:build unix

package sqlite

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// accessible reports whether this process can read and write the file. It does not open the file, because SQLite's locks end when any
// descriptor of the file is closed.
func accessible(file string) bool {
	const read, write = 4, 2
	return syscall.Access(file, read|write) == nil
}

// owner names the user that a file belongs to.
func owner(info os.FileInfo) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return userName(int(stat.Uid))
	}
	return "another user"
}

func thisUser() string { return userName(os.Geteuid()) }

func userName(id int) string {
	text := strconv.Itoa(id)
	if u, err := user.LookupId(text); err == nil {
		return "the user " + u.Username
	}
	return "the user " + text
}
