package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/server"
)

func priceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "price",
		Short:   "Set, list and try prices",
		GroupID: groupDatabase,
		Example: `  harmont-billing price list
  harmont-billing price set --name 2027 --from 2027-01-01 \
      --cpu 12000 --memory-gb 6000 --disk-gb 120
  harmont-billing price try card.json --last 90d --by pipeline`,
	}
	cmd.AddCommand(priceSetCommand(), priceListCommand(), priceTryCommand())
	return cmd
}

// cardHelp is for the long help of the commands that read rate cards.
const cardHelp = `In a file, a rate card is JSON like this, of which only the name is required:

  {"name": "GPU runners", "organization": "acme",
   "cpu_count": 2, "memory_gb": 4, "disk_gb": 20,
   "label_key": "pool", "label_value": "gpu",
   "cpu_microcents": 12000, "memory_gb_microcents": 6000,
   "disk_gb_microcents": 120, "effective_from": "2027-01-01T00:00:00Z"}

A card without an organization is for all. It is for machines of one shape if it
has the three counts, and for leases with a label if it has the two keys for
one. A card without the three prices ends the cards before it for the same
leases.`

func priceSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set [FILE | -]",
		Short: "Set prices from a time on",
		Args:  cobra.MaximumNArgs(1),
		Long: `Adds a rate card: prices in micro-cents, millionths of a cent, for one unit and
one second. It is for leases that start at a time or later, and the most
specific card bills a lease: one of the organization before one for all, then
one for a label before one for any labels, then one for a shape before one for
every shape. Cards never change; a later card for the same leases takes the
place of an earlier one. With --end, the earlier one ends without another, and
less specific cards bill the leases.

A lease is billed when it finishes, by the card in force when it started. A
billed lease keeps its price, so a --from in the past, which needs --allow-past,
concerns only leases that are not billed yet.

The flags describe the card, or a file does.

` + cardHelp,
		Example: `  harmont-billing price set --name 2027 --from 2027-01-01 \
      --cpu 12000 --memory-gb 6000 --disk-gb 120
  harmont-billing price set --name "GPU runners" --label pool=gpu \
      --cpu 90000 --memory-gb 5000 --disk-gb 100
  harmont-billing price set --name "No GPU price" --label pool=gpu --end
  harmont-billing price set card.json`,
	}
	described := cardFlags(cmd)
	allowPast := cmd.Flags().Bool("allow-past", false, "allow a start in the past; billed leases keep their prices")
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		card, err := described(args)
		if err != nil {
			return err
		}
		card.AllowPast = *allowPast
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true}, func(s *server.Server) error {
			if err := checkEnd(cmd.Context(), s, card); err != nil {
				return err
			}
			set, err := s.SetRateCard(cmd.Context(), card)
			if errors.Is(err, server.ErrRateCardInvalid) && !card.AllowPast && card.EffectiveFrom != nil && card.EffectiveFrom.Before(time.Now()) {
				err = fmt.Errorf("%w; with --allow-past, it bills the leases that are not billed yet", err)
			}
			if err != nil {
				return err
			}
			out := newOutput(cmd.OutOrStdout(), formatTable)
			describeCard(out, set)
			return out.flush()
		})
	}
	return cmd
}

