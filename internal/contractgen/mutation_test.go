package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// These tests change a copy of the contract, generate the code, build the real program, and send it a request that the change affects.
// The program of the contract and that of the copy must answer differently. So no rule of the document can also be written by hand,
// where it would override the document.

// root is the folder of the module.
const root = "../.."

// mutation is one change of the contract.
type mutation struct {
	name   string
	change func(doc *yaml.Node)
	// The program of the contract answers request with want. The program of the changed contract answers it with changed.
	request       apiRequest
	want, changed answer
}

// apiRequest is a request to a server.
type apiRequest struct {
	method, path, key string
	body              string
	reader            bool // asked with a token of the role read
}

// answer has the parts of an answer that are compared: the status, the error code, and the number of items of a list.
type answer struct {
	status int
	code   string
	items  int
}

func (a answer) String() string { return fmt.Sprintf("%d %s, %d items", a.status, a.code, a.items) }

// nodeAt finds a node by its path.
func nodeAt(doc *yaml.Node, path ...string) *yaml.Node {
	node := doc
	if node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	for _, key := range path {
		var next *yaml.Node
		for name, value := range pairs(node) {
			if name == key {
				next = value
			}
		}
		if node.Kind == yaml.SequenceNode { // of parameters, by name
			for _, item := range node.Content {
				if name := nodeAt(item, "name"); name != nil && name.Value == key {
					next = item
				}
			}
		}
		if next == nil {
			return nil
		}
		node = next
	}
	return node
}

// setScalar changes a scalar.
func setScalar(value string, path ...string) func(*yaml.Node) {
	return func(doc *yaml.Node) {
		node := nodeAt(doc, path...)
		node.Value = value
		node.Tag, node.Style = "", 0
	}
}

// removeKey removes a key.
func removeKey(key string, path ...string) func(*yaml.Node) {
	return func(doc *yaml.Node) {
		node := nodeAt(doc, path...)
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				node.Content = slices.Delete(node.Content, i, i+2)
				return
			}
		}
		panic(fmt.Sprintf("%v has no %s", path, key))
	}
}

// toggleItem adds a value to a list, or removes it if the list has it.
func toggleItem(value string, path ...string) func(*yaml.Node) {
	return func(doc *yaml.Node) {
		node := nodeAt(doc, path...)
		for i, item := range node.Content {
			if item.Value == value {
				node.Content = slices.Delete(node.Content, i, i+1)
				return
			}
		}
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: value})
	}
}

const (
	leasesPath  = "/api/v0/billing/leases/{org}"
	creditsPath = "/api/v0/billing/credits/{org}"
	listPath    = "/api/v0/billing/transactions/{org}"
	usagePath   = "/api/v0/billing/usage/{org}"
	jobID       = "01990000-0000-7000-8000-%012d"
)

// lease is a good lease of a job, with some of its members changed.
func lease(job int, changes map[string]any) map[string]any {
	l := map[string]any{
		"job_id": fmt.Sprintf(jobID, job), "cpu_count": 2, "memory_gb": 2, "disk_gb": 2,
		"started_at": "2020-01-01T00:00:00Z", "finished_at": "2020-01-01T00:05:00Z",
	}
	maps.Copy(l, changes)
	return l
}

func record(leases ...map[string]any) apiRequest {
	body, err := json.Marshal(map[string]any{"leases": leases})
	if err != nil {
		panic(err)
	}
	return apiRequest{method: http.MethodPost, path: leasesPath, body: string(body)}
}

// inFiveMinutes stands in a body for the time five minutes after it is sent: minutes pass until the last program is built.
const inFiveMinutes = "{in five minutes}"

func credit(key string, body map[string]any) apiRequest {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return apiRequest{method: http.MethodPost, path: creditsPath, key: key, body: string(text)}
}

func get(path string) apiRequest {
	return apiRequest{method: http.MethodGet, path: path, reader: true}
}

var (
	leaseRecorded = answer{status: 200, items: 1}
	creditCreated = answer{status: 201}
	okAnswer      = answer{status: 200}
)

func refused(code string) answer { return answer{status: 422, code: code} }

