package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// best is the fastest level of this processor, as far as the operating system saves its registers.
func best() level {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX:
		return avx512
	case x.HasAVX2 && x.HasFMA:
		return avx2
	}
	return portable
}

// run computes the tile for a panel of wide columns.
func (t *tile) run(l level, wide int) {
	x, w, next := unsafe.SliceData(t.x), unsafe.SliceData(t.w), unsafe.SliceData(t.next)
	from, y := unsafe.SliceData(t.from), unsafe.SliceData(t.y)
	switch {
	case l == avx512 && wide == 32:
		panel32AVX512(t.rows, x, 4*t.xs, w, t.k, next, t.pace, from, 4*t.fs, y, 4*t.ys, t.floor)
	case l == avx512:
		panel16AVX512(t.rows, x, 4*t.xs, w, t.k, next, t.pace, from, 4*t.fs, y, 4*t.ys, t.floor)
	case l == avx2 && wide == 16:
		panel16AVX2(t.rows, x, 4*t.xs, w, t.k, next, t.pace, from, 4*t.fs, y, 4*t.ys, t.floor)
	case l == avx2:
		panel8AVX2(t.rows, x, 4*t.xs, w, t.k, next, t.pace, from, 4*t.fs, y, 4*t.ys, t.floor)
	default:
		t.portable()
	}
}
