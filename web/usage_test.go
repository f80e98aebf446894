package web_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/server"
)

// loaded is true once every panel shows its answer.
const loaded = `document.querySelector('#usage:not([hidden])') && !document.querySelector('[aria-busy]') &&
	document.querySelector('#builds .csv:enabled') && document.querySelector('#transactions .csv:enabled')`

// get asks the API, as the page does.
func get[T any](s *service, token, path string) (answer T) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/api/v0/"+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d, %v", path, res.StatusCode, err)
	}
	return answer
}

type (
	usage struct {
		CPU    int64 `json:"cpu_seconds"`
		Memory int64 `json:"memory_gb_seconds"`
		Disk   int64 `json:"disk_gb_seconds"`
		Cents  int64 `json:"total_cents"`
	}
	bucket struct {
		Date string
		usage
	}
	build struct {
		Number   int64  `json:"build_number"`
		Pipeline string `json:"pipeline_name"`
		Cents    int64  `json:"total_cents"`
		Jobs     []struct {
			Name    string `json:"job_name"`
			VM      string `json:"vm_handle"`
			CPUs    int64  `json:"cpu_count"`
			Memory  int64  `json:"memory_gb"`
			Disk    int64  `json:"disk_gb"`
			Seconds *int64 `json:"duration_seconds"`
			Cents   int64  `json:"amount_cents"`
		}
	}
	transaction struct {
		Cents       int64  `json:"amount_cents"`
		Source      string `json:"source"`
		CreatedAt   string `json:"created_at"`
		Description string
	}
	page[T any] struct {
		Data       []T
		NextCursor *string `json:"next_cursor"`
	}
	balance struct {
		Cents int64 `json:"balance_cents"`
	}
	pace struct {
		DaysLeft int64  `json:"days_left"`
		ZeroOn   string `json:"zero_on"`
	}
	runway struct {
		Last7Days  pace `json:"last_7_days"`
		Last30Days pace `json:"last_30_days"`
	}
)

// cost is what the page writes for a build.
func (b build) cost() string {
	running := 0
	for _, job := range b.Jobs {
		if job.Seconds == nil {
			running++
		}
	}
	switch running {
	case len(b.Jobs):
		return "not billed yet"
	case 0:
		return money(-b.Cents)
	}
	return money(-b.Cents) + " so far"
}

// money writes cents as the page does.
func money(cents int64) string {
	sign := ""
	n := big.NewInt(cents)
	if n.Sign() < 0 {
		sign = "−"
		n.Neg(n)
	}
	dollars, rest := new(big.Int).DivMod(n, big.NewInt(100), new(big.Int))
	return sign + "$" + thousands(dollars.String()) + fmt.Sprintf(".%02d", rest.Int64())
}

func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// change writes a difference as the page does.
func change(before, after int64) string {
	difference, sign := after-before, "+"
	if difference < 0 {
		difference, sign = -difference, "−"
	}
	percent := new(big.Rat).SetFrac64(100*difference, before).FloatString(1)
	whole, tenth, _ := strings.Cut(percent, ".")
	return fmt.Sprintf("%s%s (%s%s.%s%%)", sign, money(difference), sign, thousands(whole), tenth)
}

// notOver is what the page adds to today.
func notOver(date time.Time) string {
	if date.Equal(time.Now().UTC().Truncate(24 * time.Hour)) {
		return ", not over"
	}
	return ""
}

// hours writes unit-seconds as the page does.
func hours(seconds int64) string {
	tenths := (seconds + 180) / 360
	if tenths < 1000 {
		return fmt.Sprintf("%d.%d", tenths/10, tenths%10)
	}
	return thousands(strconv.FormatInt((tenths+5)/10, 10))
}