// mutations are changes of all rules for requests. Every request has its own job or key, so that one server can answer all of them.
func mutations(doc *yaml.Node) (all []mutation) {
	job := 0
	add := func(m mutation) { all = append(all, m) }
	schema := func(path ...string) []string { return append([]string{"components", "schemas"}, path...) }
	property := func(path ...string) []string { return append(schema("Lease", "properties"), path...) }

	for _, name := range []string{"cpu_count", "memory_gb", "disk_gb", "duration_seconds"} {
		maximum := nodeAt(doc, property(name, "maximum")...).Value
		values := map[string]any{name: json.Number(maximum)}
		if name == "duration_seconds" {
			values["started_at"], values["finished_at"] = "2020-01-01T00:00:00Z", "2021-01-02T00:00:00Z"
		}
		job++
		add(mutation{"maximum of " + name, setScalar(decremented(maximum), property(name, "maximum")...), record(lease(job, values)), leaseRecorded, refused("lease_invalid")})
		minimum := nodeAt(doc, property(name, "minimum")...).Value
		job++
		add(mutation{"minimum of " + name, setScalar(incremented(minimum), property(name, "minimum")...), record(lease(job, map[string]any{name: json.Number(minimum)})), leaseRecorded, refused("lease_invalid")})
	}
	for _, name := range []string{"job_name", "step_key", "vm_handle", "pipeline_name", "pipeline_slug", "author"} {
		longest := nodeAt(doc, property(name, "maxLength")...).Value
		job++
		add(mutation{"maxLength of " + name, setScalar(decremented(longest), property(name, "maxLength")...), record(lease(job, map[string]any{name: strings.Repeat("é", number(longest))})), leaseRecorded, refused("lease_invalid")})
	}
	labelled := func(key, value string) apiRequest {
		job++
		return record(lease(job, map[string]any{"labels": map[string]string{key: value}}))
	}
	labels := func(path ...string) []string { return append(schema("Labels"), path...) }
	longestKey := nodeAt(doc, labels("x-key-max-length")...).Value
	add(mutation{"x-key-max-length of labels", setScalar(decremented(longestKey), labels("x-key-max-length")...), labelled(strings.Repeat("g", number(longestKey)), "v"), leaseRecorded, refused("lease_invalid")})
	add(mutation{"x-key-pattern of labels", setScalar("^g", labels("x-key-pattern")...), labelled("team", "v"), leaseRecorded, refused("lease_invalid")})
	longestValue := nodeAt(doc, labels("additionalProperties", "maxLength")...).Value
	add(mutation{"maxLength of labels", setScalar(decremented(longestValue), labels("additionalProperties", "maxLength")...), labelled("gpu", strings.Repeat("é", number(longestValue))), leaseRecorded, refused("lease_invalid")})
	add(mutation{"minLength of labels", setScalar("2", labels("additionalProperties", "minLength")...), labelled("gpu", "v"), leaseRecorded, refused("lease_invalid")})
	add(mutation{"maxProperties of labels", setScalar("0", labels("maxProperties")...), labelled("gpu", "l4"), leaseRecorded, refused("lease_invalid")})
	for _, name := range []string{"job_id", "job_name", "build_number", "finished_at"} {
		job++
		without := lease(job, nil)
		delete(without, name)
		without["lease_id"] = fmt.Sprintf(jobID, 1_000_000+job)
		add(mutation{"required " + name, toggleItem(name, schema("Lease", "required")...), record(without), leaseRecorded, refused("lease_invalid")})
	}
	job++
	add(mutation{"nullable of step_key", removeKey("nullable", property("step_key")...), record(lease(job, map[string]any{"step_key": nil})), leaseRecorded, refused("lease_invalid")})
	job++
	add(mutation{"pattern of vm_handle", func(doc *yaml.Node) {
		node := nodeAt(doc, property("vm_handle")...)
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "pattern"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "^vm-"})
	}, record(lease(job, map[string]any{"vm_handle": "other"})), leaseRecorded, refused("lease_invalid")})
	job++
	add(mutation{"error code of a lease", setScalar("amount_invalid", schema("Lease", "x-error-code")...), record(lease(job, map[string]any{"cpu_count": 0})), refused("lease_invalid"), refused("amount_invalid")})
	job++
	add(mutation{"additionalProperties of a lease", removeKey("additionalProperties", schema("Lease")...), record(lease(job, map[string]any{"color": "red"})), refused("body_invalid"), leaseRecorded})
	add(mutation{"additionalProperties of leases", removeKey("additionalProperties", schema("RecordLeasesRequest")...), apiRequest{method: http.MethodPost, path: leasesPath,
		body: `{"color":"red","leases":[` + text(lease(900, nil)) + `]}`}, refused("body_invalid"), leaseRecorded})
	job++
	add(mutation{"minItems of leases", setScalar("2", schema("RecordLeasesRequest", "properties", "leases", "minItems")...), record(lease(job, nil)), leaseRecorded, refused("body_invalid")})
	many := number(nodeAt(doc, schema("RecordLeasesRequest", "properties", "leases", "maxItems")...).Value)
	full := make([]map[string]any, many)
	for i := range full {
		full[i] = lease(10_000+i, nil)
	}
	add(mutation{"maxItems of leases", setScalar(decremented(fmt.Sprint(many)), schema("RecordLeasesRequest", "properties", "leases", "maxItems")...), record(full...), answer{status: 200, items: many}, refused("body_invalid")})
	job++
	add(mutation{"bytes of a body of leases", setScalar("70000", "paths", leasesPath, "post", "requestBody", "x-max-body-bytes"),
		apiRequest{method: http.MethodPost, path: leasesPath, body: `{"leases":[` + text(lease(job, nil)) + strings.Repeat(" ", 80_000) + `]}`}, leaseRecorded, answer{status: 413, code: "body_too_large"}})
	job++
	add(mutation{"role of recordLeases", setScalar("admin", "paths", leasesPath, "post", "x-required-role"), record(lease(job, nil)), leaseRecorded, answer{status: 403, code: "forbidden"}})

	amount := func(key string) []string { return schema("PostCreditRequest", "properties", "amount_cents", key) }
	largest := nodeAt(doc, amount("maximum")...).Value
	add(mutation{"maximum of amount_cents", setScalar(decremented(largest), amount("maximum")...), credit("max", map[string]any{"amount_cents": json.Number(largest), "source": "refund"}), creditCreated, refused("amount_invalid")})
	add(mutation{"minimum of amount_cents", setScalar("2", amount("minimum")...), credit("min", map[string]any{"amount_cents": 1, "source": "refund"}), creditCreated, refused("amount_invalid")})
	add(mutation{"error code of amount_cents", setScalar("body_invalid", amount("x-error-code")...), credit("code", map[string]any{"amount_cents": 0, "source": "refund"}), refused("amount_invalid"), refused("body_invalid")})
	add(mutation{"required description", toggleItem("description", schema("PostCreditRequest", "required")...), credit("required", map[string]any{"amount_cents": 5, "source": "refund"}), creditCreated, refused("body_invalid")})
	add(mutation{"maxLength of description", setScalar("1023", schema("PostCreditRequest", "properties", "description", "maxLength")...), credit("long", map[string]any{"amount_cents": 5, "source": "refund", "description": strings.Repeat("d", 1024)}), creditCreated, refused("body_invalid")})
	add(mutation{"additionalProperties of a credit", removeKey("additionalProperties", schema("PostCreditRequest")...), credit("more", map[string]any{"amount_cents": 5, "source": "refund", "color": "red"}), refused("body_invalid"), creditCreated})
	add(mutation{"sources of a credit", toggleItem("refund", schema("CreditSource", "enum")...), credit("source", map[string]any{"amount_cents": 5, "source": "refund"}), creditCreated, refused("body_invalid")})
	add(mutation{"maxLength of Idempotency-Key", setScalar("254", "paths", creditsPath, "post", "parameters", "Idempotency-Key", "schema", "maxLength"), credit(strings.Repeat("k", 255), map[string]any{"amount_cents": 5, "source": "refund"}), creditCreated, refused("body_invalid")})
	add(mutation{"minLength of Idempotency-Key", setScalar("2", "paths", creditsPath, "post", "parameters", "Idempotency-Key", "schema", "minLength"), credit("k", map[string]any{"amount_cents": 5, "source": "refund"}), creditCreated, refused("body_invalid")})
	add(mutation{"role of postCredit", setScalar("write", "paths", creditsPath, "post", "x-required-role"), apiRequest{method: http.MethodPost, path: creditsPath, key: "role", body: `{"amount_cents":5,"source":"refund"}`}, answer{status: 403, code: "forbidden"}, creditCreated})

	for _, path := range []string{listPath, leasesPath} {
		limit := func(key string) []string { return []string{"paths", path, "get", "parameters", "limit", "schema", key} }
		add(mutation{"default of limit of " + path, setScalar("20", limit("default")...), get(path), answer{status: 200, items: 50}, answer{status: 200, items: 20}})
		add(mutation{"largest limit of " + path, setScalar("90", limit("x-clamp-maximum")...), get(path + "?limit=1000"), answer{status: 200, items: 100}, answer{status: 200, items: 90}})
		add(mutation{"smallest limit of " + path, setScalar("3", limit("x-clamp-minimum")...), get(path + "?limit=0"), answer{status: 200, items: 1}, answer{status: 200, items: 3}})
		add(mutation{"error code of limit of " + path, setScalar("cursor_invalid", "paths", path, "get", "parameters", "limit", "x-error-code"), get(path + "?limit=x"), refused("limit_invalid"), refused("cursor_invalid")})
	}
	add(mutation{"states of leases", toggleItem("billed", "paths", leasesPath, "get", "parameters", "state", "schema", "enum"), get(leasesPath + "?state=billed&limit=1"), leaseRecorded, refused("lease_filter_invalid")})
	add(mutation{"minimum of limit", func(doc *yaml.Node) {
		node := nodeAt(doc, "paths", "/api/v0/organizations", "get", "parameters", "limit", "schema")
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "minimum"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "1"})
	}, get("/api/v0/organizations?limit=0"), leaseRecorded, refused("limit_invalid")})
	add(mutation{"role of getBillingBalance", setScalar("write", "paths", "/api/v0/billing/balance/{org}", "get", "x-required-role"), get("/api/v0/billing/balance/{org}"), okAnswer, answer{status: 403, code: "forbidden"}})
	add(mutation{"required from", removeKey("required", "paths", usagePath, "get", "parameters", "from"), get(usagePath + "?to=2020-01-02"), refused("billing_usage_window_invalid"), refused("billing_usage_window_invalid")})
	add(mutation{"longest window", setScalar("3659", "x-constants", "WindowMaxDays", "value"), get(usagePath + "?from=2010-01-01&to=2020-01-09"), okAnswer, refused("billing_usage_window_invalid")})
	job++
	add(mutation{"a clock ahead", setScalar("60", "x-constants", "LeaseFutureToleranceSeconds", "value"),
		record(lease(job, map[string]any{"started_at": inFiveMinutes, "finished_at": nil})), leaseRecorded, refused("lease_invalid")})
	add(mutation{"status of an error", setScalar("410", "x-errors", "transaction_not_found", "status"), get(listPath + "/" + fmt.Sprintf(jobID, 5)), answer{status: 404, code: "transaction_not_found"}, answer{status: 410, code: "transaction_not_found"}})
	return all
}

