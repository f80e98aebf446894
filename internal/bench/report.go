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
	if r.yardstickLabel != "" {
		text = fmt.Sprintf("%s, %s against %s", text, r.unit.format(r.measurements.median()), r.unit.format(r.yardstick.median()))
	}
	if r.bound.isSet() {
		text += ", wanted " + r.boundText() + ": " + r.verdict()
	}
	return text
}

// spread is the median and how far the runs lie apart.
func (r row) spread() string {
	s := r.boundedSeries()
	if len(s) == 1 {
		return r.format(s.median())
	}
	return fmt.Sprintf("%s (%s – %s)", r.format(s.median()), r.format(slices.Min(s)), r.format(slices.Max(s)))
}

func (r row) boundText() string {
	if r.bound.minimum != 0 {
		return "≥ " + r.format(r.bound.minimum)
	}
	return "≤ " + r.format(r.bound.maximum)
}

func (r row) verdict() string {
	if r.bound.isMet(r.boundedSeries().median()) {
		return "yes"
	}
	return "**no**"
}

// line is the row of the table of targets, or of its section's table.
func (r row) line(targets bool) string {
	what, store, result := r.label, r.store, r.spread()
	if store == "" {
		store = "–"
	}
	if r.boundedSeries().isUnsteady() {
		result += " ⚠"
	}
	if targets {
		if r.yardstickLabel != "" {
			what += " ÷ " + r.yardstickLabel
		}
		return cells(what, store, result, r.boundText(), r.verdict())
	}
	measured, against, yardstick := r.unit.format(r.measurements.median()), r.yardstickLabel, "–"
	if against == "" {
		against, result = "–", "–"
		measured = r.spread()
	} else {
		yardstick = r.unit.format(r.yardstick.median())
	}
	return cells(what, store, measured, against, yardstick, result)
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
			var notMeasured []string
			for _, s := range sections {
				if !slices.ContainsFunc(b.rows, func(r row) bool { return r.section == s.name }) {
					notMeasured = append(notMeasured, s.name)
				}
			}
			return strings.Join(notMeasured, ", ")
		},
		"targets": func() string {
			var lines strings.Builder
			lines.WriteString(cells("", "Store", "Measured", "Wanted", "Met") + "|---|---|--:|--:|---|\n")
			for _, r := range b.rows {
				if r.bound.isSet() {
					lines.WriteString(r.line(true))
				}
			}
			return lines.String()
		},
		"met": func() string {
			met, boundText := 0, 0
			for _, r := range b.rows {
				if r.bound.isSet() {
					boundText++
					if r.bound.isMet(r.boundedSeries().median()) {
						met++
					}
				}
			}
			return fmt.Sprintf("%d of %d", met, boundText)
		},
		"n": func(n int) string { return groupDigits(int64(n)) },
	}
	t, err := template.New("report").Funcs(funcs).Parse(reportText)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = t.Execute(&text, map[string]any{
		"Machine": m, "Date": time.Now().UTC().Format(time.DateOnly), "Size": b.size.name, "Took": fmt.Sprintf("%d min", (took+time.Minute-1)/time.Minute),
		"Rounds": b.size.rounds, "Leases": b.size.largeOrgLeases, "Small": b.size.smallOrgLeases, "Breakdown": b.size.breakdownLeases, "Written": b.size.writtenLeases,
		"AtOnce": leasesPerRequest, "Connections": connections, "Load": b.size.loadTime.String(), "Generator": b.generator.String(),
		"Pool": poolSize,
	})
	return text.String(), err
}
