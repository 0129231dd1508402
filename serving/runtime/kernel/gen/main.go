// Command gen writes the kernel's assembly: for each instruction set a function that multiplies a few
// rows with one panel of packed weights.
package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// panel is a function: what it needs beside the number of rows.
type panel struct {
	set    string
	bytes  int // of a register
	vecs   int // registers across the panel
	vec    func() reg.VecVirtual
	x      [2]reg.GPVirtual // rows 0 and 4
	stride reg.GPVirtual    // from row to row of x, bytes
	triple reg.GPVirtual    // three strides
	w, k   reg.GPVirtual
	next   reg.GPVirtual // what is fetched meanwhile
	pace   reg.GPVirtual // bytes of it for each of the k values
}

func main() {
	ConstraintExpr("amd64")
	for _, vecs := range []int{2, 1} {
		write(panel{set: "AVX512", bytes: 64, vecs: vecs, vec: func() reg.VecVirtual { return ZMM() }}, 8)
		write(panel{set: "AVX2", bytes: 32, vecs: vecs, vec: func() reg.VecVirtual { return YMM() }}, 6)
	}
	Generate()
}

// write makes one function; most is the number of rows whose sums fit into the registers.
func write(p panel, most int) {
	name := fmt.Sprintf("panel%d%s", p.vecs*p.bytes/4, p.set)
	TEXT(name, NOSPLIT, "func(rows int, x *float32, xs int, w *float32, k int, next *float32, pace int, from *float32, fs int, y *float32, ys int, floor float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is from + x*w, at least floor, for 1 to %d rows and %d columns of k weights. xs, fs and", name, most, p.vecs*p.bytes/4),
		"ys are the bytes from row to row; of what begins at next, pace bytes are fetched for each of the k values.")
	load := func(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }
	rows, from, fs := load("rows"), load("from"), load("fs")
	p.x[0], p.stride, p.w, p.k, p.next, p.pace = load("x"), load("xs"), load("w"), load("k"), load("next"), load("pace")
	p.triple, p.x[1] = GP64(), GP64()
	LEAQ(Mem{Base: p.stride, Index: p.stride, Scale: 2}, p.triple)
	LEAQ(Mem{Base: p.x[0], Index: p.stride, Scale: 4}, p.x[1])
	for r := most; r > 1; r-- {
		CMPQ(rows, Imm(uint64(r)))
		JEQ(LabelRef(fmt.Sprint("rows", r)))
	}
	for r := 1; r <= most; r++ {
		Label(fmt.Sprint("rows", r))
		acc := p.begin(r, from, fs)
		p.sum(r, acc)
		p.end(r, acc, load("y"), load("ys"))
	}
}

// begin starts the sums with what from holds: the bias, or the sums so far. Few rows spread their sums
// over several chains, since each addition of a chain waits for the one before.
func (p panel) begin(rows int, from, fs reg.GPVirtual) (acc [][]reg.VecVirtual) {
	chains := []int{4, 2, 2, 1, 1, 1, 1, 1}[rows-1]
	for i := range rows * chains {
		acc = append(acc, make([]reg.VecVirtual, p.vecs))
		for v := range acc[i] {
			acc[i][v] = p.vec()
			if i < rows {
				VMOVUPS(Mem{Base: from, Disp: v * p.bytes}, acc[i][v])
			} else {
				VXORPS(acc[i][v].AsY(), acc[i][v].AsY(), acc[i][v].AsY())
			}
		}
		if i < rows-1 {
			ADDQ(fs, from)
		}
	}
	return acc
}

// sum goes over the k values: one for each chain a turn, then what is left.
func (p panel) sum(rows int, acc [][]reg.VecVirtual) {
	for _, n := range slices.Compact([]int{len(acc) / rows, 1}) {
		label := fmt.Sprintf("sum%dby%d", rows, n)
		SUBQ(U32(n), p.k)
		JLT(LabelRef(label + "end"))
		Label(label)
		for i := range n {
			p.step(rows, i, acc[i*rows:])
		}
		ADDQ(U32(n*p.vecs*p.bytes), p.w)
		ADDQ(U32(4*n), p.x[0])
		ADDQ(U32(4*n), p.x[1])
		SUBQ(U32(n), p.k)
		JGE(LabelRef(label))
		Label(label + "end")
		ADDQ(U32(n), p.k)
	}
}

// step adds the products of one value of each row.
func (p panel) step(rows, i int, acc [][]reg.VecVirtual) {
	w := make([]reg.VecVirtual, p.vecs)
	for v := range w {
		w[v] = p.vec()
		VMOVUPS(Mem{Base: p.w, Disp: (i*p.vecs + v) * p.bytes}, w[v])
	}
	PREFETCHT0(Mem{Base: p.next}) // the processor fetches cache lines by pairs
	ADDQ(p.pace, p.next)
	for r := range rows {
		x := Mem{Base: p.x[r/4], Disp: 4 * i}
		switch r % 4 {
		case 1, 2:
			x.Index, x.Scale = p.stride, uint8(r%4)
		case 3:
			x.Index, x.Scale = p.triple, 1
		}
		b := p.vec()
		VBROADCASTSS(x, b)
		for v := range w {
			VFMADD231PS(w[v], b, acc[r][v])
		}
	}
}

// end adds the chains, raises what is below the floor (a NaN stays) and writes the sums.
func (p panel) end(rows int, acc [][]reg.VecVirtual, y, ys reg.GPVirtual) {
	floor := p.vec()
	f, _ := Param("floor").Resolve()
	VBROADCASTSS(f.Addr, floor)
	for i := len(acc) - 1; i >= 0; i-- {
		for v := range acc[i] {
			if i >= rows {
				VADDPS(acc[i][v], acc[i-rows][v], acc[i-rows][v])
			}
		}
	}
	for r := range rows {
		for v, a := range acc[r] {
			VMAXPS(a, floor, a)
			VMOVUPS(a, Mem{Base: y, Disp: v * p.bytes})
		}
		ADDQ(ys, y)
	}
	VZEROUPPER()
	RET()
}
