package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
)

// A credit keeps the name of the token that posted it first, also of a token of another system; an export takes it along.
func TestCreditAuthors(t *testing.T) {
	s := start(t, server.Config{})
	read := s.withOrg("acme", server.RoleRead)
	named := func(s *service, name string) string {
		token, _, err := s.CreateToken(t.Context(), server.TokenOptions{Name: name, Role: server.RoleAdmin, Organizations: []string{"acme"}})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	post := func(s *service, token, key string) response {
		body, header := `{"amount_cents":100,"source":"refund"}`, map[string]string{"Idempotency-Key": key}
		return s.send(request{method: "POST", path: "/billing/credits/acme", token: token, body: body, header: header})
	}
	long := strings.Repeat("ü", 255)
	post(s, named(s, "Finance “EU”"), "1").want(201, "")
	post(s, named(s, long), "2").want(201, "")
	post(s, named(s, "another"), "2").want(201, "") // again
	want := []string{long, "Finance “EU”"}
	wantAuthors(t, s, read, want)

	moved := start(t, server.Config{})
	moved.importText(s.export())
	wantAuthors(t, moved, read, want)

	own := start(t, server.Config{Authenticate: func(_ context.Context, token string) (httpapi.Identity, error) {
		return httpapi.Identity{Subject: "secret", Name: token, Role: server.RoleAdmin, Organizations: []string{"acme"}}, nil
	}})
	own.withOrg("acme", server.RoleRead)
	post(own, "mara", "1").want(201, "")
	post(own, long+"ü", "2").want(422, "body_invalid")
	wantAuthors(t, own, "mara", []string{"mara"})
	own = start(t, server.Config{Authenticate: func(context.Context, string) (httpapi.Identity, error) {
		return httpapi.Identity{Subject: "secret", Role: server.RoleAdmin, Organizations: []string{"acme"}}, nil
	}})
	own.withOrg("acme", server.RoleRead)
	post(own, "mara", "1").want(201, "")
	wantAuthors(t, own, "mara", []string{""})
}

// wantAuthors compares the authors of the credits of acme, newest first, in the list and of each entry. An unknown one is empty.
func wantAuthors(t *testing.T, s *service, token string, want []string) {
	t.Helper()
	type credit struct {
		ID     string
		Author *string
	}
	var list struct{ Data []credit }
	s.send(request{path: "/billing/credits/acme", token: token}).want(200, "").into(&list)
	if len(list.Data) != len(want) {
		t.Fatalf("there are %d credits, want %d", len(list.Data), len(want))
	}
	for i, c := range list.Data {
		var entry credit
		s.send(request{path: "/billing/transactions/acme/" + c.ID, token: token}).want(200, "").into(&entry)
		for _, author := range []*string{c.Author, entry.Author} {
			if author == nil {
				author = new("")
			}
			if *author != want[i] {
				t.Errorf("credit %d is from %q, want %q", i, *author, want[i])
			}
		}
	}
}
