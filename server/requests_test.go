package server_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/server"
)

const (
	job   = "01990000-0000-7000-8000-0000000000b1"
	other = "01990000-0000-7000-8000-0000000000b2"
)

// leaseBody is the body of a request that records one lease; the JSON given replaces or adds keys of a good one.
func leaseBody(changes ...string) string {
	fields := map[string]string{
		"job_id": `"` + job + `"`, "cpu_count": "2", "memory_gb": "4", "disk_gb": "20",
		"started_at": `"2026-06-06T10:00:00Z"`, "finished_at": `"2026-06-06T10:05:00Z"`,
	}
	for _, change := range changes {
		key, value, _ := strings.Cut(change, ":")
		if fields[key] = value; value == "" {
			delete(fields, key)
		}
	}
	var members []string
	for _, key := range keys(fields) {
		members = append(members, `"`+key+`":`+fields[key])
	}
	return `{"leases":[{` + strings.Join(members, ",") + `}]}`
}

// An error repeats only the beginning of a value.
func TestErrorsAreShort(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	for name, change := range map[string]string{
		"a value":                       `job_id:"` + strings.Repeat(`x`, 1<<20) + `"`,
		"a value of control characters": `job_id:"` + strings.Repeat(`\u0001`, 1<<18) + `"`,
		"a key":                         strings.Repeat("é", 1<<19) + ":1",
	} {
		answer := s.send(requestOf(token, leaseBody(change)))
		if answer.status < 400 || answer.status > 499 || len(answer.body) > 2000 {
			t.Errorf("%s is answered with %d and %d bytes: %.300s", name, answer.status, len(answer.body), answer.body)
		}
	}
}

// Every value of a report comes back in the breakdown, except for the id of the lease.
func TestReportedValuesComeBack(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	sent := map[string]any{"started_at": "2026-06-06T10:00:00.000000Z", "finished_at": "2026-06-06T10:05:00.000000Z"}
	of := reflect.TypeFor[gen.Lease]()
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		switch {
		case sent[name] != nil:
		case name == "duration_seconds":
			sent[name] = float64(300)
		case strings.HasSuffix(of.Field(i).Type.String(), "UUID"):
			sent[name] = fmt.Sprintf("01990000-0000-7000-8000-%012d", i)
		case strings.HasSuffix(of.Field(i).Type.String(), "int64"):
			sent[name] = float64(i + 1)
		case strings.HasSuffix(of.Field(i).Type.String(), "Labels"):
			sent[name] = map[string]any{"a/b": "wéb", "B": "\""}
		default:
			sent[name] = "the " + name
		}
	}
	body, err := json.Marshal(map[string]any{"leases": []any{sent}})
	if err != nil {
		t.Fatal(err)
	}
	s.send(requestOf(token, string(body))).want(200, "")
	read := func(path string) map[string]any {
		var answer struct{ Data []map[string]any }
		if err := json.Unmarshal(s.send(request{path: path, token: token}).want(200, "").body, &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Data[0]
	}
	lease, build := read("/billing/leases/acme"), read("/billing/usage/acme/breakdown?from=2026-06-06&to=2026-06-07")
	job := build["jobs"].([]any)[0].(map[string]any)
	for name, value := range sent {
		if !reflect.DeepEqual(lease[name], value) {
			t.Errorf("%s is %v and comes back as %v", name, value, lease[name])
		}
		inJob, ofJob := job[name]
		inBuild, ofBuild := build[name]
		if (ofJob || ofBuild) && inJob != value && inBuild != value {
			t.Errorf("%s is %v and comes back in a breakdown as %v or %v", name, value, inJob, inBuild)
		}
	}
}

// labelPairs writes pairs of labels, with a comma after each.
func labelPairs(n int) string {
	var pairs strings.Builder
	for i := range n {
		fmt.Fprintf(&pairs, `"k%d":"v",`, i)
	}
	return pairs.String()
}

