package crashtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// held counts the files and connections that a process has open, and its resident memory in bytes.
func held(pid int) (files, resident int64, err error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, 0, err
	}
	pages, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(pages))
	resident, err = strconv.ParseInt(fields[1], 10, 64)
	return int64(len(open)), resident * int64(os.Getpagesize()), err
}

// peak returns the most memory that a process ever had resident, in bytes.
func peak(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "\nVmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0, fmt.Errorf("no VmHWM in %s", status)
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10, err
}