// undetectable has the changes that no answer shows, each with the reason.
var undetectable = map[string]string{
	"required from": "the domain refuses a window without from with the same error code, since an empty text is no time either",
	// It takes the status along, which the contract declares elsewhere; the generator refuses the document.
	"status of an error": "the generator refuses a code whose status the operation does not declare",
}

func decremented(n string) string { return fmt.Sprint(number(n) - 1) }
func incremented(n string) string { return fmt.Sprint(number(n) + 1) }

func number(text string) (n int) {
	if _, err := fmt.Sscan(text, &n); err != nil {
		panic(err)
	}
	return n
}

func text(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// readContract parses the contract for each caller, so that the caller may change it.
func readContract(t *testing.T) *yaml.Node {
	t.Helper()
	written, err := os.ReadFile(filepath.Join(root, "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	doc := new(yaml.Node)
	if err := yaml.Unmarshal(written, doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// generateInto writes the document and the generated code to a folder, and returns the folder. build uses the files of the folder instead
// of the module's.
func generateInto(t *testing.T, doc *yaml.Node) (folder string, err error) {
	t.Helper()
	folder = t.TempDir()
	written, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "openapi.yaml"), written, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder, generate(folder)
}

// generateModels adds the code that oapi-codegen generates from the document of the folder.
func generateModels(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"models", "httpserver"} {
		config, err := os.ReadFile(filepath.Join(root, "gen", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		// The configuration names the file to write, which is the one of the module.
		own := bytes.Replace(config, []byte("output: gen/"), []byte("output: "+filepath.Join(folder, "gen")+"/"), 1)
		if bytes.Equal(own, config) {
			t.Fatalf("gen/%s.yaml names no output below gen/", name)
		}
		if err := os.MkdirAll(filepath.Join(folder, "gen", "httpserver"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), own, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "oapi-codegen",
			"-config", filepath.Join(folder, name+".yaml"), filepath.Join(folder, "openapi.yaml"))
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// build builds packages with the generated files of a folder.
func build(t *testing.T, folder string, args ...string) error {
	t.Helper()
	module, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	err = filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && (strings.HasSuffix(path, ".go") || filepath.Base(path) == "openapi.yaml") {
			name, err := filepath.Rel(folder, path)
			if err != nil {
				return err
			}
			replace[filepath.Join(module, name)] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlay, []byte(text(map[string]any{"Replace": replace})), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-trimpath", "-ldflags=-s", "-overlay=" + overlay}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// program is a running server of a program, with an organization, a token for each role, and more entries and leases than a
// page holds.
type program struct {
	t      *testing.T
	url    string
	tokens map[string]string // by role
}

func serve(t *testing.T, binary string) *program {
	t.Helper()
	database := "sqlite:" + filepath.Join(t.TempDir(), "billing.db")
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, append(args, "--database", database)...)
		cmd.Stdin = strings.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
	p := &program{t: t, tokens: map[string]string{}}
	run("", "org", "create", "acme")
	for _, role := range []string{"read", "write", "admin"} {
		p.tokens[role] = run("", "token", "create", "--name", role, "--role", role, "--org", "acme")
	}
	var lines strings.Builder
	for i := range 120 {
		fmt.Fprintf(&lines, `{"org":"acme","job_id":"%s","cpu_count":2,"memory_gb":2,"disk_gb":2,"started_at":"2019-01-01","finished_at":"2019-01-01T00:05:00Z"}`+"\n", fmt.Sprintf(jobID, 500_000+i))
	}
	run(lines.String(), "import", "-")
	p.url = testbinary.Serve(t, binary, "--database", database, "--listen", "127.0.0.1:0").URL
	return p
}

// send sends a request and reads the answer.
func (p *program) send(q apiRequest) answer {
	p.t.Helper()
	path, query, _ := strings.Cut(q.path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		p.t.Fatal(err)
	}
	sent := strings.ReplaceAll(q.body, inFiveMinutes, time.Now().Add(5*time.Minute).UTC().Format(time.RFC3339))
	target := p.url + strings.ReplaceAll(path, "{org}", "acme") + "?" + values.Encode()
	req, err := http.NewRequestWithContext(p.t.Context(), q.method, target, strings.NewReader(sent))
	if err != nil {
		p.t.Fatal(err)
	}
	role := "write"
	switch {
	case q.reader:
		role = "read"
	case q.path == creditsPath && q.key != "role":
		role = "admin"
	}
	req.Header.Set("Authorization", "Bearer "+p.tokens[role])
	req.Header.Set("Content-Type", "application/json")
	if q.key != "" {
		req.Header.Set("Idempotency-Key", q.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		p.t.Fatal(err)
	}
	var parsed struct {
		Data  []json.RawMessage
		Error struct{ Code string }
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return answer{resp.StatusCode, parsed.Error.Code, len(parsed.Data)}
}

// place is the part of the document that a change affects. Changes of the same place, or of related places, are not made together.
func place(m mutation) string {
	switch {
	case strings.HasPrefix(m.name, "role of postCredit"):
		return "role"
	case m.request.method == http.MethodGet:
		return m.request.path
	}
	return m.name
}

// separate names the changes that are tested one by one, because they also change the answers to other requests.
var separate = []string{
	"role of recordLeases", "role of postCredit", "minItems of leases", "required job_id", "required job_name", "required build_number",
	"required finished_at", "required description", "sources of a credit", "error code of a lease", "additionalProperties of a lease",
	"maxProperties of labels", "error code of amount_cents", "minimum of limit", "role of getBillingBalance", "bytes of a body of leases",
}

// groups makes groups of changes that do not get into one another's way.
func groups(all []mutation) (out [][]mutation) {
	var combinable []mutation
	for _, m := range all {
		if undetectable[m.name] != "" {
			continue
		}
		if slices.Contains(separate, m.name) {
			out = append(out, []mutation{m})
		} else {
			combinable = append(combinable, m)
		}
	}
	for i := 0; len(combinable) > 0; i++ {
		var group, rest []mutation
		taken := map[string]bool{}
		for _, m := range combinable {
			if p := place(m); taken[p] {
				rest = append(rest, m)
			} else {
				taken[p] = true
				group = append(group, m)
			}
		}
		out, combinable = append(out, group), rest
	}
	return out
}

func TestMutations(t *testing.T) {
	testlong.Only(t, "it builds the program for each group of changes")
	doc := readContract(t)
	all := mutations(doc)
	batches := groups(all)
	binary, err := testbinary.Path()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(testbinary.Remove)
	unchanged := serve(t, binary)
	for _, group := range batches {
		names := make([]string, len(group))
		changed := readContract(t)
		for i, m := range group {
			names[i] = m.name
			m.change(changed)
		}
		folder, err := generateInto(t, changed)
		if err != nil {
			if len(group) > 1 {
				t.Errorf("%q: %v", names, err)
			}
			continue // the generator names the place to continue
		}
		generateModels(t, folder)
		mutated := filepath.Join(folder, "harmont-billing")
		if err := build(t, folder, "-o", mutated, "./cmd/harmont-billing"); err != nil {
			if len(group) > 1 {
				t.Errorf("%q: %v", names, err)
			}
			continue // the compiler names the place to continue
		}
		p := serve(t, mutated)
		for _, m := range group {
			if got := unchanged.send(m.request); got != m.want {
				t.Errorf("%s: the program of the contract answers %s, want %s", m.name, got, m.want)
			}
			if got := p.send(m.request); got != m.changed {
				t.Errorf("%s: once it is changed, the answer is %s, want %s", m.name, got, m.changed)
			}
		}
	}
	t.Logf("%d of %d changes in %d programs", sum(batches), len(all), len(batches))
}

func sum(groups [][]mutation) (n int) {
	for _, group := range groups {
		n += len(group)
	}
	return n
}

// Each property that an answer may have is asked for by the compiler once it is removed from the contract, or the answers go
// without it: the server makes values of the generated types and writes no key by hand.
func TestRemovedProperties(t *testing.T) {
	testlong.Only(t, "each removed property is a build of the server")
	d, err := load(filepath.Join(root, "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, name := range d.schemas {
		if !d.responses[name] || len(d.properties[name]) < 2 {
			continue
		}
		for _, key := range d.properties[name] {
			removed++
			changed := readContract(t)
			removeKey(key, "components", "schemas", name, "properties")(changed)
			if required := nodeAt(changed, "components", "schemas", name, "required"); required != nil {
				toggleItem(key, "components", "schemas", name, "required")(changed)
			}
			folder, err := generateInto(t, changed)
			if err != nil {
				continue // the generator reports it
			}
			generateModels(t, folder)
			if err := build(t, folder, "-o", os.DevNull, "./server"); err == nil {
				t.Errorf("without %s.%s the server builds as before", name, key)
			} else if !strings.Contains(err.Error(), goName(key)) {
				t.Errorf("without %s.%s the compiler does not name it: %v", name, key, err)
			}
		}
	}
	if removed < 60 {
		t.Errorf("only %d properties were removed", removed)
	}
}

// No code of the server checks the bounds of answers, because the domain keeps them. The check of a server against the contract finds an
// answer outside of its bounds.
func TestBoundsOfAnswers(t *testing.T) {
	testlong.Only(t, "it builds the program once more")
	for name, change := range map[string]func(*yaml.Node){
		"maximum":  setScalar("-1000000", "components", "schemas", "UsageBreakdownBuild", "properties", "total_cents", "maximum"),
		"minimum":  setScalar("1", "components", "schemas", "UsageSeriesBucket", "properties", "cpu_seconds", "minimum"),
		"nullable": removeKey("nullable", "components", "schemas", "Transaction", "properties", "description"),
		"format":   setScalar("date", "components", "schemas", "Transaction", "properties", "created_at", "format"),
	} {
		t.Run(name, func(t *testing.T) {
			changed := readContract(t)
			change(changed)
			folder, err := generateInto(t, changed)
			if err != nil {
				t.Fatal(err)
			}
			generateModels(t, folder)
			binary := filepath.Join(folder, "harmont-billing")
			if err := build(t, folder, "-o", binary, "./cmd/harmont-billing"); err != nil {
				return // the compiler names the place to continue
			}
			p := serve(t, binary)
			cmd := exec.CommandContext(t.Context(), binary, "check", p.url)
			cmd.Env = append(os.Environ(), "HARMONT_TOKEN="+p.tokens["read"], "HARMONT_API_URL="+p.url)
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("the check finds nothing:\n%s", out)
			}
		})
	}
}
