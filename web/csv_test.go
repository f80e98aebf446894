package web_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/server"
)

// The page and the command line write the same bytes for the same window, whatever the names are.
func TestCSVIsThatOfTheCommandLine(t *testing.T) {
	s := serve(t, server.Config{})
	names := []string{
		"=1+1", "＝1+1", "＠a", "+1", "-1", "-1.50", "-a", "@SUM(A1)", "\ta", "\ra", "\na", " =1", "\u00a0=1", "\u0085=1", "\ufeff=1", " a", "\u2003a", `\.`, `a"b`, "a,b", "a\r\nb", "'a",
		"家族 👨‍👩‍👧",
	}
	books := history("acme", len(names), time.Now().UTC().Truncate(time.Second).Add(-24*time.Hour), 1<<53+1)
	for i, name := range names {
		text, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		books = strings.ReplaceAll(books, fmt.Sprintf(`"job_name":"Job %d"`, i+1), `"job_name":`+string(text))
		books += fmt.Sprintf(`{"type":"entry","org":"acme","id":"01990000-0000-7000-8000-%012x","amount_cents":%d,"source":"refund","description":%s,"created_at":%q,"lease_id":null}`+"\n",
			0xff00+i, i+1, text, time.Now().UTC().Format(time.RFC3339))
	}
	s.books(books)
	token := s.token("acme")
	p := open(t, look{}).visit(s.url + "/?last=7d#token=" + token).until(loaded)
	start, end := p.window()
	first, last := start.Format(time.DateOnly), end.AddDate(0, 0, -1).Format(time.DateOnly)
	binary, err := testbinary.Path()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		panel string
		args  []string
	}{
		{"days", []string{"series"}},
		{"builds", []string{"breakdown"}},
		{"transactions", []string{"transactions", "--all"}},
		{"groups", []string{"usage", "--by", "pipeline", "--limit", "100"}},
	} {
		file := fmt.Sprintf("acme-%s-to-%s-%s.csv", first, last, c.panel)
		cmd := exec.CommandContext(t.Context(), binary, append(c.args, "--last", "7d", "-o", "csv")...)
		cmd.Env = []string{"HOME=" + t.TempDir(), "HARMONT_API_URL=" + s.url, "HARMONT_TOKEN=" + token}
		want, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", c.args, err)
		}
		p.click("#" + c.panel + " .csv")
		if got := p.downloaded(file); got != string(want) {
			t.Errorf("%s:\n%q\nwant what harmont-billing %s writes:\n%q", file, got, c.args[0], want)
		}
	}
}
