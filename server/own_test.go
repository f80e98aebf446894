package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
)

// Tokens of one's own take the place of those of the database.
func TestOwnTokens(t *testing.T) {
	s := start(t, server.Config{RequestsPerSecond: 3, Authenticate: func(_ context.Context, token string) (httpapi.Identity, error) {
		subject, ok := strings.CutPrefix(token, "own-")
		if !ok {
			return httpapi.Identity{}, &httpapi.Error{Code: gen.CodeUnauthorized}
		}
		subject, _, _ = strings.Cut(subject, "-")
		return httpapi.Identity{Subject: subject, Role: server.RoleWrite, Organizations: []string{"initech", "acme", "gone", "acme"}}, nil
	}})
	stored := s.withOrg("acme", server.RoleAdmin)
	s.withOrg("globex", server.RoleAdmin)
	s.withOrg("initech", server.RoleAdmin)
	post := request{method: "POST", path: "/billing/leases/acme", token: "own-a", body: leaseBody()}
	s.send(post).want(200, "")
	if got := s.balance("own-b", "acme"); got != -12 {
		t.Errorf("the balance is %d", got)
	}
	s.send(request{path: "/billing/balance/acme", token: stored}).want(401, "unauthorized")
	s.send(request{path: "/billing/balance/globex", token: "own-c"}).want(404, "organization_not_found")
	s.send(request{path: "/billing/balance/gone", token: "own-c"}).want(404, "organization_not_found")
	s.send(request{method: "POST", path: "/billing/credits/acme", token: "own-c", header: map[string]string{"Idempotency-Key": "k"}, body: `{}`}).want(403, "forbidden")
	var list struct {
		Data       []struct{ Slug string }
		NextCursor *string `json:"next_cursor"`
	}
	s.send(request{path: "/organizations?limit=1", token: "own-d"}).want(200, "").into(&list)
	if len(list.Data) != 1 || list.Data[0].Slug != "acme" || list.NextCursor == nil {
		t.Fatalf("the first page is %+v", list)
	}
	s.send(request{path: "/organizations?cursor=" + *list.NextCursor, token: "own-d"}).want(200, "").into(&list)
	if len(list.Data) != 1 || list.Data[0].Slug != "initech" || list.NextCursor != nil {
		t.Errorf("the last page is %+v", list)
	}
	limited := 0
	for i := range 20 { // tokens of one subject share its rate
		if s.send(request{path: "/billing/balance/acme", token: fmt.Sprintf("own-e-%d", i)}).status == 429 {
			limited++
		}
	}
	if limited == 0 {
		t.Error("a subject with many tokens is not limited")
	}
}

// noCredits refuses credits, and leaves all other operations as they are.
type noCredits struct{ httpapi.Backend }

func (noCredits) PostCredit(context.Context, string, gen.PostCreditParams, gen.PostCreditRequest) (none httpapi.PostCreditResult, err error) {
	return none, &httpapi.Error{Code: gen.CodeForbidden, Message: "credits are posted elsewhere"}
}

func TestOverride(t *testing.T) {
	s := start(t, server.Config{Override: func(own httpapi.Backend) httpapi.Backend { return noCredits{own} }})
	token := s.withOrg("acme", server.RoleAdmin)
	credit := request{
		method: "POST", path: "/billing/credits/acme", token: token, header: map[string]string{"Idempotency-Key": "k"},
		body: `{"amount_cents":1,"source":"refund"}`,
	}
	if r := s.send(credit).want(403, "forbidden"); r.envelope().Error.Message != "credits are posted elsewhere" {
		t.Errorf("the answer is %s", r.body)
	}
	if got := s.balance(token, "acme"); got != 0 {
		t.Errorf("the balance is %d", got)
	}
}

// The clock of the configuration dates entries, lets tokens expire and says which leases are of the future.
func TestClock(t *testing.T) {
	var now atomic.Pointer[time.Time]
	set := func(text string) {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		now.Store(&at)
	}
	set("2031-05-06T07:08:09Z")
	s := start(t, server.Config{Clock: func() time.Time { return *now.Load() }})
	token := s.withOrg("acme", server.RoleWrite)
	short, made, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "short", Role: server.RoleRead, Organizations: []string{"acme"}, ExpiresIn: time.Hour})
	if err != nil || made.CreatedAt != *now.Load() {
		t.Errorf("the token is of %s: %v", made.CreatedAt, err)
	}
	lease := func(day string) request {
		return requestOf(token, leaseBody(`started_at:"2031-05-`+day+`T00:00:00Z"`, `finished_at:"2031-05-`+day+`T00:05:00Z"`, `job_id:"01990000-0000-7000-8000-0000000000`+day+`"`))
	}
	s.send(lease("06")).want(200, "")
	s.send(lease("07")).want(422, "lease_invalid")
	s.send(request{path: "/billing/balance/acme", token: short}).want(200, "")
	set("2031-05-07T07:08:09Z")
	s.send(request{path: "/billing/balance/acme", token: short}).want(401, "unauthorized")
	s.send(lease("07")).want(200, "")
	ledger := s.ledger(token, "acme")
	if len(ledger) != 2 || ledger[0].CreatedAt != "2031-05-07T07:08:09.000000Z" || ledger[1].CreatedAt != "2031-05-06T07:08:09.000000Z" {
		t.Errorf("the entries are %+v", ledger)
	}
	set("2031-05-01T00:00:00Z") // behind the newest entry
	s.send(requestOf(token, leaseBody())).want(200, "")
	if ledger := s.ledger(token, "acme"); ledger[0].CreatedAt != "2031-05-07T07:08:09.000001Z" {
		t.Errorf("the entry is of %s", ledger[0].CreatedAt)
	}
}

// A setting that is refused leaves no new database behind.
func TestInvalidSettingsMakeNoDatabase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "billing.db")
	for _, config := range []server.Config{{BasePath: "billing"}, {CORSOrigins: []string{"example.com"}}} {
		config.Database = "sqlite:" + file
		if s, err := server.Open(t.Context(), config); !errors.Is(err, server.ErrInvalid) {
			if err == nil {
				s.Close()
			}
			t.Errorf("%+v fails with %v", config, err)
		}
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file is made, or %v", err)
		}
	}
}

// A database is given once, and a pool has room for what a server needs.
func TestInvalidPool(t *testing.T) {
	config, err := pgxpool.ParseConfig("postgres://u:secret@127.0.0.1:1/x?pool_max_conns=2")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config server.Config
		want   string
	}{
		{server.Config{Pool: config}, "MaxConns=2"}, {server.Config{Pool: config, Database: "sqlite:x"}, "both set"},
	} {
		if s, err := server.Open(t.Context(), c.config); !errors.Is(err, server.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			if err == nil {
				s.Close()
			}
			t.Errorf("it fails with %v, not %s", err, c.want)
		}
	}
}