// cardFlags adds the flags that describe a rate card. It returns a function that reads the card from them or from the file that is the
// argument.
func cardFlags(cmd *cobra.Command) func(files []string) (server.RateCardOptions, error) {
	var card server.RateCardOptions
	flags := cmd.Flags()
	flags.Func("org", "the `SLUG` of the organization that the card is for; all where absent", parseInto(&card.Organization, notEmpty))
	flags.Func("shape", "the machines that the card is for, CPUs x gigabytes of memory x gigabytes of disk, such as `2x4x20`; all where absent",
		func(text string) error { return parseShape(text, &card) })
	flags.Func("label", "the label `KEY=VALUE` of the leases that the card is for; any labels where absent",
		func(text string) error { return parseLabel(text, &card) })
	price := func(text string) (*int64, error) {
		n, err := atLeast(0)(text)
		return &n, err
	}
	flags.Func("cpu", "the price in `MICROCENTS` of one CPU for one second", parseInto(&card.CPUMicrocents, price))
	flags.Func("memory-gb", "the price in `MICROCENTS` of one gigabyte of memory for one second", parseInto(&card.MemoryGBMicrocents, price))
	flags.Func("disk-gb", "the price in `MICROCENTS` of one gigabyte of disk for one second", parseInto(&card.DiskGBMicrocents, price))
	end := flags.Bool("end", false, "end the cards before for the same leases, and set no prices")
	flags.Func("from", "when the card begins, a `DATE` or an RFC 3339 timestamp; now where absent",
		parseInto(&card.EffectiveFrom, func(text string) (*time.Time, error) {
			t, err := parseTime(text)
			return &t, err
		}))
	flags.Func("name", "the `NAME` of the card, for people", parseInto(&card.Name, notEmpty))
	names := []string{"org", "shape", "label", "cpu", "memory-gb", "disk-gb", "end", "from", "name"}
	for _, flag := range names {
		noFileCompletion(cmd, flag)
	}
	return func(files []string) (server.RateCardOptions, error) {
		if len(files) > 0 {
			for _, flag := range names {
				if flags.Changed(flag) {
					return card, usagef("--%s goes without a file", flag)
				}
			}
			return readCard(files[0], cmd.InOrStdin())
		}
		prices := 0
		for _, price := range []*int64{card.CPUMicrocents, card.MemoryGBMicrocents, card.DiskGBMicrocents} {
			if price != nil {
				prices++
			}
		}
		switch {
		case card.Name == "":
			return card, usagef("--name is required, or a file")
		case *end && prices > 0:
			return card, usagef("--end goes without --cpu, --memory-gb and --disk-gb")
		case !*end && prices < 3:
			return card, usagef("--cpu, --memory-gb and --disk-gb are required, or --end")
		}
		return card, nil
	}
}

func notEmpty(text string) (string, error) {
	if text == "" {
		return "", errors.New("must not be empty")
	}
	return text, nil
}

var shapeForm = regexp.MustCompile(`^(\d{1,9})x(\d{1,9})x(\d{1,9})$`)

func parseShape(text string, card *server.RateCardOptions) error {
	found := shapeForm.FindStringSubmatch(text)
	if found == nil {
		return errors.New("must be CPUs, gigabytes of memory and gigabytes of disk, such as 2x4x20")
	}
	for i, into := range []**int64{&card.CPUCount, &card.MemoryGB, &card.DiskGB} {
		n, err := strconv.ParseInt(found[i+1], 10, 64)
		if err != nil {
			return err
		}
		*into = &n
	}
	return nil
}

func parseLabel(text string, card *server.RateCardOptions) error {
	key, value, found := strings.Cut(text, "=")
	if !found {
		return errors.New("must be a key and a value, such as pool=gpu")
	}
	if err := billing.CheckLabelKey(key); err != nil {
		return err
	}
	card.LabelKey, card.LabelValue = &key, &value
	return nil
}

// checkEnd refuses a card that ends none, most likely because of a typing error.
func checkEnd(ctx context.Context, s *server.Server, card server.RateCardOptions) error {
	if card.CPUMicrocents != nil {
		return nil
	}
	cards, err := s.RateCards(ctx, card.Organization)
	if err != nil {
		return err
	}
	same := server.RateCard{
		Organization: card.Organization, CPUCount: card.CPUCount, MemoryGB: card.MemoryGB, DiskGB: card.DiskGB,
		LabelKey: card.LabelKey, LabelValue: card.LabelValue,
	}
	for _, c := range cards {
		if leasesOfCard(c) == leasesOfCard(same) && c.CPUMicrocents != nil && c.State != server.RateCardImported {
			return nil
		}
	}
	return fmt.Errorf("there is no rate card to end for %s", leasesOfCard(same))
}

// maxCardFile bounds how much of a file of rate cards is read, in bytes.
const maxCardFile = 16 << 20

