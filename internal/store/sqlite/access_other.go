//go:build !unix

package sqlite

import "os"

// accessible reports whether this process can read and write the file. Where it cannot tell, SQLite does.
func accessible(string) bool { return true }

// owner names the user that a file belongs to.
func owner(os.FileInfo) string { return "another user" }

func thisUser() string { return "this user" }
