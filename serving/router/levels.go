package router

import (
	"cmp"
	"slices"
	"time"
)

// said is what one level of a file says of settings; nil is nothing.
type said struct {
	batchSize, queueRows, instances, maxLength *int
	queueBytes                                 *int64
	delay, slo                                 *time.Duration
	batching                                   *Batching
	features                                   *[]string
}

// settings are the keys that may stand at any level.
func (r *reading) settings(to *said) map[string]func(place) {
	rows := func(p place, low int) *int { return new(whole(r, p, low, mostRows, " of rows")) }
	known := map[string]func(place){
		KeyBatchSize:     func(p place) { to.batchSize = rows(p, 1) },
		KeyMaxQueueRows:  func(p place) { to.queueRows = rows(p, 1) },
		KeyMaxQueueBytes: func(p place) { to.queueBytes = new(whole[int64](r, p, 0, 1<<50, " of bytes")) },
		KeyInstances:     func(p place) { to.instances = new(whole(r, p, 0, 1024, "")) },
		KeyMaxLength:     func(p place) { to.maxLength = new(whole(r, p, 0, mostRows, "")) },
		KeyMaxDelay:      func(p place) { to.delay = new(r.span(p)) },
		KeySLO:           func(p place) { to.slo = new(r.span(p)) },
		KeyFeatures:      func(p place) { to.features = new(r.names(p)) },
		KeyBatching: func(p place) {
			b, _ := ParseBatching(r.oneOf(p, "adaptive", "static", "off"))
			to.batching = &b
		},
	}
	return known
}

func (r *reading) names(p place) (names []string) {
	r.items(p, func(p place) {
		name := r.text(p)
		if name != "" && slices.Contains(names, name) {
			r.fault(p, "%s is there twice", p.n)
		}
		names = append(names, name)
	})
	return names
}

// settle is what holds for a version: the innermost level that says something, else what stands.
func (s Standing) settle(general, model, version said) Settings {
	at := func(of func(said) *int, standing int) int { return pick(standing, of(version), of(model), of(general)) }
	out := Settings{Limits: s.Limits}
	l := &out.Limits
	l.MaxBatchSize = at(func(l said) *int { return l.batchSize }, l.MaxBatchSize)
	l.MaxQueueRows = at(func(l said) *int { return l.queueRows }, l.MaxQueueRows)
	out.Instances = at(func(l said) *int { return l.instances }, s.Instances)
	out.MaxLength = at(func(l said) *int { return l.maxLength }, s.MaxLength)
	l.MaxQueueBytes = pick(l.MaxQueueBytes, version.queueBytes, model.queueBytes, general.queueBytes)
	l.MaxQueueDelay = pick(l.MaxQueueDelay, version.delay, model.delay, general.delay)
	l.SLO = pick(l.SLO, version.slo, model.slo, general.slo)
	out.Batching = pick(s.Batching, version.batching, model.batching, general.batching)
	out.Features = pick(nil, version.features, model.features, general.features)
	out.general = cmp.Or(version.features, model.features) == nil
	chosen := s.DelayGiven || cmp.Or(version.delay, model.delay, general.delay) != nil
	if l.SLO > 0 && !chosen && out.Batching == Adaptive {
		l.MaxQueueDelay = l.SLO
	}
	l.Static = out.Batching == Static
	if out.Batching == Off {
		l.Alone, l.MaxQueueDelay = true, 0
	}
	return out
}

// pick is the first of said that is there, else standing.
func pick[T any](standing T, said ...*T) T {
	for _, v := range said {
		if v != nil {
			return *v
		}
	}
	return standing
}
