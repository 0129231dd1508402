package policies

import (
	"fmt"
	"strconv"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// priceList is the spec of a Prices document.
type priceList struct{ rows []Price }

func readPriceList(w *walk, doc document, into *Documents) {
	var list priceList
	read(w, doc.spec, priceListFields(), &list)
	into.Prices = list.rows
}

func priceListFields() []field[priceList] {
	return []field[priceList]{must("a list of rows", field[priceList]{
		name: "prices", typ: "list of rows", meaning: "One row a price; the same node is priced once.",
		set: func(w *walk, p place, into *priceList) { into.rows = readPrices(w, p) },
	})}
}

func priceFields() []field[Price] {
	return []field[Price]{
		must("the type as the node's label has it, such as m5.large",
			word("instanceType", "The node's label node.kubernetes.io/instance-type.", wrongInstance,
				func(p *Price) *string { return &p.InstanceType })),
		word("region", "The node's label topology.kubernetes.io/region; left out: any region.", wrongInstance,
			func(p *Price) *string { return &p.Region }),
		choice("capacity", "How the node is bought.", func(p *Price) *fleet.Capacity { return &p.Capacity }, fleet.OnDemand, fleet.Spot),
		must(`dollars an hour, such as "0.096"`, field[Price]{
			name: "hourly", typ: "dollars an hour", meaning: "What one node costs an hour, in US dollars, to a millionth.",
			set: readHourly,
			show: func(p *Price) string {
				if p.Hourly == 0 {
					return ""
				}
				return strconv.Quote(dollars(p.Hourly))
			},
		}),
	}
}

// word is a field that is one word; wrong says what is wrong with it, or nothing.
func word[T any](name, meaning string, wrong func(string) string, at func(*T) *string) field[T] {
	return field[T]{
		name: name, typ: "text", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			v, ok := w.text(p, "a word")
			if !ok {
				return
			}
			if text := wrong(v); text != "" {
				w.fault(p, "%q %s", v, text)
				return
			}
			*at(into) = v
		},
		show: func(of *T) string { return *at(of) },
	}
}

func readPrices(w *walk, p place) []Price {
	var rows []Price
	for _, e := range w.items(p, "rows, each with instanceType and hourly") {
		row, before := Price{Capacity: fleet.OnDemand, Line: e.line}, len(w.faults)
		read(w, e, priceFields(), &row)
		if len(w.faults) > before {
			continue
		}
		for _, r := range rows {
			if r.key() == row.key() {
				w.fault(e, "%s is priced twice, first in line %d; keep one", row.key(), r.Line)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// key is what a price is for, in words.
func (p Price) key() string {
	region := "any region"
	if p.Region != "" {
		region = p.Region
	}
	return fmt.Sprintf("%s %s in %s", p.Capacity, p.InstanceType, region)
}

func readHourly(w *walk, p place, into *Price) {
	text, _, ok := w.scalar(p, `dollars such as "0.096"`)
	if !ok {
		return
	}
	v, wrong := millionths(text)
	if wrong != "" {
		w.fault(p, "%q %s", text, wrong)
		return
	}
	into.Hourly = v
}

// millionths reads decimal dollars exactly: digits, then at most six more after a point.
func millionths(text string) (n int64, wrong string) {
	whole, part, _ := strings.Cut(text, ".")
	switch {
	case strings.HasPrefix(text, "-"):
		return 0, "is negative; a node costs something or nothing"
	case whole == "" || strings.Trim(whole+part, "0123456789") != "" || strings.HasSuffix(text, "."):
		return 0, `is not a price; write decimal dollars an hour without a sign or a currency, such as "0.096"`
	case len(part) > 6:
		return 0, "has more than six decimals; prices are kept to a millionth of a dollar"
	case len(whole) > 6:
		return 0, "is a million dollars an hour or more; write the price of one node for one hour"
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", 6-len(part)), 10, 64)
	if err != nil {
		return 0, "is not a price" // unreachable unless bug: at most twelve digits
	}
	return n, ""
}

// dollars writes millionths as decimal dollars, exactly.
func dollars(n int64) string {
	s := fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
