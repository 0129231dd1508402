package builtin

import (
	"errors"
	"fmt"
	"math"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// features is the node's input 0, of any numbers, as rows of one axis.
func (c *compiler) features(n *onnx.Node) (value, error) {
	x, err := c.rows(n, 0)
	if err == nil && len(x.shape) != 1 {
		err = fmt.Errorf("rows of shape %v are not supported, only lists of features", x.shape)
	}
	return x, err
}

// defineFloat gives the node's output i a value whose numbers are FLOAT, as those of this domain are.
func (c *compiler) defineFloat(n *onnx.Node, i int, v value) error {
	v.typ, v.exact = onnx.Float, false
	return c.define(n.Outputs[i], v)
}

// linear is the step of coefficients that lie target by target, and of one intercept each.
func (c *compiler) linear(n *onnx.Node, x value, targets int) (value, error) {
	w, b := reals(n, "coefficients"), reals(n, "intercepts")
	if b == nil {
		b = make([]float32, max(targets, 0))
	}
	if targets < 1 || targets > len(w) || len(w) != targets*x.shape[0] || len(b) != targets {
		return x, fmt.Errorf("%d coefficients and %d intercepts do not fit %d features and %d targets", len(w), len(b), x.shape[0], targets)
	}
	l := &layer{weight: turned(w, targets, x.shape[0]), bias: append([]float32{}, b...), in: x.shape[0], out: targets}
	return c.dense(x, []int{targets}, l)
}

func (c *compiler) linearRegressor(n *onnx.Node) error {
	x, err := c.features(n)
	if err != nil {
		return err
	}
	y, err := c.linear(n, x, int(integer(n, "targets", 1)))
	if err != nil {
		return err
	}
	return c.transformed(n, y)
}

// transform is what post_transform does to the scores of one row in place, nil for nothing.
func transform(n *onnx.Node) (func(x, y []float32), error) {
	switch t := text(n, "post_transform", "NONE"); t {
	case "NONE":
		return nil, nil
	case "SOFTMAX":
		return normalise, nil
	case "LOGISTIC":
		return logistic, nil
	default:
		return nil, fmt.Errorf("post_transform %q is not supported", t)
	}
}

func logistic(x, y []float32) {
	for i, v := range x {
		y[i] = float32(sigmoid(float64(v)))
	}
}

// grouped does one to each size numbers that lie together.
func grouped(size int, one func(x, y []float32)) func(in, out [][]float32, rows int) {
	return func(in, out [][]float32, _ int) {
		x, y := in[0], out[0]
		for i := 0; i < len(y); i += size {
			one(x[i:i+size], y[i:i+size])
		}
	}
}

// labels are a classifier's classes as numbers that a plane can hold.
func labels(n *onnx.Node, name string) ([]float32, error) {
	whole := ints(n, name)
	if len(whole) == 0 {
		return nil, errors.New("only classes that are whole numbers are supported")
	}
	out := make([]float32, len(whole))
	for i, v := range whole {
		if v > 1<<24 || v < -1<<24 {
			return nil, fmt.Errorf("class %d is not supported: its number is too large", v)
		}
		out[i] = float32(v)
	}
	return out, nil
}

func (c *compiler) linearClassifier(n *onnx.Node) error {
	x, err := c.features(n)
	if err != nil {
		return err
	}
	classes, err := labels(n, "classlabels_ints")
	if err != nil {
		return err
	}
	scores := len(reals(n, "intercepts"))
	if scores == 0 {
		return errors.New("without intercepts is not supported")
	}
	y, err := c.linear(n, x, scores)
	if err != nil {
		return err
	}
	return c.classes(n, y, &classifier{labels: classes, threshold: 0, odds: false})
}

// classifier turns the scores of a row into a label and the scores that are shown. With a single score
// for two classes the score is that of the second one.
type classifier struct {
	labels    []float32
	scores    int     // that come in
	threshold float32 // of a single score: above it is the second class
	odds      bool    // a single score is a margin: the other class's is its negative; otherwise 1 - it
	post      func(x, y []float32)
}

// classes adds the step from the scores y to the node's labels and scores.
func (c *compiler) classes(n *onnx.Node, y value, k *classifier) (err error) {
	k.scores = y.shape[0]
	if k.scores != len(k.labels) && (k.scores != 1 || len(k.labels) != 2) {
		return fmt.Errorf("%d scores do not fit %d classes", k.scores, len(k.labels))
	}
	if k.post, err = transform(n); err != nil {
		return err
	}
	if t := text(n, "post_transform", "NONE"); k.scores == 1 && len(k.labels) == 2 && t == "SOFTMAX" {
		return errors.New("SOFTMAX of a single score is not supported")
	}
	label, err := c.plane(nil)
	if err != nil {
		return err
	}
	shown, err := c.plane([]int{len(k.labels)})
	if err != nil {
		return err
	}
	c.add(step{in: []int{y.plane}, out: []int{label, shown}, run: k.run})
	if len(n.Outputs) > 1 {
		err = c.defineFloat(n, 1, value{plane: shown, shape: []int{len(k.labels)}})
	}
	return errors.Join(err, c.define(n.Outputs[0], value{plane: label, shape: []int{}, typ: onnx.Int64}))
}

func (k *classifier) run(in, out [][]float32, rows int) {
	for r := range rows {
		x, y := in[0][r*k.scores:(r+1)*k.scores], out[1][r*len(k.labels):(r+1)*len(k.labels)]
		out[0][r] = k.labels[k.choose(x)]
		switch {
		case len(x) == len(y) && k.post != nil:
			k.post(x, y)
		case len(x) == len(y):
			copy(y, x)
		default:
			k.second(x[0], y)
		}
	}
}

func (k *classifier) choose(x []float32) int {
	if len(x) == len(k.labels) {
		return greatestAt(x, false)
	}
	if x[0] > k.threshold {
		return 1
	}
	return 0
}

// second writes the scores of two classes from the one there is.
func (k *classifier) second(x float32, y []float32) {
	y[0], y[1] = 1-x, x
	if k.odds {
		y[0] = -x
		if k.post != nil {
			k.post(y, y)
		}
	}
}

// greatestAt is where the greatest number is: the first such place, or the last.
func greatestAt(x []float32, last bool) int {
	best := 0
	for i, v := range x {
		if v > x[best] || last && v == x[best] {
			best = i
		}
	}
	return best
}

func (c *compiler) normalizer(n *onnx.Node) error {
	x, err := c.features(n)
	if err != nil {
		return err
	}
	norms := map[string]func([]float32) float32{"MAX": maxOf, "L1": l1, "L2": l2}
	norm := norms[text(n, "norm", "MAX")]
	if norm == nil {
		return fmt.Errorf("norm %q is not supported", text(n, "norm", ""))
	}
	v, err := c.step(x, x.shape, onnx.Float, grouped(x.shape[0], func(x, y []float32) {
		by := norm(x)
		if by == 0 {
			by = 1
		}
		for i, v := range x {
			y[i] = v / by
		}
	}))
	if err != nil {
		return err
	}
	return c.defineFloat(n, 0, v)
}

func l1(x []float32) float32 {
	var sum float64
	for _, v := range x {
		sum += math.Abs(float64(v))
	}
	return float32(sum)
}

func l2(x []float32) float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return float32(math.Sqrt(sum))
}

// scaler is (x - offset) * scale, each one number for all features or one for each.
func (c *compiler) scaler(n *onnx.Node) error {
	x, err := c.features(n)
	if err != nil {
		return err
	}
	w := x.shape[0]
	offset, scale := repeated(reals(n, "offset"), w), repeated(reals(n, "scale"), w)
	if len(offset) != w || len(scale) != w {
		return fmt.Errorf("its offset and scale do not fit %d features", w)
	}
	v, err := c.step(x, x.shape, onnx.Float, grouped(w, func(x, y []float32) {
		for i, v := range x {
			y[i] = (v - offset[i]) * scale[i]
		}
	}))
	if err != nil {
		return err
	}
	c.bytes += int64(8 * w)
	return c.defineFloat(n, 0, v)
}

func repeated(x []float32, n int) []float32 {
	if len(x) == 1 {
		return filled(n, x[0])
	}
	return x
}
