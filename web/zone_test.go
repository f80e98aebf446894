package web_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same time zones on every machine

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

// zoneDay is a day of a time zone.
type zoneDay struct {
	Zone, Date string
}

// changes are the days around each change of the clocks from 1990 to 2023, and one long ago. Browsers have other data for other years.
func changes(t *testing.T, zone string) (days []zoneDay) {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2024, 1, 1, 0, 0, 0, 0, location)
	for at := time.Date(1990, 1, 1, 0, 0, 0, 0, location); at.Before(end); {
		for distance := -2; distance <= 2; distance++ {
			days = append(days, zoneDay{zone, at.AddDate(0, 0, distance).Format(time.DateOnly)})
		}
		if _, at = at.ZoneBounds(); at.IsZero() {
			break
		}
	}
	return append(days, zoneDay{zone, "1700-01-01"})
}

// A day begins when it does for the Go client, also where the clocks change at midnight or a day is left out.
func TestZoneDays(t *testing.T) {
	s := serve(t, server.Config{})
	p := open(t, look{zone: "America/New_York"}).visit(s.url).until("document.querySelector('#sign-in').checkVisibility()")
	days := []zoneDay{{"Pacific/Apia", "2011-12-30"}, {"Africa/Cairo", "2024-04-26"}, {"America/Sao_Paulo", "2018-11-04"}, {"Asia/Beirut", "2024-03-31"}}
	for _, zone := range []string{
		"UTC", "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/New_York", "America/Sao_Paulo", "America/Santiago", "America/Scoresbysund",
		"America/St_Johns", "Asia/Amman", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Atlantic/Azores", "Australia/Lord_Howe",
		"Europe/Berlin", "Europe/Dublin", "Europe/London", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Kwajalein",
	} {
		days = append(days, changes(t, zone)...)
	}
	text, err := json.Marshal(days)
	if err != nil {
		t.Fatal(err)
	}
	begin := eval[[]int64](p, fmt.Sprintf(`import('./assets/app/zone.js').then(({ Zone }) => {
		const zones = new Map();
		return %s.map(({ Zone: name, Date: date }) => {
			if (!zones.has(name)) zones.set(name, new Zone(name));
			return zones.get(name).startOfDay(date);
		});
	})`, text))
	for i, day := range days {
		zone, err := time.LoadLocation(day.Zone)
		if err != nil {
			t.Fatal(err)
		}
		date, err := time.Parse(time.DateOnly, day.Date)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := client.StartOfDay(date.Year(), date.Month(), date.Day(), zone), time.UnixMilli(begin[i]); !got.Equal(want) {
			t.Errorf("in %s, %s begins at %s on the page, want %s", day.Zone, day.Date, got.In(zone), want)
		}
	}
	t.Logf("%d days", len(days))
}

