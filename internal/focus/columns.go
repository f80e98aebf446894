package focus

import (
	"strconv"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// column is a column of the dataset.
type column struct {
	name  string
	value func(*charge) string // empty for null
}

// columns are those of FOCUS 1.2 in alphabetical order, followed by custom columns. FOCUS has more columns, for values that the books do not have:
// regions and availability zones, commitments, reservations of capacity, sub accounts, several types of accounts, and currencies for prices
// other than that of the bill. docs/focus.md explains the values.
var columns = []column{
	{"BilledCost", func(c *charge) string { return c.billedCost }},
	{"BillingAccountId", func(c *charge) string { return c.org.ID.String() }},
	{"BillingAccountName", func(c *charge) string { return c.org.Name }},
	{"BillingCurrency", constant("USD")},
	{"BillingPeriodEnd", func(c *charge) string { return monthOf(c.entry.CreatedAt, 1) }},
	{"BillingPeriodStart", func(c *charge) string { return monthOf(c.entry.CreatedAt, 0) }},
	{"ChargeCategory", func(c *charge) string { return c.category }},
	{"ChargeClass", constant("")}, // no month is invoiced, so none is corrected later
	{"ChargeDescription", (*charge).description},
	{"ChargeFrequency", func(c *charge) string { return c.frequency }},
	{"ChargePeriodEnd", func(c *charge) string { return moment(c.end) }},
	{"ChargePeriodStart", func(c *charge) string { return moment(c.start) }},
	{"ConsumedQuantity", func(c *charge) string { return c.consumed.quantity }},
	{"ConsumedUnit", func(c *charge) string { return c.consumed.unit }},
	{"ContractedCost", func(c *charge) string { return c.contracted.cost }},
	{"ContractedUnitPrice", func(c *charge) string { return c.contracted.unitPrice }},
	{"EffectiveCost", func(c *charge) string { return c.effectiveCost }},
	{"InvoiceId", constant("")}, // the books know no invoices
	{"InvoiceIssuerName", constant(provider)},
	{"ListCost", func(c *charge) string { return c.list.cost }},
	{"ListUnitPrice", func(c *charge) string { return c.list.unitPrice }},
	{"PricingCategory", func(c *charge) string { return c.pricingCategory }},
	{"PricingQuantity", func(c *charge) string { return c.priced.quantity }},
	{"PricingUnit", func(c *charge) string { return c.priced.unit }},
	{"ProviderName", constant(provider)},
	{"PublisherName", constant(provider)},
	{"ResourceId", ofLease(func(l *billing.Lease) string { return l.ID.String() })},
	{"ResourceName", ofLease(resourceName)},
	{"ResourceType", ofLease(func(*billing.Lease) string { return "Virtual Machine" })},
	{"ServiceCategory", constant("Developer Tools")},
	{"ServiceName", constant("Harmont CI")},
	{"ServiceSubcategory", constant("Continuous Integration and Deployment")},
	{"SkuId", func(c *charge) string { return c.sku.id }},
	{"SkuMeter", func(c *charge) string { return c.sku.meter }},
	{"SkuPriceDetails", func(c *charge) string { return c.sku.details }},
	{"SkuPriceId", func(c *charge) string { return c.sku.priceID }},
	{"Tags", ofLease(func(l *billing.Lease) string { return text(l.Labels) })},

	{"x_Author", ofLease(func(l *billing.Lease) string { return text(l.Author) })},
	{"x_BuildId", ofLease(func(l *billing.Lease) string { return id(l.BuildID) })},
	{"x_BuildNumber", ofLease(buildNumber)},
	{"x_EntryId", func(c *charge) string { return c.entry.ID.String() }},
	{"x_EntrySource", func(c *charge) string { return string(c.entry.Source) }},
	{"x_JobId", ofLease(func(l *billing.Lease) string { return id(l.JobID) })},
	{"x_JobName", ofLease(func(l *billing.Lease) string { return text(l.JobName) })},
	{"x_LeaseId", ofLease(func(l *billing.Lease) string { return l.ID.String() })},
	{"x_OrganizationSlug", func(c *charge) string { return c.org.Slug }},
	{"x_PipelineId", ofLease(func(l *billing.Lease) string { return id(l.PipelineID) })},
	{"x_PipelineName", ofLease(func(l *billing.Lease) string { return text(l.PipelineName) })},
	{"x_PipelineSlug", ofLease(func(l *billing.Lease) string { return text(l.PipelineSlug) })},
	{"x_RateCardId", func(c *charge) string { return id(c.cardID) }},
}

// provider is who runs the machines, and sells and bills them.
const provider = "Harmont"

func constant(value string) func(*charge) string { return func(*charge) string { return value } }

// ofLease is a value that only charges for a lease have.
func ofLease(value func(*billing.Lease) string) func(*charge) string {
	return func(c *charge) string {
		if c.lease == nil {
			return ""
		}
		return value(c.lease)
	}
}

// resourceName is the name of the machine. FOCUS does not allow a name that repeats the id.
func resourceName(l *billing.Lease) string {
	if name := text(l.VMHandle); name != l.ID.String() {
		return name
	}
	return ""
}

func buildNumber(l *billing.Lease) string {
	if l.BuildNumber == nil {
		return ""
	}
	return strconv.FormatInt(*l.BuildNumber, 10)
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

func id(value *billing.ID) string {
	if value == nil {
		return ""
	}
	return value.String()
}

// moment writes a time in the form of FOCUS, which has whole seconds.
func moment(t billing.Time) string {
	const seconds = len("0000-00-00T00:00:00")
	var digits [32]byte
	return string(append(t.AppendTo(digits[:0])[:seconds], 'Z'))
}

// monthOf is the start of the UTC month that is a number of months after the one of the time.
func monthOf(t billing.Time, after time.Month) string {
	year, month, _ := t.Std().Date()
	return moment(billing.TimeOf(time.Date(year, month+after, 1, 0, 0, 0, 0, time.UTC)))
}
