package capacity

import (
	"fmt"
	"math"
	"strconv"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// history is how tuning came to where it is, and how predictions came true.
func (s Standing) history(p *page) {
	if len(s.Steps) > 0 {
		p.heading("TUNING so far")
		p.items(s.Steps)
	}
	c := s.Question.Calibration
	if len(c.Pairs) == 0 {
		return
	}
	p.heading("PREDICTED -> REALISED, %s; %s counts as %s predicted, ± %s, and CPU ± %s",
		fleet.Count(len(c.Pairs), "window"), percentileName(s.Question.SLO), beyond(math.Expm1(c.Bias)), share(c.Width), share(c.Pace()))
	rows := []tableRow{{cells: []string{"", "batch", "delay", "replicas", "cpu", "rate", percentileName(s.Question.SLO), "", "cores", ""}}}
	for _, pair := range c.Pairs[max(0, len(c.Pairs)-shownPairs):] {
		rows = append(rows, pair.row())
	}
	p.table(rows, true)
}

func (p Pair) row() tableRow {
	at := p.Setting
	return tableRow{cells: []string{
		p.At.UTC().Format("01-02 15:04"), strconv.Itoa(at.Batch), at.Delay.String(), strconv.Itoa(at.Replicas), fleet.FormatCPU(at.CPU), decimal(p.Rate) + "/s",
		move(span(p.Predicted), span(p.Realised)), off(float64(p.Predicted), float64(p.Realised)),
		move(coresUsed(p.Cores[0]), coresUsed(p.Cores[1])), off(p.Cores[0], p.Cores[1]),
	}}
}

// off is by how much what was realised is off what was predicted.
func off(predicted, realised float64) string {
	if !(predicted > 0) {
		return ""
	}
	return signed(realised/predicted - 1)
}

// beyond is a share above or below something: "3 % above".
func beyond(by float64) string {
	switch {
	case by >= 0.005:
		return fmt.Sprintf("%.0f %% above", 100*by)
	case by <= -0.005:
		return fmt.Sprintf("%.0f %% below", -100*by)
	}
	return "as"
}
