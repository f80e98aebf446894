package focus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The validator below is written from the columns and attributes of the specification at version 1.2, and knows nothing of the exporter.

// level says whether a dataset must have a column.
type level int

const (
	conditional level = iota // it depends on what the provider supports
	recommended
	mandatory
)

// kind is the type and the form of the values of a column.
type kind int

const (
	text kind = iota
	decimal
	price // a decimal that is not negative
	dateTime
	keyValue
	currency
	unit
)

type rule struct {
	level   level
	kind    kind
	nulls   bool
	allowed []string // all values, if there is a list of them
}

// spec has the columns of version 1.2.
var spec = map[string]rule{
	"AvailabilityZone":                   {recommended, text, true, nil},
	"BilledCost":                         {mandatory, decimal, false, nil},
	"BillingAccountId":                   {mandatory, text, false, nil},
	"BillingAccountName":                 {mandatory, text, true, nil},
	"BillingAccountType":                 {conditional, text, false, nil},
	"BillingCurrency":                    {mandatory, currency, false, nil},
	"BillingPeriodEnd":                   {mandatory, dateTime, false, nil},
	"BillingPeriodStart":                 {mandatory, dateTime, false, nil},
	"CapacityReservationId":              {conditional, text, true, nil},
	"CapacityReservationStatus":          {conditional, text, true, []string{"Used", "Unused"}},
	"ChargeCategory":                     {mandatory, text, false, []string{"Usage", "Purchase", "Tax", "Credit", "Adjustment"}},
	"ChargeClass":                        {mandatory, text, true, []string{"Correction"}},
	"ChargeDescription":                  {mandatory, text, true, nil},
	"ChargeFrequency":                    {recommended, text, false, []string{"One-Time", "Recurring", "Usage-Based"}},
	"ChargePeriodEnd":                    {mandatory, dateTime, false, nil},
	"ChargePeriodStart":                  {mandatory, dateTime, false, nil},
	"CommitmentDiscountCategory":         {conditional, text, true, []string{"Spend", "Usage"}},
	"CommitmentDiscountId":               {conditional, text, true, nil},
	"CommitmentDiscountName":             {conditional, text, true, nil},
	"CommitmentDiscountQuantity":         {conditional, decimal, true, nil},
	"CommitmentDiscountStatus":           {conditional, text, true, []string{"Used", "Unused"}},
	"CommitmentDiscountType":             {conditional, text, true, nil},
	"CommitmentDiscountUnit":             {conditional, unit, true, nil},
	"ConsumedQuantity":                   {conditional, decimal, true, nil},
	"ConsumedUnit":                       {conditional, unit, true, nil},
	"ContractedCost":                     {mandatory, decimal, false, nil},
	"ContractedUnitPrice":                {conditional, price, true, nil},
	"EffectiveCost":                      {mandatory, decimal, false, nil},
	"InvoiceId":                          {recommended, text, true, nil},
	"InvoiceIssuerName":                  {mandatory, text, false, nil},
	"ListCost":                           {mandatory, decimal, false, nil},
	"ListUnitPrice":                      {conditional, price, true, nil},
	"PricingCategory":                    {conditional, text, true, []string{"Standard", "Dynamic", "Committed", "Other"}},
	"PricingCurrency":                    {conditional, currency, false, nil},
	"PricingCurrencyContractedUnitPrice": {conditional, price, true, nil},
	"PricingCurrencyEffectiveCost":       {conditional, decimal, false, nil},
	"PricingCurrencyListUnitPrice":       {conditional, price, true, nil},
	"PricingQuantity":                    {mandatory, decimal, true, nil},
	"PricingUnit":                        {mandatory, unit, true, nil},
	"ProviderName":                       {mandatory, text, false, nil},
	"PublisherName":                      {mandatory, text, false, nil},
	"RegionId":                           {conditional, text, true, nil},
	"RegionName":                         {conditional, text, true, nil},
	"ResourceId":                         {conditional, text, true, nil},
	"ResourceName":                       {conditional, text, true, nil},
	"ResourceType":                       {conditional, text, true, nil},
	"ServiceCategory":                    {mandatory, text, false, serviceCategories},
	"ServiceName":                        {mandatory, text, false, nil},
	"ServiceSubcategory":                 {recommended, text, false, developerTools},
	"SkuId":                              {conditional, text, true, nil},
	"SkuMeter":                           {conditional, text, true, nil},
	"SkuPriceDetails":                    {conditional, keyValue, true, nil},
	"SkuPriceId":                         {conditional, text, true, nil},
	"SubAccountId":                       {conditional, text, true, nil},
	"SubAccountName":                     {conditional, text, true, nil},
	"SubAccountType":                     {conditional, text, true, nil},
	"Tags":                               {conditional, keyValue, true, nil},
}