func length(seconds int64) string {
	switch {
	case seconds >= 3600:
		return fmt.Sprintf("%dh %02dm", seconds/3600, seconds/60%60)
	case seconds >= 60:
		return fmt.Sprintf("%dm %02ds", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%ds", seconds)
}

// rows are the cells of a table's rows that are in the page.
func (p *tab) rows(table string) [][]string {
	p.t.Helper()
	return eval[[][]string](p, fmt.Sprintf(`[...document.querySelectorAll('%s tr')].filter((r) => !r.closest('thead, [aria-hidden]'))
		.map((r) => [...r.cells].filter((c) => c.checkVisibility()).map((c) => c.innerText.replace(/\s+/g, ' ').trim()))`, table))
}

// window returns the window of the page: its first day, and the day after its last.
func (p *tab) window() (first, end time.Time) {
	p.t.Helper()
	days := eval[[]string](p, "[...document.querySelectorAll('#range-form input')].map((i) => i.value)")
	first, err := time.Parse(time.DateOnly, days[0])
	if err != nil {
		p.t.Fatal(err)
	}
	last, err := time.Parse(time.DateOnly, days[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return first, last.AddDate(0, 0, 1)
}

func (p *tab) same(what, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: the page shows %q, the API says %q", what, got, want)
	}
}

func TestSignIn(t *testing.T) {
	s, token := small(t, server.Config{})
	p := open(t, look{}).visit(s.url).until("document.querySelector('#sign-in').checkVisibility()")
	p.accessible().shoot("signed-out")
	p.expect("401")
	p.press("hmt_" + strings.Repeat("x", 43)).press(kb.Enter) // the field has the focus
	p.until("document.querySelector('#sign-in-problem').checkVisibility()")
	if text := p.text("#sign-in-problem"); !strings.Contains(text, "does not accept this token") {
		t.Errorf("a wrong token is told: %s", text)
	}
	p.accessible().shoot("signed-out-refused")

	p.press(token).press(kb.Enter).until(loaded)
	p.do(chromedp.Reload())
	p.until(loaded)
	p.click("#sign-out").until("document.querySelector('#sign-in').checkVisibility()")
	p.do(chromedp.Reload())
	p.until("document.querySelector('#sign-in').checkVisibility()")

	// A link brings the token, which the page removes from the address.
	p = open(t, look{}).visit(s.url + "/?last=7d#token=" + token).until(loaded)
	if address := eval[string](p, "location.href"); strings.Contains(address, "hmt_") || !strings.Contains(address, "last=7d") {
		t.Errorf("the address is %s", address)
	}
	if kept := eval[string](p, "JSON.stringify({...localStorage}) + document.cookie"); kept != "{}" {
		t.Errorf("beside the session, the page keeps %s", kept)
	}

	// It asks before it replaces the session of somebody who is signed in.
	other := s.token("acme")
	for _, c := range []struct{ address, button, kept string }{
		{"/?last=7d#token=", "#replace-no", token}, {"/#token=", "#replace-no", token}, {"/?last=7d#token=", "#replace-yes", other},
	} {
		p.visit(s.url + c.address + other).until("document.querySelector('#replace').open").until(loaded)
		if session := eval[string](p, "sessionStorage.getItem('harmont-billing-token')"); session != token {
			t.Error("the session is replaced before the answer")
		}
		for _, e := range call(p, cdppage.GetNavigationHistory, cdp.Empty{}).Entries {
			if strings.Contains(e.URL, "hmt_") {
				t.Error("the history has the token")
			}
		}
		if c.kept == other {
			p.accessible().shoot("replace")
		}
		p.click(c.button).until("!document.querySelector('#replace').open").until(loaded)
		if session := eval[string](p, "sessionStorage.getItem('harmont-billing-token')"); session != c.kept {
			t.Errorf("after %s the session is another than wanted", c.button)
		}
	}
}

// zero is the day on which a balance reaches zero, as the page writes it.
func (p pace) zero(t *testing.T) string {
	t.Helper()
	day, err := time.Parse(time.DateOnly, p.ZeroOn)
	if err != nil {
		t.Fatal(err)
	}
	return day.Format("2 Jan 2006")
}

// Every figure on the page is the answer of the API.
func TestFigures(t *testing.T) {
	s, token := demo(t)
	p := open(t, look{}).visit(s.url + "/?last=30d#token=" + token).until(loaded)
	first, end := p.window()
	if n := end.Sub(first) / (24 * time.Hour); n != 30 || time.Until(end) > 24*time.Hour {
		t.Errorf("%d days are shown, up to %s", n, end)
	}
	window := "?from=" + first.Format(time.DateOnly) + "&to=" + end.Format(time.DateOnly)
	sums := get[usage](s, token, "billing/usage/acme"+window)
	left := get[balance](s, token, "billing/balance/acme").Cents
	elapsed := int64(time.Since(first) / time.Second)

	p.same("credit", p.text("#tile-credit .figure"), money(left))
	p.same("spent", p.text("#tile-spent .figure"), money(sums.Cents))
	// The page has asked for the same part of the 30 days before, up to a moment ago 30 days ago.
	asked := p.windows("/usage/acme")[1]
	if passed := time.Since(asked.To.AddDate(0, 0, 30)); !asked.From.Equal(first.AddDate(0, 0, -30)) || passed < 0 || passed > patience {
		t.Errorf("the window is compared with %v", asked)
	}
	before := get[usage](s, token, "billing/usage/acme?from="+asked.From.Format(time.RFC3339)+"&to="+asked.To.Format(time.RFC3339))
	p.same("change", p.text("#tile-spent .change"), change(before.Cents, sums.Cents)+" against "+money(before.Cents)+" in the same part of the 30 days before")
	p.same("resources", p.text("#tile-spent .hint"), fmt.Sprintf("CPU %s h · memory %s GB-h · disk %s GB-h", hours(sums.CPU), hours(sums.Memory), hours(sums.Disk)))
	// A little time went by between the page's reckoning and this one.
	average := []string{money(sums.Cents * 86400 / elapsed), money(sums.Cents * 86400 / (elapsed - 60))}
	if got := p.text("#tile-average .figure"); !slices.Contains(average, got) {
		t.Errorf("the average is %s, want %v", got, average)
	}
	lasts := get[runway](s, token, "billing/runway/acme")
	p.same("runway", p.text("#tile-runway .figure"), fmt.Sprintf("%d days", lasts.Last30Days.DaysLeft))
	p.same("until", p.text("#tile-runway .hint"), fmt.Sprintf("until %s at the pace of the last 30 whole days (UTC), until %s at that of the last 7",
		lasts.Last30Days.zero(t), lasts.Last7Days.zero(t)))

	p.click("#days summary").until("document.querySelector('.days-table tbody')")
	days := get[page[bucket]](s, token, "billing/usage/acme/series"+window).Data[:30]
	shown := p.rows(".days-table")
	if len(shown) != len(days) {
		t.Fatalf("%d days are shown", len(shown))
	}
	for i, d := range days {
		date, _ := time.Parse(time.DateOnly, d.Date)
		p.same(d.Date, strings.Join(shown[i], " "), strings.Join([]string{date.Format("Mon, 2 Jan 2006") + notOver(date), money(d.Cents), hours(d.CPU), hours(d.Memory), hours(d.Disk)}, " "))
	}
	p.click("#days summary")

	builds := get[page[build]](s, token, "billing/usage/acme/breakdown"+window).Data
	p.same("number of builds", p.text("#builds .count"), thousands(strconv.Itoa(len(builds))))
	if rows := p.rows("#builds"); len(rows) < 10 {
		t.Errorf("only %d builds are in the page", len(rows))
	} else {
		for i, row := range rows {
			p.same("build", row[0]+" "+row[4], fmt.Sprintf("%s #%d %s", builds[i].Pipeline, builds[i].Number, builds[i].cost()))
		}
	}
	// The newest build that is finished opens to its jobs.
	finished := slices.IndexFunc(builds, func(b build) bool {
		for _, job := range b.Jobs {
			if job.Seconds == nil {
				return false
			}
		}
		return true
	})
	sum := int64(0)
	for _, job := range builds[finished].Jobs {
		sum += *job.Seconds
	}
	p.same("duration", p.rows("#builds")[finished][3], length(sum))
	button := fmt.Sprintf("#builds tr[aria-rowindex='%d'] .expand", finished+2)
	p.click(button).until("document.querySelector('#builds [aria-expanded=true]')")
	for i, job := range builds[finished].Jobs {
		row := p.rows("#builds")[finished+1+i]
		p.same("job", strings.Join([]string{row[0], row[1], row[3], row[4]}, "; "), fmt.Sprintf("%s; %s %d CPU, %d GB, %d GB disk; %s; %s",
			job.Name, job.VM, job.CPUs, job.Memory, job.Disk, length(*job.Seconds), money(-job.Cents)))
	}
	p.accessible().shoot("desktop")
	p.click(button).until("!document.querySelector('#builds [aria-expanded=true]')")

	ledger := get[page[transaction]](s, token, "billing/transactions/acme?limit=100").Data
	names := map[string]string{"vm_lease_debit": "VM lease", "stripe_topup": "Top-up", "refund": "Refund", "coupon_redemption": "Coupon", "admin_grant": "Grant"}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range p.rows("#transactions") {
		at, _ := time.Parse(time.RFC3339, ledger[i].CreatedAt)
		p.same("entry", strings.Join([]string{row[0], row[1], strings.TrimPrefix(row[3], "+")}, "; "),
			strings.Join([]string{at.In(berlin).Format("2 Jan 2006, 15:04"), names[ledger[i].Source], money(ledger[i].Cents)}, "; "))
	}
	// A pointer shows the time in UTC.
	at := eval[[]string](p, "(({dateTime, title}) => [dateTime, title])(document.querySelector('#transactions time'))")
	if want := strings.Replace(ledger[0].CreatedAt[:19], "T", " ", 1) + " UTC"; at[0] != ledger[0].CreatedAt || at[1] != want {
		t.Errorf("the time is %v, want %s", at, want)
	}
}

// The bars are the API's days, and both views of them answer to the pointer and to the keyboard.
func TestChart(t *testing.T) {
	s, token := demo(t)
	p := open(t, look{}).visit(s.url + "/?last=7d#token=" + token).until(loaded)
	first, end := p.window()
	days := get[page[bucket]](s, token, fmt.Sprintf("billing/usage/acme/series?from=%s&to=%s", first.Format(time.DateOnly), end.Format(time.DateOnly))).Data[:7]
	read := func(d bucket) string {
		date, _ := time.Parse(time.DateOnly, d.Date)
		return fmt.Sprintf("%s, %s, CPU %s h, Memory %s GB-h, Disk %s GB-h", date.Format("Mon, 2 Jan 2006")+notOver(date), money(d.Cents), hours(d.CPU), hours(d.Memory), hours(d.Disk))
	}
	eval[chromedp.Void](p, "document.querySelector('#days .chart').focus()")
	p.press(kb.Home)
	p.same("first day", p.text("#days .reading"), read(days[0]))
	p.press(kb.ArrowRight).press(kb.ArrowRight)
	p.same("third day", p.text("#days .reading"), read(days[2]))
	p.press(kb.End)
	p.same("last day", p.text("#days .reading"), read(days[6]))

	// The heights of the bars, read from the canvas: where a day's column meets the color.
	p.click("[data-view=resources]").until("document.querySelector('.legend').checkVisibility()")
	colors := func() int {
		return eval[int](p, `(() => {
			const canvas = document.querySelector('#days canvas'), {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
			const style = getComputedStyle(document.documentElement), seen = new Set();
			const wanted = ['--cpu', '--memory', '--disk'].map((n) => style.getPropertyValue(n).trim());
			for (let i = 0; i < data.length; i += 4) {
				const hex = '#' + [data[i], data[i + 1], data[i + 2]].map((c) => c.toString(16).padStart(2, '0')).join('');
				if (wanted.includes(hex)) seen.add(hex);
			}
			return seen.size;
		})()`)
	}
	if n := colors(); n != 3 {
		t.Errorf("%d resources are stacked", n)
	}
	p.shoot("desktop-resources")
	p.click(".legend button:nth-child(3)")
	if n := colors(); n != 2 {
		t.Errorf("without disk, %d resources are stacked", n)
	}
	p.do(chromedp.ScrollIntoView(chromedp.CSS("#days .chart")))
	middle := eval[[]int64](p, "(({x, y, width, height}) => [Math.round(x + width / 2), Math.round(y + height / 2)])(document.querySelector('#days .u-over').getBoundingClientRect())")
	p.do(chromedp.MouseEvent("mouseMoved", number(middle[0]), number(middle[1])))
	p.until("document.querySelector('#days .tooltip').checkVisibility()")
	p.same("the day pointed at", strings.Join(strings.Split(p.text("#days .tooltip"), "\n"), ", "), read(days[3]))
	// A day that is pressed, or entered, is shown alone.
	alone := "?org=acme&from=" + days[3].Date + "&to=" + days[4].Date
	p.do(chromedp.MouseClickXY(number(middle[0]), number(middle[1])))
	p.until(loaded)
	p.same("the address", eval[string](p, "location.search"), alone)
	p.do(chromedp.NavigateBack())
	p.until("location.search.includes('last=7d')").until(loaded)
	eval[chromedp.Void](p, "document.querySelector('#days .chart').focus()")
	p.press(kb.Home).press(kb.Enter).until(loaded)
	p.same("the address of the first day", eval[string](p, "location.search"), "?org=acme&from="+days[0].Date+"&to="+days[1].Date)
}

// History is records for import: a coupon, then a lease a minute, each in a build of its own with its debit.
func history(org string, leases int, start time.Time, credit int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"organization","slug":%[1]q,"name":"The %[1]s company","created_at":"2026-01-01T00:00:00Z"}`+"\n", org)
	fmt.Fprintf(&b, `{"type":"entry","org":%q,"id":"%s","amount_cents":%d,"source":"coupon_redemption","description":"Coupon","created_at":"%s","lease_id":null}`+"\n",
		org, uuid(org, 'e', 0), credit, start.Format(time.RFC3339))
	for i := 1; i <= leases; i++ {
		at := start.Add(time.Duration(i) * time.Minute)
		fmt.Fprintf(&b, `{"type":"lease","org":%q,"lease_id":%q,"job_id":%q,"job_name":"Job %d","vm_handle":"vm-%d","build_id":%q,"build_number":%[4]d,"pipeline_name":"Main","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":%[7]q,"finished_at":%[8]q,"duration_seconds":300,"amount_cents":-12}`+"\n",
			org, uuid(org, 'a', i), uuid(org, 'b', i), i, i, uuid(org, 'c', i), at.Format(time.RFC3339), at.Add(5*time.Minute).Format(time.RFC3339))
	}
	for i := 1; i <= leases; i++ {
		at := start.Add(time.Duration(i) * time.Minute)
		fmt.Fprintf(&b, `{"type":"entry","org":%q,"id":%q,"amount_cents":-12,"source":"vm_lease_debit","description":"VM lease of job %s started %s","created_at":%q,"lease_id":%q}`+"\n",
			org, uuid(org, 'd', i), uuid(org, 'b', i), at.Format("2006-01-02T15:04:05.000000Z"), at.Add(5*time.Minute).Format(time.RFC3339), uuid(org, 'a', i))
	}
	return b.String()
}

// small is a server with three leases of the day before.
func small(t *testing.T, config server.Config) (s *service, token string) {
	t.Helper()
	s = serve(t, config)
	s.books(history("acme", 3, time.Now().UTC().Truncate(time.Second).Add(-24*time.Hour), 1000))
	token = s.token("acme")
	return s, token
}

// machine is a shape, such as 2-4-20, as the page writes it.
func machine(shape string) string {
	counts := strings.Split(shape, "-")
	return fmt.Sprintf("%s CPU, %s GB, %s GB disk", counts[0], counts[1], counts[2])
}

// Groups are the API's, in the order of their cost; they can be sorted and searched, and the chart stacks them.
func TestGroups(t *testing.T) {
	s, token := demo(t)
	p := open(t, look{}).visit(s.url + "/#token=" + token).until(loaded)
	p.click("[data-last='7d']").until(loaded) // one click tells which pipeline cost most in the last week
	first, end := p.window()
	type group struct {
		Name   string
		Leases int64 `json:"lease_count"`
		Series []bucket
		usage
	}
	by := func(by string) []group {
		return get[page[group]](s, token, fmt.Sprintf("billing/usage/acme/by?by=%s&interval=day&from=%s&to=%s", by, first.Format(time.DateOnly), end.Format(time.DateOnly))).Data
	}
	pipelines := by("pipeline")
	total := int64(0)
	for _, g := range pipelines {
		total += g.Cents
	}
	p.same("the sum", money(total), p.text("#tile-spent .figure"))
	rows := p.rows("#groups")
	if len(rows) != len(pipelines) || len(rows) == 0 {
		t.Fatalf("%d pipelines are shown, and the API has %d", len(rows), len(pipelines))
	}
	for i, g := range pipelines {
		percent := new(big.Rat).SetFrac64(100*g.Cents, total).FloatString(1) + "%"
		p.same(g.Name, strings.Join(rows[i], "; "), strings.Join([]string{g.Name, money(g.Cents), percent, thousands(strconv.FormatInt(g.Leases, 10)), hours(g.CPU), hours(g.Memory), hours(g.Disk)}, "; "))
	}

	// The chart reads each day with its parts.
	eval[chromedp.Void](p, "document.querySelector('#groups .chart').focus()")
	p.press(kb.End)
	today := first.AddDate(0, 0, 6)
	want := today.Format("Mon, 2 Jan 2006") + notOver(today)
	sum := int64(0)
	for _, g := range pipelines {
		sum += g.Series[6].Cents
	}
	want += ", " + money(sum)
	for _, g := range pipelines {
		if cents := g.Series[6].Cents; cents > 0 {
			want += ", " + g.Name + " " + money(cents)
		}
	}
	p.same("today", p.text("#groups .reading"), want)
	p.accessible().shoot("groups")

	// Sorting keeps the focus on the column, and says which one it is.
	p.click("#groups thead th:nth-child(4) button")
	slices.SortStableFunc(pipelines, func(a, b group) int { return int(b.Leases - a.Leases) })
	p.same("by leases", p.rows("#groups")[0][0], pipelines[0].Name)
	p.press(kb.Enter)
	if rows := p.rows("#groups"); rows[len(rows)-1][0] != pipelines[0].Name {
		t.Errorf("the other way around, the last one is %v", rows)
	}
	if sorted := eval[string](p, "document.querySelector('#groups [aria-sort]').innerText + document.querySelector('#groups [aria-sort]').ariaSort"); sorted != "Leasesascending" {
		t.Errorf("sorted is %s", sorted)
	}

	// The group and the text that is looked for are in the address.
	p.click("[data-by=job]").until(loaded)
	eval[chromedp.Void](p, "document.querySelector('#groups-search').focus()")
	p.press("web app / l")
	p.same("address", eval[string](p, "location.search"), "?org=acme&last=7d&by=job&find=web+app+%2F+l")
	p.do(chromedp.Reload())
	p.until(loaded)
	if rows := p.rows("#groups"); len(rows) != 1 || rows[0][0] != "Web App / Lint" {
		t.Errorf("the jobs are %v", rows)
	}
	if text := p.text("#groups .foot"); !strings.HasPrefix(text, "1 of ") {
		t.Errorf("the foot says %s", text)
	}
	p.accessible()
	p.click("#groups .csv")
	if records, err := csv.NewReader(strings.NewReader(p.downloaded(fmt.Sprintf("acme-%s-to-%s-groups.csv", first.Format(time.DateOnly), today.Format(time.DateOnly))))).ReadAll(); err != nil || len(records) != 1+len(by("job")) || records[1][0] != "group" || records[1][2] != by("job")[0].Name {
		t.Errorf("the CSV is %v, %v", records, err)
	}
	p.click("[data-by=shape]").until(loaded)
	p.same("machines", p.rows("#groups")[0][0], machine(by("shape")[0].Name))

	// A label is named by its key; one that no lease has is told so.
	p.click("#by-label")
	if !eval[bool](p, "document.activeElement.id === 'label-key'") {
		t.Error("the key of a label does not get the focus")
	}
	p.press("colour").press(kb.Enter).until("location.search.includes('label.colour')").until(loaded)
	p.same("labels", p.text("#groups .state"), "No finished lease of this window has the label colour.")
	p.accessible().shoot("groups-label")

	// A group that the server does not know is told in words, and is no other group.
	p.expect("422")
	for _, by := range []string{"weather", "label.a b", "label.", "label.-a", "label." + strings.Repeat("a", 64), "", "Pipeline"} {
		p.visit(s.url + "/?by=" + url.QueryEscape(by)).until("document.querySelector('#groups [role=alert]')")
		p.same(by, p.text("#groups .state"), "Usage has no groups by “"+by+"”. It is grouped by pipeline, job, shape, author, or a label such as label.team. "+
			"The key of a label has up to 63 letters, digits and . _ / -, with a letter or digit first. Choose a group above.")
	}
	p.accessible().shoot("groups-refused")
	p.click("[data-by=job]").until(loaded)
	p.same("after that", p.rows("#groups")[0][0], by("job")[0].Name)
	// A year has a bar for each month.
	p.visit(s.url + "/?last=365d").until(loaded)
	eval[chromedp.Void](p, "document.querySelector('#groups .chart').focus()")
	p.press(kb.End)
	if text := p.text("#groups .reading"); !strings.HasPrefix(text, time.Now().UTC().Format("January 2006")+", $") {
		t.Errorf("the last month is read as %s", text)
	}
}

func uuid(org string, kind rune, n int) string {
	return fmt.Sprintf("01990000-%04x-7000-8%c00-%012d", len(org), kind, n)
}

// A credit does not disappear behind any number of debits, and paging ends at the first entry.
func TestTransactions(t *testing.T) {
	s := serve(t, server.Config{})
	s.books(history("acme", 350, time.Now().UTC().Truncate(time.Second).Add(-48*time.Hour), 1000))
	token := s.token("acme")
	p := open(t, look{}).visit(s.url + "/?last=30d#token=" + token).until(loaded)
	first, _ := p.window()
	shown := func() int {
		return eval[int](p, "Number(document.querySelector('#transactions table').getAttribute('aria-rowcount')) - 1")
	}
	if n := shown(); n != 100 {
		t.Errorf("at first there are %d entries", n)
	}
	p.click("#transactions .foot button").until("document.querySelector('#transactions table').getAttribute('aria-rowcount') > 200")
	// Scrolling loads further pages, to the first entry of the window.
	p.until(`(() => {
		const scroller = document.querySelector('#transactions .scroller');
		scroller.scrollTop = scroller.scrollHeight;
		return document.querySelector('#transactions .foot').innerText.includes('all entries of the window');
	})()`)
	if n := shown(); n != 351 {
		t.Errorf("in the end there are %d entries", n)
	}
	p.until("[...document.querySelectorAll('#transactions .source')].some((c) => c.innerText === 'Coupon')")

	choose := func(source string) {
		eval[chromedp.Void](p, fmt.Sprintf(`(() => { const s = document.querySelector('#source'); s.value = %q; s.dispatchEvent(new Event('change')); })()`, source))
	}
	choose("coupon_redemption")
	p.until("document.querySelector('#transactions .count').innerText === '1'")
	balances := func(want string) {
		t.Helper()
		p.same("above the entries", strings.ReplaceAll(p.text("#transactions .balances"), "\n", " "), want)
	}
	// What stands above the entries is of the same sources.
	balances("Coupon +$10.00")
	if rows := p.rows("#transactions"); len(rows) != 1 || rows[0][1] != "Coupon" || rows[0][3] != "+$10.00" {
		t.Errorf("the coupons are %v", rows)
	}
	p.shoot("filtered")
	choose("refund")
	p.until("document.querySelector('#transactions .state').innerText === 'The ledger has no such entry in this window.'")
	balances("")
	choose("credits")
	p.until("document.querySelector('#transactions .count').innerText === '1'")
	balances("Coupon +$10.00")
	p.accessible()
	choose("vm_lease_debit")
	p.until("document.querySelector('#transactions .count').innerText === '100+'")
	balances("VM lease " + money(-350*12))
	choose("")
	p.until("document.querySelector('#transactions .balances').innerText.includes('Balance now')")
	balances(fmt.Sprintf("Opening balance, %s $0.00 Coupon +$10.00 VM lease %s Balance now %s", first.Format("2 Jan 2006"), money(-350*12), money(1000-350*12)))
	choose("refund")
	p.until("document.querySelector('#transactions .state').innerText === 'The ledger has no such entry in this window.'")
	// The link keeps the filter.
	p.do(chromedp.Reload())
	p.until(loaded)
	p.same("the source, from the address", eval[string](p, "document.querySelector('#source').value")+" "+p.text("#transactions .state"),
		"refund The ledger has no such entry in this window.")
	balances("")
	p.expect("422")
	p.visit(s.url + "/?last=30d&source=lottery").until("document.querySelector('#transactions [role=alert]')")
	p.same("a source that there is not", p.text("#transactions .state"), "Entries have no source “lottery”. Choose a source above.")
	p.accessible()
	choose("vm_lease_debit")
	p.until("document.querySelector('#transactions .count').innerText === '100+'")
	for _, row := range p.rows("#transactions") {
		if row[1] != "VM lease" {
			t.Errorf("among VM leases there is %v", row)
		}
	}
}

// Who gave a credit, and when, is one choice away; a window begins with the balance with which the one before it ends.
func TestCredits(t *testing.T) {
	s := serve(t, server.Config{})
	s.books(history("acme", 3, time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -12), 1000))
	admin, _, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "support", Role: server.RoleAdmin, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v0/billing/credits/acme", strings.NewReader(`{"amount_cents":5000,"source":"refund","description":"Outage"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+admin)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "01990000-0004-7000-8f00-000000000001")
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode >= 300 {
		t.Fatal(res, err)
	}
	res.Body.Close()
	p := open(t, look{}).visit(s.url + "/?last=7d#token=" + s.token("acme")).until(loaded)
	p.same("the balances", strings.Join(strings.Fields(p.text("#transactions .balances")), " "),
		fmt.Sprintf("Opening balance, %s $9.64 Refund +$50.00 Balance now $59.64", time.Now().UTC().AddDate(0, 0, -6).Format("2 Jan 2006")))
	eval[chromedp.Void](p, "(() => { const s = document.querySelector('#source'); s.value = 'credits'; s.dispatchEvent(new Event('change')); })()")
	p.until("document.querySelector('#transactions .term')")
	if row := p.rows("#transactions")[0]; row[1] != "Refund" || row[2] != "Outage by support" || row[3] != "+$50.00" {
		t.Errorf("the credit is %v", row)
	}
	p.click("#transactions .expand").until("document.querySelector('#transactions .line')")
	p.same("its lines", fmt.Sprintf("%q", p.rows("#transactions")[1:]), fmt.Sprintf("%q", [][]string{{"", "", "Posted by support", ""}, {"", "", "Balance after this entry", "$59.64"}}))
	p.accessible().shoot("credits")
}

// Each of the questions that people ask is answered after two clicks at most.
func TestQuestions(t *testing.T) {
	s, token := demo(t)
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	// A lease of three weeks ago, to ask for.
	old := now.AddDate(0, 0, -21).Truncate(time.Second)
	s.books(fmt.Sprintf(`{"type":"lease","org":"acme","lease_id":%q,"job_id":%q,"job_name":"Old","build_id":%q,"build_number":7,"pipeline_name":"Main","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":%q,"finished_at":null}`+"\n",
		uuid("acme", 'a', 1), uuid("acme", 'b', 1), uuid("acme", 'c', 1), old.Format(time.RFC3339)))
	p := open(t, look{}).visit(s.url + "/#token=" + token).until(loaded)
	type groups = page[struct{ Name string }]

	spent := get[usage](s, token, "billing/usage/acme?from="+month.Format(time.DateOnly)+"&to="+now.AddDate(0, 0, 1).Format(time.DateOnly)).Cents
	p.same("what did we spend this month", p.text("#tile-spent .figure"), money(spent))
	if text := p.text("#tile-spent .change"); !strings.Contains(text, month.AddDate(0, -1, 0).Format("January 2006")) {
		t.Errorf("this month against last: %s", text)
	}
	p.same("how long does the credit last", p.text("#tile-runway .figure"), fmt.Sprintf("%d days", get[runway](s, token, "billing/runway/acme").Last30Days.DaysLeft))
	if text := p.text("#running .foot"); !strings.Contains(text, "so far, not billed") {
		t.Errorf("what runs now: %s", text)
	}

	p.click("[data-last='7d']").until(loaded)
	first, end := p.window()
	window := "&from=" + first.Format(time.DateOnly) + "&to=" + end.Format(time.DateOnly)
	p.same("which pipeline cost most last week", p.rows("#groups")[0][0], get[groups](s, token, "billing/usage/acme/by?by=pipeline"+window).Data[0].Name)
	p.click("[data-by=shape]").until(loaded)
	p.same("which machine costs most", p.rows("#groups")[0][0], machine(get[groups](s, token, "billing/usage/acme/by?by=shape"+window).Data[0].Name))

	// Why this amount on a day: its bar, then the charge.
	bar := eval[[]int64](p, "(({x, y, width, height}) => [Math.round(x + width / 14), Math.round(y + height / 2)])(document.querySelector('#days .u-over').getBoundingClientRect())")
	p.do(chromedp.MouseEvent("mouseMoved", number(bar[0]), number(bar[1])))
	p.until("document.querySelector('#days .tooltip').checkVisibility()")
	p.do(chromedp.MouseClickXY(number(bar[0]), number(bar[1])))
	p.until("location.search.includes('from=" + first.Format(time.DateOnly) + "')").until(loaded)
	p.click("#transactions tbody .expand").until("document.querySelector('#transactions .line .term')")

	// The month before as CSV.
	p.click("[data-month=last]").until(loaded)
	p.click("#transactions .csv")
	if file := p.downloaded(fmt.Sprintf("acme-%s-to-%s-transactions.csv", month.AddDate(0, -1, 0).Format(time.DateOnly), month.AddDate(0, 0, -1).Format(time.DateOnly))); strings.Count(file, "\n") < 100 {
		t.Errorf("the CSV of the month is %s", file)
	}

	// Whether a lease was recorded, by its id or its job's.
	for _, id := range []string{uuid("acme", 'a', 1), uuid("acme", 'b', 1)} {
		eval[chromedp.Void](p, "(() => { const input = document.querySelector('#lookup-id'); input.value = ''; input.focus(); })()")
		p.press(id).press(kb.Enter).until("document.querySelector('#lookup-result').innerText.includes('It runs, and has cost')")
		if text := p.text("#lookup-result"); !strings.HasPrefix(text, "Recorded: Main #7, Old, started "+old.Format(time.DateTime)+" UTC.") {
			t.Errorf("%s: %s", id, text)
		}
	}
	p.accessible().shoot("lookup")
	p.click("#lookup-result button").until("document.activeElement?.closest('#builds tr')?.matches('.marked')").until(loaded)
	for id, answer := range map[string]string{
		uuid("acme", 'f', 1): "No lease and no job with this id", "nonsense": "“nonsense” is no id. The id of a lease or a job is a UUID", "#12": "“#12” is no id",
		uuid("acme", 'f', 1) + "0": "is no id", strings.ReplaceAll(uuid("acme", 'f', 1), "-", ""): "is no id",
	} {
		eval[chromedp.Void](p, "(() => { const input = document.querySelector('#lookup-id'); input.value = ''; input.focus(); performance.clearResourceTimings(); })()")
		p.press(id).press(kb.Enter).until(fmt.Sprintf("document.querySelector('#lookup-result').innerText.includes(%q)", answer))
		if calls := p.requests(); len(calls) > 0 && id != uuid("acme", 'f', 1) {
			t.Errorf("for %s, the page asks %v", id, calls)
		}
	}
	p.accessible().shoot("lookup-refused")
}

// A debit opens to the arithmetic of its cost, and leads to its lease, also to one outside the window that is shown.
func TestDebit(t *testing.T) {
	s := serve(t, server.Config{})
	// The leases finish after midnight, and start before it.
	midnight := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -8)
	s.books(history("acme", 3, midnight.Add(-4*time.Minute), 1000))
	day := midnight.Format(time.DateOnly)
	address := s.url + "/?from=" + day + "&to=" + midnight.AddDate(0, 0, 1).Format(time.DateOnly)
	p := open(t, look{}).visit(address + "#token=" + s.token("acme")).until(loaded)
	p.same("builds", p.text("#builds .state"), "No build started in this window.")

	// The whole row opens it.
	p.click("#transactions tr[aria-rowindex='2'] td.when").until("document.querySelector('#transactions .line')")
	p.same("the arithmetic", fmt.Sprintf("%q", p.rows("#transactions")[1:8]), fmt.Sprintf("%q", [][]string{
		{"", "", "Show Main #3, Job 3", ""},
		{"", "", "Rate card: First prices in force from 1970-01-01 00:00:00 UTC", ""},
		{"", "", "2 CPU × 10,000 × 300 s", "6,000,000"}, {"", "", "4 GB of memory × 5,000 × 300 s", "6,000,000"}, {"", "", "20 GB of disk × 100 × 300 s", "600,000"},
		{"", "", "Sum for 5m 00s in millionths of a cent", "12,600,000"},
		{"", "", "Rounded down to whole cents", "$0.12"},
	}))
	p.same("the balance", p.rows("#transactions")[8][3], "$9.64")
	if !eval[bool](p, "document.activeElement.matches('#transactions tr[aria-rowindex=\"2\"] [aria-expanded=true]')") {
		t.Error("opening a debit does not give its button the focus")
	}
	p.accessible().shoot("debit")
	p.press(kb.Enter).until("!document.querySelector('#transactions .line')")
	p.press(kb.Enter).until("document.querySelector('#transactions .line')")

	p.click("#transactions .line button.link").until("document.activeElement?.closest('#builds tr')?.matches('.marked')")
	if row := eval[string](p, "document.activeElement.innerText"); !strings.Contains(row, "Job 3") || !strings.Contains(row, "vm-3") {
		t.Errorf("the debit of job 3 leads to %q", row)
	}
	p.until(loaded).shoot("lease")
	// The way there is in the browser's history.
	p.do(chromedp.NavigateBack())
	p.until("location.search.includes('from=" + day + "')").until(loaded)
	p.same("builds, again", p.text("#builds .state"), "No build started in this window.")
}

