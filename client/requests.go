package client

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// newRequest builds the request of an operation. The query is a list of name=value, each escaped; the body, where it is not nil, is sent
// as JSON.
func newRequest(method, url string, query []string, header http.Header, body any) (*http.Request, error) {
	if len(query) > 0 {
		url += "?" + strings.Join(query, "&")
	}
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, url, content) //nolint:noctx // each attempt sends a clone with its own context
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