var serviceCategories = []string{
	"AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools", "Multicloud", "Identity",
	"Integration", "Internet of Things", "Management and Governance", "Media", "Migration", "Mobile", "Networking", "Security", "Storage", "Web",
	"Other",
}

// developerTools are the subcategories of Developer Tools, the only category of the service.
var developerTools = []string{
	"Developer Platforms", "Continuous Integration and Deployment", "Development Environments", "Source Code Management", "Quality Assurance",
	"Other (Developer Tools)",
}

// supported are the conditional columns that a dataset must have if the provider measures usage, has price lists, negotiates prices, bills
// for resources that have types, and lets customers set tags.
var supported = []string{
	"ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuMeter",
	"SkuPriceDetails", "SkuPriceId", "Tags",
}

// skuProperties are the properties of SkuPriceDetails that are defined by FOCUS, and whether they are numbers.
var skuProperties = map[string]bool{
	"CoreCount": true, "DiskMaxIops": true, "DiskSpace": true, "DiskType": false, "GpuCount": true, "InstanceType": false, "InstanceSeries": false,
	"MemorySize": true, "NetworkMaxIops": true, "NetworkMaxThroughput": true, "OperatingSystem": false, "Redundancy": false, "StorageClass": false,
}

var (
	customName   = regexp.MustCompile(`^x_([A-Z][a-z0-9]*)+$`)
	decimalForm  = regexp.MustCompile(`^-?\d+(\.\d+)?(E-?\d+)?$`)
	dateTimeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	unitForm     = regexp.MustCompile(`^(\d+ )?[A-Z][A-Za-z]*(-[A-Z][a-z]*s)?(/(\d+ )?[A-Z][a-z]*)?$`)
)

// validate returns the faults of a dataset by the rules of FOCUS. The first row has the names of the columns.
func validate(dataset [][]string) (faults []string) {
	names, rows := dataset[0], dataset[1:]
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for name, rule := range spec {
		if (rule.level == mandatory || slices.Contains(supported, name)) && !slices.Contains(names, name) {
			fault("the column %s is missing", name)
		}
	}
	custom := false
	for i, name := range names {
		_, known := spec[name]
		switch {
		case slices.Contains(names[:i], name):
			fault("the column %s comes twice", name)
		case known && custom:
			fault("the column %s comes after custom columns", name)
		case !known && !customName.MatchString(name):
			fault("the column %s is neither one of FOCUS nor a custom one", name)
		}
		custom = custom || !known
	}
	if len(faults) > 0 {
		return faults
	}
	one := map[string]map[string]string{}
	for number, fields := range rows {
		row := map[string]string{}
		for i, name := range names {
			row[name] = fields[i]
		}
		for _, text := range validateRow(row) {
			fault("row %d: %s", number+1, text)
		}
		for _, pair := range [][2]string{
			{"SkuPriceId", "SkuId"}, {"SkuPriceId", "SkuPriceDetails"}, {"SkuId", "SkuMeter"}, {"ServiceName", "ServiceCategory"},
			{"ServiceName", "ServiceSubcategory"}, {"BillingAccountId", "BillingAccountName"}, {"ResourceId", "ResourceName"},
		} {
			key := strings.Join(pair[:], " ")
			if one[key] == nil {
				one[key] = map[string]string{}
			}
			if before, known := one[key][row[pair[0]]]; known && before != row[pair[1]] {
				fault("row %d: the %s %q has two values of %s", number+1, pair[0], row[pair[0]], pair[1])
			}
			one[key][row[pair[0]]] = row[pair[1]]
		}
	}
	return faults
}