// A debit of another system has no lease to lead to, and a failure is told where it was asked for.
func TestDebitDetails(t *testing.T) {
	s := serve(t, server.Config{})
	s.books(history("acme", 3, time.Now().UTC().Truncate(time.Second).Add(-time.Hour), 1000) +
		`{"type":"entry","org":"acme","id":"01990000-0004-7000-8f00-000000000001","amount_cents":-5,"source":"vm_lease_debit","description":"May","created_at":"` +
		time.Now().UTC().Format(time.RFC3339) + `","lease_id":null}` + "\n")
	p := open(t, look{}).visit(s.url + "/?last=7d#token=" + s.token("acme")).until(loaded)
	p.click("#transactions tr[aria-rowindex='2'] .expand").until("document.querySelector('#transactions .line')")
	p.same("the lines", fmt.Sprintf("%q", p.rows("#transactions")[1:3]), fmt.Sprintf("%q", [][]string{
		{"", "", "This debit names no lease: it is history of another system.", ""}, {"", "", "Balance after this entry", "$9.59"},
	}))
	p.accessible().shoot("debit-of-another-system")
	p.click("#transactions tr[aria-rowindex='2'] .expand").until("!document.querySelector('#transactions .line')")
	p.expect("500")
	p.interceptAPI(func(url string) string {
		if strings.Contains(url, "/transactions/acme/") {
			return `500 {"error":{"type":"server_error","code":"internal","message":"it failed","doc_url":"x","request_id":"12345678901234567890"}}`
		}
		return ""
	})
	p.click("#transactions tr[aria-rowindex='3'] .expand").until("document.querySelector('#transactions [role=alert]')")
	if text := p.text("#transactions tbody:not([aria-hidden])"); !strings.Contains(text, "It failed.") || !strings.Contains(text, "12345678901234567890") {
		t.Errorf("the failure is told as %q", text)
	}
	p.accessible()
}

