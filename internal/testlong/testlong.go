// Package testlong selects the form of a test. A developer waits for the quick form; the long form repeats the same checks more often,
// with more data.
package testlong

import (
	"os"
	"testing"
)

// env asks for the long form when it is set to anything.
const env = "TEST_LONG"

// Asked reports whether the long form is asked for.
func Asked() bool { return os.Getenv(env) != "" }

// Pick returns long where the long form is asked for, and quick otherwise.
func Pick(quick, long int) int {
	if Asked() {
		return long
	}
	return quick
}

// Only skips the test unless the long form is asked for, because the test takes too much time for a developer who waits. The reason names
// the work that takes the time.
func Only(t testing.TB, reason string) {
	t.Helper()
	if !Asked() {
		t.Skip(reason + ", so it is in make test-long")
	}
}
