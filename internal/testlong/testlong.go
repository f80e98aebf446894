// Package testlong says how much a test repeats. The quick form of the tests is the one that a developer waits for; the
// long form repeats the same checks more often, with more data.
package testlong

import "os"

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