// readCards reads the rate cards of a file, or of standard input for "-".
func readCards(name string, stdin io.Reader) ([]server.RateCardOptions, error) {
	if name == "" {
		return nil, usagef("FILE is empty; for standard input it is -")
	}
	input, _, err := openInput(name, stdin)
	if err != nil {
		return nil, err
	}
	defer input.Close()
	text, err := io.ReadAll(io.LimitReader(input, maxCardFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > maxCardFile {
		return nil, fmt.Errorf("%s: it has more than %d bytes", name, maxCardFile)
	}
	cards, err := server.ParseRateCards(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return cards, nil
}

// readCard reads the one rate card of a file.
func readCard(name string, stdin io.Reader) (server.RateCardOptions, error) {
	cards, err := readCards(name, stdin)
	if err != nil {
		return server.RateCardOptions{}, err
	}
	if len(cards) > 1 {
		return server.RateCardOptions{}, fmt.Errorf("%s: it has %d rate cards, and one is set at a time", name, len(cards))
	}
	return cards[0], nil
}

// describeCard says what was set, from when on and for whom, and what it is in dollars.
func describeCard(out *output, c server.RateCard) {
	what := "Set the prices"
	if c.CPUMicrocents == nil {
		what = "Ended the prices"
	}
	out.text(fmt.Sprintf("%s for %s, from %s UTC on.\n", what, printable(leasesOfCard(c)), toMicrosecond(c.EffectiveFrom)))
	out.text(fmt.Sprintf("The rate card is %s (%s).\n", c.ID, printable(c.Name)))
	if c.CPUMicrocents == nil {
		out.text("Less specific cards bill these leases then.\n")
		return
	}
	rows := []row{
		{cells: []string{"a CPU", grouped(*c.CPUMicrocents), dollarsPerHour(*c.CPUMicrocents)}},
		{cells: []string{"a GB of memory", grouped(*c.MemoryGBMicrocents), dollarsPerHour(*c.MemoryGBMicrocents)}},
		{cells: []string{"a GB of disk", grouped(*c.DiskGBMicrocents), dollarsPerHour(*c.DiskGBMicrocents)}},
	}
	if c.CPUCount != nil {
		machine := *c.CPUCount**c.CPUMicrocents + *c.MemoryGB**c.MemoryGBMicrocents + *c.DiskGB**c.DiskGBMicrocents // at most 1.2 × 10¹⁵, by the bounds of a card
		rows = append(rows, row{[]string{"a machine", grouped(machine), dollarsPerHour(machine)}, bold})
	}
	out.text("\n")
	newTable(out, column{title: "PRICE OF"}, column{title: "MICRO-CENTS A SECOND", right: true}, column{title: "AN HOUR", right: true}).writeRows(rows)
}

// leasesOfCard says in words which leases a card is for.
func leasesOfCard(c server.RateCard) string {
	text := "all organizations"
	if c.Organization != "" {
		text = c.Organization
	}
	if c.CPUCount != nil && c.MemoryGB != nil && c.DiskGB != nil {
		text += ", machines of " + machine(*c.CPUCount, *c.MemoryGB, *c.DiskGB)
	}
	if c.LabelKey != nil && c.LabelValue != nil {
		text += ", leases with " + *c.LabelKey + "=" + *c.LabelValue
	}
	return text
}

// toMicrosecond writes a time for people as exactly as it needs, with no decimals or six.
func toMicrosecond(t time.Time) string {
	if t.Truncate(time.Second).Equal(t) {
		return toSecond(t)
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000")
}

const (
	secondsPerHour      = 3600
	microcentsPerDollar = 100 * microcentsPerCent
)

// dollarsPerHour writes a price in micro-cents for a second as dollars for an hour, exactly.
func dollarsPerHour(microcents int64) string {
	whole := microcents / microcentsPerDollar * secondsPerHour
	part := microcents % microcentsPerDollar * secondsPerHour
	whole += part / microcentsPerDollar
	decimals := strings.TrimRight(fmt.Sprintf("%08d", part%microcentsPerDollar), "0")
	for len(decimals) < 2 {
		decimals += "0"
	}
	return fmt.Sprintf("$%s.%s", grouped(whole), decimals)
}

func priceListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rate cards",
		Args:  cobra.NoArgs,
		Long: `Lists the rate cards that are in force or will be, in the order in which they
were added. With --all, it also lists those that have ended, because a later
card for the same leases has taken their place, and those of imported leases,
which bill no others. The prices of a card are in micro-cents for one unit and
one second, and below in dollars for one hour. The JSON has the keys of the
API's rate cards, and the state.`,
		Example: `  harmont-billing price list
  harmont-billing price list --org acme --all -o csv`,
	}
	var org string
	cmd.Flags().Func("org", "list only cards that may bill leases of the organization with this `SLUG`", parseInto(&org, notEmpty))
	noFileCompletion(cmd, "org")
	all := cmd.Flags().Bool("all", false, "list also cards that bill no lease any more")
	format := newFormatFlags(cmd)
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out, err := format.output(cmd.OutOrStdout())
		if err != nil {
			return err
		}
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true, ReadOnly: true}, func(s *server.Server) error {
			cards, err := s.RateCards(cmd.Context(), org)
			if err != nil {
				return err
			}
			var listed []server.RateCard
			for _, c := range cards {
				if *all || c.State == server.RateCardInForce || c.State == server.RateCardFuture {
					listed = append(listed, c)
				}
			}
			return out.paged(cmd.Context(), func(context.Context) error { return writeCards(out, listed) })
		})
	}
	return cmd
}

