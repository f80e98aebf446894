// Package conformance checks a server of the billing API, this project's or another, against openapi.yaml and the rules
// behind it. Unless Options.Write is set, it only reads, but for bodies that every server refuses. The command harmont-billing check runs it, and so can a test:
//
//	report, err := conformance.Run(t.Context(), conformance.Options{URL: url, Token: token})
//	if err == nil {
//		err = report.Err()
//	}
//	if err != nil {
//		t.Error(err)
//	}
//
// A report says of each rule whether it passed, failed or could not be checked, such as a rule about entries of an empty ledger.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Options are the settings of a check.
type Options struct {
	// URL is the server's root, absolute, without a slash at its end.
	URL string
	// Token is the bearer token to read with. It appears nowhere in the report.
	Token string
	// UserAgent is sent with every request. Empty means that of net/http.
	UserAgent string
	// Organization is the slug of the one to check. Empty means the first few that the token sees.
	Organization string
	// Write lets the check report leases, post credits and set rate cards, which cannot be removed again. Organization must be set, and the
	// check must be its only writer. All rules can be checked then, also in an organization that was empty. The rate cards are for labels and
	// for a shape of machines that the check alone uses. Token must have the role admin: with the role write, the rules about credits and
	// rate cards are skipped, and with the role read, Run fails.
	Write bool
	// Hidden is the slug of an organization that exists and that the token may not see; empty where none is known.
	Hidden string
	// Only is the id of the only rule that sends requests. Rules for every answer are checked as well. Empty means all rules.
	Only string
	// RequestTimeout bounds each request, from dialing to the last byte of the answer. Zero means 20 seconds.
	RequestTimeout time.Duration
	// Pauses come before the sums of usage are compared again that did not agree: replicas may be some seconds behind one
	// another. Nil means 1 second and then 6.
	Pauses []time.Duration
}

// maxOrganizations is how many organizations are checked where none is named.
const maxOrganizations = 3

// The statuses of a rule.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped" // it could not be checked, and Reason says why
)

// Report is the result of a check.
type Report struct {
	URL           string     `json:"url"`
	Contract      string     `json:"contract"` // the version of openapi.yaml
	Organizations []Coverage `json:"organizations"`
	Visible       int        `json:"visible_organizations"` // how many the token sees, as far as they were listed
	Requests      int        `json:"requests"`
	Passed        int        `json:"passed"`
	Failed        int        `json:"failed"`
	Skipped       int        `json:"skipped"`
	Rules         []Result   `json:"rules"`
}

// Err returns the breaches of all rules that failed, and nil if none has. It does not speak of rules that were skipped.
func (r *Report) Err() error {
	var errs []error
	for _, result := range r.Rules {
		for _, b := range result.Breaches {
			text := result.Rule + ": " + b.Problem
			if b.Organization != "" {
				text = result.Rule + ": " + b.Organization + ": " + b.Problem
			}
			if b.Sent != "" {
				text += "\n\tsent " + b.Sent + "\n\tcame " + b.Came
			}
			errs = append(errs, errors.New(text))
		}
	}
	return errors.Join(errs...)
}

// Coverage is how much of an organization was looked at.
type Coverage struct {
	Organization string `json:"organization"`
	Entries      int    `json:"entries"`      // of the ledger, newest first
	WholeLedger  bool   `json:"whole_ledger"` // whether these are all
	// The window that was traced to its jobs, and how many these were. It is empty where NoUsage says why.
	UsageFrom string `json:"usage_from"`
	UsageTo   string `json:"usage_to"`
	Jobs      int    `json:"jobs"`
	NoUsage   string `json:"no_usage"`
	// The window that was summed.
	SummedFrom string `json:"summed_from"`
	SummedTo   string `json:"summed_to"`
}

// Result is the result of one rule.
type Result struct {
	Rule      string   `json:"rule"`
	Group     string   `json:"group"`
	Statement string   `json:"statement"`
	Status    string   `json:"status"`
	Reason    string   `json:"reason,omitempty"` // of a skipped rule
	Breaches  []Breach `json:"breaches"`
	More      int      `json:"more_breaches"` // how many more were found than are listed
}

// Breach is one departure from a rule.
type Breach struct {
	Organization string `json:"organization,omitempty"`
	Problem      string `json:"problem"`
	Sent         string `json:"sent,omitempty"` // the request, without its token
	Came         string `json:"came,omitempty"` // the beginning of the answer
}

// maxBreaches is how many breaches of a rule are listed.
const maxBreaches = 3

