package replay

// CompareOptions are how rules are scored and packed.
type CompareOptions struct {
	Score ScoreOptions
	Node  float64 // cores of the nodes that series are packed onto; 0: they are not packed
}

// Comparison is what several rules did on the same series of one unit.
type Comparison struct {
	Unit     string  `json:"unit"`
	Series   int     `json:"series"`
	Clusters int     `json:"clusters"`
	Days     float64 `json:"days"`         // from the first sample of all to the last
	Granted  bool    `json:"grantsKnown"`  // the grant of every series is known
	Price    int64   `json:"pricePerHour"` // as in ScoreOptions
	Node     float64 `json:"nodeCores"`    // cores of the nodes that were packed; 0: none were
	Rows     []Row   `json:"rules"`        // in the order of the rules
}

// Row is what one rule did.
type Row struct {
	About   string   `json:"about"`
	Summary Summary  `json:"summary"`
	Scaled  Packing  `json:"autoscaled"` // as AutoscaledPack packs
	Packing Packing  `json:"packing"`    // as StandardPack does
	Scored  []Scored `json:"-"`          // in the order of the series
}

// Compare runs every rule over all series, which are of one unit. Visit, which may be nil, is told each line as it
// is drawn, by the index of its series; it must not keep it.
func Compare(all []Series, rules []Maker, o CompareOptions, visit func(rule Maker, i int, line []float64)) Comparison {
	clusters := Clusters(all)
	out := Comparison{Series: len(all), Granted: true, Price: o.Score.Price, Days: days(all)}
	for i, s := range all {
		out.Unit = s.Unit
		out.Granted = out.Granted && s.Granted > 0
		out.Clusters = max(out.Clusters, clusters[i]+1)
	}
	packs := o.Node > 0 && out.Unit == Cores && len(all) > 1
	if packs {
		out.Node = o.Node
	}
	for _, m := range rules {
		row := Row{About: m.About}
		var packed []Packed
		for i, s := range all {
			line := Run(m, s)
			row.Scored = append(row.Scored, Scored{s.ID, s.Class, clusters[i], Score(s, line, o.Score)})
			if visit != nil {
				visit(m, i, line)
			}
			if packs {
				packed = append(packed, Packed{s, line})
			}
		}
		row.Summary = Pool(m.Name, row.Scored)
		if packs {
			row.Scaled, row.Packing = Pack(packed, AutoscaledPack(o.Node)), Pack(packed, StandardPack(o.Node))
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// days is from the first sample of all to the last.
func days(all []Series) float64 {
	var first, last int64
	some := false
	for _, s := range all {
		n := len(s.At)
		if n == 0 {
			continue
		}
		if !some {
			first, last, some = s.At[0], s.At[n-1], true
		}
		first, last = min(first, s.At[0]), max(last, s.At[n-1])
	}
	return float64(last-first) / day
}