func writeCards(out *output, cards []server.RateCard) error {
	switch out.format {
	case formatJSON, formatNDJSON:
		items := make([]any, len(cards))
		for i, c := range cards {
			items[i] = cardObject(c)
		}
		return out.items(items, map[string]any{"data": items})
	case formatCSV:
		records := [][]string{{
			"id", "name", "organization", "cpu_count", "memory_gb", "disk_gb", "label_key", "label_value", "cpu_microcents",
			"memory_gb_microcents", "disk_gb_microcents", "effective_from", "created_at", "state",
		}}
		for _, c := range cards {
			records = append(records, []string{
				c.ID, c.Name, c.Organization, orEmpty(c.CPUCount, number), orEmpty(c.MemoryGB, number), orEmpty(c.DiskGB, number),
				orEmptyText(c.LabelKey), orEmptyText(c.LabelValue), orEmpty(c.CPUMicrocents, number), orEmpty(c.MemoryGBMicrocents, number),
				orEmpty(c.DiskGBMicrocents, number), timestamp(c.EffectiveFrom), timestamp(c.CreatedAt), string(c.State),
			})
		}
		return out.csv(records...)
	}
	var rows []row
	for _, c := range cards {
		micro, dollars := []string{"no prices", "", "", "", c.Name}, []string{"", "", "", "", leasesOfCard(c)}
		if c.CPUMicrocents != nil {
			micro[0], dollars[0] = "a second", "$ an hour"
			for i, price := range []int64{*c.CPUMicrocents, *c.MemoryGBMicrocents, *c.DiskGBMicrocents} {
				micro[1+i], dollars[1+i] = grouped(price), strings.TrimPrefix(dollarsPerHour(price), "$")
			}
		}
		state := stateWords[c.State] + ", from " + toSecond(c.EffectiveFrom) + " UTC"
		rows = append(rows, row{micro, bold}, row{cells: dollars}, row{[]string{"", "", "", "", state}, faint})
	}
	rows = append(rows, row{[]string{"", "", "", "", count(int64(len(cards)), "rate card", "rate cards")}, bold})
	newTable(out, column{title: "PRICE"}, column{title: "CPU", right: true}, column{title: "MEM GB", right: true},
		column{title: "DISK GB", right: true}, column{title: "RATE CARD"}).writeRows(rows)
	return nil
}

var stateWords = map[server.RateCardState]string{
	server.RateCardInForce: "in force", server.RateCardFuture: "future", server.RateCardEnded: "ended", server.RateCardImported: "imported",
}