// A window that is under way is compared with the same part of the period before, on the calendar of its time zone.
func TestComparison(t *testing.T) {
	s := serve(t, server.Config{})
	p := open(t, look{zone: "America/New_York"}).visit(s.url).until("document.querySelector('#sign-in').checkVisibility()")
	for _, c := range []struct{ now, address, before, name string }{
		{"2026-11-10T12:00:00Z", "month=this", "2026-10-01T00:00:00Z 2026-10-10T12:00:00Z", "in the same part of October 2026"},
		{"2026-11-10T12:00:00Z", "month=2026-11", "2026-10-01T00:00:00Z 2026-10-10T12:00:00Z", "in the same part of October 2026"},
		{"2026-11-10T12:00:00Z", "month=2026-11&tz=Europe/Berlin", "2026-09-30T22:00:00Z 2026-10-10T11:00:00Z", "in the same part of October 2026"},
		{"2026-04-02T10:00:00Z", "month=this&tz=Europe/Berlin", "2026-02-28T23:00:00Z 2026-03-02T11:00:00Z", "in the same part of March 2026"},
		// The clocks are put forward over half past two.
		{"2026-04-29T00:30:00Z", "month=this&tz=Europe/Berlin", "2026-02-28T23:00:00Z 2026-03-29T01:30:00Z", "in the same part of March 2026"},
		// The month has begun in Auckland, and not in UTC.
		{"2026-10-31T12:00:00Z", "month=this&tz=Pacific/Auckland", "2026-09-30T11:00:00Z 2026-09-30T12:00:00Z", "in the same part of October 2026"},
		{"2026-11-01T00:00:00Z", "month=this", "2026-10-01T00:00:00Z 2026-10-01T00:00:01Z", "in the same part of October 2026"},
		// A month before that is over sooner is compared as a whole.
		{"2026-03-30T12:00:00Z", "month=this", "2026-02-01T00:00:00Z 2026-03-01T00:00:00Z", "in February 2026"},
		{"2026-03-28T12:00:00Z", "month=this", "2026-02-01T00:00:00Z 2026-02-28T12:00:00Z", "in the same part of February 2026"},
		{"2026-11-10T12:00:00Z", "month=last", "2026-09-01T00:00:00Z 2026-10-01T00:00:00Z", "in September 2026"},
		{"2026-11-10T12:00:00Z", "month=2026-10&tz=Europe/Berlin", "2026-08-31T22:00:00Z 2026-09-30T22:00:00Z", "in September 2026"},
		{"2026-11-10T12:00:00Z", "last=7d", "2026-10-28T00:00:00Z 2026-11-03T12:00:00Z", "in the same part of the 7 days before"},
		{"2026-10-28T12:00:00Z", "last=1w&tz=Europe/Berlin", "2026-10-14T22:00:00Z 2026-10-21T11:00:00Z", "in the same part of the 7 days before"},
		{"2026-11-10T12:00:00Z", "last=1d", "2026-11-09T00:00:00Z 2026-11-09T12:00:00Z", "in the same part of the day before"},
		{"2026-11-10T12:00:00Z", "from=2026-11-09&to=2026-11-10", "2026-11-08T00:00:00Z 2026-11-09T00:00:00Z", "the day before"},
		{"2026-11-10T12:00:00Z", "from=2026-11-01&to=2026-12-01", "2026-10-02T00:00:00Z 2026-10-11T12:00:00Z", "in the same part of the 30 days before"},
		{"2026-11-10T12:00:00Z", "from=2026-10-20&to=2026-10-27&tz=Europe/Berlin", "2026-10-12T22:00:00Z 2026-10-19T22:00:00Z", "in the 7 days before"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		p.same(c.now+", "+c.address, eval[string](p, fmt.Sprintf(`import('./assets/app/window.js').then(({ Days }) => {
			const clock = Date.now;
			Date.now = () => %d;
			try {
				const { before, nameOfBefore } = Days.of(new URLSearchParams(%q));
				return [before.from, before.to, nameOfBefore].join(' ').replaceAll('.000Z', 'Z');
			} finally {
				Date.now = clock;
			}
		})`, now.UnixMilli(), c.address)), c.before+" "+c.name)
	}
}

// A link with a time zone shows the days of that zone, and the control beside the windows changes it.
func TestTimeZones(t *testing.T) {
	s := serve(t, server.Config{})
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	// Two of four leases start in the first hour of October 2025 in Berlin, at 22:00 UTC, and two before.
	october := client.Month(2025, time.October, berlin)
	s.books(history("acme", 4, october.From.UTC().Add(-3*time.Minute), 1000))
	token := s.token("acme")
	p := open(t, look{zone: "America/New_York"}).visit(s.url + "/?month=2025-10&tz=Europe/Berlin#token=" + token).until(loaded)
	p.same("October in Berlin", p.text("#window-name")+" "+p.text("#tile-spent .figure")+" "+p.text("#tile-average .hint"),
		"October 2025: 1 Oct 2025 to 31 Oct 2025, in Europe/Berlin time. $0.24 over 31 days")
	if asked := append(p.windows("/series"), p.windows("/usage/acme")...); !asked[0].From.Equal(october.From) || !asked[0].To.Equal(october.To) || asked[0] != asked[1] ||
		!asked[2].From.Equal(client.StartOfDay(2025, time.September, 1, berlin)) || !asked[2].To.Equal(october.From) {
		t.Errorf("the page asks about %v", asked)
	}
	if calls := p.requests(); len(calls) > 10 {
		t.Errorf("it asks %d times", len(calls))
	}
	p.same("builds", fmt.Sprint(eval[[]string](p, "[...document.querySelectorAll('#builds .expand')].map((b) => b.innerText)")), "[Main #4 Main #3]")
	p.same("the balances", strings.Join(strings.Fields(p.text("#transactions .balances")), " "),
		"Opening balance, 1 Oct 2025 $10.00 VM lease −$0.48 Closing balance, end of 31 Oct 2025 $9.52")
	p.same("the time of a build", p.rows("#builds")[1][2], "1 Oct 2025, 00:00")
	// The chart's days are in UTC, and it says so.
	p.click("#days summary").until("document.querySelector('.days-table tbody')")
	if rows := p.rows(".days-table"); len(rows) != 32 || rows[0][0] != "Tue, 30 Sept 2025" || rows[0][1] != "$0.24" || rows[31][0] != "Fri, 31 Oct 2025" {
		t.Errorf("the days are %v", rows)
	}
	for _, panel := range []string{"#days", "#groups"} {
		if text := p.text(panel + " .utc-days"); !strings.Contains(text, "UTC day") {
			t.Errorf("%s says %q", panel, text)
		}
	}
	if text := p.text("#end"); !strings.Contains(text, "Times and the window are in Europe/Berlin time") {
		t.Errorf("at the end, the page says %s", text)
	}
	p.accessible().shoot("time-zone")

	// The statement is of the same window.
	p.click("#statement-link").until(printable)
	p.same("the link of the statement", eval[string](p, "location.search"), "?org=acme&month=2025-10&tz=Europe%2FBerlin")
	if facts := p.text("#facts"); !strings.Contains(facts, "1 Oct 2025 to 31 Oct 2025, whole days in Europe/Berlin time") || !strings.Contains(facts, " +01:00") && !strings.Contains(facts, " +02:00") {
		t.Errorf("the facts are %s", facts)
	}
	p.same("the balance", fmt.Sprintf("%q", p.rows("#balance")), fmt.Sprintf("%q", [][]string{
		{"Opening balance, 1 Oct 2025 00:00 Europe/Berlin time", "", "$10.00"}, {"Debits for VM leases", "4", "−$0.48"},
		{"Closing balance, 1 Nov 2025 00:00 Europe/Berlin time", "", "$9.52"},
	}))
	p.same("a build", strings.Join(p.rows("#builds")[1], "; "), "Main #3; 2025-10-01 00:00:00 +02:00; 1; 5m 00s; $0.12")
	p.accessible().shoot("statement-time-zone")
	p.click("#usage-link").until(loaded)

	// UTC, the reader's zone and that of the link are offered. The window is counted anew from its words.
	zone := func(want ...string) {
		t.Helper()
		if offered := eval[[]string](p, "[...document.querySelector('#zone').options].map((o) => o.value)"); !slices.Equal(offered, want) {
			t.Errorf("%q are offered, want %q", offered, want)
		}
	}
	choose := func(zone string) {
		t.Helper()
		eval[chromedp.Void](p, fmt.Sprintf(`(() => { performance.clearResourceTimings(); const z = document.querySelector('#zone'); z.value = %q; z.dispatchEvent(new Event('change')); })()`, zone))
		p.until(loaded)
	}
	zone("UTC", "America/New_York", "Europe/Berlin")
	choose("America/New_York")
	p.same("the address", eval[string](p, "location.search"), "?org=acme&month=2025-10&tz=America%2FNew_York")
	if asked := p.windows("/series"); !asked[0].From.Equal(client.StartOfDay(2025, time.October, 1, newYork)) || !asked[0].To.Equal(client.StartOfDay(2025, time.November, 1, newYork)) {
		t.Errorf("in New York, the page asks about %v", asked)
	}
	p.same("October in New York", p.text("#tile-spent .figure"), "$0.00")
	zone("UTC", "America/New_York")
	choose("UTC")
	p.same("the address in UTC", eval[string](p, "location.search"), "?org=acme&month=2025-10")
	if p.holds("document.querySelector('#days .utc-days').checkVisibility()") {
		t.Error("in UTC, the chart says that its days are others")
	}
	p.do(chromedp.NavigateBack())
	p.until("document.querySelector('#zone').value === 'America/New_York'").until(loaded)

	// The other windows keep the zone; a bar leads to its day in UTC.
	p.click("[data-month=this]").until("location.search === '?org=acme&month=this&tz=America%2FNew_York'").until(loaded)
	p.visit(s.url + "/?from=2025-10-01&to=2025-10-02&tz=Europe/Berlin").until(loaded)
	eval[chromedp.Void](p, "document.querySelector('#days .chart').focus()")
	p.press(kb.Home).press(kb.Enter).until("location.search === '?org=acme&from=2025-09-30&to=2025-10-01'").until(loaded)
	p.same("the day in UTC", p.text("#tile-spent .figure"), "$0.48")

	// A day of New York ends in the next day of UTC.
	p.visit(s.url + "/?from=2025-09-30&to=2025-10-01&tz=America/New_York").until(loaded).click("#days summary").until("document.querySelector('.days-table tbody')")
	if rows := p.rows(".days-table"); len(rows) != 2 || rows[1][0] != "Wed, 1 Oct 2025" {
		t.Errorf("in New York, the days are %v", rows)
	}

	// A zone that there is not shows no window, and a window can be chosen.
	p.visit(s.url + "/?month=2025-10&tz=Europe/Nowhere").until("document.querySelector('#bad-window').checkVisibility()")
	p.accessible().click("[data-month=last]").until(loaded)
	p.same("a window after that", eval[string](p, "location.search"), "?org=acme&month=last")
	p.visit(s.url + "/statement?month=2025-10&tz=Europe/Nowhere").until("document.querySelector('#state .bad')")
	if text := p.text("#state"); !strings.Contains(text, "“Europe/Nowhere” is no time zone") {
		t.Errorf("the statement says %s", text)
	}
}

// The closing balance of a month is the opening balance of the next, also where the clocks change between the two or at the midnight itself.
func TestStatementsFollowEachOther(t *testing.T) {
	s := serve(t, server.Config{})
	const leases = 180
	for i, c := range []struct{ zone, month, moment string }{
		{"Europe/Berlin", "2025-10", "1 Nov 2025 00:00"}, {"Europe/Berlin", "2025-03", "1 Apr 2025 00:00"},
		{"Africa/Cairo", "2024-10", "1 Nov 2024 00:00"},     // put back at this midnight
		{"America/Asuncion", "2017-09", "1 Oct 2017 01:00"}, // put forward over this midnight
		{"Asia/Beirut", "2024-03", "1 Apr 2024 00:00"}, {"Pacific/Apia", "2011-12", "1 Jan 2012 00:00"}, {"UTC", "2025-10", "1 Nov 2025 00:00"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		first, err := time.ParseInLocation("2006-01", c.month, zone)
		if err != nil {
			t.Fatal(err)
		}
		next := client.StartOfDay(first.Year(), first.Month()+1, 1, zone)
		org := "org-" + strings.Repeat("x", i+1)
		start := next.Add(-90*time.Minute - 5*time.Minute)
		s.books(history(org, leases, start.UTC(), 10_000)) // its leases finish in the 90 minutes before the midnight and in those from it on
		p := open(t, look{}).visit(s.url + "/?org=" + org + "#token=" + s.token(org)).until(loaded)
		p.visit(s.url + "/statement?month=" + c.month + "&tz=" + c.zone).until(printable)
		label := c.zone + " time"
		if c.zone == "UTC" {
			label = c.zone
		}
		closing := p.rows("#balance")
		p.same(c.zone+", closing", strings.Join(closing[len(closing)-1], "; "), fmt.Sprintf("Closing balance, %s %s; ; %s", c.moment, label, money(10_000-89*12)))
		p.visit(s.url + "/statement?month=" + next.Format("2006-01") + "&tz=" + c.zone).until(printable)
		p.same(c.zone+", opening", strings.Join(p.rows("#balance")[0], "; "), fmt.Sprintf("Opening balance, %s %s; ; %s", c.moment, label, money(10_000-89*12)))
	}
}
