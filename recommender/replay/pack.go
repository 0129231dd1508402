package replay

import (
	"math"
	"slices"
	"time"
)

// Packed is a series on a node: its request decides where it fits, its use whether the node suffices.
type Packed struct {
	Series Series
	Line   []float64 // the request at each sample, as Run gives it; NaN: not yet on a node
}

// PackOptions are the nodes and the clock of Pack.
type PackOptions struct {
	Cores  float64       // of a node; a larger request fills a node of its own
	Warmup time.Duration // from the first sample of all: nothing is packed
	Every  time.Duration // everything is packed anew; 0: never
	Idle   time.Duration // for so long little is asked for on a node, which is then drained; 0: never
	Step   time.Duration // of the common clock
}

// StandardPack packs onto nodes of so many cores once a day, on a clock of five minutes, after three days.
func StandardPack(cores float64) PackOptions {
	return PackOptions{Cores: cores, Warmup: 72 * time.Hour, Every: 24 * time.Hour, Step: 5 * time.Minute}
}

// AutoscaledPack packs once, and then drains nodes as the Cluster Autoscaler does by default: one whose requests were below
// half of it for ten minutes, if everything on it fits on others.
func AutoscaledPack(cores float64) PackOptions {
	return PackOptions{Cores: cores, Warmup: 72 * time.Hour, Idle: 10 * time.Minute, Step: 5 * time.Minute}
}

// Packing is what a fleet needs when nodes are filled by requests.
type Packing struct {
	NodeHours  float64 `json:"nodeHours"`
	Contention float64 `json:"contentionMinutes"` // minutes in which a node's summed use was above its cores, summed over nodes
	Overfull   float64 `json:"overfullMinutes"`   // minutes in which a node's summed requests were, since nothing on it could be moved
	Moves      int     `json:"moves"`             // of series between nodes, but where all is packed anew
	MostNodes  int     `json:"mostNodes"`
}

// Pack places series on nodes by their requests: at first, and then as often as said, all of them anew, largest first,
// each on the first node with room; between, whenever a node's requests exceed its cores, the smallest of its series that fits on
// another node moves there, and onto a new node if none does. A series without a sample in a step, and in the
// two before, is on no node.
func Pack(all []Packed, o PackOptions) Packing {
	c, ok := newClock(all, o)
	if !ok {
		return Packing{}
	}
	p := &packer{cores: o.Cores, loads: make([]load, len(all))}
	for i := range p.loads {
		p.loads[i].node = none
	}
	minutes := o.Step.Minutes()
	for c.read(all, p.loads) {
		if c.steps() == 0 || o.Every > 0 && c.steps()%int64(o.Every/o.Step) == 0 {
			p.packAnew()
		} else {
			p.settle()
			p.drain(int(o.Idle / o.Step))
		}
		p.count(minutes)
		c.advance(all, p.nodes)
	}
	p.out.NodeHours /= 60
	return p.out
}

// none is where a series is that is on no node.
const none = -1

// load is one series in one step.
type load struct {
	request, used float64
	present       bool
	node          int
}

// clock walks all series in steps of the same length.
type clock struct {
	start, now, end, step int64
	next                  []int // per series: the first sample not yet read
}

// steps is how many have passed.
func (c *clock) steps() int64 { return (c.now - c.start) / c.step }

// advance goes to the next step, or with nothing on a node to the one of the next sample.
func (c *clock) advance(all []Packed, nodes int) {
	c.now += c.step
	if nodes > 0 {
		return
	}
	next := c.end + c.step
	for i, k := range c.next {
		if k < len(all[i].Series.At) {
			next = min(next, all[i].Series.At[k])
		}
	}
	if ahead := next - c.now; ahead > 0 {
		c.now += ahead / c.step * c.step
	}
}

func newClock(all []Packed, o PackOptions) (*clock, bool) {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, p := range all {
		if n := len(p.Series.At); n > 0 {
			first, last = min(first, p.Series.At[0]), max(last, p.Series.At[n-1])
		}
	}
	step := int64(o.Step / time.Second)
	if first > last || step <= 0 || o.Every != 0 && o.Every < o.Step || o.Idle != 0 && o.Idle < o.Step || o.Cores <= 0 {
		return nil, false
	}
	start := first + int64(o.Warmup/time.Second)
	return &clock{start: start, now: start, end: last, step: step, next: make([]int, len(all))}, true
}

// read brings the loads to the step at hand: the most that was used in it, and the request of its last sample.
func (c *clock) read(all []Packed, loads []load) bool {
	if c.now > c.end {
		return false
	}
	for i := range all {
		loads[i] = c.load(i, all[i], loads[i])
	}
	return true
}

// staleSteps is for how many steps a sample stands.
const staleSteps = 3

