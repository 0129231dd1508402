package runtime

import (
	"math"
	"math/rand/v2"
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

// image tells surfaces apart: two convolutions with fixed random filters, whose averaged answers go
// to a trained layer. Random filters with a trained reader are a real, if modest, classifier
// (Jarrett et al. 2009), and they keep the start short.
type image struct {
	meta         Meta
	first, after conv
	head         dense
	in, c1, p1   planes // scratch
	c2, p2       planes
}

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

func imageInput() Tensor {
	return Tensor{Name: "pixels", Shape: []int{imageSide, imageSide, 3}}
}

func trainImage() *image {
	w := rand.New(rand.NewPCG(3, seedWeights))
	m := &image{
		first: newConv(w, 3, imageConv1), after: newConv(w, imageConv1, imageConv2), head: newDense(w, imageCodes, imageKinds),
		in: newPlanes(imageSide, 3), c1: newPlanes(imageSide, imageConv1), p1: newPlanes(imageSide/2, imageConv1),
		c2: newPlanes(imageSide/2, imageConv2), p2: newPlanes(imageSide/4, imageConv2),
	}
	m.learn()
	m.meta = Meta{
		Name:     "image",
		Input:    imageInput(),
		Outputs:  []Tensor{{Name: "kind", Shape: []int{1}}, {Name: Confidence, Shape: []int{1}}, {Name: "probabilities", Shape: []int{imageKinds}}},
		Accuracy: m.shareRight(),
		Measure:  "share-right",
	}
	return m
}

// learn trains the last layer; the slope of the log loss through softmax is p - 1 for the true kind
// and p for the others.
func (m *image) learn() {
	in, kinds := photos(seedTrain, imageTrain)
	codes := m.codes(in, imageTrain)
	for epoch := range imageEpochs {
		rate := 0.05 / float32(1+epoch/5)
		for i, kind := range kinds {
			x, p := codes[i*imageCodes:(i+1)*imageCodes], make([]float32, imageKinds)
			m.head.apply1(x, p)
			softmax(p)
			p[kind]--
			m.head.step(x, p, rate)
		}
	}
}

func (m *image) shareRight() float64 {
	in, kinds := photos(seedHeldOut, imageHeld)
	p, right := m.probabilities(in, imageHeld), 0
	for i, kind := range kinds {
		if argmax(p[i*imageKinds:(i+1)*imageKinds]) == kind {
			right++
		}
	}
	return float64(right) / imageHeld
}

// Meta implements Model.
func (m *image) Meta() Meta { return m.meta }

// Run implements Model: the likeliest kind, its probability, and the probabilities of all kinds.
func (m *image) Run(in []float32, rows int) ([][]float32, error) {
	if err := checkSize(in, rows, imageWidth); err != nil {
		return nil, err
	}
	p := m.probabilities(in, rows)
	kind, sure := make([]float32, rows), make([]float32, rows)
	for i := range rows {
		row := p[i*imageKinds : (i+1)*imageKinds]
		k := argmax(row)
		kind[i], sure[i] = float32(k), row[k]
	}
	return [][]float32{kind, sure, p}, nil
}

func (m *image) probabilities(in []float32, rows int) []float32 {
	p := make([]float32, rows*imageKinds)
	m.head.apply(m.codes(in, rows), p, rows)
	for i := range rows {
		softmax(p[i*imageKinds : (i+1)*imageKinds])
	}
	return p
}

// codes runs the convolutions and returns imageCodes values a photo.
func (m *image) codes(in []float32, rows int) []float32 {
	out := make([]float32, rows*imageCodes)
	for i := range rows {
		m.load(in[i*imageWidth : (i+1)*imageWidth])
		m.first.apply(m.in, m.c1)
		maxPool(m.c1, m.p1)
		m.after.apply(m.p1, m.c2)
		maxPool(m.c2, m.p2)
		averages(m.p2, imageCell, out[i*imageCodes:(i+1)*imageCodes])
	}
	return out
}

// load spreads pixels into one plane a colour, scaled to -1..1.
func (m *image) load(row []float32) {
	for c := range 3 {
		for y := range imageSide {
			line := m.in.line(c, y)
			for x := range imageSide {
				line[x+1] = row[(y*imageSide+x)*3+c]/127.5 - 1
			}
		}
	}
}