// Run checks a server. It fails if the first request gets no readable answer, if the token is refused or does not see the organization, and
// if Write is set and the role of the token is too low for all rules that write. After that, there is a report in every case.
func Run(ctx context.Context, options Options) (*Report, error) {
	if options.RequestTimeout == 0 {
		options.RequestTimeout = 20 * time.Second
	}
	if options.Pauses == nil {
		options.Pauses = []time.Duration{time.Second, 6 * time.Second}
	}
	if options.Write && options.Organization == "" {
		return nil, errors.New("a check that writes needs the name of an organization")
	}
	s := newSession(ctx, options)
	defer s.client.CloseIdleConnections()
	if err := s.findOrganizations(); err != nil {
		return nil, err
	}
	if options.Write {
		for _, a := range s.accounts {
			s.checkAccount(a, true)
		}
		if s.mayNotWrite() {
			return nil, errors.New("the role of the token is too low for the rules that write; they need the role admin")
		}
	}
	for _, r := range rules() {
		if r.checkServer != nil && s.isSelected(r) {
			s.recordResult(r, "", r.checkServer(s))
		}
	}
	for _, a := range s.accounts {
		s.checkAccount(a, false)
	}
	return s.report(), nil
}

func (s *session) isSelected(r rule) bool { return s.options.Only == "" || s.options.Only == r.id }

// checkAccount checks the rules about one organization, either the ones that write or the ones that read. Rules that compare sums of usage
// are checked again after a pause if they fail.
func (s *session) checkAccount(a *account, writes bool) {
	pending := slices.DeleteFunc(rules(), func(r rule) bool { return r.checkOrganization == nil || r.writes != writes || !s.isSelected(r) })
	for round := 0; len(pending) > 0; round++ {
		if round > 0 {
			s.sleep(s.options.Pauses[round-1])
		}
		pending = slices.DeleteFunc(pending, func(r rule) bool {
			err := r.checkOrganization(a)
			if _, breached := errors.AsType[*breach](err); breached && r.comparesSums && round < len(s.options.Pauses) {
				return false
			}
			s.recordResult(r, a.slug, err)
			return true
		})
	}
}

// A check returns nil where the rule holds, a *breach where it does not, and a skip where that cannot be told.
type breach struct {
	x       *exchange // nil where no single answer shows it
	problem string
}

func (b *breach) Error() string { return b.problem }

func breachf(x *exchange, format string, args ...any) error {
	return &breach{x, fmt.Sprintf(format, args...)}
}

type skip string

func (s skip) Error() string { return string(s) }

// recordResult notes the result of a check.
func (s *session) recordResult(r rule, org string, err error) {
	t := s.tallies[r.id]
	b, breached := errors.AsType[*breach](err)
	_, unanswered := errors.AsType[*noAnswer](err)
	switch {
	case unanswered && s.stopErr != nil: // one reason for all of them is given in the end
	case err == nil:
		t.passed = true
	case breached:
		t.add(org, b, s)
	default:
		t.reason = err.Error()
	}
}

// tally is the result of a rule so far.
type tally struct {
	passed   bool
	reason   string
	breaches []Breach
	unlisted int
}

func (t *tally) add(org string, b *breach, s *session) {
	if len(t.breaches) == maxBreaches {
		t.unlisted++
		return
	}
	entry := Breach{Organization: org, Problem: s.redact(excerpt(b.problem))}
	if b.x != nil {
		entry.Sent, entry.Came = s.redact(b.x.describeRequest()), s.redact(b.x.describeAnswer())
	}
	t.breaches = append(t.breaches, entry)
}

func (s *session) report() *Report {
	report := &Report{
		URL: s.options.URL, Contract: loadContract().Info.Version, Organizations: []Coverage{},
		Visible: len(s.visible), Requests: s.requests,
	}
	for _, a := range s.accounts {
		report.Organizations = append(report.Organizations, a.coverage())
	}
	for _, g := range groups {
		for _, r := range g.rules {
			if r.writes && !s.options.Write {
				continue
			}
			t := s.tallies[r.id]
			result := Result{Rule: r.id, Group: g.title, Statement: r.statement, Status: Skipped, Reason: t.reason, Breaches: []Breach{}}
			switch {
			case len(t.breaches) > 0:
				result.Status, result.Reason, result.Breaches, result.More = Failed, "", t.breaches, t.unlisted
				report.Failed++
			case t.passed:
				result.Status, result.Reason = Passed, ""
				report.Passed++
			default:
				if result.Reason == "" {
					result.Reason = s.reasonWithoutAnswer()
				}
				report.Skipped++
			}
			report.Rules = append(report.Rules, result)
		}
	}
	return report
}

func rules() (all []rule) {
	for _, g := range groups {
		all = append(all, g.rules...)
	}
	return all
}
