package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// witness answers as a server with the organizations, and remembers the tokens that it was sent.
type witness struct {
	*standIn
	mu     sync.Mutex
	tokens []string
}

func newWitness(t *testing.T, slugs ...string) *witness {
	w := &witness{}
	w.standIn = newStandIn(t, func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.tokens = append(w.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		w.mu.Unlock()
		if !strings.HasSuffix(r.URL.Path, "/organizations") {
			_, _ = io.WriteString(rw, `{"balance_cents":1}`)
			return
		}
		var items []string
		for _, slug := range slugs {
			name, _ := json.Marshal(slug)
			items = append(items, fmt.Sprintf(`{"slug":%s,"name":"The %s","url":null,"created_at":"2026-06-01T00:00:00.000000Z"}`, name, slug[:1]))
		}
		_, _ = io.WriteString(rw, `{"data":[`+strings.Join(items, ",")+`],"next_cursor":null}`)
	})
	return w
}

// heard gives the tokens since it was last asked.
func (w *witness) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	tokens := w.tokens
	w.tokens = nil
	return tokens
}

// configFile is where the program keeps its profiles here.
func (p program) configFile() string {
	p.t.Helper()
	for _, pattern := range []string{".config/harmont-billing/config.json", "Library/Application Support/harmont-billing/config.json"} {
		if path := filepath.Join(p.dir, pattern); fileExists(path) {
			return path
		}
	}
	p.t.Fatal("there is no file of profiles")
	return ""
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestLogin(t *testing.T) {
	p := newProgram(t)
	p.ok("org", "create", "acme")
	token := strings.TrimSpace(p.ok("token", "create", "--name", "reader", "--role", "read", "--org", "acme"))
	_, address := p.serve()

	equal(t, "login", p.reading(token+"\r\n").ok("login", "--api-url", address),
		"Logged in to "+address+" as the profile default. The token sees acme.\n")
	path := p.configFile()
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	equal(t, "balance", p.ok("balance"), "$0.00\n")
	equal(t, "list", p.ok("config", "list"), "   PROFILE  TOKEN  ORGANIZATION  ADDRESS\n*  default  yes                  "+address+"\n")
	equal(t, "list", p.ok("config", "list", "-o", "json"),
		`{"data":[{"name":"default","current":true,"api_url":"`+address+`","token":true,"organization":null}]}`+"\n")

	// A token that the server refuses changes nothing.
	before := read(t, path)
	r := p.reading("hmt_wrong").run("login")
	if r.status != exitFailure || !strings.Contains(r.stderr, "401 unauthorized") || read(t, path) != before {
		t.Errorf("status %d, %s", r.status, r.stderr)
	}
	// A person who has several tokens is told which one was refused.
	const refused = "hmt_refused"
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(before, token, refused)), 0o600); err != nil {
		t.Fatal(err)
	}
	r = p.run("balance", "acme")
	if !strings.HasSuffix(r.stderr, "; the token is that of the profile default in "+path+"\n") || strings.Contains(r.stderr, refused) {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"config list", "config list -o json", "balance", "balance -o json", "logout"} {
		if r := p.run(strings.Fields(args)...); strings.Contains(r.stdout+r.stderr, token) {
			t.Errorf("%s shows the token", args)
		}
	}
	if strings.Contains(read(t, path), token) {
		t.Error("the token is there after the logout")
	}
	if r := p.run("balance"); r.status != exitUsage || !strings.Contains(r.stderr, "which token?") {
		t.Errorf("after the logout: %d %s", r.status, r.stderr)
	}
}

