package client

import (
	"runtime"
	"strings"
)

// Version is the version of this package, which the User-Agent of its requests has.
const Version = "0.1.0"

// defaultUserAgent names the package, the version of Go, and the system: harmont-billing-go/0.1.0 (go1.26; linux/amd64).
var defaultUserAgent = "harmont-billing-go/" + Version + " (" + goVersion() + "; " + runtime.GOOS + "/" + runtime.GOARCH + ")"

// goVersion is the version of Go without the experiments that may follow it.
func goVersion() string {
	version, _, _ := strings.Cut(runtime.Version(), " ")
	return version
}