// The windows are those of the command line, and their addresses, too.
func TestWindows(t *testing.T) {
	s := serve(t, server.Config{})
	today := time.Now().UTC().Truncate(24 * time.Hour)
	month := today.AddDate(0, 0, 1-today.Day())
	start := month.AddDate(0, -2, 3) // 20 leases of 12 cents, on one day of the month before last
	s.books(history("acme", 20, start, 1000))
	token := s.token("acme")
	day := func(d time.Time) string { return d.Format(time.DateOnly) }
	p := open(t, look{}).visit(s.url + "/#token=" + token).until(loaded)
	// Follows a link to another address of the page, as the browser's history does.
	follow := func(address string) {
		eval[chromedp.Void](p, fmt.Sprintf("history.pushState(null, '', '?' + %q); dispatchEvent(new PopStateEvent('popstate'))", address))
	}
	window := func() string {
		first, end := p.window()
		return day(first) + " " + day(end)
	}
	lastMonth := "in the same part of " + month.AddDate(0, -1, 0).Format("January 2006")
	if !month.AddDate(0, -1, 0).Add(time.Since(month)).Before(month) {
		lastMonth = "in " + month.AddDate(0, -1, 0).Format("January 2006") // which was shorter than this month is by now
	}
	for _, c := range []struct {
		address, window, pressed, spent, change string
	}{
		{"org=acme", day(month) + " " + day(today.AddDate(0, 0, 1)), "This month", "$0.00", "No change against $0.00 " + lastMonth},
		{"month=this", day(month) + " " + day(today.AddDate(0, 0, 1)), "This month", "$0.00", "No change against $0.00 " + lastMonth},
		{"month=last", day(month.AddDate(0, -1, 0)) + " " + day(month), "Last month", "$0.00", "−$2.40 (−100.0%) against $2.40 in " + start.Format("January 2006")},
		{"month=" + start.Format("2006-01"), day(month.AddDate(0, -2, 0)) + " " + day(month.AddDate(0, -1, 0)), "Other", "$2.40", "+$2.40 against $0.00 in " + month.AddDate(0, -3, 0).Format("January 2006")},
		{"last=7d", day(today.AddDate(0, 0, -6)) + " " + day(today.AddDate(0, 0, 1)), "Last 7 days", "$0.00", "No change against $0.00 in the same part of the 7 days before"},
		{"last=2w", day(today.AddDate(0, 0, -13)) + " " + day(today.AddDate(0, 0, 1)), "Other", "$0.00", "No change against $0.00 in the same part of the 14 days before"},
		{"from=" + day(start) + "&to=" + day(start.AddDate(0, 0, 1)), day(start) + " " + day(start.AddDate(0, 0, 1)), "Other", "$2.40", "+$2.40 against $0.00 the day before"},
		{"from=" + day(start.AddDate(0, 0, -2)) + "&to=" + day(start), day(start.AddDate(0, 0, -2)) + " " + day(start), "Other", "$0.00", "No change against $0.00 in the 2 days before"},
		{"from=" + day(today), day(today) + " " + day(today.AddDate(0, 0, 1)), "Other", "$0.00", "No change against $0.00 in the same part of the day before"},
	} {
		follow(c.address)
		p.until(loaded)
		p.same(c.address, window()+"; "+p.text("#windows [aria-pressed=true]")+"; "+p.text("#tile-spent .figure")+"; "+p.text("#tile-spent .change"),
			strings.Join([]string{c.window, c.pressed, c.spent, c.change}, "; "))
		_, end := p.window()
		if unfinished := strings.Contains(p.text("#window-name"), "Today is not over."); unfinished != end.After(today) {
			t.Errorf("%s: the window is called %s", c.address, p.text("#window-name"))
		}
	}

	// An address without a valid window shows why, and no figures.
	for address, problem := range map[string]string{
		"month=2026-13": "“2026-13” is no month", "month=": "“” is no month", "last=0d": "“0d” is no number of days", "last=7": "“7” is no number of days",
		"from=2026-02-30&to=2026-03-01": "“2026-02-30” is no date", "from=2026-03-01&to=2026-03-01": "ends before it begins", "to=2026-03-01": "to without from",
		"from=2016-01-01&to=2026-02-01": "at most 3 660 days", "month=this&last=7d": "month and last", "last=7d&last=30d": "more than once",
		"days=30": "last=30d", "month=this&tz=Europe/Nowhere": "“Europe/Nowhere” is no time zone", "last=7d&tz=": "“” is no time zone", "month=this&tz=%2B02:00": "“+02:00” is no time zone", "tz=UTC&tz=Europe/Berlin": "tz more than once",
		"last=9999w": "at most 3 660 days", "month=9999-12": "is no date",
	} {
		follow(address)
		p.until("document.querySelector('#bad-window').checkVisibility()")
		if text := p.text("#bad-window"); !strings.Contains(text, problem) {
			t.Errorf("%s: the page says %s", address, text)
		}
		if strings.Contains(eval[string](p, "document.body.innerText"), "$") {
			t.Errorf("%s: there are figures", address)
		}
	}
	p.accessible().shoot("bad-window")
	p.click("[data-month=last]").until(loaded)
	p.same("address", eval[string](p, "location.search"), "?org=acme&month=last")

	p.click("[data-custom]")
	show := func(first, last time.Time) {
		eval[chromedp.Void](p, fmt.Sprintf("document.querySelector('#first').value = %q; document.querySelector('#last').value = %q", day(first), day(last)))
		p.click("#range-form [type=submit]")
	}
	show(start, start.AddDate(0, 0, -1))
	p.until("document.querySelector('#range-problem').checkVisibility()")
	p.accessible().shoot("custom-window")
	show(start, start)
	p.until("!document.querySelector('#range-problem').checkVisibility()").until(loaded)
	p.same("one day", p.text("#tile-spent .figure")+" "+p.text("#tile-average .figure")+" "+p.text("#tile-average .hint"), "$2.40 $2.40 over 1 day")
	p.same("its address", eval[string](p, "location.search"), "?org=acme&from="+day(start)+"&to="+day(start.AddDate(0, 0, 1)))
	p.do(chromedp.Reload())
	p.until(loaded)
	p.same("one day, from the address", p.text("#tile-spent .figure"), "$2.40")
	eval[chromedp.Void](p, fmt.Sprintf("document.querySelector('#month').value = %q", start.Format("2006-01")))
	p.click("#month-form [type=submit]").until(loaded)
	p.same("its month", eval[string](p, "location.search")+" "+p.text("#tile-spent .figure"), "?org=acme&month="+start.Format("2006-01")+" $2.40")
}