func TestWhoami(t *testing.T) {
	server := newWitness(t, "acme", "globex\x1b[31m")
	const token = "hmt_not-to-be-shown"
	p := newProgram(t)
	p.reading(token).ok("login", "--api-url", server.URL, "--profile", "staging")
	file := p.configFile()
	table := `
ORGANIZATION  CREATED (UTC)        NAME
acme          2026-06-01 00:00:00  The a
globex�[31m   2026-06-01 00:00:00  The g
`
	const organizations = `"organizations":[{"slug":"acme","name":"The a","url":null,"created_at":"2026-06-01T00:00:00.000000Z"},` +
		`{"slug":"globex\u001b[31m","name":"The g","url":null,"created_at":"2026-06-01T00:00:00.000000Z"}]}` + "\n"
	equal(t, "of a profile", p.ok("whoami"),
		"Server: "+server.URL+" (set by the profile staging)\nToken: that of the profile staging in "+file+"\nProfile: staging\n"+table)
	equal(t, "of a profile, as JSON", p.ok("whoami", "-o", "json"), `{"api_url":"`+server.URL+`","api_url_set_by":"the profile staging",`+
		`"token_set_by":"the profile staging in `+file+`","profile":"staging","organization":null,`+organizations)
	other := p.with("HARMONT_TOKEN=" + token)
	equal(t, "of a variable", other.ok("whoami"), "Server: "+server.URL+" (set by the profile staging)\nToken: that of HARMONT_TOKEN\nProfile: staging\n"+table)
	other = p.with("HARMONT_API_URL=" + server.URL)
	equal(t, "of flags and variables", other.ok("whoami", "--token", token), "Server: "+server.URL+" (set by HARMONT_API_URL)\nToken: that of --token\n"+table)
	equal(t, "of flags and variables, as JSON", other.ok("whoami", "--token", token, "-o", "json"), `{"api_url":"`+server.URL+`","api_url_set_by":"HARMONT_API_URL",`+
		`"token_set_by":"--token","profile":null,"organization":null,`+organizations)
	none := newWitness(t)
	equal(t, "without organizations", p.ok("whoami", "--token", token, "--api-url", none.URL),
		"Server: "+none.URL+" (set by --api-url)\nToken: that of --token\n\nORGANIZATION  CREATED (UTC)  NAME\n")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLoginOnATerminal(t *testing.T) {
	const token = "hmt_typed-by-hand"
	server := newWitness(t, "acme", "globex")
	p := newProgram(t)

	running := p.startOnTerminal("login", "--api-url", server.URL)
	running.waitFor(`Token for ` + server.URL + `: `)
	running.waitForNoEcho()
	running.press(token + "\r")
	running.waitFor(`Logged in to \S+ as the profile default\. The token sees acme, globex\.`)
	if status := running.wait(); status.ExitStatus() != exitOK || !running.echoes() || strings.Contains(running.text(), token) {
		t.Errorf("%v: %s", running.cmd.ProcessState, running.text())
	}
	if heard := server.heard(); !slices.Equal(heard, []string{token}) {
		t.Errorf("the server was sent %q", heard)
	}

	running = p.startOnTerminal("login")
	running.waitForNoEcho()
	running.press("hmt_half\x03")
	if status := running.wait(); status.ExitStatus() != exitFailure || !running.echoes() {
		t.Errorf("interrupted: %v, and the terminal echoes: %v", running.cmd.ProcessState, running.echoes())
	}
}

func TestWhichServerAndToken(t *testing.T) {
	prod, staging, other := newWitness(t, "acme"), newWitness(t, "acme"), newWitness(t, "acme")
	witnesses := map[string]*witness{"prod": prod, "staging": staging, "other": other}
	p := newProgram(t)
	p.reading("hmt_prod").ok("login", "--profile", "prod", "--api-url", prod.URL+"/")
	p.reading("hmt_staging").ok("login", "--profile", "staging", "--api-url", staging.URL)
	p.ok("config", "set", "bare", "--api-url", other.URL)
	p.ok("config", "use", "prod")
	for _, w := range witnesses {
		w.heard()
	}

	const refused = ""
	for _, tt := range []struct {
		args, env   string
		server, got string // the server that is asked and the token that it gets; none where it is refused
		want        string // in the refusal
	}{
		{"", "", "prod", "hmt_prod", ""},
		{"--profile staging", "", "staging", "hmt_staging", ""},
		{"", "HARMONT_PROFILE=staging", "staging", "hmt_staging", ""},
		{"--profile prod", "HARMONT_PROFILE=staging", "prod", "hmt_prod", ""},
		{"", "HARMONT_TOKEN=hmt_env", "prod", "hmt_env", ""},
		{"--token hmt_flag", "HARMONT_TOKEN=hmt_env", "prod", "hmt_flag", ""},
		{"--profile bare", "HARMONT_TOKEN=hmt_env", "other", "hmt_env", ""},
		{"--profile staging --token hmt_flag", "HARMONT_TOKEN=hmt_env", "staging", "hmt_flag", ""},
		{"--api-url OTHER --token hmt_flag", "", "other", "hmt_flag", ""},
		{"--token hmt_flag", "HARMONT_API_URL=OTHER", "other", "hmt_flag", ""},
		{"--api-url PROD", "HARMONT_API_URL=OTHER HARMONT_TOKEN=hmt_env", "prod", "hmt_env", ""},
		{"--api-url PROD", "", "prod", "hmt_prod", ""}, // the profile's own, said again
		{"", "HARMONT_API_URL=PROD", "prod", "hmt_prod", ""},

		{"--api-url OTHER", "", refused, "", "the token of the profile prod is for "},
		{"", "HARMONT_API_URL=OTHER", refused, "", "the token of the profile prod is for "},
		{"--profile staging", "HARMONT_API_URL=OTHER", refused, "", "the token of the profile staging is for "},
		{"--profile staging", "HARMONT_API_URL=PROD", refused, "", "the token of the profile staging is for "},
		{"--profile staging", "HARMONT_TOKEN=hmt_env", refused, "", "unset HARMONT_TOKEN"},
		{"--profile bare", "", refused, "", "which token?"},
		{"--profile nowhere", "HARMONT_API_URL=OTHER HARMONT_TOKEN=hmt_env", refused, "", "there are bare, prod, staging"},
		{"--token=", "", refused, "", "which token?"},
		{"--api-url=", "", refused, "", "the token of the profile prod is for "},
	} {
		t.Run(tt.args+" "+tt.env, func(t *testing.T) {
			place := strings.NewReplacer("OTHER", other.URL, "PROD", prod.URL)
			r := p.with(strings.Fields(place.Replace(tt.env))...).run(strings.Fields("balance acme " + place.Replace(tt.args))...)
			for name, w := range witnesses {
				var want []string
				if name == tt.server {
					want = []string{tt.got}
				}
				if heard := w.heard(); !slices.Equal(heard, want) {
					t.Errorf("%s was sent %q, not %q", name, heard, want)
				}
			}
			if tt.server == refused && (r.status != exitUsage || !strings.Contains(r.stderr, tt.want)) || tt.server != refused && r.status != exitOK {
				t.Errorf("status %d: %s", r.status, r.stderr)
			}
			if strings.Contains(r.stdout+r.stderr, "hmt_") {
				t.Errorf("it shows a token: %s", r.stderr)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	server, second := newWitness(t, "acme"), newWitness(t, "acme")
	p := newProgram(t)
	equal(t, "none", p.ok("config", "list"), "  PROFILE  TOKEN  ORGANIZATION  ADDRESS\n")
	equal(t, "none", p.ok("config", "list", "-o", "json"), `{"data":[]}`+"\n")
	p.reading("hmt_1").ok("login", "--api-url", server.URL)

	// The first server is not lost to a login to another.
	if r := p.reading("hmt_2").run("login", "--api-url", second.URL); r.status != exitUsage || !strings.Contains(r.stderr, "give --profile") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	// The address in other letters is still the same server, and another one drops the token.
	p.ok("config", "set", "default", "--api-url", strings.Replace(server.URL, "http", "HTTP", 1)+"/")
	p.ok("balance", "acme")
	if got := p.ok("config", "set", "default", "--api-url", second.URL); !strings.Contains(got, "is forgotten") {
		t.Error(got)
	}
	if strings.Contains(read(t, p.configFile()), "hmt_") || p.run("balance", "acme").status != exitUsage {
		t.Error("the token outlived its address")
	}
	if heard := second.heard(); len(heard) != 0 {
		t.Errorf("the other server was sent %q", heard)
	}

	p.ok("config", "set", "second", "--api-url", second.URL)
	equal(t, "use", p.ok("config", "use", "second"), "The profile second, for "+second.URL+", is the current one.\n")
	equal(t, "remove", p.ok("config", "remove", "second"), "The profile second is removed.\n")
	equal(t, "list", p.ok("config", "list"), "  PROFILE  TOKEN  ORGANIZATION  ADDRESS\n  default  no                   "+second.URL+"\n")

	// A link to a file elsewhere stays one, and what others could read they can no more.
	path, elsewhere := p.configFile(), filepath.Join(p.dir, "elsewhere.json")
	if err := os.Rename(path, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(elsewhere, 0o644); err != nil {
		t.Fatal(err)
	}
	p.ok("config", "use", "default")
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if info, err := os.Stat(elsewhere); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}

	for _, bad := range []string{"", "{", `[]`, `{"profiles":{"a":null}}`, `{"profiles":{"a":{"token":"hmt_secret"}}}`} {
		if err := os.WriteFile(elsewhere, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := p.run("balance", "acme"); r.status != exitFailure || !strings.Contains(r.stderr, "config.json cannot be read") || strings.Contains(r.stderr, "hmt_") {
			t.Errorf("%s: status %d: %s", bad, r.status, r.stderr)
		}
		// What needs no profile does not care.
		p.with("HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_env").ok("balance", "acme")
	}
}

func TestNoHome(t *testing.T) {
	server := newWitness(t, "acme")
	p := newProgram(t, "HOME=", "XDG_CONFIG_HOME=", "HARMONT_TOKEN=hmt_x")
	p.ok("balance", "--api-url", server.URL)
	if r := p.reading("hmt_x").run("login", "--api-url", server.URL); r.status != exitFailure || !strings.Contains(r.stderr, "no place for profiles") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	if r := p.run("balance", "--profile", "prod"); r.status != exitUsage || !strings.Contains(r.stderr, "there is no profile prod") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
}

func TestConfigIsReplacedAtOnce(t *testing.T) {
	p := newProgram(t)
	p.ok("config", "set", "p", "--api-url", "http://127.0.0.1:1")
	path := p.configFile()
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if text, err := os.ReadFile(path); err != nil || !json.Valid(text) {
				t.Errorf("half a file: %q %v", text, err)
				return
			}
		}
	})
	for i := range 10 {
		p.ok("config", "set", fmt.Sprintf("p%d", i), "--api-url", "http://127.0.0.1:1")
	}
	close(done)
	group.Wait()
}

func TestOrganizationMayBeLeftOut(t *testing.T) {
	for _, tt := range []struct {
		slugs []string
		want  string // in the refusal
	}{
		{[]string{"acme"}, ""},
		{nil, "ORG is missing, and the token sees no organization"},
		{[]string{"acme", "globex"}, "ORG is missing; the token sees acme, globex; 'harmont-billing config set"},
		{strings.Fields(strings.Repeat("x ", 21)), strings.Repeat("x, ", 20) + "…; "},
	} {
		server := newWitness(t, tt.slugs...)
		p := newProgram(t, "HARMONT_API_URL="+server.URL, "HARMONT_TOKEN=hmt_x")
		r := p.run("balance")
		if tt.want == "" {
			equal(t, "balance", r.stdout+r.stderr, "$0.01\n")
			equal(t, "json", p.ok("balance", "-o", "json"), `{"balance_cents":1}`+"\n")
			continue
		}
		if r.status != exitUsage || !strings.Contains(r.stderr, tt.want) || r.stdout != "" {
			t.Errorf("%v: status %d: %s", tt.slugs, r.status, r.stderr)
		}
	}
}

func TestOrganizationOfAProfile(t *testing.T) {
	p := newProgram(t)
	for _, slug := range []string{"acme", "globex"} {
		p.ok("org", "create", slug)
	}
	p.reading(`{"org":"globex","amount_cents":123456,"source":"refund","description":null,"idempotency_key":"1"}`).ok("import", "-")
	token := strings.TrimSpace(p.ok("token", "create", "--name", "reader", "--role", "read", "--org", "acme", "--org", "globex"))
	_, address := p.serve()
	p.reading(token).ok("login", "--api-url", address)
	equal(t, "set", p.ok("config", "set", "default", "--org", "globex"), "Where no ORG is given, the profile default asks about globex.\n")
	equal(t, "balance", p.ok("balance"), "$1,234.56\n")
	equal(t, "balance of another", p.ok("balance", "acme"), "$0.00\n")
	equal(t, "balance with the token of a variable", p.with("HARMONT_TOKEN="+token).ok("balance"), "$1,234.56\n")
	if whoami := p.ok("whoami"); !strings.Contains(whoami, "\nOrganization: globex where no ORG is given\n") {
		t.Error(whoami)
	}
	if whoami := p.ok("whoami", "-o", "json"); !strings.Contains(whoami, `"organization":"globex"`) {
		t.Error(whoami)
	}
	equal(t, "list", p.ok("config", "list"), "   PROFILE  TOKEN  ORGANIZATION  ADDRESS\n*  default  yes    globex        "+address+"\n")
	equal(t, "list", p.ok("config", "list", "-o", "json"),
		`{"data":[{"name":"default","current":true,"api_url":"`+address+`","token":true,"organization":"globex"}]}`+"\n")

	// It is an organization of that server, and of no other.
	other := newWitness(t, "initech")
	equal(t, "balance of another server", p.with("HARMONT_API_URL="+other.URL).ok("balance", "--profile", "default", "--token", "hmt_x"), "$0.01\n")
	// A login to the same server keeps it.
	p.reading(token).ok("login")
	equal(t, "balance after a login", p.ok("balance"), "$1,234.56\n")

	p.ok("config", "set", "default", "--org", "gone")
	if r := p.run("balance"); r.status != exitFailure || !strings.HasSuffix(r.stderr, "; no ORG was given, and gone is that of the profile default\n") {
		t.Errorf("an organization that is gone: %+v", r)
	}
	if r := p.run("balance", "nope"); r.status != exitFailure || strings.Contains(r.stderr, "gone") {
		t.Errorf("another that is not there: %+v", r)
	}
	equal(t, "forget", p.ok("config", "set", "default", "--org", ""), "The profile default has no organization of its own.\n")
	if r := p.run("balance"); r.status != exitUsage || !strings.Contains(r.stderr, "ORG is missing; the token sees acme, globex") {
		t.Errorf("after it is forgotten: %+v", r)
	}
	p.ok("config", "set", "default", "--org", "globex")
	equal(t, "another address", p.ok("config", "set", "default", "--api-url", other.URL), "The profile default is for "+other.URL+"."+
		" The token was for another address and is forgotten. The organization was for another address and is forgotten.\n")
	if strings.Contains(read(t, p.configFile()), "globex") {
		t.Error("the organization outlived its address")
	}
}

func TestCompletionOfOrganizationsAndProfiles(t *testing.T) {
	server := newWitness(t, "acme", "globex", "a b", "a\x1b[2J")
	p := newProgram(t)
	p.reading("hmt_1").ok("login", "--profile", "prod", "--api-url", server.URL)
	p.ok("config", "set", "staging", "--api-url", "http://127.0.0.1:1")
	complete := func(p program, args ...string) string {
		return p.run(append([]string{"__complete"}, args...)...).stdout
	}
	const noFiles = ":4\n"
	profiles := "prod\t" + server.URL + "\nstaging\thttp://127.0.0.1:1\n" + noFiles

	equal(t, "all", complete(p, "balance", ""), "acme\tThe a\nglobex\tThe g\n"+noFiles)
	equal(t, "begun", complete(p, "series", "--last", "30d", "glo"), "globex\tThe g\n"+noFiles)
	equal(t, "second argument", complete(p, "explain", "acme", ""), noFiles)
	equal(t, "profile", complete(p, "balance", "acme", "--profile", ""), profiles)
	equal(t, "use", complete(p, "config", "use", ""), profiles)
	equal(t, "remove", complete(p, "config", "remove", "s"), "staging\thttp://127.0.0.1:1\n"+noFiles)
	equal(t, "the profile's token stays at home", complete(p, "balance", "--api-url", "http://127.0.0.1:1", ""), noFiles)

	// Where there is nobody to ask, there is nothing to say, and no wait.
	hangs := newStandIn(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, silent := range []program{
		newProgram(t), newProgram(t, "HARMONT_API_URL=http://127.0.0.1:1", "HARMONT_TOKEN=hmt_x"),
		newProgram(t, "HARMONT_API_URL="+hangs.URL, "HARMONT_TOKEN=hmt_x"),
	} {
		began := time.Now()
		r := silent.run("__complete", "balance", "")
		equal(t, "silent", r.stdout, noFiles)
		if !regexp.MustCompile(`^Completion ended with directive: \S+\n$`).MatchString(r.stderr) || time.Since(began) > patience/2 {
			t.Errorf("after %s: %s", time.Since(began), r.stderr)
		}
	}
}
