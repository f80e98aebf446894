package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestOrgs(t *testing.T) {
	p := newProgram(t)
	const globex = `{"type":"organization","slug":"globex","name":"\u001b[31mGlobex","created_at":"2026-06-01T00:00:00Z"}
{"type":"lease","org":"globex","lease_id":"00000000-0000-4000-8000-0000000000aa","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z","duration_seconds":300,"amount_cents":-123456}
{"type":"entry","org":"globex","id":"01994f00-0000-7000-8000-0000000000aa","amount_cents":-123456,"source":"vm_lease_debit","description":null,"created_at":"2026-06-06T10:05:00Z","lease_id":"00000000-0000-4000-8000-0000000000aa"}
`
	p.reading(books).ok("import", "-")
	if r := p.reading(globex).run("import", "-"); r.status != 0 {
		t.Fatal(r.stderr)
	}
	p.ok("org", "create", "unseen")
	token := strings.TrimSpace(p.ok("token", "create", "--name", "reader", "--role", "read", "--org", "acme", "--org", "globex"))
	_, address := p.serve()
	p = p.with("HARMONT_API_URL="+address, "HARMONT_TOKEN="+token)

	args := []string{"orgs", "--month", "2026-06"}
	equal(t, "table", p.ok(args...), `ORGANIZATION     BALANCE       COST  NAME
acme              -$0.37      $6.37  Acme
globex        -$1,234.56  $1,234.56  �[31mGlobex
TOTAL         -$1,234.93  $1,240.93  2 organizations
`)
	equal(t, "another month", p.ok("orgs", "--month", "2026-05", "-o", "csv", "--dollars"),
		"slug,name,balance_dollars,total_dollars\nacme,Acme,-0.37,0.00\nglobex,\x1b[31mGlobex,-1234.56,0.00\n")
	const first = `{"slug":"acme","name":"Acme","balance_cents":-37,"total_cents":637}`
	const second = `{"slug":"globex","name":"\u001b[31mGlobex","balance_cents":-123456,"total_cents":123456}`
	equal(t, "json", p.ok(append(args, "-o", "json")...), `{"from":"2026-06-01T00:00:00.000000Z","to":"2026-07-01T00:00:00.000000Z","data":[`+first+","+second+
		`],"total":{"balance_cents":-123493,"total_cents":124093}}`+"\n")
	equal(t, "ndjson", p.ok(append(args, "-o", "ndjson")...), first+"\n"+second+"\n")
	if r := p.run("orgs"); r.status != exitOK || !strings.HasPrefix(r.stderr, "note: the window is not over") {
		t.Errorf("this month: %+v", r)
	}
	if r := p.with("HARMONT_TOKEN=hmt_wrong").run("orgs"); r.status != exitFailure || !strings.HasSuffix(r.stderr, "; the token is that of HARMONT_TOKEN\n") {
		t.Errorf("a wrong token: %+v", r)
	}
}

// More organizations than are asked about at once come in the order of the server, and one that fails fails all.
func TestManyOrgs(t *testing.T) {
	const many = 3 * organizationsAtOnce
	server := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		path := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v0/"), "/")
		switch {
		case path[len(path)-1] == "organizations":
			var items []string
			for i := range many {
				items = append(items, fmt.Sprintf(`{"slug":"o%d","name":"x","url":null,"created_at":"2026-06-01T00:00:00.000000Z"}`, i))
			}
			_, _ = io.WriteString(w, `{"data":[`+strings.Join(items, ",")+`],"next_cursor":null}`)
		case path[1] == "balance":
			_, _ = io.WriteString(w, `{"balance_cents":`+path[2][1:]+`}`)
		case path[2] == "o20" && strings.HasPrefix(r.URL.Query().Get("from"), "2026-05-01"):
			w.WriteHeader(http.StatusForbidden)
		default:
			_, _ = io.WriteString(w, `{"cpu_seconds":1,"memory_gb_seconds":2,"disk_gb_seconds":3,"total_cents":2}`)
		}
	})
	p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
	var orgs organizations
	if err := json.Unmarshal([]byte(p.ok("orgs", "--month", "2026-06", "-o", "json")), &orgs); err != nil {
		t.Fatal(err)
	}
	for i, org := range orgs.Data {
		if org.Slug != fmt.Sprintf("o%d", i) || org.BalanceCents != int64(i) || org.TotalCents != 2 {
			t.Errorf("the organization %d is %+v", i, org)
		}
	}
	if orgs.Total.BalanceCents != many*(many-1)/2 || orgs.Total.TotalCents != 2*many {
		t.Errorf("the total is %+v", orgs.Total)
	}
	if r := p.run("orgs", "--month", "2026-05"); r.status != exitFailure || r.stdout != "" {
		t.Errorf("where one is refused: %+v", r)
	}
}