// cardObject is a rate card as JSON, with the keys of the API.
func cardObject(c server.RateCard) any {
	object := struct {
		ID                 string  `json:"id"`
		Name               string  `json:"name"`
		Organization       *string `json:"organization"`
		CPUCount           *int64  `json:"cpu_count"`
		MemoryGB           *int64  `json:"memory_gb"`
		DiskGB             *int64  `json:"disk_gb"`
		LabelKey           *string `json:"label_key"`
		LabelValue         *string `json:"label_value"`
		CPUMicrocents      *int64  `json:"cpu_microcents"`
		MemoryGBMicrocents *int64  `json:"memory_gb_microcents"`
		DiskGBMicrocents   *int64  `json:"disk_gb_microcents"`
		EffectiveFrom      string  `json:"effective_from"`
		CreatedAt          string  `json:"created_at"`
		State              string  `json:"state"`
	}{
		c.ID, c.Name, nil, c.CPUCount, c.MemoryGB, c.DiskGB, c.LabelKey, c.LabelValue, c.CPUMicrocents, c.MemoryGBMicrocents,
		c.DiskGBMicrocents, timestamp(c.EffectiveFrom), timestamp(c.CreatedAt), string(c.State),
	}
	if c.Organization != "" {
		object.Organization = &c.Organization
	}
	return object
}

func priceTryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "try FILE | -",
		Short: "Compute what a window would have cost at other prices",
		Args:  needs("FILE"),
		Long: `Computes what the leases that started in a window would have cost if the books
had the rate cards of a file as well, and writes nothing to the books. A card
without an effective_from is taken to be in force over the whole window, in the
place of those of the books for the same leases; one with a time is added to
those of the books. A lease that the tried cards do not concern costs what it
was billed, so all differences come from the tried cards. Each lease is rounded
down to cents, as in a bill. Leases that are still running are left out.

A lease that was priced elsewhere has an amount that no rate card of the books
gives, such as one of another system. It counts, and a note says how many there
are.

The file has one card, a JSON array of cards, or one card after another.

` + cardHelp + "\n\n" + windowHelp,
		Example: `  harmont-billing price try card.json --last 90d --by pipeline
  harmont-billing price try card.json --org acme --last 30d --by label.team`,
	}
	window := newWindowFlags(cmd)
	var trial server.RateCardTrial
	cmd.Flags().Func("org", "the `SLUG` of the organization whose leases count; all where absent", parseInto(&trial.Organization, notEmpty))
	groupFlag(cmd, &trial.By, "group by `WHAT`: %s; only the total where absent", tryGroups)
	noFileCompletion(cmd, "org")
	format := newFormatFlags(cmd)
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := window.window(time.Now())
		if err != nil {
			return err
		}
		trial.From, trial.To = w.From, w.To
		out, err := format.output(cmd.OutOrStdout())
		if err != nil {
			return err
		}
		cards, err := readCards(args[0], cmd.InOrStdin())
		if err != nil {
			return err
		}
		return withServer(cmd.Context(), server.Config{Database: *database, MustExist: true, ReadOnly: true}, func(s *server.Server) error {
			err := tryCards(cmd, s, cards, trial, out)
			if note := w.note(); err == nil && note != "" && out.format == formatTable {
				cmd.PrintErrf("note: %s\n", note)
			}
			return err
		})
	}
	return cmd
}

// tryGroups are the values of 'price try --by'. The key of a label follows the last one.
var tryGroups = []string{"organization", "pipeline", shapeGroup, "card", labelGroup}

func tryCards(cmd *cobra.Command, s *server.Server, cards []server.RateCardOptions, trial server.RateCardTrial, out *output) error {
	result, err := s.TryRateCards(cmd.Context(), cards, trial)
	if err != nil {
		return err
	}
	if err := out.paged(cmd.Context(), func(context.Context) error { return writeTrial(out, trial, result) }); err != nil {
		return err
	}
	if out.format == formatTable || out.format == formatCSV {
		for _, note := range trialNotes(result) {
			cmd.PrintErrf("note: %s\n", note)
		}
	}
	return nil
}

