package runtime

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	valuationWidth = 8
	valuationTrain = 4000 // rows
	valuationHeld  = 1000
	valuationTrees = 500
	valuationDepth = 6
	valuationRate  = 0.05
	priceBands     = 10
	nearEnough     = 0.10 // a valuation within 10 % of the price counts as right
)

// valuation estimates the price of a property: gradient-boosted trees on the logarithm of the price.
type valuation struct {
	meta   Meta
	forest forest
	bands  []band
}

// band is a range of predicted prices and the share of held-out properties in it that were
// valued within nearEnough: that share is the confidence of a prediction in the band.
type band struct {
	upTo  float32 // predicted price; the last band has no end
	right float32
}

func propertyFeatures() []string {
	return []string{"area_m2", "rooms", "bathrooms", "age_years", "centre_km", "floor", "energy_class", "property_type"}
}

// sampleProperty draws one property and returns its price, without the buyers' noise. That is the
// truth which the trees have to find.
func sampleProperty(r *rand.Rand, row []float32) float64 {
	area := 25 + 175*r.Float64()*r.Float64() + 20*r.Float64()
	rooms := math.Max(1, math.Round(area/28+r.NormFloat64()))
	baths := math.Max(1, math.Round(rooms/2.5+0.5*r.NormFloat64()))
	age, km := math.Floor(90*r.Float64()), 25*r.Float64()
	floor, energy, kind := float64(r.IntN(12)), float64(1+r.IntN(7)), float64(r.IntN(3))
	price := area * (1500 + 4500*math.Exp(-km/7))
	price *= 1 + 0.03*math.Min(rooms, 6) + 0.02*baths
	price *= 1 - 0.004*math.Min(age, 50) - 0.025*(energy-1)
	if kind == 1 { // a house has no floor; a flat is dearer higher up
		price *= 1.12
		floor = 0
	}
	price *= 1 + 0.008*floor
	if kind == 2 { // commercial: the centre counts double
		price *= 0.8 + 0.5*math.Exp(-km/4)
	}
	for i, v := range []float64{area, rooms, baths, age, km, floor, energy, kind} {
		row[i] = float32(v)
	}
	return price
}

// properties draws n properties and what they sold for: the price and 4 % of noise.
func properties(stream uint64, n int) (in, price []float32) {
	r := rand.New(rand.NewPCG(2, stream))
	in, price = make([]float32, n*valuationWidth), make([]float32, n)
	for i := range n {
		p := sampleProperty(r, in[i*valuationWidth:(i+1)*valuationWidth])
		price[i] = float32(p * math.Exp(0.04*r.NormFloat64()))
	}
	return in, price
}

func valuationInput() Tensor {
	return Tensor{Name: "property", Shape: []int{valuationWidth}}
}

func trainValuation() *valuation {
	in, price := properties(seedTrain, valuationTrain)
	for i, p := range price {
		price[i] = float32(math.Log(float64(p)))
	}
	m := &valuation{forest: fit(in, price, valuationWidth, valuationTrees, valuationDepth, valuationRate)}
	in, price = properties(seedHeldOut, valuationHeld)
	guess := m.prices(in, valuationHeld)
	m.bands = bandsOf(guess, price)
	m.meta = Meta{
		Name:     "valuation",
		Input:    valuationInput(),
		Features: propertyFeatures(),
		Outputs:  []Tensor{{Name: "price", Shape: []int{1}}, {Name: Confidence, Shape: []int{1}}},
		Accuracy: r2(guess, price),
		Measure:  "r2",
	}
	return m
}

// bandsOf cuts the held-out properties into priceBands of equal number by predicted price.
func bandsOf(guess, price []float32) []band {
	order := make([]int, len(guess))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(guess[a], guess[b]) })
	var bands []band
	for part := range slices.Chunk(order, len(order)/priceBands) {
		right := 0
		for _, i := range part {
			if math.Abs(float64(guess[i]/price[i])-1) <= nearEnough {
				right++
			}
		}
		bands = append(bands, band{upTo: guess[part[len(part)-1]], right: float32(right) / float32(len(part))})
	}
	return bands
}

// r2 is the share of the variance of truth that guess explains: 1 - squared error / variance.
func r2(guess, truth []float32) float64 {
	var wrong, spread float64
	m := float64(mean(truth))
	for i, v := range truth {
		wrong += (float64(v) - float64(guess[i])) * (float64(v) - float64(guess[i]))
		spread += (float64(v) - m) * (float64(v) - m)
	}
	return 1 - wrong/spread
}

// Meta implements Model.
func (m *valuation) Meta() Meta { return m.meta }

// Run implements Model: the price in units of currency, and the confidence of its price band.
func (m *valuation) Run(in []float32, rows int) ([][]float32, error) {
	if err := checkSize(in, rows, valuationWidth); err != nil {
		return nil, err
	}
	price := m.prices(in, rows)
	sure := make([]float32, rows)
	for i, p := range price {
		sure[i] = m.confidence(p)
	}
	return [][]float32{price, sure}, nil
}

func (m *valuation) prices(in []float32, rows int) []float32 {
	price := m.forest.apply(in, rows, valuationWidth)
	for i, p := range price {
		price[i] = float32(math.Exp(float64(p)))
	}
	return price
}

func (m *valuation) confidence(price float32) float32 {
	for _, b := range m.bands {
		if price <= b.upTo {
			return b.right
		}
	}
	return m.bands[len(m.bands)-1].right
}
