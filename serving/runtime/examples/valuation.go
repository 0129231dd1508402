package examples

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
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

func valuationInput() runtime.Spec {
	return runtime.Spec{Name: "property", Type: runtime.FP32, Shape: []int{valuationWidth}}
}

// trainValuation estimates the price of a property: gradient-boosted trees on the logarithm of the
// price, and a small tree that turns the price into the confidence of its band.
func trainValuation() (*onnx.Model, error) {
	in, price := properties(seedTrain, valuationTrain)
	for i, p := range price {
		price[i] = float32(math.Log(float64(p)))
	}
	var g onnx.Graph
	g.Inputs = []onnx.Value{onnx.Rows("property", onnx.Float, valuationWidth)}
	g.Outputs = []onnx.Value{onnx.Rows("price", onnx.Float, 1)}
	addForest(&g, fit(in, price, valuationWidth, valuationTrees, valuationDepth, valuationRate), "property", "log_price")
	add(&g, "Exp", "price", []string{"log_price"})

	in, price = properties(seedHeldOut, valuationHeld)
	guess, err := answers(g, in)
	if err != nil {
		return nil, err
	}
	addForest(&g, forest{trees: []tree{bandTree(bandsOf(guess[0], price))}}, "price", runtime.Confidence)
	g.Outputs = append(g.Outputs, onnx.Rows(runtime.Confidence, onnx.Float, 1))
	return finished(g, runtime.Meta{Features: propertyFeatures(), Accuracy: r2(guess[0], price), Measure: "r2"}, in)
}

// bandTree finds a price's band: its leaves are the bands in their order, the last one again and again
// until the tree is complete.
func bandTree(bands []band) tree {
	leaves := 1
	for leaves < len(bands) {
		leaves *= 2
	}
	t := tree{nodes: make([]node, leaves-1), leaf: make([]float32, leaves)}
	for k := range t.leaf {
		t.leaf[k] = bands[min(k, len(bands)-1)].right
	}
	// Node i of a level is between its share of the leaves: at or below the end of the last one on its
	// left is left.
	for i := range t.nodes {
		level := bits.Len(uint(i+1)) - 1
		span := leaves >> level
		middle := (i+1-1<<level)*span + span/2
		t.nodes[i].threshold = math.MaxFloat32
		if middle < len(bands) {
			t.nodes[i].threshold = bands[middle-1].upTo
		}
	}
	return t
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