// A link keeps the organization, the window, and the build that is open.
func TestLinks(t *testing.T) {
	s := serve(t, server.Config{})
	now := time.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour)
	s.books(history("acme", 3, now, 1000) + history("globex", 60, now, 5000))
	token := s.token("acme", "globex")
	p := open(t, look{}).visit(s.url + "/?org=globex&last=7d#token=" + token).until(loaded)
	p.click("#builds tr[aria-rowindex='3'] td.when").until("document.querySelector('#builds tr.job')") // the whole row opens the build
	if !eval[bool](p, `document.activeElement.matches('#builds tr[aria-rowindex="3"] [aria-expanded=true]')`) {
		t.Error("opening a build does not give its button the focus")
	}
	id := uuid("globex", 'c', 59)
	p.same("address", eval[string](p, "location.search"), "?org=globex&last=7d&build="+id)
	p.click("#builds tr[aria-rowindex='3'] .expand").until("!document.querySelector('#builds tr.job')")
	p.same("address without a build", eval[string](p, "location.search"), "?org=globex&last=7d")

	// A build far down is brought into view.
	p.visit(s.url + "/?org=globex&last=7d&build=" + uuid("globex", 'c', 2)).until(loaded).until("document.querySelector('#builds tr.job')")
	if row := p.text("#builds tr.job"); !strings.Contains(row, "Job 2") {
		t.Errorf("the link opens %s", row)
	}
	// Another window is of other builds, and another organization has the same window.
	p.click("[data-last='30d']").until(loaded)
	p.same("address of another window", eval[string](p, "location.search"), "?org=globex&last=30d")
	eval[chromedp.Void](p, `(() => { const s = document.querySelector('#org-choice'); s.value = 'acme'; s.dispatchEvent(new Event('change')); })()`)
	p.until(loaded)
	p.same("address of another organization", eval[string](p, "location.search"), "?org=acme&last=30d")
}

// requests are the API's calls that the page has made since it was loaded.
func (p *tab) requests() []string {
	p.t.Helper()
	return eval[[]string](p, "performance.getEntriesByType('resource').map((e) => e.name).filter((name) => name.includes('/api/'))")
}

// windows are those that the page has asked a call about, in the order of the requests.
func (p *tab) windows(call string) (asked []client.Window) {
	p.t.Helper()
	for _, address := range p.requests() {
		u, err := url.Parse(address)
		if err != nil {
			p.t.Fatal(err)
		}
		if !strings.HasSuffix(u.Path, call) {
			continue
		}
		from, err := time.Parse(time.RFC3339, u.Query().Get("from"))
		if err != nil {
			p.t.Fatal(err)
		}
		to, err := time.Parse(time.RFC3339, u.Query().Get("to"))
		if err != nil {
			p.t.Fatal(err)
		}
		asked = append(asked, client.Window{From: from, To: to})
	}
	return asked
}

// No view asks the server more than 10 times, also not that of a balance below zero with a long ledger.
func TestRequests(t *testing.T) {
	s := serve(t, server.Config{})
	start := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -5)
	s.books(history("acme", 1200, start, 300))
	p := open(t, look{})
	for _, address := range []string{"/?last=7d", "/", "/?last=30d&source=coupon_redemption", "/?last=7d&source=refund", "/?last=7d&build=" + uuid("acme", 'c', 7)} {
		p.visit(s.url + address + "#token=" + s.token("acme")).until(loaded)
		if calls := p.requests(); len(calls) > 10 {
			t.Errorf("%s asks %d times: %v", address, len(calls), calls)
		}
	}
	p.same("credit", p.text("#tile-credit .figure")+" "+p.text("#tile-credit .hint"), money(300-1200*12)+" Overdrawn")
	p.same("runway", p.text("#tile-runway .figure")+" "+p.text("#tile-runway .hint"), "0 days The credit is used up")
	if color := eval[string](p, "getComputedStyle(document.querySelector('#tile-credit .figure')).color"); color != "rgb(180, 35, 24)" {
		t.Errorf("a negative balance is %s", color)
	}
	p.accessible().shoot("negative")
}

