package cost

import "trimtab.dev/trimtab/optimizer/fleet"

// Builtin is twelve list prices of common serving machines, Linux, AWS us-east-1, each with its date.
// They are a start, not a catalogue: an operator's own rows go on top with With. The spot rows are
// single observations and old; spot prices move, so their date is part of every use.
func Builtin() Prices {
	const (
		region   = "us-east-1"
		list     = "AWS EC2 on-demand list price"
		listed   = "2026-07-20"
		spot     = "AWS EC2 spot price, observed"
		observed = "2021-04-06"
		gib      = 1 << 30
	)
	return Prices{}.With(
		Row{"m5.large", region, fleet.OnDemand, 96_000, 2_000, 8 * gib, 0, list, listed},
		Row{"m5.2xlarge", region, fleet.OnDemand, 384_000, 8_000, 32 * gib, 0, list, listed},
		Row{"c5.xlarge", region, fleet.OnDemand, 170_000, 4_000, 8 * gib, 0, list, listed},
		Row{"g4dn.xlarge", region, fleet.OnDemand, 526_000, 4_000, 16 * gib, 1, list, listed},
		Row{"g4dn.12xlarge", region, fleet.OnDemand, 3_912_000, 48_000, 192 * gib, 4, list, listed},
		Row{"g5.2xlarge", region, fleet.OnDemand, 1_212_000, 8_000, 32 * gib, 1, list, listed},
		Row{"p3.2xlarge", region, fleet.OnDemand, 3_060_000, 8_000, 61 * gib, 1, list, listed},
		Row{"p3.8xlarge", region, fleet.OnDemand, 12_240_000, 32_000, 244 * gib, 4, list, listed},
		Row{"m5.large", region, fleet.Spot, 38_200, 2_000, 8 * gib, 0, spot, observed},
		Row{"m5.2xlarge", region, fleet.Spot, 151_200, 8_000, 32 * gib, 0, spot, observed},
		Row{"c5.xlarge", region, fleet.Spot, 66_400, 4_000, 8 * gib, 0, spot, observed},
		Row{"g4dn.xlarge", region, fleet.Spot, 157_800, 4_000, 16 * gib, 1, spot, observed},
	)
}
