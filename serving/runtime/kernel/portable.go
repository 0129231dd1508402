package kernel

// portable computes a tile of one or two rows and four columns: eight sums that do not wait for each
// other.
func (t *tile) portable() {
	if t.rows == 1 {
		t.one()
		return
	}
	t.two()
}

func (t *tile) one() {
	x, w := t.x[:t.k], t.w[:4*t.k]
	s := [4]float32(t.from)
	a, b, c, d := s[0], s[1], s[2], s[3]
	for i, v := range x {
		q := w[4*i : 4*i+4 : 4*i+4]
		a += v * q[0]
		b += v * q[1]
		c += v * q[2]
		d += v * q[3]
	}
	t.put(0, a, b, c, d)
}

func (t *tile) two() {
	x, z, w := t.x[:t.k], t.x[t.xs:t.xs+t.k], t.w[:4*t.k]
	s, u := [4]float32(t.from), [4]float32(t.from[t.fs:])
	a, b, c, d := s[0], s[1], s[2], s[3]
	e, f, g, h := u[0], u[1], u[2], u[3]
	for i, v := range x {
		q := w[4*i : 4*i+4 : 4*i+4]
		a += v * q[0]
		b += v * q[1]
		c += v * q[2]
		d += v * q[3]
		v = z[i]
		e += v * q[0]
		f += v * q[1]
		g += v * q[2]
		h += v * q[3]
	}
	t.put(0, a, b, c, d)
	t.put(t.ys, e, f, g, h)
}

// put writes four sums at y[at].
func (t *tile) put(at int, a, b, c, d float32) {
	y := t.y[at : at+4 : at+4]
	y[0], y[1], y[2], y[3] = max(a, t.floor), max(b, t.floor), max(c, t.floor), max(d, t.floor)
}