func TestRecordLeasesBodies(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	long := `"` + strings.Repeat("é", 1024) + `"`
	longer := `"` + strings.Repeat("é", 1025) + `"`
	for _, c := range []struct {
		name    string
		body    string
		code    string // empty for success
		message string
	}{
		{"no list", `{}`, "body_invalid", "leases"},
		{"null", `null`, "body_invalid", "the body must not be null"},
		{"an array", `[]`, "body_invalid", "the body"},
		{"empty list", `{"leases":[]}`, "body_invalid", "1 to 1000"},
		{"list of null", `{"leases":[null]}`, "lease_invalid", "leases[0]"},
		{"unknown key", `{"more":1,"leases":[]}`, "body_invalid", "more"},
		{"key in another case", `{"Leases":[]}`, "body_invalid", "Leases"},
		{"unknown key of a lease", leaseBody(`more:1`), "body_invalid", "leases[0].more"},
		{"key of a lease in another case", leaseBody(`CPU_COUNT:1`), "body_invalid", "leases[0].CPU_COUNT"},
		{"key of a lease twice", strings.Replace(leaseBody(), `"cpu_count":2`, `"cpu_count":2,"cpu_count":1`, 1), "body_invalid", "leases[0].cpu_count"},
		{"second lease wrong", `{"leases":[` + strings.Repeat(strings.TrimSuffix(strings.TrimPrefix(leaseBody(), `{"leases":[`), `]}`)+",", 1) + `{"cpu_count":0}]}`, "lease_invalid", "leases[1]"},
		{"no key", leaseBody(`job_id:`), "lease_invalid", "job_id or lease_id"},
		{"job_id null", leaseBody(`job_id:null`), "lease_invalid", "job_id or lease_id"},
		{"job_id no UUID", leaseBody(`job_id:"x"`), "lease_invalid", "leases[0].job_id"},
		{"job_id in braces", leaseBody(`job_id:"{` + job + `}"`), "lease_invalid", "leases[0].job_id"},
		{"job_id without dashes", leaseBody(`job_id:"` + strings.ReplaceAll(job, "-", "") + `"`), "lease_invalid", "leases[0].job_id"},
		{"job_id a number", leaseBody(`job_id:1`), "lease_invalid", "leases[0].job_id"},
		{"no cpu_count", leaseBody(`cpu_count:`), "lease_invalid", "cpu_count"},
		{"cpu_count 0", leaseBody(`cpu_count:0`), "lease_invalid", "cpu_count"},
		{"cpu_count negative", leaseBody(`cpu_count:-1`), "lease_invalid", "cpu_count"},
		{"cpu_count null", leaseBody(`cpu_count:null`), "lease_invalid", "cpu_count"},
		{"cpu_count text", leaseBody(`cpu_count:"2"`), "lease_invalid", "leases[0].cpu_count"},
		{"cpu_count fraction", leaseBody(`cpu_count:2.5`), "lease_invalid", "leases[0].cpu_count"},
		{"cpu_count beyond 64 bits", leaseBody(`cpu_count:9223372036854775808`), "lease_invalid", "leases[0].cpu_count"},
		{"cpu_count huge", leaseBody(`cpu_count:9223372036854775807`), "lease_invalid", "cpu_count"},
		{"memory_gb 0", leaseBody(`memory_gb:0`), "lease_invalid", "memory_gb"},
		{"disk_gb 0", leaseBody(`disk_gb:0`), "lease_invalid", "disk_gb"},
		{"no started_at", leaseBody(`started_at:`), "lease_invalid", "started_at"},
		{"started_at null", leaseBody(`started_at:null`), "lease_invalid", "started_at"},
		{"started_at unreadable", leaseBody(`started_at:"yesterday"`), "lease_invalid", "leases[0].started_at"},
		{"started_at before 1970", leaseBody(`started_at:"1969-12-31T23:59:59Z"`), "lease_invalid", "1970"},
		{"finished before started", leaseBody(`finished_at:"2026-06-06T09:59:59.999999Z"`), "lease_invalid", "finished_at"},
		{"labels", leaseBody(`job_id:`, `lease_id:"01990000-0000-7000-8000-0000000000ab"`, `labels:{"gpu":"l4","a/b.c_d-1":"wéb"}`), "", ""},
		{"labels null", leaseBody(`job_id:`, `lease_id:"01990000-0000-7000-8000-0000000000ab"`, `labels:null`), "", ""},
		{"no labels", leaseBody(`job_id:`, `lease_id:"01990000-0000-7000-8000-0000000000ab"`, `labels:{}`), "", ""},
		{"other labels", leaseBody(`job_id:`, `lease_id:"01990000-0000-7000-8000-0000000000ab"`, `labels:{"gpu":"l4"}`), "lease_conflict", "labels"},
		{"labels a list", leaseBody(`labels:[]`), "lease_invalid", "leases[0].labels: must not be an array"},
		{"a label's key without a letter", leaseBody(`labels:{"-k":"v"}`), "lease_invalid", "leases[0].labels.-k: the key must match"},
		{"a label's key too long", leaseBody(`labels:{"` + strings.Repeat("k", 64) + `":"v"}`), "lease_invalid", "the key must have at most 63 characters"},
		{"a label without a value", leaseBody(`labels:{"a/b":""}`), "lease_invalid", "leases[0].labels.a/b: must have 1 to 255 characters"},
		{"a label's value a number", leaseBody(`labels:{"k":1}`), "lease_invalid", "leases[0].labels.k: must not be a number"},
		{"a label twice", leaseBody(`labels:{"k":"v","k":"v"}`), "body_invalid", "leases[0].labels.k: comes twice"},
		{"too many labels", leaseBody(`labels:{` + strings.TrimSuffix(labelPairs(17), ",") + `}`), "lease_invalid", "leases[0].labels: must have at most 16 keys"},
		{"duration while running", leaseBody(`finished_at:`, `duration_seconds:1`), "lease_invalid", "duration_seconds"},
		{"duration negative", leaseBody(`duration_seconds:-1`), "lease_invalid", "duration_seconds"},
		{"duration huge", leaseBody(`duration_seconds:9223372036854775807`), "lease_invalid", "duration_seconds"},
		{"text too long", leaseBody(`job_name:` + longer), "lease_invalid", "job_name"},

		{"text as long as may be", leaseBody(`job_name:` + long), "", ""},
		{"the same again", leaseBody(`job_name:` + long), "", ""},
		{"the same, without what is known", leaseBody(), "", ""},
		{"other contents", leaseBody(`job_name:"other"`), "lease_conflict", "leases[0]"},
		{"too many", `{"leases":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "lease_invalid", "leases[0]"},
		{"cpu_count too large", leaseBody(`cpu_count:10001`), "lease_invalid", "leases[0]: cpu_count must be 1 to 10000"},
		// The message has the maximum of a new lease.
		{"cpu_count beyond what was ever recorded", leaseBody(`cpu_count:1000000001`), "lease_invalid", "leases[0].cpu_count: must be 1 to 10000\n"},
		{"cpu_count too small", leaseBody(`cpu_count:0`), "lease_invalid", "leases[0].cpu_count: must be 1 to 10000\n"},
		{"memory_gb too large", leaseBody(`memory_gb:100001`), "lease_invalid", "memory_gb"},
		{"disk_gb too large", leaseBody(`disk_gb:10000001`), "lease_invalid", "disk_gb"},
		{"duration in milliseconds", leaseBody(`duration_seconds:300000`), "lease_invalid", "duration_seconds"},
		{"duration of a second more", leaseBody(`duration_seconds:301`), "lease_invalid", "duration_seconds"},
		{"started tomorrow", leaseBody(`started_at:"`+time.Now().Add(24*time.Hour).Format(time.RFC3339)+`"`, `finished_at:`), "lease_invalid", "started_at"},
		{"finishes tomorrow", leaseBody(`finished_at:"` + time.Now().Add(24*time.Hour).Format(time.RFC3339) + `"`), "lease_invalid", "finished_at"},
		{"build_external_id no UUID", leaseBody(`build_external_id:"gh-1"`), "lease_invalid", "leases[0].build_external_id"},
		{"job_id in upper case", leaseBody(`job_id:"`+strings.ToUpper(other)+`"`, `job_name:null`), "", ""},
		{"the same in lower case, with another offset", leaseBody(`job_id:"`+other+`"`, `started_at:"2026-06-06T12:00:00.000000999+02:00"`, `duration_seconds:300`), "", ""},
		{"a bare date", leaseBody(`job_id:`, `lease_id:"01990000-0000-7000-8000-0000000000a9"`, `started_at:"2026-06-06"`), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := *s
			s.t = t
			r := s.send(request{method: "POST", path: "/billing/leases/acme", token: token, body: c.body})
			switch c.code {
			case "":
				r.want(200, "")
			case "lease_conflict":
				r.want(409, c.code)
			default:
				r.want(422, c.code)
			}
			if message := r.envelope().Error.Message; !strings.Contains(message+"\n", c.message) {
				t.Errorf("the message is %q, want it to name %q", message, c.message)
			}
		})
	}
	if all := s.ledger(token, "acme"); len(all) != 4 {
		t.Errorf("the ledger has %d entries, want those of the four leases", len(all))
	}
}

func TestRecordLeases(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	type result struct {
		LeaseID     string `json:"lease_id"`
		Status      string `json:"status"`
		AmountCents int64  `json:"amount_cents"`
	}
	record := func(body string) []result {
		t.Helper()
		var answer struct{ Data []result }
		s.send(request{method: "POST", path: "/billing/leases/acme", token: token, body: body}).want(200, "").into(&answer)
		return answer.Data
	}
	running := leaseBody(`finished_at:`)
	first := record(running)[0]
	if first.Status != "running" || first.AmountCents != 0 {
		t.Errorf("a running lease is answered with %+v", first)
	}
	if again := record(running)[0]; again != (result{first.LeaseID, "duplicate", 0}) {
		t.Errorf("the same again is answered with %+v", again)
	}
	if billed := record(leaseBody())[0]; billed != (result{first.LeaseID, "billed", -12}) {
		t.Errorf("the finished lease is answered with %+v", billed)
	}
	if again := record(leaseBody())[0]; again != (result{first.LeaseID, "duplicate", -12}) {
		t.Errorf("the same again is answered with %+v", again)
	}
	if again := record(running)[0]; again != (result{first.LeaseID, "duplicate", -12}) {
		t.Errorf("the start, sent again, is answered with %+v", again)
	}
	if got := s.balance(token, "acme"); got != -12 {
		t.Errorf("the balance is %d", got)
	}

	// All or nothing: the second of these is refused, so the first is not recorded either.
	mixed := `{"leases":[{"job_id":"` + other + `","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06","finished_at":"2026-06-07"},` +
		strings.TrimPrefix(leaseBody(`disk_gb:21`), `{"leases":[`)
	s.send(request{method: "POST", path: "/billing/leases/acme", token: token, body: mixed}).want(409, "lease_conflict")
	if got := s.balance(token, "acme"); got != -12 {
		t.Errorf("a refused request changed the balance to %d", got)
	}

	// The contract's examples of cost, one lease for each.
	for i, c := range []struct{ seconds, amount int64 }{{23, 0}, {24, -1}, {300, -12}, {3600, -151}} {
		id := fmt.Sprintf("01990000-0000-7000-8000-0000000001%02d", i)
		got := record(leaseBody(`job_id:"`+id+`"`, `finished_at:"2026-06-06T11:00:00Z"`, fmt.Sprintf("duration_seconds:%d", c.seconds)))[0]
		if got.AmountCents != c.amount || got.Status != "billed" {
			t.Errorf("%d seconds are answered with %+v", c.seconds, got)
		}
	}

	// As many as one request takes, and one more.
	var many []string
	for i := range 1001 {
		one := leaseBody(fmt.Sprintf(`job_id:"01990000-0000-7000-8000-00000001%04d"`, i))
		many = append(many, strings.TrimSuffix(strings.TrimPrefix(one, `{"leases":[`), `]}`))
	}
	s.send(request{method: "POST", path: "/billing/leases/acme", token: token, body: `{"leases":[` + strings.Join(many, ",") + `]}`}).want(422, "body_invalid")
	if got := record(`{"leases":[` + strings.Join(many[:1000], ",") + `]}`); len(got) != 1000 || got[999].Status != "billed" {
		t.Errorf("%d leases were answered", len(got))
	}
	if all := s.ledger(token, "acme"); len(all) != 1005 {
		t.Errorf("the ledger has %d entries", len(all))
	}
}

func TestPostCreditBodies(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleAdmin)
	const good = `{"amount_cents":5,"source":"admin_grant","description":null}`
	for _, c := range []struct {
		name    string
		key     string
		body    string
		status  int
		code    string
		message string
	}{
		{"amount in two cases", "k", `{"amount_cents":5,"AMOUNT_CENTS":-100,"source":"admin_grant"}`, 422, "body_invalid", "AMOUNT_CENTS"},
		{"amount twice", "k", `{"amount_cents":5,"amount_cents":6,"source":"admin_grant"}`, 422, "body_invalid", "amount_cents"},
		{"no amount", "k", `{"source":"admin_grant"}`, 422, "amount_invalid", "amount_cents"},
		{"amount null", "k", `{"amount_cents":null,"source":"admin_grant"}`, 422, "amount_invalid", "amount_cents"},
		{"amount negative", "k", `{"amount_cents":-5,"source":"admin_grant"}`, 422, "amount_invalid", "amount_cents"},
		{"amount too large", "k", `{"amount_cents":1000000001,"source":"admin_grant"}`, 422, "amount_invalid", "amount_cents"},
		{"amount text", "k", `{"amount_cents":"5","source":"admin_grant"}`, 422, "amount_invalid", "amount_cents"},
		{"amount fraction", "k", `{"amount_cents":5.5,"source":"admin_grant"}`, 422, "amount_invalid", "amount_cents"},
		{"amount in exponent form", "k", `{"amount_cents":5e0,"source":"admin_grant"}`, 422, "amount_invalid", "amount_cents"},
		{"no source", "k", `{"amount_cents":5}`, 422, "body_invalid", "source"},
		{"source of a debit", "k", `{"amount_cents":5,"source":"vm_lease_debit"}`, 422, "body_invalid", "source"},
		{"source of another way", "k", `{"amount_cents":5,"source":"stripe_topup"}`, 422, "body_invalid", "source"},
		{"source a number", "k", `{"amount_cents":5,"source":1}`, 422, "body_invalid", "source"},
		{"description a number", "k", `{"amount_cents":5,"source":"refund","description":1}`, 422, "body_invalid", "description"},
		{"description too long", "k", `{"amount_cents":5,"source":"refund","description":"` + strings.Repeat("x", 1025) + `"}`, 422, "body_invalid", "description"},
		{"no key", "", good, 422, "body_invalid", "Idempotency-Key"},
		{"key too long", strings.Repeat("k", 256), good, 422, "body_invalid", "Idempotency-Key: must have 1 to 255 characters"},
		{"smallest", "smallest", `{"amount_cents":1,"source":"refund"}`, 201, "", ""},
		{"largest, with the longest key", strings.Repeat("k", 255), `{"amount_cents":1000000000,"source":"refund"}`, 201, "", ""},
		{"a backslash and a u0000 are no NUL", "nul", `{"amount_cents":1,"source":"refund","description":"\\u0000"}`, 201, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := *s
			s.t = t
			r := s.send(request{method: "POST", path: "/billing/credits/acme", token: token, body: c.body, header: map[string]string{"Idempotency-Key": c.key}})
			r.want(c.status, c.code)
			if message := r.envelope().Error.Message; !strings.Contains(message, c.message) {
				t.Errorf("the message is %q, want it to name %q", message, c.message)
			}
		})
	}
	if got := s.balance(token, "acme"); got != 1_000_000_002 {
		t.Errorf("the balance is %d", got)
	}
}

func TestIdempotency(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleAdmin)
	s.withOrg("globex", server.RoleRead)
	both := s.token(server.RoleAdmin, "acme", "globex")
	post := func(org, key, body string) response {
		return s.send(request{method: "POST", path: "/billing/credits/" + org, token: both, body: body, header: map[string]string{"Idempotency-Key": key}})
	}
	first := post("acme", "key", `{"amount_cents":5,"source":"refund"}`).want(201, "")
	again := post("acme", "key", `{ "description":null, "source":"refund", "amount_cents":5 }`).want(201, "")
	if string(first.body) != string(again.body) || first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %v %s\nthen %v %s", first.header, first.body, again.header, again.body)
	}
	for _, body := range []string{
		`{"amount_cents":6,"source":"refund"}`, `{"amount_cents":5,"source":"admin_grant"}`, `{"amount_cents":5,"source":"refund","description":""}`,
	} {
		post("acme", "key", body).want(409, "idempotency_key_reused")
	}
	post("acme", "KEY", `{"amount_cents":5,"source":"refund"}`).want(201, "")
	post("globex", "key", `{"amount_cents":7,"source":"refund"}`).want(201, "") // a key is the organization's own
	if a, b := s.balance(token, "acme"), s.balance(both, "globex"); a != 10 || b != 7 {
		t.Errorf("the balances are %d and %d", a, b)
	}
}

func TestWindows(t *testing.T) {
	s := start(t, server.Config{})
	s.importText(books)
	token := s.token(server.RoleRead, "acme")
	const all = "from=2026-06-06&to=2026-06-08"
	for query, code := range map[string]string{
		"":                              "billing_usage_window_invalid",
		"from=2026-06-06":               "billing_usage_window_invalid",
		"to=2026-06-06":                 "billing_usage_window_invalid",
		"from=&to=":                     "billing_usage_window_invalid",
		"from=2026-06-06&to=2026-06-06": "billing_usage_window_invalid",
		"from=2026-06-07&to=2026-06-06": "billing_usage_window_invalid",
		"from=2026-06-06&from=2026-06-07&to=2026-06-08":             "billing_usage_window_invalid",
		"from=1780000000&to=1790000000":                             "billing_usage_window_invalid",
		"from=2026-06-06T10:00&to=2026-06-08":                       "billing_usage_window_invalid",
		"from=2026-06-06T10:00:00&to=2026-06-08":                    "billing_usage_window_invalid",
		"from=2026-06-06%2010:00:00Z&to=2026-06-08":                 "billing_usage_window_invalid",
		"from=2026-06-06T10:00:00+02:00&to=2026-06-08":              "billing_usage_window_invalid", // a + is a space
		"from=2026-06-06T10:00:00.1234567890Z&to=2026-06-08":        "billing_usage_window_invalid",
		"from=2026-02-30&to=2026-06-08":                             "billing_usage_window_invalid",
		"from=2016-06-06&to=2026-06-14T00:00:00.000001Z":            "billing_usage_window_invalid", // 3 660 days and a little more
		"from=2016-06-06&to=2026-06-14":                             "",
		all + "&more=1&FROM=x":                                      "",
		"from=2026-06-06T10:00:00.000Z&to=2026-06-08T00:00:00.000Z": "", // as a browser writes it
		"from=2026-06-06T12:00:00%2B02:00&to=2026-06-08":            "",
		"from=2026-06-06t12:00:00.123456789%2b02:00&to=2026-06-08":  "",
		"from=0001-01-01&to=0001-01-02":                             "",
		"from=9999-12-31&to=9999-12-31T23:59:59.999999999Z":         "",
		"from=9999-12-31&to=9999-12-31T23:59:59.999999999-00:01":    "billing_usage_window_invalid",
		"from=0001-01-01T00:00:00%2B00:01&to=0001-01-02":            "billing_usage_window_invalid",
		"from=2026-06-06T24:00:00Z&to=2026-06-08":                   "billing_usage_window_invalid",
		"from=2026-06-06T10:00:00%2B24:00&to=2026-06-08":            "billing_usage_window_invalid",
		"from=2026-06-06T10:00:00,5Z&to=2026-06-08":                 "billing_usage_window_invalid",
		"from=2026-06-06T10:00:00Z%0A&to=2026-06-08":                "billing_usage_window_invalid",
		"from=%EF%BC%92026-06-06&to=2026-06-08":                     "billing_usage_window_invalid",
	} {
		for _, call := range []string{"/billing/usage/acme", "/billing/usage/acme/series", "/billing/usage/acme/breakdown"} {
			if r := s.send(request{path: call + "?" + query, token: token}); r.code() != code {
				t.Errorf("%s?%s is answered with %d %.200s, want %q", call, query, r.status, r.body, code)
			}
		}
	}
	if message := s.send(request{path: "/billing/usage/acme?from=2026-06-06T10:00:00+02:00&to=2026-06-08", token: token}).envelope().Error.Message; !strings.Contains(message, "%2B") {
		t.Errorf("nobody learns from %q that a + must be escaped", message)
	}
	// The window is half-open: a lease that starts at its end is outside.
	for query, cents := range map[string]int{
		"from=2026-06-06T10:00:00Z&to=2026-06-06T10:00:00.000001Z":        12,
		"from=2026-06-06T09:00:00Z&to=2026-06-06T10:00:00Z":               0,
		"from=2026-06-06T10:00:00.000001Z&to=2026-06-07T00:00:00Z":        0,
		"from=2026-06-06T11:59:59%2B02:00&to=2026-06-06T12:00:01%2B02:00": 12,
	} {
		var usage struct {
			TotalCents int `json:"total_cents"`
		}
		s.send(request{path: "/billing/usage/acme?" + query, token: token}).want(200, "").into(&usage)
		if usage.TotalCents != cents {
			t.Errorf("%s sums to %d, want %d", query, usage.TotalCents, cents)
		}
	}
}

func TestPages(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleAdmin)
	s.withOrg("globex", server.RoleRead)
	both := s.token(server.RoleRead, "acme", "globex")
	credit := func(i int) {
		s.send(request{method: "POST", path: "/billing/credits/acme", token: token, body: fmt.Sprintf(`{"amount_cents":%d,"source":"refund"}`, i+1), header: map[string]string{"Idempotency-Key": fmt.Sprint(i)}}).want(201, "")
	}
	type page struct {
		Data       []transaction
		NextCursor *string `json:"next_cursor"`
	}
	get := func(query string) (p page) {
		t.Helper()
		s.send(request{path: "/billing/transactions/acme" + query, token: token}).want(200, "").into(&p)
		return p
	}
	if p := get(""); len(p.Data) != 0 || p.NextCursor != nil {
		t.Errorf("an empty ledger is answered with %+v", p)
	}
	for i := range 120 {
		credit(i)
	}
	for query, size := range map[string]int{
		"": 50, "?limit=1": 1, "?limit=100": 100, "?limit=101": 100, "?limit=0": 1, "?limit=-5": 1,
		"?limit=99999999999999999999999": 100, "?limit=-99999999999999999999999": 1, "?LIMIT=3": 50, "?limit=%2B7": 7,
	} {
		if p := get(query); len(p.Data) != size || p.NextCursor == nil {
			t.Errorf("%q gives %d entries", query, len(p.Data))
		}
	}
	for _, limit := range []string{"", "x", "1.0", "1e1", "0x10", "1_0", " 5", "5;", "null"} {
		s.send(request{path: "/billing/transactions/acme?limit=" + strings.ReplaceAll(strings.ReplaceAll(limit, " ", "%20"), ";", "%3B"), token: token}).want(422, "limit_invalid")
	}
	s.send(request{path: "/billing/transactions/acme?limit=1&limit=2", token: token}).want(422, "limit_invalid")

	// A page that is just full is the last one.
	first := get("?limit=60")
	second := get("?limit=60&cursor=" + *first.NextCursor)
	if len(second.Data) != 60 || second.NextCursor != nil {
		t.Errorf("the last page has %d entries and the cursor %v", len(second.Data), second.NextCursor)
	}
	// New entries do not disturb a walk.
	before := s.ledger(token, "acme")
	var walked []transaction
	cursor := ""
	for i := 120; ; i++ {
		p := get("?limit=7" + cursor)
		walked = append(walked, p.Data...)
		if p.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *p.NextCursor
		credit(i)
	}
	if !slices.Equal(ids(walked), ids(before)) {
		t.Errorf("a walk while entries were appended gave\n%v\nwant\n%v", ids(walked), ids(before))
	}
	slices.Reverse(walked)
	if !slices.IsSortedFunc(walked, func(a, b transaction) int { return strings.Compare(a.CreatedAt, b.CreatedAt) }) {
		t.Error("created_at goes back")
	}

	good := *first.NextCursor
	for _, bad := range []string{"x", "", good + "A", good[:len(good)-1], good[1:], strings.ToUpper(good), "%25", "%00x"[3:] + "="} {
		if bad == good { // it may have no lower-case letter
			continue
		}
		s.send(request{path: "/billing/transactions/acme?cursor=" + bad, token: token}).want(422, "cursor_invalid")
	}
	s.send(request{path: "/billing/transactions/globex?cursor=" + good, token: both}).want(422, "cursor_invalid")
	s.send(request{path: "/organizations?cursor=" + good, token: both}).want(422, "cursor_invalid")
}

func ids(transactions []transaction) (ids []string) {
	for _, t := range transactions {
		ids = append(ids, t.ID)
	}
	return ids
}

func TestOrganizations(t *testing.T) {
	s := start(t, server.Config{})
	var slugs []string
	for i := range 5 {
		slugs = append(slugs, fmt.Sprintf("org-%d", i))
		s.withOrg(slugs[i], server.RoleRead)
	}
	s.withOrg("hidden", server.RoleRead)
	token := s.token(server.RoleRead, slugs...)
	var seen []string
	cursor := ""
	for {
		var page struct {
			Data       []struct{ Slug, Name string }
			NextCursor *string `json:"next_cursor"`
		}
		s.send(request{path: "/organizations?limit=2" + cursor, token: token}).want(200, "").into(&page)
		for _, org := range page.Data {
			seen = append(seen, org.Slug)
		}
		if page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *page.NextCursor
	}
	if !slices.Equal(seen, slugs) {
		t.Errorf("the token sees %v, want %v", seen, slugs)
	}
	s.send(request{path: "/organizations"}).want(401, "unauthorized")
}

func TestSlashes(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	const window = "?from=2026-06-06&to=2026-06-07"
	for _, path := range []string{
		"/billing/balance/acme/", "//billing/balance/acme", "/billing/balance/acme//", "//billing///balance////acme//",
		"/billing/balance/%61cme/", "/billing//transactions/acme/?limit=1", "/billing/usage/acme/series/" + window, "/billing/usage/acme//breakdown" + window, "/organizations/",
	} {
		// The harness takes a path after two slashes as it is.
		s.send(request{path: "//api/v0" + path, token: token}).want(200, "")
		s.send(request{path: "///api//v0" + path, token: token}).want(200, "")
		s.send(request{method: "HEAD", path: "//api/v0" + path, token: token}).want(200, "")
		s.send(request{path: "//api/v0" + path}).want(401, "unauthorized")
	}
	s.send(request{method: "POST", path: "/billing/leases//acme/", token: token, body: leaseBody()}).want(200, "")
	// A slash that is escaped is not one that stands twice, and no slug has one.
	for _, path := range []string{"/billing/balance/acme%2F", "/billing/balance/%2Facme"} {
		s.send(request{path: path, token: token}).want(404, "organization_not_found")
	}
	for _, path := range []string{"/billing/balance%2Facme", "/billing/balance/acme/%2F", "/billing/balance/", "/"} {
		s.send(request{path: path, token: token}).want(404, "route_not_found")
	}
}

// The headers for caches and browsers of every answer.
func TestAnswerHeaders(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleRead)
	for _, c := range []struct {
		method, path, token string
		status              int
		private             bool
	}{
		{"GET", "/billing/balance/acme", token, 200, true},
		{"HEAD", "/billing/balance/acme", token, 200, true},
		{"GET", "//api//v0/billing/balance/acme/", token, 200, true},
		{"GET", "/billing/usage/acme/breakdown?from=2026-06-06&to=2026-06-07", token, 200, true},
		{"GET", "/billing/balance/none", token, 404, true},
		{"GET", "/billing/balance/acme?x=%zz", token, 400, true},
		{"GET", "/nothing", token, 404, true},
		{"POST", "/billing/balance/acme", token, 405, true},
		{"GET", "/billing/balance/acme", "hmt_unknown", 401, true},
		{"OPTIONS", "/billing/balance/acme", token, 204, true},
		{"GET", "//docs", token, 200, false},
		{"GET", "//openapi.json", "", 200, false},
		{"GET", "//healthz", "", 200, false},
	} {
		for _, encoding := range []string{"", "identity", "gzip"} {
			header := s.send(request{method: c.method, path: c.path, token: c.token, header: map[string]string{"Accept-Encoding": encoding}}).want(c.status, "").header
			if got := header.Values("Cache-Control"); c.private != (len(got) == 1 && got[0] == "private, max-age=0, must-revalidate") {
				t.Errorf("%s %s: Cache-Control: %q", c.method, c.path, got)
			}
			if got := header.Get("X-Content-Type-Options"); c.private && got != "nosniff" {
				t.Errorf("%s %s: X-Content-Type-Options: %q", c.method, c.path, got)
			}
			if got := header.Values("Vary"); len(got) != 1 || got[0] != "Accept-Encoding" {
				t.Errorf("%s %s, asked for as %q: Vary: %q", c.method, c.path, encoding, got)
			}
		}
	}
}
