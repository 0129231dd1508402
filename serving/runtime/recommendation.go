package runtime

import (
	"math"
	"math/rand/v2"
)

const (
	recommendationWidth  = 12
	recommendationTrain  = 6000 // rows
	recommendationHeld   = 2000
	recommendationEpochs = 6
)

// recommendation scores how likely a visitor asks about a listing: a network of two hidden layers.
type recommendation struct {
	meta   Meta
	layers []dense
}

// visitFeatures names a visit's values; all but the last four are what the visitor wants and what
// the listing is, each scaled to 0..1.
func visitFeatures() []string {
	return []string{
		"budget", "wanted_area", "wanted_lat", "wanted_lon",
		"price", "area", "lat", "lon",
		"visits", "days_listed", "photos", "new_build",
	}
}

// sampleVisit draws one visit and returns how likely it ends in a question. That is the truth which
// the network has to find: near, affordable and large enough, with photos, not listed for long.
func sampleVisit(r *rand.Rand, row []float32) float64 {
	for i := range row {
		row[i] = r.Float32()
	}
	row[11] = float32(r.IntN(2))
	over := math.Max(0, float64(row[4]-row[0])) // of the budget
	small := math.Max(0, float64(row[1]-row[5]))
	far := math.Hypot(float64(row[2]-row[6]), float64(row[3]-row[7]))
	score := 4 - 9*over - 6*small - 5*far + 1.5*float64(row[8]) - 1.5*float64(row[9]) + float64(row[10]) + 0.5*float64(row[11])
	return 1 / (1 + math.Exp(-2*score))
}

func recommendationInput() Tensor {
	return Tensor{Name: "visit", Shape: []int{recommendationWidth}}
}

func trainRecommendation() *recommendation {
	w := rand.New(rand.NewPCG(1, seedWeights))
	m := &recommendation{layers: []dense{newDense(w, recommendationWidth, 48), newDense(w, 48, 24), newDense(w, 24, 1)}}
	in, liked := visits(seedTrain, recommendationTrain)
	for epoch := range recommendationEpochs {
		rate := 0.05 / float32(1+epoch)
		for i, y := range liked {
			m.learn(in[i*recommendationWidth:(i+1)*recommendationWidth], y, rate)
		}
	}
	m.meta = Meta{
		Name:     "recommendation",
		Input:    recommendationInput(),
		Features: visitFeatures(),
		Outputs:  []Tensor{{Name: "score", Shape: []int{1}}, {Name: Confidence, Shape: []int{1}}},
		Accuracy: m.shareRight(),
		Measure:  "share-right",
	}
	return m
}

// visits draws n visits and, with each one's own probability, whether it ended in a question (1) or not (0).
func visits(stream uint64, n int) (in, liked []float32) {
	r := rand.New(rand.NewPCG(1, stream))
	in, liked = make([]float32, n*recommendationWidth), make([]float32, n)
	for i := range n {
		if p := sampleVisit(r, in[i*recommendationWidth:(i+1)*recommendationWidth]); r.Float64() < p {
			liked[i] = 1
		}
	}
	return in, liked
}

// learn moves the weights one step towards the answer for one row. The slope of the log loss
// through a sigmoid is simply p - y.
func (m *recommendation) learn(x []float32, y, rate float32) {
	acts := [][]float32{x}
	for i, d := range m.layers {
		next := make([]float32, d.out)
		d.apply1(acts[i], next)
		if i+1 < len(m.layers) {
			relu(next)
		}
		acts = append(acts, next)
	}
	grad := []float32{sigmoid(acts[len(m.layers)][0]) - y}
	for i := len(m.layers) - 1; i >= 0; i-- {
		grad = m.layers[i].step(acts[i], grad, rate)
		for j, a := range acts[i] {
			if i > 0 && a == 0 { // ReLU lets no slope through where it gave 0
				grad[j] = 0
			}
		}
	}
}

// shareRight is the share of held-out visits on whose right side of 0.5 the score lies.
func (m *recommendation) shareRight() float64 {
	in, liked := visits(seedHeldOut, recommendationHeld)
	score := m.scores(in, recommendationHeld)
	right := 0
	for i, y := range liked {
		if (score[i] > 0.5) == (y > 0.5) {
			right++
		}
	}
	return float64(right) / recommendationHeld
}

// Meta implements Model.
func (m *recommendation) Meta() Meta { return m.meta }

// Run implements Model: the score is a probability, the confidence that of the likelier answer.
func (m *recommendation) Run(in []float32, rows int) ([][]float32, error) {
	if err := checkSize(in, rows, recommendationWidth); err != nil {
		return nil, err
	}
	score := m.scores(in, rows)
	sure := make([]float32, rows)
	for i, p := range score {
		sure[i] = max(p, 1-p)
	}
	return [][]float32{score, sure}, nil
}

func (m *recommendation) scores(x []float32, rows int) []float32 {
	for i, d := range m.layers {
		y := make([]float32, rows*d.out)
		d.apply(x, y, rows)
		if i+1 < len(m.layers) {
			relu(y)
		}
		x = y
	}
	for i, v := range x {
		x[i] = sigmoid(v)
	}
	return x
}
