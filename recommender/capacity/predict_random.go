package capacity

import "math"

// random is a small generator (splitmix64): the same seed gives the same numbers, so that predictions can be
// repeated, and two settings are compared under the same requests.
type random struct {
	state uint64
	spare float64 // a normal number that was made and not used
	full  bool
}

// uniform is above 0 and below 1.
func (r *random) uniform() float64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (float64((z^z>>31)>>11) + 0.5) / (1 << 53)
}

// exponential has the mean 1.
func (r *random) exponential() float64 { return -math.Log(r.uniform()) }

// normal has the mean 0 and the variance 1 (Marsaglia's polar method).
func (r *random) normal() float64 {
	if r.full {
		r.full = false
		return r.spare
	}
	for {
		u, v := 2*r.uniform()-1, 2*r.uniform()-1
		if s := u*u + v*v; s < 1 {
			by := math.Sqrt(-2 * math.Log(s) / s)
			r.spare, r.full = v*by, true
			return u * by
		}
	}
}

// gamma has the mean and the variance shape, which is above 0 (Marsaglia and Tsang, 2000).
func (r *random) gamma(shape float64) float64 {
	if shape < 1 {
		return r.gamma(shape+1) * math.Pow(r.uniform(), 1/shape)
	}
	d := shape - 1./3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		u := r.uniform()
		if u < 1-0.0331*x*x*x*x || math.Log(u) < x*x/2+d*(1-v+math.Log(v)) {
			return d * v
		}
	}
}

// geometric is how many of a row of chances it takes until one of the share p (above 0, at most 1) comes true.
func (r *random) geometric(p float64) float64 {
	if p >= 1 {
		return 1
	}
	return 1 + math.Floor(math.Log(r.uniform())/math.Log1p(-p))
}
