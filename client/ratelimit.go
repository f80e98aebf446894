package client

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RateLimit is how many requests a server, or a proxy in front of it, takes from this client.
type RateLimit struct {
	Limit     int64         // requests per period; -1 where the answer does not say
	Remaining int64         // requests that are left of the period; -1 where the answer does not say
	Reset     time.Duration // until the next period begins; 0 where the answer does not say
}

// RateLimitOf reads the rate limit in the header of an answer, for the answers that [WithResponse] stores: RateLimit-Limit, -Remaining and
// -Reset, the same with X- before them, or RateLimit with limit, remaining and reset, or r and t, as parameters. A reset is in seconds, or
// since 1970 if it is at least 10^8. It is nil if the header has none.
func RateLimitOf(header http.Header) *RateLimit {
	limit := RateLimit{Limit: -1, Remaining: -1}
	found := false
	set := func(name, text string) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return
		}
		switch strings.ToLower(name) {
		case "limit", "q":
			limit.Limit = n
		case "remaining", "r":
			limit.Remaining = n
		case "reset", "t":
			const firstTimestamp = 100_000_000
			if n < firstTimestamp {
				limit.Reset = time.Duration(n) * time.Second
			} else {
				limit.Reset = max(time.Until(time.Unix(min(n, 1<<40), 0)), 0)
			}
		default:
			return
		}
		found = true
	}
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} { // the second is the newer, and replaces the first
		for _, name := range []string{"Limit", "Remaining", "Reset"} {
			// An older draft has policies after the number, as in "100, 100;w=60".
			text, _, _ := strings.Cut(header.Get(prefix+name), ",")
			set(name, strings.TrimSpace(text))
		}
	}
	for _, parameter := range strings.FieldsFunc(header.Get("RateLimit"), func(r rune) bool { return r == ',' || r == ';' }) {
		if name, text, ok := strings.Cut(strings.TrimSpace(parameter), "="); ok {
			set(name, text)
		}
	}
	if !found {
		return nil
	}
	return &limit
}
