package examples

import (
	"math"
	"math/rand/v2"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

const (
	imageSide   = 32
	imageWidth  = imageSide * imageSide * 3
	imageKinds  = 6
	imageTrain  = 360 // images
	imageHeld   = 120
	imageEpochs = 30
	imageCell   = 2                                                                      // side of an average at the end
	imageCodes  = imageConv2 * (imageSide / 4 / imageCell) * (imageSide / 4 / imageCell) // values after the averages
	imageConv1  = 8                                                                      // channels
	imageConv2  = 16
)

// sampleImage draws one photo, pixel by pixel, red, green, blue, each 0 to 255, and returns its
// kind: 0 lying stripes, 1 standing stripes, 2 diagonal stripes, 3 tiles, 4 a spot, 5 a plain wall.
func sampleImage(r *rand.Rand, row []float32) int {
	kind := r.IntN(imageKinds)
	phase, pitch := 7*r.Float64(), 0.5+0.5*r.Float64()
	cx, cy := 8+16*r.Float64(), 8+16*r.Float64()
	var low, high [3]float64
	for c := range low {
		low[c], high[c] = 110*r.Float64(), 145+110*r.Float64()
	}
	for i := range imageSide * imageSide {
		shade := surface(kind, float64(i%imageSide), float64(i/imageSide), phase, pitch, cx, cy)
		for c := range low {
			v := low[c] + shade*(high[c]-low[c]) + 20*r.NormFloat64()
			row[3*i+c] = float32(math.Round(min(max(v, 0), 255)))
		}
	}
	return kind
}

// surface is how bright, 0 to 1, a kind is at one pixel.
func surface(kind int, x, y, phase, pitch, cx, cy float64) float64 {
	wave := func(t float64) float64 { return 0.5 + 0.5*math.Sin(pitch*t+phase) }
	switch kind {
	case 0:
		return wave(y)
	case 1:
		return wave(x)
	case 2:
		return wave((x + y) * math.Sqrt2 / 2)
	case 3:
		return math.Round(0.5 + 0.5*math.Sin(pitch*x+phase)*math.Sin(pitch*y+phase))
	case 4:
		return math.Exp(-math.Hypot(x-cx, y-cy) / 6)
	}
	return 0.5
}

// photos draws n photos and their kinds.
func photos(stream uint64, n int) (in []float32, kinds []int) {
	r := rand.New(rand.NewPCG(3, stream))
	in = make([]float32, n*imageWidth)
	for i := range n {
		kinds = append(kinds, sampleImage(r, in[i*imageWidth:(i+1)*imageWidth]))
	}
	return in, kinds
}

func imageInput() runtime.Spec {
	return runtime.Spec{Name: "pixels", Type: runtime.FP32, Shape: []int{imageSide, imageSide, 3}}
}

// trainImage tells surfaces apart: two convolutions with fixed random filters, whose averaged answers go
// to a trained layer. Random filters with a trained reader are a real, if modest, classifier
// (Jarrett et al. 2009), and they keep the start short.
func trainImage() (*onnx.Model, error) {
	w := rand.New(rand.NewPCG(3, seedWeights))
	g := codes(newConv(w, 3, imageConv1), newConv(w, imageConv1, imageConv2))
	head := newDense(w, imageCodes, imageKinds)
	in, kinds := photos(seedTrain, imageTrain)
	out, err := answers(g, in)
	if err != nil {
		return nil, err
	}
	head.learnKinds(out[0], kinds)

	head.export(&g, "head", "codes", "scores")
	add(&g, "Softmax", "probabilities", []string{"scores"}, onnx.AttrInt("axis", 1))
	add(&g, "ArgMax", "place", []string{"probabilities"}, onnx.AttrInt("axis", 1), onnx.AttrInt("keepdims", 1))
	add(&g, "Cast", "kind", []string{"place"}, onnx.AttrInt("to", int64(onnx.Float)))
	add(&g, "ReduceMax", runtime.Confidence, []string{"probabilities"}, onnx.AttrInts("axes", 1), onnx.AttrInt("keepdims", 1))
	g.Outputs = []onnx.Value{onnx.Rows("kind", onnx.Float, 1), onnx.Rows(runtime.Confidence, onnx.Float, 1), onnx.Rows("probabilities", onnx.Float, imageKinds)}
	in, kinds = photos(seedHeldOut, imageHeld)
	if out, err = answers(g, in); err != nil {
		return nil, err
	}
	return finished(g, runtime.Meta{Accuracy: kindsRight(out[0], kinds), Measure: "share-right"}, in)
}

// codes is the graph from pixels, scaled to -1..1, to imageCodes values a photo: one plane a filter after
// the other, each of averages line by line.
func codes(first, after conv) onnx.Graph {
	var g onnx.Graph
	g.Inputs = []onnx.Value{onnx.Rows("pixels", onnx.Float, imageSide, imageSide, 3)}
	g.Outputs = []onnx.Value{onnx.Rows("codes", onnx.Float, imageCodes)}
	add(&g, "Div", "bright", []string{"pixels", constant(&g, "half", []float32{127.5}, 1)})
	add(&g, "Sub", "scaled", []string{"bright", constant(&g, "middle", []float32{1}, 1)})
	add(&g, "Transpose", "planes", []string{"scaled"}, onnx.AttrInts("perm", 0, 3, 1, 2))
	pooled := after.export(&g, "after", first.export(&g, "first", "planes"))
	add(&g, "AveragePool", "cells", []string{pooled}, onnx.AttrInts("kernel_shape", imageCell, imageCell), onnx.AttrInts("strides", imageCell, imageCell))
	add(&g, "Flatten", "codes", []string{"cells"}, onnx.AttrInt("axis", 1))
	return g
}

// learnKinds trains the layer to tell the kinds from their codes; the slope of the log loss through
// softmax is p - 1 for the true kind and p for the others.
func (d dense) learnKinds(codes []float32, kinds []int) {
	for epoch := range imageEpochs {
		rate := 0.05 / float32(1+epoch/5)
		for i, kind := range kinds {
			x, p := codes[i*imageCodes:(i+1)*imageCodes], make([]float32, imageKinds)
			d.apply(x, p)
			softmax(p)
			p[kind]--
			d.step(x, p, rate)
		}
	}
}

// kindsRight is the share of photos whose kind is found.
func kindsRight(found []float32, kinds []int) float64 {
	right := 0
	for i, kind := range kinds {
		if int(found[i]) == kind {
			right++
		}
	}
	return float64(right) / float64(len(kinds))
}
