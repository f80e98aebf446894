package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// Do makes a call for which the package has no method: another path of the server, or one of a later version of the API. It has the token,
// timeouts, retries, errors, log and options of all calls.
//
// The path begins below the base URL and may have a query, as in "api/v0/billing/balance/acme?x=1". Use [url.PathEscape] for a part of it
// that comes from outside; a path with a part . or .. is refused, because it could lead elsewhere. The value in is sent as JSON, and a
// []byte or [json.RawMessage] as it is; nil sends no body. A JSON answer is decoded into out, a pointer; a *[]byte or *[json.RawMessage]
// receives the body of any type, and nil ignores it. Only encoding/json checks the answer.
//
// GET, HEAD, OPTIONS, PUT and DELETE are retried. POST and PATCH could take place twice, so they are retried only with
// WithHeader("Idempotency-Key", key), for calls of which the server promises to execute a key once.
func (c *Client) Do(ctx context.Context, method, path string, in, out any, opts ...Option) error {
	req, err := c.otherRequest(method, path, in)
	var own *Client
	if err == nil {
		own, err = c.withOptions(opts)
	}
	if err != nil {
		return fmt.Errorf("harmont-billing: %w", err)
	}
	call := *own
	raw := rawBody(out)
	if value := reflect.ValueOf(out); out != nil && (value.Kind() != reflect.Pointer || value.IsNil()) {
		return fmt.Errorf("harmont-billing: a %T receives no answer; pass a pointer that is not nil", out)
	}
	call.anyContent = out == nil || raw != nil
	if !call.mayRepeat(req) {
		call.maxRetries = 0
	}
	a, body, err := call.fetch(ctx, req)
	switch {
	case err != nil:
		return err
	case raw != nil:
		*raw = body
	case out != nil:
		if err := json.Unmarshal(body, out); err != nil {
			return a.invalidError(err.Error())
		}
	}
	return nil
}

// rawBody returns the place for the body as it is, or nil if out is something else.
func rawBody(out any) *[]byte {
	switch out := out.(type) {
	case *[]byte:
		return out
	case *json.RawMessage:
		return (*[]byte)(out)
	}
	return nil
}

// mayRepeat reports whether a request that is sent twice does no more than one that is sent once.
func (c *Client) mayRepeat(req *http.Request) bool {
	switch req.Method {
	case http.MethodPost, http.MethodPatch:
		header := http.Header{}
		for _, set := range c.headers {
			set(header)
		}
		return header.Get("Idempotency-Key") != ""
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

func (c *Client) otherRequest(method, path string, in any) (*http.Request, error) {
	path = strings.TrimPrefix(path, "/")
	// The path is appended to the base URL, so a scheme or a host in it would not take effect.
	if path == "" || strings.HasPrefix(path, "/") || strings.Contains(path, "://") || strings.Contains(path, "#") {
		return nil, errors.New("the path must begin below the base URL, such as api/v0/organizations, and have no fragment")
	}
	for part := range strings.SplitSeq(strings.SplitN(path, "?", 2)[0], "/") {
		if plain, err := url.PathUnescape(part); err == nil && (plain == "." || plain == "..") {
			return nil, fmt.Errorf("the path has a part %s, which could lead elsewhere", part)
		}
	}
	body, isRaw := in.([]byte)
	if text, ok := in.(json.RawMessage); ok {
		body, isRaw = text, true
	}
	if in != nil && !isRaw {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = text
	}
	req, err := http.NewRequest(method, c.baseURL+path, bytes.NewReader(body)) //nolint:noctx // each attempt sends a clone with its own context
	if err != nil {
		return nil, err
	}
	if in == nil {
		req.Body, req.GetBody = nil, nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
