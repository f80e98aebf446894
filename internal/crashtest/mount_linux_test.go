package crashtest

import (
	"fmt"
	"syscall"
)

// mountMemory mounts a file system of the given size, which is kept in memory.
func mountMemory(folder, size string) error {
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=0755,size="+size); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

func unmount(folder string) error { return syscall.Unmount(folder, syscall.MNT_DETACH) }
