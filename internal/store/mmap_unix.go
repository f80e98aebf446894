//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"os"
	"syscall"
)

// mapFile maps the first bytes of a file into memory, where what any process writes is seen at once.
func mapFile(name string, size int) (*os.File, []byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	return file, memory, err
}

func unmap(memory []byte) {
	if err := syscall.Munmap(memory); err != nil {
		panic(err) // it is mapped
	}
}
