package recommender

import (
	"math"
	"strconv"
)

// tolerance is the share by which a number may miss a threshold or a step and still count as on it:
// binary fractions such as 0.15 × 60 / 60 / 0.5 end a little beside the decimal that was meant.
const tolerance = 1e-6

// Estimator makes one number of what was measured, in the unit of the signal.
type Estimator func(Distribution) Estimate

// Estimate is a number and the stages on the way to it.
type Estimate struct {
	Value  float64
	Stages []Stage
}

// Stage is one stage of an Estimate: what was done and what came out.
type Stage struct {
	Name  string // "p95", "margin 15 %", "floor"
	Value float64
}

// Percentile is the value that a share q of the time was not above.
func Percentile(q float64) Estimator {
	return func(d Distribution) Estimate {
		return Estimate{}.then("p"+decimal(q*100), d.Percentile(q))
	}
}

// Peak is the largest reading of any pod.
func Peak() Estimator {
	return func(d Distribution) Estimate { return Estimate{}.then("peak", d.Peak) }
}

// WithMargin is e and a fraction of it on top.
func WithMargin(fraction float64, e Estimator) Estimator {
	return func(d Distribution) Estimate {
		v := e(d)
		return v.then("margin "+percent(fraction), v.Value*(1+fraction))
	}
}

// Shared is e on fewer pods: each has factor times the use, 1.5 where two do the work of three.
func Shared(factor float64, e Estimator) Estimator {
	return func(d Distribution) Estimate {
		v := e(d)
		if factor == 1 {
			return v
		}
		return v.then("on fewer replicas × "+decimal(factor), v.Value*factor)
	}
}

// WithFloor is e, never below least.
func WithFloor(least float64, e Estimator) Estimator {
	return func(d Distribution) Estimate {
		v := e(d)
		if v.Value >= least {
			return v
		}
		return v.then("floor", least)
	}
}

// WithCeiling is e, never above most; name says whose bound that is. A most of 0 is none.
func WithCeiling(name string, most float64, e Estimator) Estimator {
	return func(d Distribution) Estimate {
		v := e(d)
		if most <= 0 || v.Value <= most {
			return v
		}
		return v.then(name, most)
	}
}

// RoundedUp is e, rounded up to a whole number of steps.
//
//	step 5:  18.4 → 20    20 → 20    20.000001 → 20    20.1 → 25
func RoundedUp(step float64, e Estimator) Estimator {
	return func(d Distribution) Estimate {
		v := e(d)
		up := math.Ceil(v.Value/step*(1-tolerance)) * step
		if math.Abs(up-v.Value) <= tolerance*step {
			return Estimate{Value: up, Stages: v.Stages}
		}
		return v.then("rounded up", up)
	}
}

func (e Estimate) then(name string, value float64) Estimate {
	return Estimate{Value: value, Stages: append(e.Stages, Stage{name, value})}
}

// below tells whether a is less than b by more than rounding.
func below(a, b float64) bool { return a < b*(1-tolerance) }

// decimal is x with at most two digits after the point and no zeros at its end.
func decimal(x float64) string {
	return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64)
}

// percent is a share as "2.8 %", with one digit below 10 % and none above.
func percent(share float64) string {
	p := share * 100
	if p < 10 {
		return strconv.FormatFloat(math.Round(p*10)/10, 'f', -1, 64) + " %"
	}
	return strconv.FormatFloat(math.Round(p), 'f', -1, 64) + " %"
}
