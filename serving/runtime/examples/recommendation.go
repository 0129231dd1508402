package examples

import (
	"fmt"
	"math"
	"math/rand/v2"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

const (
	recommendationWidth  = 12
	recommendationTrain  = 6000 // rows
	recommendationHeld   = 2000
	recommendationEpochs = 6
)

// network is dense layers with a ReLU between them.
type network []dense

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

func recommendationInput() runtime.Spec {
	return runtime.Spec{Name: "visit", Type: runtime.FP32, Shape: []int{recommendationWidth}}
}

// trainRecommendation scores how likely a visitor asks about a listing: a network of two hidden layers.
// The confidence is the probability of the likelier answer.
func trainRecommendation() (*onnx.Model, error) {
	w := rand.New(rand.NewPCG(1, seedWeights))
	m := network{newDense(w, recommendationWidth, 48), newDense(w, 48, 24), newDense(w, 24, 1)}
	in, liked := visits(seedTrain, recommendationTrain)
	for epoch := range recommendationEpochs {
		rate := 0.05 / float32(1+epoch)
		for i, y := range liked {
			m.learn(in[i*recommendationWidth:(i+1)*recommendationWidth], y, rate)
		}
	}
	var g onnx.Graph
	g.Inputs = []onnx.Value{onnx.Rows("visit", onnx.Float, recommendationWidth)}
	g.Outputs = []onnx.Value{onnx.Rows("score", onnx.Float, 1), onnx.Rows(runtime.Confidence, onnx.Float, 1)}
	m.export(&g, "visit", "logit")
	add(&g, "Sigmoid", "score", []string{"logit"})
	add(&g, "Sub", "other", []string{constant(&g, "one", []float32{1}, 1), "score"})
	add(&g, "Max", runtime.Confidence, []string{"score", "other"})

	in, liked = visits(seedHeldOut, recommendationHeld)
	out, err := answers(g, in)
	if err != nil {
		return nil, err
	}
	about := runtime.Meta{Features: visitFeatures(), Accuracy: shareRight(out[0], liked), Measure: "share-right"}
	return finished(g, about, in)
}

// export appends the layers to the graph.
func (m network) export(g *onnx.Graph, from, to string) {
	for i, d := range m {
		name := fmt.Sprintf("layer%d", i)
		d.export(g, name, from, name)
		from = name
		if i+1 < len(m) {
			from = name + "_relu"
			add(g, "Relu", from, []string{name})
		}
	}
	g.Nodes[len(g.Nodes)-1].Outputs[0] = to
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
func (m network) learn(x []float32, y, rate float32) {
	acts := [][]float32{x}
	for i, d := range m {
		next := make([]float32, d.out)
		d.apply(acts[i], next)
		if i+1 < len(m) {
			relu(next)
		}
		acts = append(acts, next)
	}
	grad := []float32{sigmoid(acts[len(m)][0]) - y}
	for i := len(m) - 1; i >= 0; i-- {
		grad = m[i].step(acts[i], grad, rate)
		for j, a := range acts[i] {
			if i > 0 && a == 0 { // ReLU lets no slope through where it gave 0
				grad[j] = 0
			}
		}
	}
}

// shareRight is the share of visits on whose right side of 0.5 the score lies.
func shareRight(score, liked []float32) float64 {
	right := 0
	for i, y := range liked {
		if (score[i] > 0.5) == (y > 0.5) {
			right++
		}
	}
	return float64(right) / float64(len(liked))
}
