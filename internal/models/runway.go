package models

import (
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// ToRunway converts a runway.
func ToRunway(r *billing.Runway) gen.RunwayResponse {
	return gen.RunwayResponse{BalanceCents: r.BalanceCents, Last7Days: toPace(&r.Last7Days), Last30Days: toPace(&r.Last30Days)}
}

func toPace(p *billing.Pace) gen.RunwayPace {
	pace := gen.RunwayPace{
		From: p.Window.From.Std(), To: p.Window.To.Std(), TotalCents: p.Cents, AverageCents: p.AverageCents, DaysWithCost: p.DaysWithCost,
		Outlook: gen.RunwayOutlook(p.Outlook), DaysLeft: p.DaysLeft, ZeroOn: nil,
	}
	if p.ZeroOn != nil {
		pace.ZeroOn = &openapi_types.Date{Time: p.ZeroOn.Std()}
	}
	return pace
}
