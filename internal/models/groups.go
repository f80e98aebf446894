package models

import (
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// FromUsageByParams reads the parameters of getBillingUsageBy. It fails with billing.ErrWindowInvalid.
func FromUsageByParams(p gen.GetBillingUsageByParams) (billing.GroupQuery, error) {
	return billing.ParseGroupQuery(p.By, p.From, p.To, (*string)(p.Interval), p.Limit)
}

// ToUsageBy converts the groups of a window.
func ToUsageBy(groups *billing.Groups) gen.UsageByResponse {
	listed := make([]gen.UsageGroup, len(groups.Listed))
	for i := range groups.Listed {
		listed[i] = toUsageGroup(&groups.Listed[i])
	}
	var other *gen.UsageGroup
	if groups.Other != nil {
		other = new(toUsageGroup(groups.Other))
	}
	return gen.UsageByResponse{Data: listed, Other: other, GroupCount: groups.Count}
}

func toUsageGroup(g *billing.Group) gen.UsageGroup {
	group := gen.UsageGroup{
		Value: g.Value, Name: g.Name, LeaseCount: g.Leases, CPUSeconds: g.CPUSeconds, MemoryGBSeconds: g.MemoryGBSeconds,
		DiskGBSeconds: g.DiskGBSeconds, TotalCents: g.Cents, Series: make([]gen.UsageGroupBucket, len(g.Series)),
	}
	for i, b := range g.Series {
		group.Series[i] = gen.UsageGroupBucket{
			Date: openapi_types.Date{Time: b.Start.Std()}, LeaseCount: b.Leases, CPUSeconds: b.CPUSeconds, MemoryGBSeconds: b.MemoryGBSeconds,
			DiskGBSeconds: b.DiskGBSeconds, TotalCents: b.Cents,
		}
	}
	return group
}
