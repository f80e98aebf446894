package focus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// charge is a row of the dataset, made of an entry of a ledger. An empty text is null. Costs and prices are in US dollars.
type charge struct {
	org    billing.Organization
	entry  *billing.Entry
	lease  *billing.Lease // that the entry bills; nil for a credit, and for a debit of another system
	cardID *billing.ID    // of the rate card that gave the cost of the lease

	category, frequency, pricingCategory string
	start, end                           billing.Time // whole seconds
	billedCost, effectiveCost            string
	list, contracted                     price
	priced, consumed                     quantity
	sku                                  sku
}

// price is a cost, and the price of one unit. The cost is the product of the unit price and the priced quantity.
type price struct{ cost, unitPrice string }

type quantity struct{ quantity, unit string }

// sku says which product was sold: a second of a machine of some shape, a lease at a price of its own, or a dollar of credit.
type sku struct{ id, meter, details, priceID string }

// The values of ChargeCategory that the books have charges for.
const (
	categoryUsage      = "Usage"
	categoryPurchase   = "Purchase"
	categoryCredit     = "Credit"
	categoryAdjustment = "Adjustment"
)

const (
	frequencyOneTime    = "One-Time"
	frequencyUsageBased = "Usage-Based"
	pricingStandard     = "Standard"
)

// Numbers of decimal places.
const (
	centPlaces      = 2
	microCentPlaces = 8
)

func newCharge(cards *billing.RateCards, org billing.Organization, entry *billing.Entry, lease *billing.Lease) (*charge, error) {
	c := &charge{org: org, entry: entry, lease: lease, frequency: frequencyOneTime}
	c.setPeriod(entry.CreatedAt, entry.CreatedAt)
	switch entry.Source {
	case billing.SourceVMLeaseDebit:
		if entry.LeaseID != nil && (lease == nil || lease.State() != billing.LeaseStateBilled) {
			return nil, fmt.Errorf("the books of %s are damaged: they have no finished lease %s, which the entry %s bills; 'harmont-billing verify' tells more",
				org.Slug, entry.LeaseID, entry.ID)
		}
		c.use(cards)
	case billing.SourceStripeTopup:
		c.purchase()
	case billing.SourceCouponRedemption, billing.SourceAdminGrant:
		c.grant(categoryCredit)
	case billing.SourceRefund:
		c.grant(categoryAdjustment)
	default:
		return nil, fmt.Errorf("the entry %s of %s has the source %q, which has no category of FOCUS", entry.ID, org.Slug, entry.Source)
	}
	return c, nil
}

// setPeriod sets the shortest period of whole seconds that has both times in it.
func (c *charge) setPeriod(from, to billing.Time) {
	c.start = from.Floor(billing.Second)
	c.end = max(to.Ceil(billing.Second), c.start+billing.Second)
}

// use makes the charge one for usage, which is paid from the credit of earlier charges. The effective cost is the debit, in whole cents.
// List cost and contracted cost are exact products of prices and seconds, so the contracted cost exceeds the debit by less than a cent.
func (c *charge) use(cards *billing.RateCards) {
	c.category, c.frequency, c.pricingCategory = categoryUsage, frequencyUsageBased, pricingStandard
	c.billedCost, c.effectiveCost = "0", cents(-c.entry.AmountCents)
	c.sku = sku{id: "vm", meter: "Virtual Machine Usage"}
	var card *billing.RateCard
	var cost *billing.Cost
	if c.lease != nil {
		c.setPeriod(c.lease.StartedAt, *c.lease.FinishedAt)
		shape := fmt.Sprintf("%d-%d-%d", c.lease.CPUCount, c.lease.MemoryGB, c.lease.DiskGB)
		c.sku.id += "-" + shape
		c.sku.details = fmt.Sprintf(`{"CoreCount":%d,"DiskSpace":%d,"InstanceType":%q,"MemorySize":%d}`, c.lease.CPUCount, c.lease.DiskGB, shape, c.lease.MemoryGB)
		c.consumed = quantity{strconv.FormatInt(*c.lease.DurationSeconds, 10), "Seconds"}
		card, cost = cards.Explain(c.org.ID, c.lease)
	} else {
		c.consumed = quantity{"1", "Leases"}
	}
	c.sku.priceID = c.sku.id
	if cost == nil {
		c.sku.priceID += "/priced-elsewhere"
		c.priced = quantity{"1", "Leases"}
		c.contracted = price{c.effectiveCost, c.effectiveCost}
		c.list = c.contracted
		return
	}
	c.cardID = &card.ID
	c.priced = c.consumed
	c.contracted = priceOf(cost)
	c.list = c.contracted
	if card.OrgID != nil {
		if general := cards.For(billing.ID{}, c.lease); general != nil {
			if cost := general.Rates().Explain(c.lease); cost != nil {
				c.list = priceOf(cost)
			}
		}
	}
	if card.LabelKey != nil {
		label := *card.LabelKey + "=" + *card.LabelValue
		c.sku.priceID += "/" + label
		c.sku.details = strings.TrimSuffix(c.sku.details, "}") + `,"x_Label":` + quoted(label) + "}"
	}
}

// purchase makes the charge one for credit that was paid for, and that covers usage.
func (c *charge) purchase() {
	amount := cents(c.entry.AmountCents)
	c.category, c.pricingCategory = categoryPurchase, pricingStandard
	c.billedCost, c.effectiveCost = amount, "0"
	c.contracted = price{amount, "1"}
	c.list = c.contracted
	c.priced = quantity{amount, "Dollars"}
	c.sku = sku{id: "credit", meter: "Prepaid Credit", priceID: "credit"}
}

// grant makes the charge one for credit that nobody paid for. It lowers both costs.
func (c *charge) grant(category string) {
	amount := cents(-c.entry.AmountCents)
	c.category = category
	c.billedCost, c.effectiveCost = amount, amount
	c.contracted = price{cost: amount}
	c.list = c.contracted
}

func priceOf(cost *billing.Cost) price {
	return price{decimal(cost.MicroCents, microCentPlaces), decimal(cost.PerSecond, microCentPlaces)}
}

// description summarizes the purpose and the price of the charge.
func (c *charge) description() string {
	switch {
	case c.lease != nil:
		what := "Virtual machine"
		if name := text(c.lease.JobName); name != "" {
			what = name + ": virtual machine"
		}
		what += fmt.Sprintf(" with %s, %d GB of memory and %d GB of disk for %s", count(c.lease.CPUCount, "CPU", "CPUs"),
			c.lease.MemoryGB, c.lease.DiskGB, count(*c.lease.DurationSeconds, "second", "seconds"))
		if c.cardID != nil {
			return what + " at $" + c.contracted.unitPrice + " a second"
		}
		return what + " at $" + c.contracted.cost
	case text(c.entry.Description) != "":
		return *c.entry.Description
	}
	return descriptions[c.entry.Source]
}

// descriptions are for entries that have none.
var descriptions = map[billing.Source]string{
	billing.SourceVMLeaseDebit:     "Usage that was billed by another system",
	billing.SourceStripeTopup:      "Purchase of credit",
	billing.SourceCouponRedemption: "Credit for a coupon",
	billing.SourceAdminGrant:       "Granted credit",
	billing.SourceRefund:           "Refund of usage",
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

// quoted is a text as JSON.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err) // every text can be encoded
	}
	return string(encoded)
}

// cents are an amount in dollars.
func cents(n int64) string { return decimal(n, centPlaces) }

// decimal writes a number of units of 10^-places, without zeros at the end of its decimal places.
func decimal(n int64, places int) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole, fraction := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}