// How long the balance lasts is what the server answers, whatever window is chosen.
func TestRunway(t *testing.T) {
	s := serve(t, server.Config{})
	before := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -20)
	s.books(history("acme", 3, before, 1000) + history("globex", 3, before, 99_999_999_999_999_999) + history("idle", 0, before, 1000))
	token := s.token("acme", "globex", "idle")
	lasts := get[runway](s, token, "billing/runway/acme").Last30Days
	for _, c := range []struct{ query, figure, hint string }{
		{"org=acme", "804 days", "until " + lasts.zero(t) + " at the pace of the last 30 whole days (UTC), nothing was spent in the last 7"}, // 964 × 30 ÷ 36
		{"org=acme&last=7d", "804 days", "until " + lasts.zero(t) + " at the pace of the last 30 whole days (UTC), nothing was spent in the last 7"},
		{"org=globex", "Over 10 years", "beyond the year 9999 at the pace of the last 30 whole days (UTC), nothing was spent in the last 7"},
		{"org=idle", "No end", "Nothing was spent in the last 30 whole days (UTC)"},
	} {
		p := open(t, look{}).visit(s.url + "/?" + c.query + "#token=" + token).until(loaded)
		p.same(c.query, p.text("#tile-runway .figure"), c.figure)
		p.same(c.query, p.text("#tile-runway .hint"), c.hint)
	}

	p := open(t, look{})
	p.expect("404")
	p.interceptAPI(func(url string) string {
		if !slices.ContainsFunc([]string{"/runway/", "/statement/", "/by?", "/leases/"}, func(call string) bool { return strings.Contains(url, call) }) {
			return ""
		}
		return `404 {"error":{"type":"not_found","code":"route_not_found","message":"no","doc_url":"x","request_id":"id-of-this-request-1"}}`
	})
	p.visit(s.url + "/?org=acme&last=30d#token=" + token).until(loaded)
	p.same("without the call", p.text("#tile-runway .figure")+", "+p.text("#tile-credit .figure"), "Unknown, $9.64")
	p.same("without the groups", p.text("#groups .state"), "This server does not tell it.")
	if rows := p.rows("#transactions"); len(rows) == 0 {
		t.Error("without the balances, there are no entries")
	}
	p.accessible()
}

// Integers of 64 bits are shown to the cent.
func TestLargeAmounts(t *testing.T) {
	s := serve(t, server.Config{})
	s.books(history("acme", 0, time.Now().UTC().Truncate(time.Second), 99_999_999_999_999_999))
	p := open(t, look{}).visit(s.url + "/?last=30d#token=" + s.token("acme")).until(loaded)
	p.same("credit", p.text("#tile-credit .figure"), "$999,999,999,999,999.99")
	p.same("entry", p.rows("#transactions")[0][3], "+$999,999,999,999,999.99")
	p.same("runway", p.text("#tile-runway .figure"), "No end")
	p.shoot("large")
}

func TestOrganizations(t *testing.T) {
	s := serve(t, server.Config{})
	now := time.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour)
	s.books(history("acme", 3, now, 1000) + history("globex", 0, now, 5000))
	if _, err := s.CreateOrganization(t.Context(), "newcomer", "Newcomer"); err != nil {
		t.Fatal(err)
	}
	p := open(t, look{}).visit(s.url + "/?last=30d#token=" + s.token("acme", "globex", "newcomer")).until(loaded)
	for slug, credit := range map[string]string{"globex": "$50.00", "acme": "$9.64", "newcomer": "$0.00"} {
		eval[chromedp.Void](p, fmt.Sprintf(`(() => { const s = document.querySelector('#org-choice'); s.value = %q; s.dispatchEvent(new Event('change')); })()`, slug))
		p.until(loaded)
		p.same(slug, p.text("#tile-credit .figure"), credit)
	}
	p.visit(s.url + "/?org=newcomer").until(loaded)
	for panel, text := range map[string]string{
		"#days": "Nothing ran in this window.", "#builds": "No build started in this window.", "#transactions": "The ledger has no such entry in this window.",
	} {
		p.same(panel, p.text(panel+" .state"), text)
	}
	p.accessible().shoot("empty")

	p.visit(s.url + "/?org=initech").until("document.querySelector('#no-access').checkVisibility()")
	if text := p.text("#no-access"); !strings.Contains(text, "initech") || !strings.Contains(text, "may not see it") {
		t.Errorf("without access, the page says %s", text)
	}
	p.accessible().shoot("no-access")
	p.click("#no-access-choices a").until(loaded)
}

// As long as there is no answer, each panel shows that it waits for one.
func TestLoading(t *testing.T) {
	s, token := small(t, server.Config{})
	p := open(t, look{})
	answers := make(chan struct{})
	p.interceptAPI(func(url string) string {
		if !strings.Contains(url, "/organizations") {
			<-answers
		}
		return ""
	})
	p.visit(s.url + "/?last=30d#token=" + token).until("document.querySelectorAll('[aria-busy] .loading').length === 6")
	p.accessible().shoot("loading")
	close(answers)
	p.until(loaded)
}

// Each panel shows its error and the request id, and can be tried again separately.
func TestErrors(t *testing.T) {
	s := serve(t, server.Config{})
	s.books(history("acme", 220, time.Now().UTC().Truncate(time.Second).Add(-24*time.Hour), 1000))
	token := s.token("acme")
	p := open(t, look{})
	const failed = `{"error":{"type":"server_error","code":"unavailable","message":"the service is temporarily unavailable","doc_url":"x","request_id":"id-of-this-request-1"}}`
	var failing atomic.Bool
	failing.Store(true)
	p.expect("503")
	p.expect("ERR_CONNECTION_RESET")
	p.expect("502")
	p.interceptAPI(func(url string) string {
		switch {
		case !failing.Load() || strings.Contains(url, "/organizations"):
			return ""
		case strings.Contains(url, "/breakdown"):
			return "lost"
		case strings.Contains(url, "/series"):
			return "502 <html>Bad Gateway</html>"
		}
		return "503 " + failed
	})
	p.visit(s.url + "/?last=30d#token=" + token)
	for panel, text := range map[string][]string{
		"#summary":      {"503", "temporarily unavailable", "Code unavailable", "Request id-of-this-request-1"},
		"#days":         {"Something before the server answered with 502", "Request 01234567890123456789"},
		"#builds":       {"The server cannot be reached"},
		"#transactions": {"503", "Code unavailable"},
	} {
		p.until(fmt.Sprintf("document.querySelector('%s [role=alert]')", panel))
		for _, part := range text {
			if got := p.text(panel); !strings.Contains(got, part) {
				t.Errorf("%s says %s, and not %s", panel, got, part)
			}
		}
	}
	p.accessible().shoot("errors")
	failing.Store(false)
	for _, panel := range []string{"#summary", "#days", "#groups", "#running", "#builds", "#transactions"} {
		// With the keyboard, because panels that load above move the button away from under a mouse.
		p.until(fmt.Sprintf("document.querySelector('%s [role=alert] button').focus() ?? true", panel)).press(kb.Enter)
		p.until(fmt.Sprintf("!document.querySelector('%s [role=alert]')", panel))
	}
	p.until(loaded)

	// A breakdown that ends in the middle is not taken for a whole one.
	p.interceptAPI(func(url string) string {
		if strings.Contains(url, "/breakdown") {
			return `200 {"data":[{"build_id":null,"build_number":null,"total_cents":0,"started_at":"2026-06-06T10:00:00.000000Z","finished_at":null,"job_count":1,"jobs":[]},{"build`
		}
		return ""
	})
	p.click("[data-last='7d']").until("document.querySelector('#builds [role=alert]')")
	if got := p.text("#builds"); !strings.Contains(got, "cut off") || !strings.Contains(got, "01234567890123456789") {
		t.Errorf("#builds says %s", got)
	}
	p.interceptAPI(func(string) string {
		if failing.Load() {
			return "503 " + failed
		}
		return ""
	})
	p.click("#builds [role=alert] button").until(loaded)

	// In the middle of a list.
	failing.Store(true)
	p.click("#transactions .foot button").until("document.querySelector('#transactions .foot [role=alert]')")
	failing.Store(false)
	p.click("#transactions .foot button").until("document.querySelector('#transactions table').getAttribute('aria-rowcount') === '201'")

	// Before anything is known.
	p.interceptAPI(func(string) string { return "503 " + failed })
	p.do(chromedp.Reload())
	p.until("document.querySelector('#failed [role=alert]')")
	p.accessible().shoot("failed")
	p.interceptAPI(func(string) string { return "" })
	p.click("#failed button").until(loaded)
}

// A token that is revoked while the page is open signs the reader out.
func TestSignedOutBy401(t *testing.T) {
	s, _ := small(t, server.Config{})
	secret, token, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "test", Role: server.RoleRead, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, look{}).visit(s.url + "/?last=30d#token=" + secret).until(loaded)
	if _, err := s.RevokeToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	p.expect("401")
	p.click("[data-last='30d']").until("document.querySelector('#sign-in-problem').checkVisibility()")
	if kept := eval[string](p, "JSON.stringify({...sessionStorage})"); kept != "{}" {
		t.Error("the token is still in the session")
	}
	if strings.Contains(eval[string](p, "document.body.innerText"), "$") {
		t.Error("figures are still in sight")
	}
}

