package capacity

// followed is how many requests are followed one by one: each takes some 50 ns, and where much comes and bursts,
// the busiest hundredth of fewer is a matter of chance.
const followed = 150_000

// follow lets each request wait for the instance that is free first (Kiefer and Wolfowitz): without batches that
// is all that happens.
func (p pod) follow() view {
	n := max(followed, p.stream.length())
	r, jitter := &random{state: 1}, &random{state: 2}
	gaps, clock := p.stream.gaps(r, n), p.stream.clock(n)
	free := make([]float64, p.instances)
	seen := newTally(n - simulatedWarmUp)
	spread, line, beside := p.service.Curve.Spread, p.service.Curve.Wall.At(1), p.beside()
	sum, busy := 0.0, 0.0
	for i, gap := range gaps {
		sum += gap
		now := clock(sum)
		takes := p.overhead + line
		if spread.Known() {
			takes = p.overhead + line*spread.At(jitter.uniform())
		}
		first := earliest(free)
		free[first] = max(now, free[first]) + takes
		busy += takes
		if i >= simulatedWarmUp {
			seen.add(lasting(free[first] - now + beside))
		}
	}
	return p.ones(seen, busy/float64(n))
}

// earliest is the place of the least.
func earliest(free []float64) int {
	first := 0
	for i, at := range free {
		if at < free[first] {
			first = i
		}
	}
	return first
}

// ones is the view of a pod whose batches are of one row each, which take the seconds on average.
func (p pod) ones(of latencies, seconds float64) view {
	cpu := p.service.Curve.CPU.At(1) + p.overhead + p.service.Path
	return view{latency: of, cpu: cpu, busy: seconds, meanBatch: 1}
}
