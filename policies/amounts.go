package policies

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// amounts is a group of quantities by the name of what they count. rule tells whether a name is counted
// in thousandths, or what is wrong with it.
func amounts[T any](name, meaning string, rule func(string) (inThousandths bool, wrong string), at func(*T) *[]Amount) field[T] {
	return field[T]{
		name: name, typ: "quantities by name", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			before := len(w.faults)
			var all []Amount
			for _, e := range w.entries(p) {
				milli, wrong := rule(e.key)
				if wrong != "" {
					w.fault(e, "%s", wrong)
				}
				if q, ok := w.amount(e, milli); ok && wrong == "" {
					all = append(all, Amount{Name: e.key, Quantity: q.String()})
				}
			}
			if len(all) == 0 && len(w.faults) == before {
				w.fault(p, "names nothing; write a line under it, or remove it")
			}
			slices.SortFunc(all, func(a, b Amount) int { return strings.Compare(a.Name, b.Name) })
			*at(into) = all
		},
		show: func(of *T) string { return showAmounts(*at(of)) },
	}
}

// showAmounts is amounts as a document would write them: {cpu: "1", memory: "2Gi"}.
func showAmounts(all []Amount) string {
	if len(all) == 0 {
		return ""
	}
	lines := make([]string, 0, len(all))
	for _, a := range all {
		lines = append(lines, a.Name+`: "`+a.Quantity+`"`)
	}
	return "{" + strings.Join(lines, ", ") + "}"
}

// Above any cluster, and below where whole numbers of 64 bits end.
const (
	mostWhole = 1 << 60 // bytes or things
	mostMilli = 1 << 50 // cores
)

// amount reads a quantity of something that is counted in thousandths, or in whole ones.
func (w *walk) amount(p place, milli bool) (resource.Quantity, bool) {
	example, most := "100 or 100Gi", int64(mostWhole)
	if milli {
		example, most = "50, 0.5 or 100m", mostMilli
	}
	text, _, ok := w.scalar(p, example)
	if !ok {
		return resource.Quantity{}, false
	}
	q, ok := kubernetes(text)
	switch {
	case !ok || octal(text):
		w.fault(p, "%q is not a quantity; write one as Kubernetes does, such as %s", text, example)
	case q.Sign() < 0:
		w.fault(p, "%s is negative; write %s", text, example)
	case q.CmpInt64(most) > 0:
		w.fault(p, "%s is more than any cluster has; write %s", text, example)
	case !milli && resource.NewQuantity(q.Value(), q.Format).Cmp(q) != 0:
		w.fault(p, "%s is not a whole number; write %s", text, example)
	case milli && resource.NewMilliQuantity(q.MilliValue(), q.Format).Cmp(q) != 0:
		w.fault(p, "%s is finer than thousandths; write %s", text, example)
	default:
		return q, true
	}
	return resource.Quantity{}, false
}