// Names of other people are text, on the page and in spreadsheets.
func TestCSV(t *testing.T) {
	s := serve(t, server.Config{})
	at := time.Now().UTC().Truncate(time.Second).Add(-24 * time.Hour)
	hostile := `=HYPERLINK(\"http://evil.example/\",\"x\")`
	s.books(strings.ReplaceAll(history("acme", 120, at, 1000), `"Job 7"`, `"`+hostile+`"`) +
		`{"type":"entry","org":"acme","id":"01990000-0000-7000-8000-00000000ffff","amount_cents":5,"source":"refund","description":"<img src=x onerror=alert(1)>, \"@SUM(A1)\"","created_at":"` +
		time.Now().UTC().Format(time.RFC3339) + `","lease_id":null}` + "\n")
	p := open(t, look{}).visit(s.url + "/?last=7d#token=" + s.token("acme")).until(loaded)
	if title := eval[string](p, "document.querySelector('#transactions td.name').title"); !strings.HasPrefix(title, "<img") {
		t.Errorf("a description is %q", title)
	}
	start, end := p.window()
	first, last := start.Format(time.DateOnly), end.AddDate(0, 0, -1).Format(time.DateOnly)
	for _, c := range []struct {
		panel, file string
		rows        int
	}{
		{"#days", fmt.Sprintf("acme-%s-to-%s-days.csv", first, last), 8},
		{"#builds", fmt.Sprintf("acme-%s-to-%s-builds.csv", first, last), 121},
		{"#transactions", fmt.Sprintf("acme-%s-to-%s-transactions.csv", first, last), 123},
	} {
		p.click(c.panel + " .csv")
		text := p.downloaded(c.file)
		records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(records) != c.rows {
			t.Errorf("%s: %d rows, want %d: %v", c.file, len(records), c.rows, err)
		}
		cents := int64(0)
		for _, record := range records[1:] {
			for i, field := range record {
				if name := records[0][i]; name == "amount_cents" || name == "total_cents" {
					n, err := strconv.ParseInt(field, 10, 64)
					if err != nil {
						t.Error(err)
					}
					cents += n
				} else if strings.ContainsAny(field[:min(1, len(field))], "=+-@") {
					t.Errorf("%s: a cell is %s", c.file, field)
				}
			}
		}
		if want := map[string]int64{"#days": 1440, "#builds": -1440, "#transactions": 1000 + 5 - 1440}[c.panel]; cents != want {
			t.Errorf("%s: the amounts add up to %d, want %d", c.file, cents, want)
		}
		if c.panel == "#builds" && !strings.Contains(text, `"'=HYPERLINK(""http`) {
			t.Error("the formula is not told apart from text")
		}
	}
}

// Jobs that run show their cost so far, which is read again every 30 seconds while somebody may look.
func TestRunning(t *testing.T) {
	s := serve(t, server.Config{})
	now := time.Now().UTC().Truncate(time.Second)
	lease := func(n int) string {
		return fmt.Sprintf(`{"type":"lease","org":"acme","lease_id":%q,"job_id":%q,"job_name":"Job %d","vm_handle":"vm-%[3]d","build_id":%[4]q,"build_number":%[3]d,"pipeline_name":"Main","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":%[5]q,"finished_at":null}`+"\n",
			uuid("acme", 'a', n), uuid("acme", 'b', n), n, uuid("acme", 'c', n), now.Add(-time.Duration(n)*time.Hour).Format(time.RFC3339))
	}
	s.books(history("acme", 0, now.Add(-24*time.Hour), 1000))
	token := s.token("acme")
	p := open(t, look{}).visit(s.url + "/?last=7d#token=" + token).until(loaded)
	p.same("without a job", p.text("#running-title")+": "+p.text("#running .state"), "Running now 0: No job is running.")

	// The clock of the page is the test's from here on.
	eval[chromedp.Void](p, `(() => {
		const timers = new Map(), request = fetch, timeout = setTimeout;
		let now = Date.now() + 600_000, count = 0, visibility = 'visible';
		Date.now = () => now;
		setTimeout = (run, ms) => ms < 1000 ? timeout(run, ms) : (timers.set(--count, {run, due: now + ms}), count);
		clearTimeout = (id) => timers.delete(id);
		Object.defineProperty(document, 'visibilityState', {get: () => visibility});
		fetch = (...args) => (reads += String(args[0]).includes('/leases/') ? 1 : 0, request(...args));
		window.reads = 0;
		window.advance = (ms) => {
			now += ms;
			for (const [id, {run, due}] of timers) if (due <= now) { timers.delete(id); run(); }
		};
		window.waiting = () => timers.size > 0;
		window.look = (how) => { visibility = how; document.dispatchEvent(new Event('visibilitychange')); };
		look('hidden');
		look('visible');
	})()`)
	p.until("reads === 1 && waiting()")
	type leases struct {
		AccruedCents int64 `json:"accrued_cents"`
	}
	accrued := func() int64 {
		return -get[page[leases]](s, token, "billing/leases/acme?state=running").Data[0].AccruedCents
	}
	s.books(lease(1))
	before := accrued()
	if reads := eval[int](p, "advance(29_999), reads"); reads != 1 {
		t.Errorf("before 30 s have passed, the page has asked %d times", reads)
	}
	eval[chromedp.Void](p, "advance(1)")
	p.until("document.querySelector('#running .name .title')")
	after := accrued()
	row := p.rows("#running")[0]
	p.same("the job", row[0]+"; "+row[1], "Job 1 Main #1; vm-1 2 CPU, 4 GB, 20 GB disk")
	shown := ""
	for cents := before; cents <= after; cents++ {
		shown += money(cents) + " "
	}
	if cost := row[4]; !strings.Contains(shown, cost+" ") || !strings.HasPrefix(p.text("#running .foot"), cost+" so far, not billed.") {
		t.Errorf("the cost is %s, and at the foot %s; the API says %s", cost, p.text("#running .foot"), shown)
	}
	p.until("document.querySelector('#running .count').innerText === '1'").accessible().shoot("running")

	// Nobody looks at a hidden page, and what it shows when it comes back is new.
	s.books(lease(2))
	if more := eval[int](p, "(() => { const before = reads; look('hidden'); advance(600_000); return reads - before; })()"); more != 0 {
		t.Errorf("the hidden page asks %d times", more)
	}
	eval[chromedp.Void](p, "look('visible')")
	p.until("document.querySelector('#running .count').innerText === '2'")

	// What is known stays where it cannot be refreshed, and is refreshed when it can.
	p.expect("503")
	p.interceptAPI(func(url string) string {
		if strings.Contains(url, "/leases/") {
			return `503 {"error":{"type":"server_error","code":"unavailable","message":"not now","doc_url":"x","request_id":"12345678901234567890"}}`
		}
		return ""
	})
	eval[chromedp.Void](p, "advance(30_000)")
	p.until("document.querySelector('#running .foot').innerText.includes('Not now.')")
	p.same("jobs", p.text("#running .count")+" "+strconv.Itoa(len(p.rows("#running"))), "2 2")
	p.accessible()
	p.interceptAPI(func(string) string { return "" })
	eval[chromedp.Void](p, "advance(30_000)")
	p.until("document.querySelector('#running .foot').innerText.includes('not billed')")

	// A page that is left asks no more.
	p.click("#sign-out").until("document.querySelector('#sign-in').checkVisibility()")
	if more := eval[int](p, "(() => { const before = reads; advance(600_000); return reads - before; })()"); more != 0 {
		t.Errorf("after signing out, the page asks %d times", more)
	}
}

// A build that runs is not told as one that costs nothing, on the page and on the statement. The totals are of what is billed.
func TestRunningBuilds(t *testing.T) {
	s := serve(t, server.Config{})
	now := time.Now().UTC().Truncate(time.Second)
	books := history("acme", 2, now.Add(-time.Hour), 1000) // build 2 gets a job that runs, and build 3 has no other
	for n, build := range map[int]int{11: 2, 12: 3} {
		books += fmt.Sprintf(`{"type":"lease","org":"acme","lease_id":%q,"job_id":%q,"job_name":"Job %d","vm_handle":"vm","build_id":%q,"build_number":%d,"pipeline_name":"Main","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":%q,"finished_at":null}`+"\n",
			uuid("acme", 'a', n), uuid("acme", 'b', n), n, uuid("acme", 'c', build), build, now.Add(-time.Duration(20-n)*time.Minute).Format(time.RFC3339))
	}
	s.books(books)
	p := open(t, look{width: 360, height: 740}).visit(s.url + "/?last=7d#token=" + s.token("acme")).until(loaded)
	rows := func(table string) (rows []string) {
		for _, row := range p.rows(table) {
			rows = append(rows, row[0][:min(len(row[0]), len("Main #3"))]+": "+row[len(row)-1])
		}
		return rows
	}
	want := []string{"Main #3: not billed yet", "Main #2: $0.12 so far", "Main #1: $0.12"}
	if got := rows("#builds"); !slices.Equal(got, want) {
		t.Errorf("the builds are %q, want %q", got, want)
	}
	p.click("#builds tr[aria-rowindex='3'] .expand").until("document.querySelectorAll('#builds tr.job').length === 2")
	if got := rows("#builds"); got[2] != "Job 2 5: $0.12" || got[3] != "Job 11 : not billed yet" {
		t.Errorf("the jobs are %q", got)
	}
	if cut := eval[[]string](p, `[...document.querySelectorAll('#builds td.amount')].filter((c) => {
		const text = document.createRange();
		text.selectNodeContents(c);
		return text.getBoundingClientRect().right > c.getBoundingClientRect().right - parseFloat(getComputedStyle(c).paddingRight);
	}).map((c) => c.innerText)`); len(cut) > 0 {
		t.Errorf("on a small phone, %q are cut off", cut)
	}
	p.same("spent", p.text("#tile-spent .figure"), "$0.24")
	p.accessible().shoot("running-builds")
	p.click("#statement-link").until(printable)
	if got := rows("#builds"); !slices.Equal(got, append(want, "Total o: $0.24")) {
		t.Errorf("on the statement, the builds are %q", got)
	}
	p.accessible().shoot("running-builds-statement")
}

