package pgtest

import (
	"fmt"
	"os"
	"testing"
)

// TestStores says which stores tests run on, for the end of make test.
func TestStores(*testing.T) {
	if os.Getenv(urlEnv) != "" {
		fmt.Printf("NOTE: Stores: SQLite, PostgreSQL of %s\n", urlEnv)
	} else if bin, err := programs(); err == nil {
		fmt.Printf("NOTE: Stores: SQLite, PostgreSQL of %s\n", bin)
	} else {
		fmt.Printf("NOTE: Stores: SQLite, NOT PostgreSQL: %v\n", err)
	}
}
