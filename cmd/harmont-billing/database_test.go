package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

func TestTokenExpires(t *testing.T) {
	p := newProgram(t)
	p.ok("org", "create", "acme")
	for text, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "2w": 336 * time.Hour, "720h": 720 * time.Hour, "1h30m": 90 * time.Minute,
	} {
		p.ok("token", "create", "--name", text, "--role", "read", "--org", "acme", "--expires", text)
		times := regexp.MustCompile(text + `  +read  (\S+ \S+)  valid until (\S+ \S+)`).FindStringSubmatch(p.ok("token", "list"))
		if times == nil {
			t.Fatalf("%s is not in the list", text)
		}
		created, errCreated := time.Parse(time.DateTime, times[1])
		expires, errExpires := time.Parse(time.DateTime, times[2])
		if err := errors.Join(errCreated, errExpires); err != nil || expires.Sub(created) != want {
			t.Errorf("%s: created %s, expires %s (%v)", text, created, expires, err)
		}
	}
}

func TestOrganizationsAndTokens(t *testing.T) {
	p := newProgram(t)
	// All of it on the database that a server has open.
	_, address := p.serve()

	equal(t, "org create", p.ok("org", "create", "acme", "--name", "Acme, Inc."), "Created acme (Acme, Inc.).\n")
	equal(t, "org create", p.ok("org", "create", "globex"), "Created globex (globex).\n")
	again := p.run("org", "create", "acme")
	if again.status != exitFailure || again.stdout != "" || !strings.Contains(again.stderr, "acme") {
		t.Errorf("org create again: %+v", again)
	}
	if got := p.ok("org", "list"); !regexp.MustCompile(`^SLUG    CREATED \(UTC\)        NAME
acme    20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  Acme, Inc.
globex  20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  globex
$`).MatchString(got) {
		t.Errorf("org list:\n%s", got)
	}

	if got := p.ok("org", "create", "hostile", "--name", "a\x1b]0;x\a"); got != "Created hostile (a�]0;x�).\n" {
		t.Errorf("of a name with control characters it prints %q", got)
	}

	create := func(args ...string) string {
		t.Helper()
		token := p.ok(append([]string{"token", "create"}, args...)...)
		if !regexp.MustCompile(`^hmt_[A-Za-z0-9_-]{43}\n$`).MatchString(token) {
			t.Fatalf("token create prints %q", token)
		}
		return strings.TrimSpace(token)
	}
	reader := create("--name", "reader", "--role", "read", "--org", "acme", "--org", "globex")
	create("--name", "short", "--role", "admin", "--org", "acme", "--expires", "720h")
	list := p.ok("token", "list")
	if !regexp.MustCompile(`^ID            NAME    ROLE   CREATED \(UTC\)        STATE \(UTC\) +ORGANIZATIONS
[0-9a-f]{12}  reader  read   20\S+ \S+  valid +acme,globex
[0-9a-f]{12}  short   admin  20\S+ \S+  valid until 20\S+ \d\d:\d\d:\d\d  acme
$`).MatchString(list) || strings.Contains(list, reader) {
		t.Errorf("token list:\n%s", list)
	}

	ask := p.with("HARMONT_API_URL="+address, "HARMONT_TOKEN="+reader)
	equal(t, "balance", ask.ok("balance", "acme"), "$0.00\n")
	if got := p.ok("token", "revoke", "reader"); !regexp.MustCompile(`^Revoked [0-9a-f]{12} \(reader\)\.\n$`).MatchString(got) {
		t.Errorf("token revoke: %q", got)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		refused := ask.run("balance", "acme")
		if refused.status == exitFailure && strings.Contains(refused.stderr, "401 unauthorized") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the revoked token still works: %+v", refused)
		}
	}
	if got := p.ok("token", "list"); !regexp.MustCompile(`reader +read +\S+ \S+ +revoked 20\S+ \S+ `).MatchString(got) {
		t.Errorf("token list:\n%s", got)
	}
	if twice := p.run("token", "revoke", "reader"); twice.status != exitFailure || !strings.Contains(twice.stderr, "reader") {
		t.Errorf("token revoke again: %+v", twice)
	}
	if unknown := p.run("token", "create", "--name", "x", "--role", "read", "--org", "initech"); unknown.status != exitFailure || unknown.stdout != "" ||
		!strings.Contains(unknown.stderr, "initech") {
		t.Errorf("a token for an unknown organization: %+v", unknown)
	}
}

