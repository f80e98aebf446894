package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed report.md.tmpl
var reportText string

// summary describes the result of a row.
func (r row) summary() string {
	text := r.spread()
	if r.against != "" {
		text = fmt.Sprintf("%s, %s against %s", text, r.unit.text(r.ours.median()), r.unit.text(r.yardstick.median()))
	}
	if r.bound.wanted() {
		text += ", wanted " + r.wanted() + ": " + r.verdict()
	}
	return text
}

// spread is the median and how far the runs lie apart.
func (r row) spread() string {
	s := r.judged()
	if len(s) == 1 {
		return r.number(s.median())
	}
	return fmt.Sprintf("%s (%s – %s)", r.number(s.median()), r.number(slices.Min(s)), r.number(slices.Max(s)))
}

func (r row) wanted() string {
	if r.bound.least != 0 {
		return "≥ " + r.number(r.bound.least)
	}
	return "≤ " + r.number(r.bound.most)
}

func (r row) verdict() string {
	if r.bound.met(r.judged().median()) {
		return "yes"
	}
	return "**no**"
}

// line is the row of the table of targets, or of its section's table.
func (r row) line(targets bool) string {
	what, store, found := r.what, r.store, r.spread()
	if store == "" {
		store = "–"
	}
	if r.judged().unsteady() {
		found += " ⚠"
	}
	if targets {
		if r.against != "" {
			what += " ÷ " + r.against
		}
		return cells(what, store, found, r.wanted(), r.verdict())
	}
	ours, against, yardstick := r.unit.text(r.ours.median()), r.against, "–"
	if against == "" {
		against, found = "–", "–"
		ours = r.spread()
	} else {
		yardstick = r.unit.text(r.yardstick.median())
	}
	return cells(what, store, ours, against, yardstick, found)
}

func cells(texts ...string) string { return "| " + strings.Join(texts, " | ") + " |\n" }

// report fills in the template.
func (b *bench) report(m machine, took time.Duration) (string, error) {
	names := map[string]bool{}
	for _, s := range sections {
		names[s.name] = true
	}
	funcs := template.FuncMap{
		// rows are the lines of a section's table, none where it was not measured.
		"rows": func(section string) (string, error) {
			if !names[section] {
				return "", fmt.Errorf("there is no section %q", section)
			}
			var lines strings.Builder
			for _, r := range b.rows {
				if r.section == section {
					lines.WriteString(r.line(false))
				}
			}
			if lines.Len() == 0 {
				return "", nil
			}
			return cells("", "Store", "Here", "Yardstick", "It", "Here ÷ it") + "|---|---|--:|---|--:|--:|\n" + lines.String(), nil
		},
		// missing names the sections that were left out of this run.
		"missing": func() string {
			var left []string
			for _, s := range sections {
				if !slices.ContainsFunc(b.rows, func(r row) bool { return r.section == s.name }) {
					left = append(left, s.name)
				}
			}
			return strings.Join(left, ", ")
		},
		"targets": func() string {
			var lines strings.Builder
			lines.WriteString(cells("", "Store", "Measured", "Wanted", "Met") + "|---|---|--:|--:|---|\n")
			for _, r := range b.rows {
				if r.bound.wanted() {
					lines.WriteString(r.line(true))
				}
			}
			return lines.String()
		},
		"met": func() string {
			met, wanted := 0, 0
			for _, r := range b.rows {
				if r.bound.wanted() {
					wanted++
					if r.bound.met(r.judged().median()) {
						met++
					}
				}
			}
			return fmt.Sprintf("%d of %d", met, wanted)
		},
		"n": func(n int) string { return grouped(int64(n)) },
	}
	t, err := template.New("report").Funcs(funcs).Parse(reportText)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = t.Execute(&text, map[string]any{
		"Machine": m, "Date": time.Now().UTC().Format(time.DateOnly), "Size": b.size.name, "Took": fmt.Sprintf("%d min", (took+time.Minute-1)/time.Minute),
		"Rounds": b.size.rounds, "Leases": b.size.leases, "Small": b.size.small, "Breakdown": b.size.breakdown, "Written": b.size.written,
		"AtOnce": leasesAtOnce, "Connections": connections, "Load": b.size.load.String(), "Generator": b.load.String(),
		"Pool": poolSize,
	})
	return text.String(), err
}
