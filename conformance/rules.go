package conformance

// rule is a statement that holds for every server of this API. Exactly one of checkAnswer, checkServer and checkOrganization is set.
type rule struct {
	id        string
	statement string
	// checkAnswer checks one answer to any request. It returns errNotOfThisKind if the rule does not apply to the answer.
	checkAnswer func(*exchange) error
	// checkServer sends its own requests. It runs once.
	checkServer func(*session) error
	// checkOrganization sends its own requests about an organization. It runs for each organization.
	checkOrganization func(*account) error
	// writes marks a check of an organization that writes to it. It runs before all others, and only if Options.Write allows it.
	writes bool
	// comparesSums marks a rule that compares sums. Replicas may show these at different times, so the check is repeated if it fails.
	comparesSums bool
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
			{id: "answers.status", statement: "The status is one that the contract declares for the call.", checkAnswer: noFinding(wrongStatus)},
			{id: "answers.json", statement: "The body is JSON, of the Content-Type application/json.", checkAnswer: noFinding(notJSON)},
			{id: "answers.schema", statement: "Keys, types and bounds are those of openapi.yaml.", checkAnswer: noFinding(wrongValue)},
			{id: "answers.keys", statement: "Every declared key is present, null where its value is unknown.", checkAnswer: noFinding(missingKey)},
			{id: "answers.arrays", statement: "Arrays are never null.", checkAnswer: noFinding(nullArray)},
			{id: "answers.timestamps", statement: "Timestamps are in UTC with exactly six fractional digits and Z.", checkAnswer: noFinding(wrongTimestamp)},
			{id: "answers.dates", statement: "Dates are days that exist, as YYYY-MM-DD.", checkAnswer: noFinding(wrongDate)},
			{id: "answers.uuids", statement: "UUIDs are in lower case.", checkAnswer: noFinding(wrongUUID)},
			{id: "answers.request-id", statement: "Every answer has an x-request-id of 20 to 200 printable ASCII characters.", checkAnswer: hasRequestID},
			{id: "answers.cache-control", statement: "The answer to a token is private: Cache-Control says so.", checkAnswer: isPrivate},
			{id: "answers.nosniff", statement: "The answer to a token has X-Content-Type-Options: nosniff.", checkAnswer: forbidsSniffing},
			{id: "answers.vary", statement: "Whatever may be compressed has Vary: Accept-Encoding, also where it is not.", checkAnswer: variesByEncoding},
		}},
		{"Errors", []rule{
			{id: "errors.envelope", statement: "An error is the envelope, with a text in each of its five fields.", checkAnswer: isEnvelope},
			{id: "errors.request-id", statement: "The request_id of an error is the header x-request-id.", checkAnswer: hasMatchingRequestID},
			{id: "errors.code", statement: "Status, type and code of an error go together as the contract lists them.", checkAnswer: hasMatchingStatus},
			{id: "errors.doc-url", statement: "The doc_url of an error ends with its code.", checkAnswer: hasMatchingDocURL},
			{id: "errors.retry-after", statement: "429 and 503 say in Retry-After when to try again.", checkAnswer: hasRetryAfter},
			{id: "errors.challenge", statement: "401 has WWW-Authenticate: Bearer.", checkAnswer: hasChallenge},
			{id: "errors.allow", statement: "405 lists in Allow what the path takes.", checkAnswer: hasAllow},
		}},
		{"Tokens and order of checks", []rule{
			{id: "tokens.one-401", statement: "No token, an unknown one and another scheme get one and the same 401.", checkServer: ofFirstAccount(oneUnauthorized)},
			{id: "tokens.scheme", statement: "The scheme Bearer is matched without regard to case.", checkServer: ofFirstAccount(schemeCase)},
			{id: "order.malformed-first", statement: "A malformed query is 400, whatever the token.", checkServer: ofFirstAccount(malformedFirst)},
			{id: "order.route-before-token", statement: "An unknown route is 404 route_not_found, also without a token.", checkServer: unknownRoute},
			{id: "order.method-before-token", statement: "A method that a path does not have is 405 with Allow, also without a token.", checkServer: unknownMethod},
			{id: "order.token-before-organization", statement: "Without a token an unknown organization is 401, not 404.", checkServer: tokenBeforeOrganization},
			{id: "order.token-before-parameters", statement: "Without a token a bad parameter is 401, not 422.", checkServer: ofFirstAccount(tokenBeforeParameters)},
			{id: "order.short-body-before-token", statement: "A malformed body of up to 64 KiB is 400, also without a token.", checkServer: ofFirstAccount(shortBodyBeforeToken)},
			{id: "order.token-before-long-body", statement: "Without a token a longer body is 401, whatever is in it.", checkServer: ofFirstAccount(tokenBeforeLongBody)},
			{id: "order.organization-before-parameters", statement: "For an unknown organization a bad parameter is 404, not 422.", checkServer: organizationBeforeParameters},
		}},
		{"Organizations", []rule{
			{id: "organizations.list", statement: "Organizations are listed once each, by slug, on pages of any size.", checkServer: organizationsListed},
			{id: "organizations.unknown", statement: "An unknown organization is 404 organization_not_found on every path.", checkServer: unknownOrganization},
			{id: "organizations.hidden", statement: "One that the token may not see is the same 404 as an unknown one.", checkServer: hiddenOrganization},
			{id: "organizations.case", statement: "Slugs are case-sensitive.", checkServer: ofFirstAccount(slugCase)},
		}},
		{"Requests", []rule{
			{id: "requests.id-echoed", statement: "An x-request-id of 20 to 200 printable ASCII characters is echoed.", checkServer: ofFirstAccount(requestIDEchoed)},
			{id: "requests.id-made", statement: "Where the x-request-id is missing or unfit, another is made for each request.", checkServer: ofFirstAccount(requestIDMade)},
			{id: "requests.head", statement: "HEAD works where GET does, with the same status and type.", checkServer: ofFirstAccount(headWorks)},
			{id: "requests.unknown-parameters", statement: "Unknown query parameters are ignored.", checkServer: ofFirstAccount(unknownParameters)},
			{id: "requests.slashes", statement: "A slash at the end of a path, and slashes that stand twice, are taken.", checkServer: ofFirstAccount(slashesTaken)},
			{id: "options.allow", statement: "OPTIONS is 204 with the Allow of 405: every method that works. On an unknown path it is 404.", checkServer: ofFirstAccount(optionsAllow)},
			{id: "requests.gzip-body", statement: "A body may be compressed with gzip; one that is not what it says is 400.", checkServer: ofFirstAccount(gzipBody)},
			{id: "requests.content-encoding", statement: "A body of another Content-Encoding is 415.", checkServer: ofFirstAccount(otherEncoding)},
			{id: "requests.gzip", statement: "A long answer is compressed when gzip is asked for, and only then.", checkServer: ofFirstAccount(gzipWhenAsked)},
		}},
		{"Ledger", []rule{
			{id: "ledger.order", statement: "Entries come newest first, those of one time by descending id, each once.", checkOrganization: ledgerOrder},
			{id: "ledger.pages", statement: "Small and large pages give the same list.", checkOrganization: ledgerPages},
			{id: "ledger.end", statement: "next_cursor is null exactly when nothing is left.", checkOrganization: ledgerEnd},
			{id: "ledger.balance", statement: "The amounts of all entries add up to the balance.", checkOrganization: ledgerBalance},
			{id: "ledger.signs", statement: "Credits are positive, debits negative or 0.", checkOrganization: ledgerSigns},
			{id: "ledger.head", statement: "The head has the balance after the newest entry, and a digest that only another entry changes.", checkOrganization: ledgerHead},
			{id: "ledger.entry", statement: "An entry by its id is that of the list, with the balance after it and the arithmetic of its cost.", checkOrganization: ledgerEntry},
			{id: "ledger.ascending", statement: "With order=asc the entries come oldest first, each once.", checkOrganization: ledgerAscending},
			{id: "ledger.after", statement: "With after the list continues after that entry in either order; an unknown one is 404 transaction_not_found.", checkOrganization: ledgerAfter},
			{id: "ledger.times", statement: "With from and to the list has the entries that were created in [from, to).", checkOrganization: ledgerTimes},
			{id: "ledger.source", statement: "With source the list has the entries of that source.", checkOrganization: ledgerSource},
			{id: "ledger.filters-invalid", statement: "An order or a filter that cannot be read is 422 transaction_filter_invalid.", checkOrganization: ledgerFiltersInvalid},
			{id: "statement.entries", statement: "A statement adds up the entries that were created in its window, for each source.", checkOrganization: statementEntries},
			{id: "statement.adjacent", statement: "The closing balance of a window is the opening balance of the next one, and so are the heads.", checkOrganization: statementAdjacent},
			{id: "statement.head", statement: "A window that has not ended closes with the head of the ledger.", checkOrganization: statementHead},
			{id: "credits.list", statement: "Credits are the entries that are no debits, newest first, with the balance after them; from and to select some.", checkOrganization: creditsListed},
			{id: "leases.list", statement: "Leases come newest first, each once, and the filters find what they name.", checkOrganization: leasesListed},
			{id: "limits.default", statement: "Without a limit a page holds 50.", checkOrganization: limitDefault},
			{id: "limits.clamped", statement: "A limit outside 1 to 100 is moved to its nearer end.", checkOrganization: limitClamped},
			{id: "limits.invalid", statement: "A limit that is no integer is 422 limit_invalid.", checkOrganization: limitInvalid},
			{id: "cursors.invalid", statement: "A cursor that the server did not make is 422 cursor_invalid.", checkOrganization: cursorInvalid},
			{id: "cursors.foreign", statement: "A cursor of another organization is 422 cursor_invalid.", checkOrganization: cursorForeign},
		}},
		{"Prices", []rule{
			{id: "prices.list", statement: "Rate cards come with the one that was added last first, each once, on pages of any size.", checkOrganization: cardsListed},
			{id: "prices.cards", statement: "A rate card has all counts of a shape or none, and so a label and the prices.", checkOrganization: cardsComplete},
			{id: "prices.entries", statement: "An entry has a rate card where it has a cost: with the prices of the cost, and for its lease.", checkOrganization: entriesPriced},
		}},
		{"Windows", []rule{
			{id: "windows.required", statement: "A window without from or to is 422 billing_usage_window_invalid.", checkOrganization: windowRequired},
			{id: "windows.readable", statement: "A from or to that is no RFC 3339 timestamp and no date is the same error.", checkOrganization: windowReadable},
			{id: "windows.order", statement: "A to that does not lie after from is the same error.", checkOrganization: windowOrder},
			{id: "windows.length", statement: "A window may be 3 660 days long, and no longer.", checkOrganization: windowLength},
			{id: "windows.plus", statement: "A + that arrived as a space gets an error that says so.", checkOrganization: windowPlus},
			{id: "windows.dates", statement: "A bare date means midnight UTC.", checkOrganization: windowDates, comparesSums: true},
			{id: "windows.offsets", statement: "Any offset is taken, and up to nine fractional digits, of which six count.", checkOrganization: windowOffsets, comparesSums: true},
			{id: "windows.half-open", statement: "Two adjacent windows add up to the whole.", checkOrganization: windowHalfOpen, comparesSums: true},
			{id: "windows.edges", statement: "A lease that starts at from is in the window, one that starts at to is not.", checkOrganization: windowEdges, comparesSums: true},
		}},
		{"Usage", []rule{
			{id: "series.days", statement: "A series has one bucket for each UTC day from that of from to that of to, in order.", checkOrganization: seriesDays},
			{id: "series.sum", statement: "The buckets add up to the usage of the window.", checkOrganization: seriesSum, comparesSums: true},
			{id: "series.start-day", statement: "A lease counts wholly on the UTC day on which it started.", checkOrganization: seriesStartDay, comparesSums: true},
			{id: "breakdown.cents", statement: "The amounts of the jobs add up to the cents of the usage.", checkOrganization: breakdownCents, comparesSums: true},
			{id: "breakdown.resources", statement: "Count × duration of the jobs adds up to the usage.", checkOrganization: breakdownResources, comparesSums: true},
			{id: "breakdown.totals", statement: "A build's total, count, start and finish are those of its jobs.", checkOrganization: breakdownTotals},
			{id: "breakdown.running", statement: "A job that runs has no duration and no finish, and owes 0.", checkOrganization: breakdownRunning},
			{id: "breakdown.amounts", statement: "No amount of a breakdown is above 0.", checkOrganization: breakdownAmounts},
			{id: "breakdown.order", statement: "Builds come newest first, jobs oldest first.", checkOrganization: breakdownOrder},
			{id: "breakdown.stable", statement: "The order is the same each time.", checkOrganization: breakdownStable, comparesSums: true},
			{id: "breakdown.groups", statement: "Each build comes once, and leases without one share one group.", checkOrganization: breakdownGroups},
		}},
		{"Groups", []rule{
			{id: "groups.sum", statement: "The groups add up to the usage of the window, whatever the limit.", checkOrganization: groupsSum, comparesSums: true},
			{id: "groups.jobs", statement: "The groups of shapes and pipelines have the cents of their jobs in the breakdown.", checkOrganization: groupsOfJobs},
			{id: "groups.order", statement: "The group that cost most comes first, each value once, and other sums those beyond the limit.", checkOrganization: groupsOrder},
			{id: "groups.series", statement: "A series has each day or month that the window touches, and adds up to its group.", checkOrganization: groupsSeries},
			{id: "groups.invalid", statement: "An unknown grouping or interval is 422 usage_group_invalid, and a window by day has at most 366 days.", checkOrganization: groupsInvalid},
		}},
		{"Runway", []rule{
			{id: "runway.usage", statement: "The last 7 and 30 whole UTC days before today have the usage of their windows, and as many days with a cost.", checkOrganization: runwayUsage, comparesSums: true},
			{id: "runway.days", statement: "The average, the outlook, the days left and the day of zero follow from the balance and the total.", checkOrganization: runwayDays},
		}},
		{"Writes", []rule{
			{id: "writes.leases", statement: "A lease is billed when it has finished, and not while it runs; the balance changes by what it is billed.", checkOrganization: writtenLeases, writes: true},
			{id: "writes.accrued", statement: "A lease that runs has accrued what it is billed if it finishes then, and nothing once it is billed.", checkOrganization: writtenAccrued, writes: true},
			{id: "writes.duplicates", statement: "A lease that is sent again unchanged is a duplicate, and is not billed again.", checkOrganization: writtenDuplicates, writes: true},
			{id: "writes.conflicts", statement: "A recorded lease that is sent again with other contents is 409 lease_conflict, and nothing changes.", checkOrganization: writtenConflicts, writes: true},
			{id: "writes.invalid", statement: "A lease that cannot be is 422 lease_invalid, and nothing of its request is recorded.", checkOrganization: writtenInvalid, writes: true},
			{id: "writes.credits", statement: "A credit is an entry, and is posted once for each Idempotency-Key.", checkOrganization: writtenCredits, writes: true},
			{id: "writes.keys", statement: "An Idempotency-Key with another body is 409 idempotency_key_reused, and nothing changes.", checkOrganization: writtenKeys, writes: true},
			{id: "writes.labels", statement: "The labels of a lease come back, stay as they are, and keep the bounds of the contract.", checkOrganization: writtenLabels, writes: true},
			{id: "writes.rate-cards", statement: "A rate card bills the leases that it is for once it is in force, and is set once for each Idempotency-Key.", checkOrganization: writtenCards, writes: true},
			{id: "writes.rate-card-keys", statement: "The Idempotency-Key of a rate card with another card is 409 idempotency_key_reused.", checkOrganization: writtenCardKeys, writes: true},
			{id: "writes.rate-cards-invalid", statement: "A rate card for the past, or with a part of what belongs together, is 422 rate_card_invalid.", checkOrganization: writtenCardsInvalid, writes: true},
		}},
	}
}
