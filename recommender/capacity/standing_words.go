package capacity

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// tail is a candidate's p99 alone.
func tail(c Candidate) string {
	if c.Prediction.Full {
		return "endless"
	}
	return span(c.Prediction.P99.Value)
}

// latency is an estimate with its interval: "14 ms (12 ms to 17 ms)".
func latency(c Candidate, e Estimate) string {
	if c.Prediction.Full {
		return tail(c)
	}
	if e.Low == e.High {
		return span(e.Value)
	}
	return fmt.Sprintf("%s (%s to %s)", span(e.Value), span(e.Low), span(e.High))
}

// requested is the cores that all pods of a candidate request.
func requested(c Candidate) string {
	return strconv.FormatFloat(float64(c.Setting.CPU*int64(c.Setting.Replicas))/1000, 'f', -1, 64)
}

// coresUsed is a number of cores that are used, to hundredths.
func coresUsed(n float64) string { return strconv.FormatFloat(n, 'f', 2, 64) }

// decimal has one digit behind the point below ten and none above; whole numbers have none.
func decimal(v float64) string {
	if v < 9.95 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return thousands(int64(math.Round(v)))
}

// share is a part of 1 for people. What is not nothing never reads as 0 %, and what is not all never as 100 %.
func share(part float64) string {
	switch {
	case part > 0 && part < 0.001:
		return "under 0.1 %"
	case part > 0 && part < 0.0995:
		return fmt.Sprintf("%.1f %%", 100*part)
	case part < 1 && part >= 0.995:
		return fmt.Sprintf("%.1f %%", math.Floor(1000*part)/10)
	}
	return fmt.Sprintf("%.0f %%", 100*part)
}

// signed is a relative difference: "+7 %".
func signed(by float64) string {
	text := fmt.Sprintf("%+.0f %%", 100*by)
	if text == "-0 %" || text == "+0 %" {
		return "0 %"
	}
	return text
}

// shortTime is a short time for people: "3.8 us", "785 us", "14 ms".
func shortTime(s float64) string {
	switch {
	case s < 9.95e-6:
		return strconv.FormatFloat(1e6*s, 'f', 1, 64) + " us"
	case s < 0.9995e-3:
		return strconv.FormatFloat(1e6*s, 'f', 0, 64) + " us"
	}
	return span(time.Duration(s * float64(time.Second)))
}

// memory is bytes to whole Mi, as measurements are no finer.
func memory(bytes int64) string {
	const mebi = 1 << 20
	return fleet.FormatMemory((bytes + mebi/2) / mebi * mebi)
}

// move is "from -> to".
func move(from, to string) string { return from + " -> " + to }

// indented is text with two blanks before each line.
func indented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString("  " + strings.TrimRight(line, "\n") + "\n")
	}
	return out.String()
}
