package sizing

import (
	"encoding/binary"
	"math/bits"
)

// packed is the levels of all hours of some days, oldest first, in some four bits each. A bit of a byte stands before
// the lower ones:
//
//	a day     1: every hour was measured; 00: none was; 01 and 24 bits: those whose bit is 1 were
//	an hour   that was measured: by how much its level differs from the expected one, in a Rice code
//
// Expected is what the same hour took on the days before, the newest of them counting a quarter. A difference d is the
// number 2d, or -2d-1 where it is negative; a Rice code of k bits is that number without its k lowest bits in as many
// ones and a zero, then those bits. K follows from the numbers so far. After mostOnes ones comes the level itself
// instead, in 8 bits.
type packed string

const (
	mostOnes   = 12
	jump       = 48                                                   // a number that tells no more of the next ones than a larger one does
	packedMost = (kept*(mostOnes+8) + kept/perDay*(2+perDay) + 7) / 8 // bytes
)

// pack packs the levels of whole days; nothing where nothing was measured.
func pack(levels *[kept]uint8) packed {
	if *levels == [kept]uint8{} {
		return ""
	}
	var w bitWriter
	g := newGuess()
	for day := 0; day < kept; day += perDay {
		of := levels[day : day+perDay]
		w.day(of)
		for hour, level := range of {
			if level != 0 {
				w.level(&g, hour, level)
			}
		}
	}
	return w.written()
}

// unpack is the reverse of pack.
func (p packed) unpack(levels *[kept]uint8) {
	clear(levels[:])
	if p == "" {
		return
	}
	var r bitReader
	copy(r.room[:], p)
	g := newGuess()
	for day := 0; day < kept; day += perDay {
		measured := r.day()
		for hour := range perDay {
			if measured>>(perDay-1-hour)&1 != 0 {
				levels[day+hour] = r.level(&g, hour)
			}
		}
	}
}

const wholeDay = 1<<perDay - 1

// day writes which hours were measured.
func (w *bitWriter) day(levels []uint8) {
	measured := uint64(0)
	for _, level := range levels {
		measured <<= 1
		if level != 0 {
			measured |= 1
		}
	}
	switch measured {
	case wholeDay:
		w.put(1, 1)
	case 0:
		w.put(0, 2)
	default:
		w.put(1<<perDay|measured, 2+perDay)
	}
}

func (r *bitReader) day() uint64 {
	r.fill()
	switch {
	case r.take(1) == 1:
		return wholeDay
	case r.take(1) == 0:
		return 0
	}
	return r.take(perDay)
}

func (w *bitWriter) level(g *guess, hour int, level uint8) {
	expected, k := g.of(hour)
	number := numberOf(int32(level) - expected)
	if ones := number >> k; ones < mostOnes {
		w.put((2<<ones-2)<<k|uint64(number)&(1<<k-1), int(ones)+1+k)
	} else {
		w.put((1<<mostOnes-1)<<8|uint64(level), mostOnes+8)
	}
	g.learn(hour, level, number)
}

func (r *bitReader) level(g *guess, hour int) uint8 {
	r.fill()
	expected, k := g.of(hour)
	ones := min(bits.LeadingZeros64(^r.word), mostOnes)
	if r.take(min(ones+1, mostOnes)); ones == mostOnes {
		level := uint8(r.take(8))
		g.learn(hour, level, numberOf(int32(level)-expected))
		return level
	}
	number := uint32(ones)<<k | uint32(r.take(k))
	level := uint8(expected + (int32(number>>1) ^ -int32(number&1)))
	g.learn(hour, level, number)
	return level
}

// numberOf is a difference as a number that is not negative.
func numberOf(d int32) uint32 { return uint32(d<<1 ^ d>>31) }

// guess is what packing expects of the next level.
type guess struct {
	usual  [32]int32 // level x 16 by hour; 0: none yet
	before int32     // level x 16 of the hour measured last
	spread uint32    // number x 32, newer ones counting more
}

func newGuess() guess { return guess{before: levels / 2 * 16, spread: 8 * 32} }

// of is the level expected of an hour, and how many bits of a number are written as they are.
func (g *guess) of(hour int) (level int32, k int) {
	usual := g.usual[hour%32]
	if usual == 0 {
		usual = g.before
	}
	return (usual + 8) >> 4, bits.Len32(g.spread * 11 / (32 * 16)) // 11/16: a number is mostly less than the mean
}

func (g *guess) learn(hour int, level uint8, number uint32) {
	g.before = int32(level) * 16
	if usual := &g.usual[hour%32]; *usual == 0 {
		*usual = g.before
	} else {
		*usual += (g.before - *usual) >> 2
	}
	g.spread += min(number, jump)*2 - g.spread/16
}

// bitRoom has room for the longest packed hours, and for a word after them.
type bitRoom [packedMost + 8]byte

// bitWriter writes bits into its room.
type bitWriter struct {
	room bitRoom
	word uint64 // its highest n bits are not written yet
	n    int    // below 8
	at   int
}

// put writes the n lowest bits of v, which has no others; n is 32 at most.
func (w *bitWriter) put(v uint64, n int) {
	w.n += n
	w.word |= v << (64 - w.n)
	binary.BigEndian.PutUint64(w.room[w.at:], w.word)
	w.at += w.n / 8
	w.word <<= w.n &^ 7
	w.n %= 8
}

// written is all that was, with zeros up to a whole byte.
func (w *bitWriter) written() packed { return packed(w.room[:w.at+(w.n+7)/8]) }

// bitReader takes bits. After the last there are zeros.
type bitReader struct {
	room bitRoom
	word uint64 // its highest n bits are next
	n    int
	at   int
}

// fill makes sure of 56 bits.
func (r *bitReader) fill() {
	r.word |= binary.BigEndian.Uint64(r.room[r.at:]) >> r.n
	r.at += (63 - r.n) / 8
	r.n |= 56
}

// take takes n of the bits that fill has made sure of.
func (r *bitReader) take(n int) uint64 {
	v := r.word >> (64 - n)
	r.word, r.n = r.word<<n, r.n-n
	return v
}
