//go:build !unix

package httpapi

import "math"

// openFiles returns how many files the process may have open.
func openFiles() uint64 { return math.MaxInt32 }
