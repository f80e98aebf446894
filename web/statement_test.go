package web_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/harmont-dev/harmont-billing/server"
)

// printable is true once the statement shows everything.
const printable = "document.querySelector('#statement:not([hidden])')"

type statement struct {
	Opening     int64 `json:"opening_balance_cents"`
	Closing     int64 `json:"closing_balance_cents"`
	Sources     []statementSource
	OpeningHead ledgerHead `json:"opening_head"`
	ClosingHead ledgerHead `json:"closing_head"`
}

type statementSource struct {
	Source  string
	Entries int64 `json:"entry_count"`
	Cents   int64 `json:"amount_cents"`
}

type ledgerHead struct {
	Seq    int64
	Digest string
}

// A statement has the balances, the credits, the usage and every build of a month, and the digests of the ledger.
func TestStatement(t *testing.T) {
	s, token := demo(t)
	p := open(t, look{dark: true, zone: "America/New_York"}).visit(s.url + "/?month=last#token=" + token).until(loaded)
	p.click("#statement-link").until(printable)
	now := time.Now().UTC()
	end := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	start := end.AddDate(0, -1, 0)
	window := "?from=" + start.Format(time.DateOnly) + "&to=" + end.Format(time.DateOnly)
	want := get[statement](s, token, "billing/statement/acme"+window)

	if facts := p.text("#facts"); !strings.Contains(facts, "Acme (acme)") ||
		!strings.Contains(facts, start.Format("2 Jan 2006")+" to "+end.AddDate(0, 0, -1).Format("2 Jan 2006")+", whole days in UTC") {
		t.Errorf("the facts are %s", facts)
	}
	names := map[string]string{"vm_lease_debit": "Debits for VM leases", "stripe_topup": "Credits: Top-up", "refund": "Credits: Refund", "coupon_redemption": "Credits: Coupon", "admin_grant": "Credits: Grant"}
	rows := [][]string{{"Opening balance, " + start.Format("2 Jan 2006") + " 00:00 UTC", "", money(want.Opening)}}
	debit := slices.IndexFunc(want.Sources, func(s statementSource) bool { return s.Source == "vm_lease_debit" })
	want.Sources = append(slices.Delete(slices.Clone(want.Sources), debit, debit+1), want.Sources[debit]) // debits come last
	sum := want.Opening
	for _, source := range want.Sources {
		sign := ""
		if source.Cents > 0 {
			sign = "+"
		}
		rows = append(rows, []string{names[source.Source], thousands(strconv.FormatInt(source.Entries, 10)), sign + money(source.Cents)})
		sum += source.Cents
	}
	rows = append(rows, []string{"Closing balance, " + end.Format("2 Jan 2006") + " 00:00 UTC", "", money(want.Closing)})
	p.same("the balance", fmt.Sprintf("%q", p.rows("#balance")), fmt.Sprintf("%q", rows))
	if sum != want.Closing || len(want.Sources) < 2 {
		t.Errorf("the balance is %d and its parts, %v, add up to %d", want.Closing, want.Sources, sum)
	}
	p.same("the digests", fmt.Sprintf("%q", p.rows("#ledger")), fmt.Sprintf("%q", [][]string{
		{"Opening", thousands(strconv.FormatInt(want.OpeningHead.Seq, 10)), want.OpeningHead.Digest},
		{"Closing", thousands(strconv.FormatInt(want.ClosingHead.Seq, 10)), want.ClosingHead.Digest},
	}))

	used := get[usage](s, token, "billing/usage/acme"+window)
	pipelines := p.rows("#pipelines")
	p.same("usage", strings.Join(pipelines[len(pipelines)-1], "; ")[:5]+pipelines[len(pipelines)-1][5], "Total"+money(used.Cents))
	builds := get[page[build]](s, token, "billing/usage/acme/breakdown"+window).Data
	shown := p.rows("#builds")
	if len(shown) != len(builds)+1 {
		t.Fatalf("%d builds are shown, and there are %d", len(shown)-1, len(builds))
	}
	for i, b := range builds {
		p.same("build", shown[i][0]+" "+shown[i][4], fmt.Sprintf("%s #%d %s", b.Pipeline, b.Number, b.cost()))
	}
	p.same("all builds", shown[len(builds)][4], money(used.Cents))
	if calls := p.requests(); len(calls) > 10 {
		t.Errorf("a statement asks %d times", len(calls))
	}
	p.accessible().shoot("statement")

	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	if colors := eval[string](p, "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor, document.querySelector('.top').checkVisibility()].join()"); colors != "rgb(0, 0, 0),rgb(255, 255, 255),false" {
		t.Errorf("on paper, the text, the ground and the head are %s", colors)
	}
	preferred := true
	pdf := call(p, cdppage.PrintToPDF, cdppage.PrintToPDFParams{PreferCSSPageSize: &preferred}).Data
	if pages := len(regexp.MustCompile(`/Type\s*/Page\b`).FindAll(pdf, -1)); pages < 5 {
		t.Errorf("the statement has %d pages", pages)
	}
	if picturesAsked() {
		if err := os.WriteFile(filepath.Join(screenshots, "statement.pdf"), pdf, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A statement that cannot be made says why, and text of other people is text, also at the head of each page.
func TestStatementProblems(t *testing.T) {
	s := serve(t, server.Config{})
	// Names of any length leave the amounts on the screen and on the paper.
	s.books(strings.ReplaceAll(history("acme", 3, time.Now().UTC().Truncate(time.Second).Add(-time.Hour), 1000), "Main", strings.Repeat("A", 120)))
	if _, err := s.CreateOrganization(t.Context(), "hostile", `"; } </style><b>x\`); err != nil {
		t.Fatal(err)
	}
	p := open(t, look{width: 360, height: 740}).visit(s.url + "/statement?org=acme&month=this").until("document.querySelector('#state a')")
	if text := p.text("#state"); !strings.Contains(text, "Sign in") {
		t.Errorf("without a token, it says %s", text)
	}
	p.accessible().click("#state a").until("document.querySelector('#sign-in')?.checkVisibility()")
	p.press(s.token("acme", "hostile")).press(kb.Enter).until(loaded)
	for query, problem := range map[string]string{
		"org=acme&month=2026-13": "“2026-13” is no month", "org=initech": "There is no organization initech",
	} {
		p.visit(s.url + "/statement?" + query).until("document.querySelector('#state .bad')")
		if text := p.text("#state"); !strings.Contains(text, problem) {
			t.Errorf("%s says %s", query, text)
		}
		p.accessible()
	}
	p.expect("503")
	p.interceptAPI(func(url string) string {
		if strings.Contains(url, "/statement/") {
			return `503 {"error":{"type":"server_error","code":"unavailable","message":"not now","doc_url":"x","request_id":"12345678901234567890"}}`
		}
		return ""
	})
	p.visit(s.url + "/statement?org=acme&last=7d").until("document.querySelector('#state button')")
	p.interceptAPI(func(string) string { return "" })
	p.click("#state button").until(printable)
	if facts := p.text("#facts"); !strings.Contains(facts, "The period is not over.") {
		t.Errorf("the facts are %s", facts)
	}
	if wide := eval[int](p, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("on a small phone, the statement is %d pixels wide", wide)
	}
	p.accessible().shoot("statement-narrow")

	p.visit(s.url + "/statement?org=hostile&month=this").until(printable)
	rule := eval[string](p, "[...document.styleSheets[1].cssRules].find((r) => r.cssText.includes('top-left')).cssText")
	if !strings.Contains(rule, `</style><b>x\\ · Statement`) || strings.Contains(eval[string](p, "document.body.innerHTML"), "<b>") {
		t.Errorf("the head of a page is %s", rule)
	}
	p.do(chromedp.Reload())
	p.until(printable)
}