// validateRow checks a row. An empty field is null, as in every CSV.
func validateRow(row map[string]string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for name, value := range row {
		rule, known := spec[name]
		switch {
		case !known:
		case value == "" && !rule.nulls:
			fault("%s is null", name)
		case value == "":
		case strings.TrimSpace(value) == "" && !rule.nulls:
			fault("%s is blank", name)
		case rule.allowed != nil && !slices.Contains(rule.allowed, value):
			fault("%s has the value %q", name, value)
		default:
			if err := checkForm(rule.kind, value); err != nil {
				fault("%s is %q: %v", name, value, err)
			}
		}
	}
	if len(faults) > 0 {
		return faults // the rules below compare values of the right form
	}

	category, corrects := row["ChargeCategory"], row["ChargeClass"] == "Correction"
	sold := category == "Usage" || category == "Purchase"
	for _, name := range []string{"ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity", "SkuId", "SkuPriceId"} {
		if value, present := row[name]; present && value == "" && sold && !corrects {
			fault("%s of a charge of the category %s is null", name, category)
		}
		if row[name] != "" && category == "Tax" {
			fault("%s of a tax is %q", name, row[name])
		}
	}
	if (row["ConsumedQuantity"] == "") != (category != "Usage") && !corrects {
		fault("ConsumedQuantity is %q in the category %s", row["ConsumedQuantity"], category)
	}
	for of, names := range map[string][]string{
		"ConsumedQuantity": {"ConsumedUnit"}, "PricingQuantity": {"PricingUnit"}, "ResourceId": {"ResourceType", "ResourceName"},
		"SkuId": {"SkuMeter"}, "SkuPriceId": {"SkuPriceDetails"},
	} {
		for i, name := range names {
			mayBeNull := i > 0 || name == "SkuPriceDetails"
			if row[of] == "" && row[name] != "" || row[of] != "" && row[name] == "" && !mayBeNull {
				fault("%s is %q, and %s %q", of, row[of], name, row[name])
			}
		}
	}
	if row["ResourceId"] != "" && row["ResourceId"] == row["ResourceName"] {
		fault("ResourceName repeats ResourceId")
	}
	for _, of := range []string{"List", "Contracted"} {
		cost, unitPrice := of+"Cost", of+"UnitPrice"
		switch {
		case corrects:
		case row[unitPrice] == "" && number(row[cost]).Cmp(number(row["BilledCost"])) != 0:
			fault("%s is %s, without a unit price, and BilledCost %s", cost, row[cost], row["BilledCost"])
		case row[unitPrice] != "" && row["PricingQuantity"] != "" &&
			number(row[cost]).Cmp(new(big.Rat).Mul(number(row[unitPrice]), number(row["PricingQuantity"]))) != 0:
			fault("%s %s is not %s times %s", cost, row[cost], row[unitPrice], row["PricingQuantity"])
		}
	}
	switch effective := number(row["EffectiveCost"]); {
	case category == "Purchase" && effective.Sign() != 0:
		fault("EffectiveCost of a purchase that covers later charges is %s", row["EffectiveCost"])
	case !sold && effective.Cmp(number(row["BilledCost"])) != 0:
		fault("EffectiveCost is %s, and BilledCost %s, in the category %s", row["EffectiveCost"], row["BilledCost"], category)
	}
	if category == "Purchase" && row["ChargeFrequency"] == "Usage-Based" {
		fault("a purchase is usage-based")
	}
	for _, period := range []string{"ChargePeriod", "BillingPeriod"} {
		if row[period+"Start"] >= row[period+"End"] { // texts of one form
			fault("%s is from %s to %s", period, row[period+"Start"], row[period+"End"])
		}
	}
	if row["ServiceSubcategory"] != "" && row["ServiceCategory"] != "Developer Tools" {
		fault("ServiceSubcategory is not one of %s", row["ServiceCategory"])
	}
	if row["SkuPriceDetails"] != "" {
		properties, _ := object(row["SkuPriceDetails"])
		for key, value := range properties {
			isNumber, known := skuProperties[key]
			if _, given := value.(json.Number); known && given != isNumber || !known && !strings.HasPrefix(key, "x_") {
				fault("SkuPriceDetails has %s: %v", key, value)
			}
		}
	}
	return faults
}

func checkForm(kind kind, value string) error {
	matches := func(form *regexp.Regexp) error {
		if !form.MatchString(value) {
			return fmt.Errorf("it does not match %s", form)
		}
		return nil
	}
	switch kind {
	case decimal:
		return matches(decimalForm)
	case price:
		if strings.HasPrefix(value, "-") {
			return errors.New("it is negative")
		}
		return matches(decimalForm)
	case dateTime:
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return err
		}
		return matches(dateTimeForm)
	case currency:
		return matches(currencyForm)
	case unit:
		return matches(unitForm)
	case keyValue:
		_, err := object(value)
		return err
	case text:
	}
	return nil
}

// number is the exact value of a decimal.
func number(text string) *big.Rat {
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(text + " was checked before")
	}
	return n
}

// object reads a JSON object. It fails if a key comes twice, or a value is an object or an array.
func object(text string) (map[string]any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return nil, fmt.Errorf("it is not an object: %v, %w", begin, err)
	}
	properties := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if _, nested := value.(json.Delim); nested {
			return nil, fmt.Errorf("%v is not a single value", key)
		}
		if _, twice := properties[fmt.Sprint(key)]; twice {
			return nil, fmt.Errorf("the key %v comes twice", key)
		}
		properties[fmt.Sprint(key)] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("there is something behind the object")
	}
	return properties, nil
}
