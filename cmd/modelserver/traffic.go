package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/serving"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/examples"
)

// diurnal is a day's curve: of the full rate, how much is sent at which time. The zero value is flat.
type diurnal struct {
	period time.Duration
	depth  float64 // 0 to below 1: the trough has 1 - depth of the peak's rate
}

// parseDiurnal reads PERIOD:DEPTH, like 24h:0.8.
func parseDiurnal(to *diurnal) func(string) error {
	return func(v string) error {
		period, depth, _ := strings.Cut(v, ":")
		p, err := time.ParseDuration(period)
		share, err2 := strconv.ParseFloat(depth, 64)
		if err != nil || err2 != nil || p < time.Second || !(share >= 0 && share < 1) {
			return fmt.Errorf("is not PERIOD:DEPTH, like 24h:0.8: at least 1s, and 0 to below 1")
		}
		*to = diurnal{p, share}
		return nil
	}
}

// share of the full rate at a time: 1 - depth * (1 + cos(2π t/period)) / 2, with t counted from 1970,
// so that generators that begin at different times follow the same day. A depth of 0.8 over 24 h:
//
//	00:00 0.2   06:00 0.6   12:00 1.0   18:00 0.6 (UTC)
func (d diurnal) share(at time.Time) float64 {
	if d.period == 0 {
		return 1
	}
	turn := float64(at.UnixNano()%int64(d.period)) / float64(d.period)
	return 1 - d.depth*(1+math.Cos(2*math.Pi*turn))/2
}

// schedule gives the times at which requests are meant to be sent. They do not depend on answers.
type schedule struct {
	rate    float64 // requests a second at the peak
	day     diurnal
	poisson bool
	rand    *rand.Rand
	credit  float64 // without poisson: shares of a request not sent yet
}

// next is the time of the request after the one at last. It walks in steps of the full rate and
// keeps of them the share of the day: by chance with poisson, otherwise evenly.
func (s *schedule) next(last time.Time) time.Time {
	for {
		gap := 1 / s.rate
		if s.poisson {
			gap *= s.rand.ExpFloat64()
		}
		last = last.Add(time.Duration(gap * float64(time.Second)))
		share := s.day.share(last)
		if s.poisson && s.rand.Float64() < share {
			return last
		}
		if s.poisson {
			continue
		}
		if s.credit += share; s.credit >= 1-1e-9 {
			s.credit--
			return last
		}
	}
}

const (
	mostBodies     = 64
	mostBodiesSize = 16 << 20 // bytes
)

// bodies makes request bodies to send in turn: always the same rows would be learnt by caches and
// branch predictors, and the server would seem faster than it is.
func bodies(model, endpoint string, rows int, seed uint64) ([][]byte, error) {
	var out [][]byte
	for i, size := 0, 0; i < mostBodies && (i < 2 || size < mostBodiesSize); i++ {
		input, values, err := examples.Sample(model, seed+uint64(i), rows)
		if err != nil {
			return nil, err
		}
		b := inferBody(input, values, rows)
		if endpoint == serving.EndpointPredict {
			b = predictBody(values, len(values)/rows)
		}
		out = append(out, b)
		size += len(b)
	}
	return out, nil
}

func inferBody(input runtime.Spec, values []float32, rows int) []byte {
	b := fmt.Appendf(nil, `{"inputs":[{"name":%q,"shape":[%d`, input.Name, rows)
	for _, d := range input.Shape {
		b = fmt.Appendf(b, ",%d", d)
	}
	return append(appendNumbers(append(b, `],"datatype":"FP32","data":`...), values), "}]}"...)
}

func predictBody(values []float32, width int) []byte {
	b := []byte(`{"instances":[`)
	for i := 0; i < len(values); i += width {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumbers(b, values[i:i+width])
	}
	return append(b, "]}"...)
}

func appendNumbers(b []byte, values []float32) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(v), 'g', 5, 32)
	}
	return append(b, ']')
}