func (c *clock) load(i int, p Packed, l load) load {
	k, fresh := c.next[i], false
	for ; k < len(p.Series.At) && p.Series.At[k] < c.now+c.step; k++ {
		if p.Series.At[k] < c.now {
			continue
		}
		if !fresh {
			l.used, fresh = 0, true
		}
		l.used = max(l.used, p.Series.Used[k])
	}
	c.next[i] = k
	l.present = k > 0 && p.Series.At[k-1] >= c.now-(staleSteps-1)*c.step && !math.IsNaN(p.Line[k-1])
	if l.present {
		l.request = p.Line[k-1]
	}
	if l.present && !fresh {
		l.used = p.Series.Used[k-1]
	}
	return l
}

// packer is nodes and what is on them.
type packer struct {
	cores float64
	loads []load
	sums  []float64 // requests on each node
	held  []int     // series on each node
	idle  []int     // steps for which little was asked for on each node
	uses  []float64 // reused by count
	nodes int       // in use
	out   Packing
}

// size is what a load takes of a node.
func (p *packer) size(i int) float64 { return min(p.loads[i].request, p.cores) }

// rounding is how far sums of requests may be above the cores: what adding up in another order changes.
const rounding = 1e-9

func (p *packer) fits(i, node int) bool {
	return p.held[node] > 0 && p.sums[node]+p.size(i) <= p.cores*(1+rounding)
}

// packAnew places everything that is present, largest first.
func (p *packer) packAnew() {
	p.sums, p.held, p.idle = p.sums[:0], p.held[:0], p.idle[:0]
	for i := range p.loads {
		p.loads[i].node = none
	}
	p.placeAll()
}

// placeAll places what is present and on no node.
func (p *packer) placeAll() {
	var homeless []int
	for i, l := range p.loads {
		if l.present && l.node == none {
			homeless = append(homeless, i)
		}
	}
	slices.SortStableFunc(homeless, func(a, b int) int { return compare(p.size(b), p.size(a)) })
	for _, i := range homeless {
		to := p.room(i, none)
		if to == none {
			to = p.empty()
		}
		p.put(i, to)
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// room is the first node in use with room for a series, but one; none where there is none.
func (p *packer) room(i, but int) int {
	for node := range p.sums {
		if node != but && p.fits(i, node) {
			return node
		}
	}
	return none
}

// empty is the number of a node that holds nothing.
func (p *packer) empty() int {
	if node := slices.Index(p.held, 0); node >= 0 {
		p.sums[node], p.idle[node] = 0, 0
		return node
	}
	p.sums, p.held, p.idle = append(p.sums, 0), append(p.held, 0), append(p.idle, 0)
	return len(p.sums) - 1
}

func (p *packer) put(i, node int) {
	p.loads[i].node = node
	p.sums[node] += p.size(i)
	p.held[node]++
}

// settle follows what changed since the step before.
func (p *packer) settle() {
	clear(p.sums)
	clear(p.held)
	for i := range p.loads {
		l := &p.loads[i]
		if !l.present {
			l.node = none
		}
		if l.node != none {
			p.sums[l.node] += p.size(i)
			p.held[l.node]++
		}
	}
	p.placeAll()
	for node := 0; node < len(p.sums); node++ {
		p.relieve(node)
	}
}

// relieve moves series away from a node until its requests fit.
func (p *packer) relieve(node int) {
	for p.sums[node] > p.cores*(1+rounding) && p.held[node] > 1 {
		i, to := p.mover(node)
		p.leave(i)
		p.put(i, to)
		p.out.Moves++
	}
}

// mover is the smallest series of a node that another node has room for, and that node; if there is none,
// the smallest, and an empty node.
func (p *packer) mover(node int) (i, to int) {
	here := p.on(node)
	slices.SortStableFunc(here, func(a, b int) int { return compare(p.size(a), p.size(b)) })
	for _, i := range here {
		if to := p.room(i, node); to != none {
			return i, to
		}
	}
	return here[0], p.empty()
}

// on is the series on a node.
func (p *packer) on(node int) (here []int) {
	for i, l := range p.loads {
		if l.node == node {
			here = append(here, i)
		}
	}
	return here
}

// count adds one step of so many minutes to the outcome. NodeHours holds minutes until the end.
func (p *packer) count(minutes float64) {
	p.uses = slices.Grow(p.uses[:0], len(p.sums))[:len(p.sums)]
	clear(p.uses)
	for _, l := range p.loads {
		if l.node != none {
			p.uses[l.node] += l.used
		}
	}
	p.nodes = 0
	for node, held := range p.held {
		if held == 0 {
			continue
		}
		p.nodes++
		if p.uses[node] > p.cores*(1+rounding) {
			p.out.Contention += minutes
		}
		if p.sums[node] > p.cores*(1+rounding) {
			p.out.Overfull += minutes
		}
	}
	p.out.NodeHours += float64(p.nodes) * minutes
	p.out.MostNodes = max(p.out.MostNodes, p.nodes)
}
