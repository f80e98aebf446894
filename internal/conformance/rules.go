package conformance

// rule is one thing that every server of this API does. Exactly one of every, server and org checks it.
type rule struct {
	id        string
	statement string
	// every checks one answer to any request. It returns errNotOfThisKind if the rule does not apply to the answer.
	every func(*exchange) error
	// server makes requests of its own, once.
	server func(*session) error
	// org makes requests of its own about an organization.
	org func(*account) error
	// settles says that the rule compares sums which replicas may show at different times.
	settles bool
}

// answersComplete has no function: every request checks it.
var answersComplete = rule{
	id: "answers.complete", statement: "Every request gets a whole answer, in time and of a bounded size.",
}

// groups are all rules, in the order in which they are reported.
var groups []struct {
	title string
	rules []rule
}

func init() {
	// The checks send requests, and sending requests uses this table.
	groups = []struct {
		title string
		rules []rule
	}{
		{"Answers", []rule{
			answersComplete,
			{id: "answers.status", statement: "The status is one that the contract declares for the call.", every: none(wrongStatus)},
			{id: "answers.json", statement: "The body is JSON, of the Content-Type application/json.", every: none(notJSON)},
			{id: "answers.schema", statement: "Keys, types and bounds are those of openapi.yaml.", every: none(wrongValue)},
			{id: "answers.keys", statement: "Every declared key is present, null where its value is unknown.", every: none(missingKey)},
			{id: "answers.arrays", statement: "Arrays are never null.", every: none(nullArray)},
			{id: "answers.timestamps", statement: "Timestamps are in UTC with exactly six fractional digits and Z.", every: none(wrongTimestamp)},
			{id: "answers.dates", statement: "Dates are days that exist, as YYYY-MM-DD.", every: none(wrongDate)},
			{id: "answers.uuids", statement: "UUIDs are in lower case.", every: none(wrongUUID)},
			{id: "answers.request-id", statement: "Every answer has an x-request-id of 20 to 200 printable ASCII characters.", every: hasRequestID},
			{id: "answers.cache-control", statement: "The answer to a token is private: Cache-Control says so.", every: isPrivate},
			{id: "answers.nosniff", statement: "The answer to a token has X-Content-Type-Options: nosniff.", every: forbidsSniffing},
			{id: "answers.vary", statement: "Whatever may be compressed has Vary: Accept-Encoding, also where it is not.", every: variesByEncoding},
		}},
		{"Errors", []rule{
			{id: "errors.envelope", statement: "An error is the envelope, with a text in each of its five fields.", every: isEnvelope},
			{id: "errors.request-id", statement: "The request_id of an error is the header x-request-id.", every: namesRequest},
			{id: "errors.code", statement: "Status, type and code of an error go together as the contract lists them.", every: codeFits},
			{id: "errors.doc-url", statement: "The doc_url of an error ends with its code.", every: docURLFits},
			{id: "errors.retry-after", statement: "429 and 503 say in Retry-After when to try again.", every: saysWhen},
			{id: "errors.challenge", statement: "401 has WWW-Authenticate: Bearer.", every: challenges},
			{id: "errors.allow", statement: "405 lists in Allow what the path takes.", every: listsMethods},
		}},
		{"Tokens and order of checks", []rule{
			{id: "tokens.one-401", statement: "No token, an unknown one and another scheme get one and the same 401.", server: oneUnauthorized},
			{id: "tokens.scheme", statement: "The scheme Bearer is matched without regard to case.", server: schemeCase},
			{id: "order.malformed-first", statement: "A malformed query is 400, whatever the token.", server: malformedFirst},
			{id: "order.route-before-token", statement: "An unknown route is 404 route_not_found, also without a token.", server: unknownRoute},
			{id: "order.method-before-token", statement: "A method that a path does not have is 405 with Allow, also without a token.", server: unknownMethod},
			{id: "order.token-before-organization", statement: "Without a token an unknown organization is 401, not 404.", server: tokenBeforeOrganization},
			{id: "order.token-before-parameters", statement: "Without a token a bad parameter is 401, not 422.", server: tokenBeforeParameters},
			{id: "order.short-body-before-token", statement: "A malformed body of up to 64 KiB is 400, also without a token.", server: shortBodyBeforeToken},
			{id: "order.token-before-long-body", statement: "Without a token a longer body is 401, whatever is in it.", server: tokenBeforeLongBody},
			{id: "order.organization-before-parameters", statement: "For an unknown organization a bad parameter is 404, not 422.", server: organizationBeforeParameters},
		}},
		{"Organizations", []rule{
			{id: "organizations.list", statement: "Organizations are listed once each, by slug, on pages of any size.", server: organizationsListed},
			{id: "organizations.unknown", statement: "An unknown organization is 404 organization_not_found on every path.", server: unknownOrganization},
			{id: "organizations.hidden", statement: "One that the token may not see is the same 404 as an unknown one.", server: hiddenOrganization},
			{id: "organizations.case", statement: "Slugs are case-sensitive.", server: slugCase},
		}},
		{"Requests", []rule{
			{id: "requests.id-echoed", statement: "An x-request-id of 20 to 200 printable ASCII characters is echoed.", server: requestIDEchoed},
			{id: "requests.id-made", statement: "Where the x-request-id is missing or unfit, another is made for each request.", server: requestIDMade},
			{id: "requests.head", statement: "HEAD works where GET does, with the same status and type.", server: headWorks},
			{id: "requests.unknown-parameters", statement: "Unknown query parameters are ignored.", server: unknownParameters},
			{id: "requests.slashes", statement: "A slash at the end of a path, and slashes that stand twice, are taken.", server: slashesTaken},
			{id: "options.allow", statement: "OPTIONS is 204 with the Allow of 405: every method that works. On an unknown path it is 404.", server: optionsAllow},
			{id: "requests.gzip-body", statement: "A body may be compressed with gzip; one that is not what it says is 400.", server: gzipBody},
			{id: "requests.content-encoding", statement: "A body of another Content-Encoding is 415.", server: otherEncoding},
			{id: "requests.gzip", statement: "A long answer is compressed when gzip is asked for, and only then.", server: gzipWhenAsked},
		}},
		{"Ledger", []rule{
			{id: "ledger.order", statement: "Entries come newest first, those of one time by descending id, each once.", org: ledgerOrder},
			{id: "ledger.pages", statement: "Small and large pages give the same list.", org: ledgerPages},
			{id: "ledger.end", statement: "next_cursor is null exactly when nothing is left.", org: ledgerEnd},
			{id: "ledger.balance", statement: "The amounts of all entries add up to the balance.", org: ledgerBalance},
			{id: "ledger.signs", statement: "Credits are positive, debits negative or 0.", org: ledgerSigns},
			{id: "ledger.entry", statement: "An entry by its id is that of the list, with the balance after it and the arithmetic of its cost.", org: ledgerEntry},
			{id: "leases.list", statement: "Leases come newest first, each once, and the filters find what they name.", org: leasesListed},
			{id: "limits.default", statement: "Without a limit a page holds 50.", org: limitDefault},
			{id: "limits.clamped", statement: "A limit outside 1 to 100 is moved to its nearer end.", org: limitClamped},
			{id: "limits.invalid", statement: "A limit that is no integer is 422 limit_invalid.", org: limitInvalid},
			{id: "cursors.invalid", statement: "A cursor that the server did not make is 422 cursor_invalid.", org: cursorInvalid},
			{id: "cursors.foreign", statement: "A cursor of another organization is 422 cursor_invalid.", org: cursorForeign},
		}},
		{"Windows", []rule{
			{id: "windows.required", statement: "A window without from or to is 422 billing_usage_window_invalid.", org: windowRequired},
			{id: "windows.readable", statement: "A from or to that is no RFC 3339 timestamp and no date is the same error.", org: windowReadable},
			{id: "windows.order", statement: "A to that does not lie after from is the same error.", org: windowOrder},
			{id: "windows.length", statement: "A window may be 3 660 days long, and no longer.", org: windowLength},
			{id: "windows.plus", statement: "A + that arrived as a space gets an error that says so.", org: windowPlus},
			{id: "windows.dates", statement: "A bare date means midnight UTC.", org: windowDates, settles: true},
			{id: "windows.offsets", statement: "Any offset is taken, and up to nine fractional digits, of which six count.", org: windowOffsets, settles: true},
			{id: "windows.half-open", statement: "Two adjacent windows add up to the whole.", org: windowHalfOpen, settles: true},
			{id: "windows.edges", statement: "A lease that starts at from is in the window, one that starts at to is not.", org: windowEdges, settles: true},
		}},
		{"Usage", []rule{
			{id: "series.days", statement: "A series has one bucket for each UTC day from that of from to that of to, in order.", org: seriesDays},
			{id: "series.sum", statement: "The buckets add up to the usage of the window.", org: seriesSum, settles: true},
			{id: "series.start-day", statement: "A lease counts wholly on the UTC day on which it started.", org: seriesStartDay, settles: true},
			{id: "breakdown.cents", statement: "The amounts of the jobs add up to the cents of the usage.", org: breakdownCents, settles: true},
			{id: "breakdown.resources", statement: "Count × duration of the jobs adds up to the usage.", org: breakdownResources, settles: true},
			{id: "breakdown.totals", statement: "A build's total, count, start and finish are those of its jobs.", org: breakdownTotals},
			{id: "breakdown.running", statement: "A job that runs has no duration and no finish, and owes 0.", org: breakdownRunning},
			{id: "breakdown.amounts", statement: "No amount of a breakdown is above 0.", org: breakdownAmounts},
			{id: "breakdown.order", statement: "Builds come newest first, jobs oldest first.", org: breakdownOrder},
			{id: "breakdown.stable", statement: "The order is the same each time.", org: breakdownStable, settles: true},
			{id: "breakdown.groups", statement: "Each build comes once, and leases without one share one group.", org: breakdownGroups},
		}},
	}
}