// trialNotes say which leases do not count, and which amounts are not those of the books.
func trialNotes(r server.RateCardTrialResult) (notes []string) {
	if r.Running > 0 {
		notes = append(notes, count(r.Running, "lease is", "leases are")+" running and left out")
	}
	if r.PricedElsewhere > 0 {
		notes = append(notes, count(r.PricedElsewhere, "lease was", "leases were")+" priced elsewhere: no rate card of the books gives the amount")
	}
	if r.Unpriced > 0 {
		notes = append(notes, count(r.Unpriced, "lease", "leases")+" would have no rate card, and count as billed")
	}
	return notes
}

// trialItem is a line of a trial as JSON.
type trialItem struct {
	Organization    *string `json:"organization"`
	Group           *string `json:"group"`
	Leases          int64   `json:"leases"`
	BilledCents     int64   `json:"billed_cents"`
	WouldCostCents  int64   `json:"would_cost_cents"`
	DifferenceCents int64   `json:"difference_cents"`
}

func newTrialItem(sum server.RateCardTrialSum) trialItem {
	item := trialItem{nil, sum.Group, sum.Leases, sum.BilledCents, sum.WouldCostCents, sum.WouldCostCents - sum.BilledCents}
	if sum.Organization != "" {
		item.Organization = &sum.Organization
	}
	return item
}

func writeTrial(out *output, trial server.RateCardTrial, r server.RateCardTrialResult) error {
	items := []any{}
	for _, group := range r.Groups {
		items = append(items, newTrialItem(group))
	}
	total := newTrialItem(r.Total)
	switch out.format {
	case formatJSON, formatNDJSON:
		if len(items) == 0 && trial.By == "" {
			items = append(items, total)
		}
		return out.items(items, struct {
			From            string    `json:"from"`
			To              string    `json:"to"`
			By              string    `json:"by"`
			Data            []any     `json:"data"`
			Total           trialItem `json:"total"`
			Running         int64     `json:"running_leases"`
			PricedElsewhere int64     `json:"leases_priced_elsewhere"`
			Unpriced        int64     `json:"leases_without_card"`
		}{timestamp(trial.From), timestamp(trial.To), trial.By, items, total, r.Running, r.PricedElsewhere, r.Unpriced})
	case formatCSV:
		records := [][]string{{"organization", "group", "leases", "billed_cents", "would_cost_cents", "difference_cents"}}
		for _, group := range r.Groups {
			item := newTrialItem(group)
			records = append(records, []string{
				group.Organization, orEmptyText(group.Group), number(item.Leases), number(item.BilledCents), number(item.WouldCostCents), number(item.DifferenceCents),
			})
		}
		if trial.By == "" {
			records = append(records, []string{"", "", number(total.Leases), number(total.BilledCents), number(total.WouldCostCents), number(total.DifferenceCents)})
		}
		return out.csv(records...)
	}
	var rows []row
	cells := func(group string, sum server.RateCardTrialSum) []string {
		return []string{grouped(sum.Leases), money(sum.BilledCents), money(sum.WouldCostCents), signed(sum.WouldCostCents - sum.BilledCents), group}
	}
	for _, group := range r.Groups {
		rows = append(rows, row{cells: cells(trialGroup(trial, group), group)})
	}
	rows = append(rows, row{cells("TOTAL", r.Total), bold})
	newTable(out, column{title: "LEASES", right: true}, column{title: "BILLED", right: true}, column{title: "WOULD COST", right: true},
		column{title: "DIFFERENCE", right: true, style: differenceStyle}, column{title: groupTitle(trial.By)}).writeRows(rows)
	return nil
}

// trialGroup names a group of a trial for people.
func trialGroup(trial server.RateCardTrial, group server.RateCardTrialSum) string {
	name := groupName(trial.By, group.Group)
	if trial.By == "pipeline" && trial.Organization == "" {
		name = group.Organization + "/" + name
	}
	return name
}

// signed writes a difference of cents with its sign.
func signed(cents int64) string {
	if cents > 0 {
		return "+" + money(cents)
	}
	return money(cents)
}

func differenceStyle(amount string) style {
	switch {
	case strings.HasPrefix(amount, "-"):
		return green
	case strings.HasPrefix(amount, "+"):
		return red
	}
	return plain
}
