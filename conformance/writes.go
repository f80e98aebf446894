package conformance

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// The rules about writes. The check is the only writer of the organization, so balances are compared exactly. In an organization that was
// empty, the other rules check the entries and leases that these rules have written.

// report is a lease as it is reported.
type report map[string]any

// with returns a copy of a report with other values.
func (r report) with(changes report) report {
	changed := maps.Clone(r)
	maps.Copy(changed, changes)
	return changed
}

type recordedLease struct {
	LeaseID     string `json:"lease_id"`
	Status      string `json:"status"`
	AmountCents int64  `json:"amount_cents"`
}

// newID makes a random UUID.
func newID() string {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// newReport makes a report of a lease of two CPUs that has run for five minutes, some minutes before the last midnight.
func newReport(minutes int) report {
	start := midnight(time.Now()).Add(-time.Duration(minutes) * time.Minute)
	return report{
		"job_id": newID(), "job_name": "Check", "cpu_count": 2, "memory_gb": 4, "disk_gb": 20,
		"started_at": formatTime(start), "finished_at": formatTime(start.Add(5 * time.Minute)),
	}
}

func (r report) running() report {
	r = r.with(nil)
	delete(r, "finished_at")
	return r
}

func (a *account) recordCall(reports ...report) call {
	body, _ := json.Marshal(map[string]any{"leases": reports})
	return call{method: http.MethodPost, path: "/billing/leases/" + url.PathEscape(a.slug), body: string(body)}
}

// record reports leases, which must succeed.
func (a *account) record(reports ...report) (*exchange, []recordedLease, error) {
	var answer struct {
		Data []recordedLease `json:"data"`
	}
	x, err := a.expectWritten(a.recordCall(reports...), http.StatusOK, &answer)
	if err == nil && len(answer.Data) != len(reports) {
		err = breachf(x, "%d leases were sent, and %d are answered", len(reports), len(answer.Data))
	}
	return x, answer.Data, err
}

const roleTooLow = skip("the role of the token is too low")

// mayNotWrite reports whether the role of the token let no rule write that was to.
func (s *session) mayNotWrite() bool {
	refused := false
	for _, r := range rules() {
		if !r.writes || !s.isSelected(r) {
			continue
		}
		t := s.tallies[r.id]
		if t.passed || len(t.breaches) > 0 {
			return false
		}
		refused = refused || t.reason == string(roleTooLow)
	}
	return refused
}

// expectWritten sends a request that must succeed. If the server does not have the call, or the token may not make it, the error skips the
// rule.
func (a *account) expectWritten(c call, status int, into any) (*exchange, error) {
	x, err := a.send(c)
	switch {
	case err != nil:
		return nil, err
	case x.isUnknownRoute():
		return x, skip("the server does not have this call")
	case x.status == http.StatusForbidden:
		return x, roleTooLow
	case x.status != status:
		return x, breachf(x, "the status is %d, not %d", x.status, status)
	}
	if err := json.Unmarshal(x.body, into); err != nil {
		return x, breachf(x, "the body cannot be read: %v", err)
	}
	return x, nil
}

func (a *account) balance() (int64, error) {
	var balance struct {
		BalanceCents int64 `json:"balance_cents"`
	}
	_, err := a.expectOK(balanceCall(a.slug), &balance)
	return balance.BalanceCents, err
}

// expectBalance checks that the balance is one before and a change.
func (a *account) expectBalance(x *exchange, before, change int64) error {
	after, err := a.balance()
	if err == nil && after != before+change {
		err = breachf(x, "the balance was %d, and is %d after an answer that changes it by %d", before, after, change)
	}
	return err
}

// writtenLeases records leases with and without a build, finished and running, over two days. Those without a build have a pipeline, which the
// group of leases without a build in a breakdown does not show.
func writtenLeases(a *account) error {
	before, err := a.balance()
	if err != nil {
		return err
	}
	var reports []report
	for i := range 24 {
		r := newReport(90 * (i + 1))
		switch i % 4 {
		case 0, 1:
			r = r.with(report{"build_id": newID(), "build_number": i + 1, "pipeline_name": "Check", "pipeline_slug": "check"})
		case 2:
			r["build_id"] = reports[0]["build_id"]
		case 3:
			r = r.with(report{"pipeline_id": newID(), "pipeline_name": "Check", "pipeline_slug": "check"})
		}
		reports = append(reports, r)
	}
	unfinished := reports[5]
	reports[5] = unfinished.running()
	x, recorded, err := a.record(reports...)
	if err != nil {
		return err
	}
	change := int64(0)
	for i, l := range recorded {
		switch {
		case i == 5 && (l.Status != "running" || l.AmountCents != 0):
			return breachf(x, "a lease that runs is %s and owes %d", l.Status, l.AmountCents)
		case i != 5 && (l.Status != "billed" || l.AmountCents > 0):
			return breachf(x, "a lease that has finished is %s at %d", l.Status, l.AmountCents)
		}
		change += l.AmountCents
	}
	if err := a.expectBalance(x, before, change); err != nil {
		return err
	}
	x, finished, err := a.record(unfinished)
	if err != nil {
		return err
	}
	if l := finished[0]; l.Status != "billed" || l.LeaseID != recorded[5].LeaseID {
		return breachf(x, "the lease %s that ran has finished, and %s is %s", recorded[5].LeaseID, l.LeaseID, l.Status)
	}
	if err := a.expectBalance(x, before, change+finished[0].AmountCents); err != nil {
		return err
	}
	x, still, err := a.record(newReport(60).running()) // which stays so
	if err == nil && still[0].Status != "running" {
		return breachf(x, "a lease that runs is %s", still[0].Status)
	}
	return err
}

// clockTolerance is how far the clock of the server may be ahead or behind.
const clockTolerance = 5 * time.Minute

// writtenAccrued compares what a lease has accrued with the amounts of two that start at the same time, and finish a little earlier and a
// little later than the answer. The one that finishes later is the lease itself.
func writtenAccrued(a *account) error {
	const minutes = 180
	runs, early := newReport(minutes), newReport(minutes)
	early["finished_at"] = formatTime(time.Now().Add(-clockTolerance))
	_, recorded, err := a.record(runs.running(), early)
	if err != nil {
		return err
	}
	id := url.Values{"lease_id": {recorded[0].LeaseID}}
	p, err := a.leases(id)
	if err != nil {
		return err
	}
	if len(p.Data) != 1 || p.Data[0].AccruedCents == nil {
		return breachf(p.x, "the lease %s runs, and its cost so far is not answered", recorded[0].LeaseID)
	}
	accrued := *p.Data[0].AccruedCents
	if accrued > recorded[1].AmountCents {
		return breachf(p.x, "the lease has accrued %d, and one that finished earlier is billed %d", accrued, recorded[1].AmountCents)
	}
	runs["finished_at"] = formatTime(time.Now().Add(clockTolerance))
	x, recorded, err := a.record(runs)
	if err != nil {
		return err
	}
	if accrued < recorded[0].AmountCents {
		return breachf(x, "the lease is billed %d, and had accrued %d before it finished", recorded[0].AmountCents, accrued)
	}
	if p, err = a.leases(id); err != nil {
		return err
	}
	return p.checkOrder()
}

// writtenDuplicates sends a lease again, twice in one request.
func writtenDuplicates(a *account) error {
	r := newReport(7)
	_, first, err := a.record(r)
	if err != nil {
		return err
	}
	before, err := a.balance()
	if err != nil {
		return err
	}
	x, again, err := a.record(r, r)
	if err != nil {
		return err
	}
	want := first[0]
	want.Status = "duplicate"
	if again[0] != want || again[1] != want {
		return breachf(x, "the lease %s, billed %d, is answered %v the second time", want.LeaseID, want.AmountCents, again)
	}
	if err := a.expectBalance(x, before, 0); err != nil {
		return err
	}
	// A start and a finish in one request, whose answer was lost.
	finish := newReport(31)
	if _, _, err := a.record(finish.running(), finish); err != nil {
		return err
	}
	if x, again, err = a.record(finish.running(), finish); err == nil && (again[0].Status != "duplicate" || again[1].Status != "duplicate") {
		err = breachf(x, "a start and a finish that are sent again are answered %v", again)
	}
	return err
}

// expectUnchanged sends reports that must be refused, and checks that the balance stays.
func (a *account) expectUnchanged(status int, code string, reports ...[]report) error {
	before, err := a.balance()
	if err != nil {
		return err
	}
	for _, r := range reports {
		x, _, err := a.expectError(a.recordCall(r...), status, code)
		if err != nil {
			return err
		}
		if err := a.expectBalance(x, before, 0); err != nil {
			return err
		}
	}
	return nil
}

// writtenConflicts changes leases that are recorded.
func writtenConflicts(a *account) error {
	billed, running := newReport(11), newReport(13).running()
	if _, _, err := a.record(billed, running); err != nil {
		return err
	}
	later := formatTime(midnight(time.Now()).Add(-time.Minute))
	return a.expectUnchanged(http.StatusConflict, "lease_conflict",
		[]report{billed.with(report{"cpu_count": 1})}, []report{billed.with(report{"finished_at": later})},
		[]report{billed.with(report{"job_name": "Other"})},
		[]report{running.with(report{"memory_gb": 1})}, []report{running.with(report{"started_at": later})},
		[]report{newReport(17), billed.with(report{"disk_gb": 1})})
}

// writtenInvalid sends leases that break rules which span several fields, or counts that only leases of earlier versions may have.
func writtenInvalid(a *account) error {
	valid := newReport(19)
	r := newReport(23)
	early := formatTime(midnight(time.Now()).Add(-time.Hour))
	future := formatTime(time.Now().Add(time.Hour))
	invalid := []report{
		r.with(report{"finished_at": early}), r.with(report{"duration_seconds": 301}), r.running().with(report{"duration_seconds": 1}),
		r.running().with(report{"started_at": future}), r.with(report{"finished_at": future}),
		r.with(report{"cpu_count": 10_001}), r.running().with(report{"memory_gb": 100_001}), r.with(report{"disk_gb": 10_000_001}),
	}
	if _, _, err := a.record(newReport(29)); err != nil { // whether it may write at all
		return err
	}
	for _, bad := range invalid {
		if err := a.expectUnchanged(http.StatusUnprocessableEntity, "lease_invalid", []report{bad}, []report{valid, bad}); err != nil {
			return err
		}
	}
	x, recorded, err := a.record(valid)
	if err == nil && recorded[0].Status != "billed" {
		err = breachf(x, "a lease that came with an invalid one, which refuses both, is %s", recorded[0].Status)
	}
	return err
}

func (a *account) creditCall(key string, cents int64) call {
	return call{
		method: http.MethodPost, path: "/billing/credits/" + url.PathEscape(a.slug), header: map[string]string{"Idempotency-Key": key},
		body: fmt.Sprintf(`{"amount_cents":%d,"source":"refund","description":"Check"}`, cents),
	}
}

// writtenCredits posts a credit twice.
func writtenCredits(a *account) error {
	before, err := a.balance()
	if err != nil {
		return err
	}
	c := a.creditCall(newID(), 500)
	var first, again entry
	x, err := a.expectWritten(c, http.StatusCreated, &first)
	if err != nil {
		return err
	}
	if first.AmountCents != 500 || first.Source != "refund" {
		return breachf(x, "a refund of 500 is the entry %v", first)
	}
	if x.header.Get("Idempotency-Replayed") != "" {
		return breachf(x, "the first answer has the header Idempotency-Replayed")
	}
	if err := a.expectBalance(x, before, 500); err != nil {
		return err
	}
	if x, err = a.expectWritten(c, http.StatusCreated, &again); err != nil {
		return err
	}
	if again != first || x.header.Get("Idempotency-Replayed") != "true" {
		return breachf(x, "the second answer is another entry than the first, %s, or lacks Idempotency-Replayed: true", first.ID)
	}
	if err := a.expectBalance(x, before, 500); err != nil {
		return err
	}
	newest, err := a.page(2, "")
	if err == nil && !slices.Contains(newest.Data, first) {
		err = breachf(newest.x, "the credit %s is not in the ledger", first.ID)
	}
	return err
}

// writtenKeys uses a key for two credits.
func writtenKeys(a *account) error {
	key := newID()
	var first entry
	if _, err := a.expectWritten(a.creditCall(key, 100), http.StatusCreated, &first); err != nil {
		return err
	}
	before, err := a.balance()
	if err != nil {
		return err
	}
	x, _, err := a.expectError(a.creditCall(key, 101), http.StatusConflict, "idempotency_key_reused")
	if err != nil {
		return err
	}
	return a.expectBalance(x, before, 0)
}