// A window that has not begun says so, and has no figures.
func TestWindowToCome(t *testing.T) {
	s, token := small(t, server.Config{})
	next := time.Now().UTC()
	next = time.Date(next.Year(), next.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	p := open(t, look{width: 360, height: 740}).visit(s.url + "/#token=" + token).until(loaded)
	for _, query := range []string{
		"month=" + next.Format("2006-01"), "from=" + next.Format(time.DateOnly) + "&to=" + next.AddDate(0, 0, 1).Format(time.DateOnly),
		"month=" + next.AddDate(1, 0, 0).Format("2006-01") + "&tz=Europe/Berlin",
	} {
		p.visit(s.url + "/?" + query).until("document.querySelector('#to-come').checkVisibility()")
		if text := p.text("#usage"); !strings.Contains(text, "It has not begun.") || strings.Contains(text, "$") {
			t.Errorf("%s: the page says %s", query, text)
		}
		if calls := p.requests(); len(calls) > 1 { // the organizations
			t.Errorf("%s: the page asks %v", query, calls)
		}
		p.accessible().shoot("window-to-come")
		p.click("#statement-link").until("document.querySelector('#state .bad')")
		if text := p.text("main"); !strings.Contains(text, "The period has not begun.") || strings.Contains(text, "$") {
			t.Errorf("%s: the statement says %s", query, text)
		}
		p.accessible().click("#usage-link").until("document.querySelector('#to-come')?.checkVisibility()")
	}
	p.click("[data-month=this]").until(loaded)
	if p.holds("document.querySelector('#to-come').checkVisibility()") {
		t.Error("this month has not begun")
	}
}

// Everything can be reached and done without a pointer.
func TestKeyboard(t *testing.T) {
	s := serve(t, server.Config{})
	s.books(history("acme", 5, time.Now().UTC().Truncate(time.Second).Add(-24*time.Hour), 1000))
	p := open(t, look{}).visit(s.url).until("document.querySelector('#sign-in').checkVisibility()")
	focused := func(selector string) bool {
		return eval[bool](p, fmt.Sprintf("document.activeElement.matches(%q)", selector))
	}
	// Tabs until an element has the focus, which must be visible.
	tabTo := func(selector string) {
		t.Helper()
		for range 60 {
			p.press(kb.Tab)
			if focused(selector) {
				if outline := eval[string](p, "getComputedStyle(document.activeElement).outlineStyle"); outline == "none" {
					t.Errorf("nobody sees that %s has the focus", selector)
				}
				return
			}
		}
		t.Fatalf("no tab leads to %s", selector)
	}
	p.press(s.token("acme"))
	tabTo("#sign-in button")
	p.press(kb.Enter).until(loaded)
	p.do(chromedp.Reload())
	p.until(loaded)
	tabTo(".skip")
	p.press(kb.Enter)
	if !eval[bool](p, "!!("+loaded+")") {
		t.Error("skipping to the content loads it anew")
	}
	tabTo("[data-last='7d']")
	p.press(" ").until("document.querySelector('[data-last=\"7d\"]').ariaPressed === 'true'").until(loaded)
	tabTo("#zone")
	p.press(kb.ArrowDown).until("location.search.includes('tz=Europe%2FBerlin')").until(loaded)
	if !focused("#zone") {
		t.Error("choosing a time zone loses the focus")
	}
	p.press(kb.ArrowUp).until("!location.search.includes('tz=')").until(loaded)
	tabTo("[data-view=resources]")
	p.press(kb.Enter).until("document.querySelector('.legend').checkVisibility()")
	tabTo("#days .chart")
	p.press(kb.ArrowLeft).until("document.querySelector('#days .reading').innerText !== ''")
	tabTo("#days summary")
	p.press(kb.Enter).until("document.querySelector('.days-table tbody')")
	tabTo("#builds .expand")
	p.press(kb.Enter).until("document.querySelector('#builds tr.job')")
	if !focused("#builds .expand[aria-expanded=true]") {
		t.Error("opening a build loses the focus")
	}
	// The table may be long, so a link leads past it.
	eval[chromedp.Void](p, "document.querySelector('#builds .csv').focus()")
	tabTo("#builds .skip")
	p.accessible().press(kb.Enter).until("document.activeElement.id === 'transactions-title'")
	tabTo("#transactions .skip")
	p.press(kb.Enter).until("document.activeElement.id === 'end'")
	if !eval[bool](p, "!!("+loaded+")") {
		t.Error("skipping a table loads the page anew")
	}
	eval[chromedp.Void](p, "document.querySelector('#builds .csv').focus()")
	tabTo("#source")
	tabTo("#transactions .expand")
	p.press(kb.Enter).until("document.querySelector('#transactions .line')")
	tabTo("#transactions button.link")
	p.press(kb.Enter).until("document.activeElement.closest('#builds tr')")
}

// At the width of a small phone nothing has to be scrolled sideways; in the dark it is dark.
func TestNarrowAndDark(t *testing.T) {
	s, token := demo(t)
	p := open(t, look{width: 360, height: 740, dark: true}).visit(s.url + "/?last=30d#token=" + token).until(loaded)
	p.click("#builds tr[aria-rowindex='3'] .expand").until("document.querySelector('#builds tr.job')")
	p.click("[data-view=resources]").click("[data-custom]").click("#transactions .expand").until("document.querySelector('#transactions .line')")
	fits := func(where string) {
		t.Helper()
		if wide := eval[string](p, `(() => {
			const width = document.documentElement.clientWidth;
			return document.documentElement.scrollWidth <= width ? '' : [...document.querySelectorAll('body *')]
				.filter((e) => e.getBoundingClientRect().right > width && !e.closest('.scroller')).map((e) => e.outerHTML.slice(0, 80)).join('\n');
		})()`); wide != "" {
			t.Errorf("%s: too wide is\n%s", where, wide)
		}
		for _, scroller := range eval[[]string](p, `[...document.querySelectorAll('.scroller')].filter((s) => s.scrollWidth > s.clientWidth && !s.closest('details')).map((s) => s.ariaLabel)`) {
			t.Errorf("%s: %s has to be scrolled sideways", where, scroller)
		}
		if color := eval[string](p, "getComputedStyle(document.body).backgroundColor"); color != "rgb(14, 17, 22)" {
			t.Errorf("%s: in the dark, the page is %s", where, color)
		}
	}
	fits("usage")
	p.accessible().shoot("narrow-dark")
	p.click("#sign-out").until("document.querySelector('#sign-in').checkVisibility()")
	fits("signed out")
	p.shoot("narrow-dark-signed-out")
	p.visit(s.url + "/docs/errors/billing_usage_window_invalid")
	fits("error")
	p.accessible().shoot("narrow-dark-error")
	p.visit(s.url + "/docs").until("document.querySelector('.opblock')")
	fits("reference")
	p.shoot("narrow-dark-docs")
	p = open(t, look{dark: true}).visit(s.url + "/?last=30d#token=" + token).until(loaded)
	p.accessible().shoot("dark")
}

// A breakdown that arrives at once is read in parts, between which the browser may do something else.
func TestBreakdownInParts(t *testing.T) {
	s := serve(t, server.Config{})
	p := open(t, look{}).visit(s.url).until("document.querySelector('#sign-in').checkVisibility()")
	const builds = 4_000
	sizes := eval[[]int64](p, fmt.Sprintf(`(async () => {
		const { buildsOf } = await import('./assets/app/stream.js');
		const build = JSON.stringify({build_id: null, name: 'x'.repeat(400), jobs: [{}]});
		const text = '{"data":[' + Array(%d).fill(build).join(',') + ']}';
		const body = new ReadableStream({start(c) { c.enqueue(new TextEncoder().encode(text)); c.close(); }});
		// Each message is a task of its own.
		const { port1, port2 } = new MessageChannel(), tasks = [0];
		port1.onmessage = () => { tasks.push(0); port2.postMessage(null); };
		port2.postMessage(null);
		for await (const part of buildsOf(body, JSON.parse)) tasks[tasks.length - 1] += part.length;
		port1.close();
		return tasks;
	})()`, builds))
	sum := int64(0)
	for _, n := range sizes {
		sum += n
	}
	if sum != builds || slices.Max(sizes) > 80 { // of some 440 characters each
		t.Errorf("in %d tasks, %d builds are read, up to %d in one", len(sizes), sum, slices.Max(sizes))
	}
}

// 10 000 builds scroll without a task that blocks the page. The test measures the processor time of the page, because other programs may
// use the processor.
func TestManyBuilds(t *testing.T) {
	s := serve(t, server.Config{})
	builds, scrolls := testlong.Pick(1_000, 10_000), int64(testlong.Pick(20, 50))
	s.books(history("acme", builds, time.Now().UTC().Truncate(time.Second).Add(-8*24*time.Hour), 1000))
	p := open(t, look{})
	domain := performance.EnableTimeDomainThreadTicks
	call(p, performance.Enable, performance.EnableParams{TimeDomain: domain})
	p.visit(s.url + "/?last=30d#token=" + s.token("acme")).until(loaded)
	longest := p.least(100*time.Millisecond, func() time.Duration { return p.longestTask(p.reload) })
	t.Logf("the longest task of loading took %s", longest)
	if testlong.Asked() && longest > 100*time.Millisecond {
		t.Errorf("a task of loading takes %s", longest)
	}
	p.same("builds", p.text("#builds .count"), fmt.Sprintf("%d,000", builds/1000))
	if n := eval[int](p, "document.querySelectorAll('#builds tr').length"); n > 100 {
		t.Errorf("%d rows are in the page at once", n)
	}
	spent := func() time.Duration { // by the page's thread
		for _, m := range call(p, performance.GetMetrics, struct{}{}).Metrics {
			if m.Name == "TaskDuration" {
				return time.Duration(m.Value * float64(time.Second))
			}
		}
		t.Fatal("the browser does not tell")
		return 0
	}
	height := eval[int64](p, "document.querySelector('#builds .scroller').scrollHeight")
	worst := p.least(100*time.Millisecond, func() (worst time.Duration) {
		for step := range scrolls {
			before := spent()
			eval[chromedp.Void](p, fmt.Sprintf(`(async () => {
				document.querySelector('#builds .scroller').scrollTop = %d;
				for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
			})()`, height*step/(scrolls-1)))
			worst = max(worst, spent()-before)
		}
		return worst
	})
	t.Logf("the worst step of scrolling took %s", worst)
	if worst > 100*time.Millisecond {
		t.Errorf("a step of scrolling takes %s", worst)
	}
	rows := p.rows("#builds")
	if last := rows[len(rows)-1][0]; last != "Main #1" {
		t.Errorf("the last build is %s", last)
	}
	p.shoot("many-builds")
}

// The figures are there within a second.
func TestFirstPaint(t *testing.T) {
	s, token := demo(t)
	p := open(t, look{}).visit(s.url + "/?last=30d#token=" + token).until(loaded)
	size := eval[int64](p, `performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
		.filter((e) => !e.name.includes('/api/')).reduce((sum, e) => sum + e.encodedBodySize, 0)`)
	t.Logf("the page is %d bytes", size)
	if size == 0 || size > 150_000 {
		t.Errorf("the page is %d bytes, compressed", size)
	}

	shortest := p.least(time.Second, func() time.Duration {
		p.reload()
		return time.Duration(eval[float64](p, `performance.getEntriesByName('figures').at(0).startTime`) * float64(time.Millisecond))
	})
	t.Logf("the figures came after %s", shortest)
	if shortest > time.Second {
		t.Errorf("the figures come after %s at best", shortest)
	}
}