func TestImport(t *testing.T) {
	p := newProgram(t)
	// Two records without a type, an empty line, and three lines that must not get in.
	const input = `{"org":"acme","job_id":"cda177bc-35de-42c5-b5b2-3076f7c1326b","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z"}

{"org":"acme","amount_cents":5000,"source":"admin_grant","description":"Welcome credit","idempotency_key":"welcome"}
{"org":"acme","amount_cents":5000
{"org":"acme","amount_cents":-5,"source":"admin_grant","description":null,"idempotency_key":"negative"}
{"type":"invoice","org":"acme"}
{"org":"acme","amount_cents":7,"source":"refund","description":null,"idempotency_key":"last"}
`
	file := filepath.Join(p.dir, "books.ndjson")
	if err := os.WriteFile(file, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	balance := func() string {
		t.Helper()
		return p.asking().ok("balance", "acme")
	}

	first := p.run("import", file)
	equal(t, "import", first.stdout, file+": imported 1 lease, 2 credits; created acme; left out 3 bad lines.\n")
	if first.status != exitFailure || !strings.Contains(first.stderr, file+":4: ") || !strings.Contains(first.stderr, file+":5: amount_cents ") ||
		!strings.Contains(first.stderr, file+`:6: "invoice" is not a type of record`) ||
		!strings.HasSuffix(first.stderr, "\nharmont-billing: 3 bad lines were left out\n") || strings.Count(first.stderr, "\n") != 4 {
		t.Errorf("import: status %d\n%s", first.status, first.stderr)
	}
	equal(t, "balance", balance(), "$49.95\n")
	before := p.ok("export")

	second := p.reading(input).run("import", "-")
	equal(t, "import again", second.stdout, "-: imported 0 leases (and 1 known before), 0 credits (and 2 known before); left out 3 bad lines.\n")
	if second.status != exitFailure {
		t.Errorf("import again: status %d", second.status)
	}
	after := p.ok("export")
	for line := range strings.SplitSeq(strings.TrimSpace(before), "\n") {
		if !strings.Contains(after, line) {
			t.Errorf("the second import lost or changed %s", line)
		}
	}
	equal(t, "balance", balance(), "$49.95\n")

	missing := p.run("import", "missing.ndjson")
	if missing.status != exitFailure || missing.stdout != "" || missing.stderr != "harmont-billing: open missing.ndjson: no such file or directory\n" {
		t.Errorf("import of a missing file: %+v", missing)
	}
}

func TestExportIntoAnotherDatabase(t *testing.T) {
	p := newProgram(t)
	equal(t, "import", p.reading(books).ok("import", "-"), "-: imported 1 organization, 4 leases, 4 ledger entries.\n")
	p.ok("token", "create", "--name", "ci", "--role", "write", "--org", "acme")
	exported := p.ok("export")
	if n := strings.Count(exported, "\n"); n != 12 {
		t.Errorf("%d lines:\n%s", n, exported)
	}

	other := newProgram(t)
	without := other.reading(exported).run("import", "-")
	equal(t, "import without tokens", without.stdout, "-: imported 1 organization, 1 rate card, 4 leases, 4 ledger entries; left out 1 bad line.\n")
	if without.status != exitFailure || !strings.Contains(without.stderr, "-:2: a token gives access to the books, so tokens are taken over only with --tokens\n") ||
		!strings.Contains(without.stderr, `-:3: the rate card "First prices" bills leases that start from 1970-01-01T00:00:00.000000Z on`+"\n") {
		t.Errorf("import without tokens: %+v", without)
	}
	with := other.reading(exported).run("import", "--tokens", "-")
	equal(t, "import with tokens", with.stdout, "-: imported 0 organizations (and 1 known before), "+
		"1 token, 0 rate cards (and 1 known before), 0 leases (and 4 known before), 0 ledger entries (and 4 known before).\n")
	equal(t, "the token that gives access", with.stderr, "-:2: the token ci with the role write for acme gives access\n")
	equal(t, "export", other.ok("export"), exported)
	equal(t, "import again", other.reading(exported).ok("import", "--tokens", "-"), "-: imported 0 organizations (and 1 known before), "+
		"0 tokens (and 1 known before), 0 rate cards (and 1 known before), 0 leases (and 4 known before), 0 ledger entries (and 4 known before).\n")
	equal(t, "export again", other.ok("export"), exported)
}

// The records that the help shows can be imported.
func TestImportTakesItsHelp(t *testing.T) {
	p := newProgram(t)
	var records strings.Builder
	for _, record := range regexp.MustCompile(`(?s) {2}\{.*?\}\n`).FindAllString(p.ok("import", "--help"), -1) {
		records.WriteString(strings.ReplaceAll(record, "\n", " ") + "\n")
	}
	equal(t, "import", p.reading(records.String()).ok("import", "-"), "-: imported 1 lease, 1 credit; created acme.\n")
}

// Leases that were priced elsewhere are counted, and the first of them named.
func TestImportNamesLeasesPricedElsewhere(t *testing.T) {
	p := newProgram(t)
	var records strings.Builder
	records.WriteString(`{"org":"acme","job_id":"0189a2b3-c4d5-7ef0-8123-000000000001","cpu_count":2,"memory_gb":4,"disk_gb":20,` +
		`"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z","amount_cents":-1}` + "\n")
	r := p.reading(records.String()).run("import", "-")
	equal(t, "import", r.stdout, "-: imported 1 lease; created acme; 1 lease was priced elsewhere.\n")
	equal(t, "the lease", r.stderr, "-:1: the amount_cents of the lease is -1, which no rate card of the books gives; it was priced elsewhere\n")
	if r.status != 0 {
		t.Errorf("status %d", r.status)
	}
	for i := range namedPricedElsewhere + 5 {
		fmt.Fprintf(&records, `{"org":"acme","job_id":"0189a2b3-c4d5-7ef0-8123-0000000001%02d","cpu_count":2,"memory_gb":4,"disk_gb":20,`+
			`"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z","amount_cents":-3}`+"\n", i)
	}
	r = p.reading(records.String()).run("import", "-")
	equal(t, "import", r.stdout, "-: imported 25 leases (and 1 known before); 25 leases were priced elsewhere.\n")
	if n := strings.Count(r.stderr, "the amount_cents of the lease is -3, which no rate card of the books gives; it was priced elsewhere\n"); n != namedPricedElsewhere {
		t.Errorf("%d leases are named:\n%s", n, r.stderr)
	}
}

// The state that verify prints is the head that the server answers with, and is taken by --against, as it is or from a file.
func TestVerifyAgainst(t *testing.T) {
	p := newProgram(t)
	p.reading(books).ok("import", "-")
	fields := strings.Fields(p.ok("verify"))
	state := fields[len(fields)-1]
	if !strings.HasPrefix(state, "acme:4:") {
		t.Fatalf("the state is %s", state)
	}
	token := strings.TrimSpace(p.ok("token", "create", "--name", "reader", "--role", "read", "--org", "acme"))
	_, address := p.serve()
	c, err := client.New(address, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	head, err := c.GetBillingHead(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the head", fmt.Sprintf("acme:%d:%s", head.Seq, head.Digest), state)
	heads := filepath.Join(t.TempDir(), "heads.txt")
	if err := os.WriteFile(heads, []byte(state+"\n"+state+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := "acme:4:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		against string
		status  int
		stderr  string
	}{
		{state, exitOK, "acme: note: the books contain " + state},
		{"@" + heads, exitOK, "acme: note: the books contain " + state},
		{other, exitFailure, "acme: ledger_entries: the books do not contain " + other},
		{"acme:5" + state[len("acme:4"):], exitFailure, "the ledger ends with entry 4"},
		{"acme", exitUsage, "is not like ORG:SEQ:DIGEST"},
		{"@" + heads + "x", exitFailure, "no such file"},
	} {
		if r := p.run("verify", "--against", c.against); r.status != c.status || !strings.Contains(r.stderr, c.stderr) {
			t.Errorf("--against %s: status %d, %s", c.against, r.status, r.stderr)
		}
	}
}

// books is an export of one organization. It has two jobs of one build, a build without a pipeline, a running machine without a job,
// and texts that would harm a terminal or a spreadsheet if they were printed unchanged.
const books = `{"type":"organization","slug":"acme","name":"Acme","id":"01994f00-0000-7000-8000-000000000001","created_at":"2026-06-01T00:00:00.000000Z"}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000001","job_id":"10000000-0000-4000-8000-000000000001","job_name":"Unit Tests","step_key":"unit","vm_handle":"vm-1","build_id":"20000000-0000-4000-8000-000000000001","build_number":7,"build_external_id":"e0000000-0000-4000-8000-000000000007","pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web App","pipeline_slug":"web-app","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:00.123456Z","finished_at":"2026-06-06T10:05:00.123456Z","duration_seconds":300,"amount_cents":-12}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000002","job_id":"10000000-0000-4000-8000-000000000002","job_name":"\u001b[31mEnd, to \"End\"","step_key":null,"vm_handle":null,"build_id":"20000000-0000-4000-8000-000000000001","build_number":7,"build_external_id":"e0000000-0000-4000-8000-000000000007","pipeline_id":"30000000-0000-4000-8000-000000000001","pipeline_name":"Web App","pipeline_slug":"web-app","cpu_count":8,"memory_gb":16,"disk_gb":80,"started_at":"2026-06-06T10:06:00.000000Z","finished_at":"2026-06-06T11:08:03.000000Z","duration_seconds":3723,"amount_cents":-625}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000003","job_id":null,"job_name":null,"step_key":null,"vm_handle":"vm-3","build_id":null,"build_number":null,"build_external_id":null,"pipeline_id":null,"pipeline_name":null,"pipeline_slug":null,"cpu_count":1,"memory_gb":2,"disk_gb":3,"started_at":"2026-06-07T00:00:00.000000Z","finished_at":null,"duration_seconds":null}
{"type":"lease","org":"acme","lease_id":"00000000-0000-4000-8000-000000000004","job_id":"10000000-0000-4000-8000-000000000004","job_name":null,"step_key":"lint","vm_handle":"vm-4","build_id":"20000000-0000-4000-8000-000000000002","build_number":null,"build_external_id":"e0000000-0000-4000-8000-000000000009","pipeline_id":null,"pipeline_name":null,"pipeline_slug":null,"cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-05T23:59:59.999999Z","finished_at":"2026-06-06T00:00:43.999999Z","duration_seconds":44,"amount_cents":0}
{"type":"entry","id":"01994f00-0000-7000-8000-000000000002","org":"acme","amount_cents":600,"source":"coupon_redemption","description":"=1+1","created_at":"2026-06-01T00:00:00.000000Z","lease_id":null}
{"type":"entry","id":"01994f00-0000-7000-8000-000000000003","org":"acme","amount_cents":0,"source":"vm_lease_debit","description":"VM lease, \u001b[31mred","created_at":"2026-06-06T00:00:43.999999Z","lease_id":"00000000-0000-4000-8000-000000000004"}
{"type":"entry","id":"01994f00-0000-7000-8000-000000000004","org":"acme","amount_cents":-12,"source":"vm_lease_debit","description":"VM lease 1","created_at":"2026-06-06T10:05:00.123456Z","lease_id":"00000000-0000-4000-8000-000000000001"}
{"type":"entry","id":"01994f00-0000-7000-8000-000000000005","org":"acme","amount_cents":-625,"source":"vm_lease_debit","description":null,"created_at":"2026-06-06T11:08:03.000000Z","lease_id":"00000000-0000-4000-8000-000000000002"}
`
