package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/harmont-dev/harmont-billing/server"
)

// turned finds text of the page that turns other text: a character that sets a direction, or letters from right to left that are not
// isolated.
const turned = `(() => {
	const texts = [document.title], walker = document.createTreeWalker(document, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const node = walker.currentNode;
		if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
		else texts.push(...['title', 'aria-label', 'placeholder'].map((name) => node.getAttribute(name) ?? ''));
	}
	texts.push(...[...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).map((rule) => rule.cssText));
	return texts.filter((text) => /[\u202A-\u202E\u2066-\u2069]|[\u0590-\u08FF]/u.test(text.replace(/\u2068[^\u202A-\u202E\u2066-\u2069]*\u2069/g, '')));
})()`

// Names in any script leave the text around them in its order, on the page and on a statement. CSV files have them as they are.
func TestNames(t *testing.T) {
	s := serve(t, server.Config{})
	const (
		override = "ab\u202ecod.exe\u2066"
		hebrew   = "\u05d1\u05d9\u05ea 12"
		persian  = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
		family   = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
	)
	books := history("acme", 4, time.Now().UTC().Truncate(time.Second).Add(-time.Hour), 1000)
	for i, name := range []string{override, hebrew, persian, family} {
		for _, c := range []struct{ old, replacement string }{
			{fmt.Sprintf(`"job_name":"Job %d"`, i+1), fmt.Sprintf(`"job_name":%q,"author":%[1]q,"labels":{"team":%[1]q}`, name)},
			{fmt.Sprintf(`"vm_handle":"vm-%d"`, i+1), fmt.Sprintf(`"vm_handle":%q`, name)},
			{fmt.Sprintf(`"build_number":%d,"pipeline_name":"Main"`, i+1), fmt.Sprintf(`"build_number":%d,"pipeline_name":%q`, i+1, name)},
			{fmt.Sprintf(`VM lease of job %s started`, uuid("acme", 'b', i+1)), name},
		} {
			if !strings.Contains(books, c.old) {
				t.Fatalf("the books have no %s", c.old)
			}
			books = strings.ReplaceAll(books, c.old, c.replacement)
		}
		books += fmt.Sprintf(`{"type":"lease","org":"acme","lease_id":%q,"job_id":%q,"job_name":%q,"vm_handle":%[3]q,"build_id":%[4]q,"build_number":%[5]d,"pipeline_name":%[3]q,"cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":%[6]q,"finished_at":null}`+"\n",
			uuid("acme", 'a', 10+i), uuid("acme", 'b', 10+i), name, uuid("acme", 'c', 10+i), 10+i, time.Now().UTC().Add(-time.Minute).Format(time.RFC3339))
	}
	books += fmt.Sprintf(`{"type":"entry","org":"acme","id":"01990000-0004-7000-8f00-000000000001","amount_cents":5,"source":"refund","description":%q,"author":%[1]q,"created_at":%[2]q,"lease_id":null}`+"\n",
		override, time.Now().UTC().Format(time.RFC3339))
	s.books(strings.ReplaceAll(books, "The acme company", hebrew+" "+override))
	if _, err := s.CreateOrganization(t.Context(), "other", override); err != nil {
		t.Fatal(err)
	}
	p := open(t, look{}).visit(s.url + "/?org=acme&last=7d#token=" + s.token("acme", "other")).until(loaded)
	check := func(where string) {
		t.Helper()
		for _, text := range eval[[]string](p, turned) {
			t.Errorf("%s: other text is turned by %q", where, text)
		}
	}
	check("the page")
	p.same("the jobs that run", fmt.Sprintf("%+q", eval[[]string](p, "[...document.querySelectorAll('#running .title')].map((e) => e.textContent).sort()")),
		fmt.Sprintf("%+q", []string{"ab\ufffdcod.exe\ufffd", "\u2068" + hebrew + "\u2069", "\u2068" + persian + "\u2069", family}))
	for _, by := range []string{"job", "author"} {
		p.click("[data-by=" + by + "]").until(loaded)
		eval[chromedp.Void](p, "document.querySelector('#groups .chart').focus()")
		p.press(kb.End)
		check("groups by " + by)
	}
	p.shoot("names")
	p.visit(s.url + "/?org=acme&last=7d&by=label.team").until(loaded)
	if rows := p.rows("#groups"); len(rows) != 4 || !strings.Contains(rows[3][0], family) { // of the leases that are finished
		t.Errorf("the groups by label are %v", rows)
	}
	check("groups by label")
	for _, panel := range []string{"builds", "transactions"} {
		p.until(fmt.Sprintf("(document.querySelector('#%s .expand[aria-expanded=false]')?.click(), !document.querySelector('#%[1]s .expand[aria-expanded=false]'))", panel))
	}
	check("opened rows")
	eval[chromedp.Void](p, "(() => { const input = document.querySelector('#lookup-id'); input.value = ''; input.focus(); })()")
	p.press(uuid("acme", 'a', 1)).press(kb.Enter).until("document.querySelector('#lookup-result').innerText.includes('It finished')")
	check("a lease that is found")
	p.click("#builds .csv")
	day := time.Now().UTC()
	if text := p.downloaded(fmt.Sprintf("acme-%s-to-%s-builds.csv", day.AddDate(0, 0, -6).Format(time.DateOnly), day.Format(time.DateOnly))); !strings.Contains(text, override) || !strings.Contains(text, ","+hebrew+",") {
		t.Errorf("the CSV has %+q", text)
	}
	p.click("#statement-link").until(printable)
	check("the statement")
	p.shoot("names-statement")

	// So may be the message of an error.
	p.expect("503")
	p.interceptAPI(func(url string) string {
		if strings.Contains(url, "/usage/") {
			return `503 {"error":{"type":"server_error","code":"unavailable","message":"not now, ` + override + `","doc_url":"x","request_id":"12345678901234567890"}}`
		}
		return ""
	})
	p.visit(s.url + "/?org=acme&source=credits").until("document.querySelectorAll('[role=alert] button').length === 4 && document.querySelector('#transactions .term')")
	check("the errors")
	p.interceptAPI(func(string) string { return "" })

	// The parts of an address are text of other people, too.
	for _, query := range []string{"org=acme&by=%E2%80%AEx", "org=acme&source=%E2%80%AEx", "org=%E2%80%AEx", "org=acme&month=%E2%80%AEx", "org=acme&tz=%E2%80%AEx"} {
		p.expect("422")
		p.visit(s.url + "/?" + query).until("[...document.querySelectorAll('[role=alert], #no-access')].some((e) => e.checkVisibility())")
		check(query)
	}
}
