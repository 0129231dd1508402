package protocol

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unsafe"
)

const (
	mostDigits = 18                 // digits that surely fit into an int64
	eachByte   = 0x0101010101010101 // times a byte is that byte eight times
	allBits    = 1<<64 - 1
)

// Powers of ten, never written: those that a float64 holds without rounding, and as integers.
var (
	floatTens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
		1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}
	intTens = [...]uint64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}
)

// numberEnd returns where the number at i ends, after JSON's grammar, and whether it has neither point
// nor exponent; -1 where there is no number.
func numberEnd(b []byte, i int) (end int, integer bool) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	if i = digitsEnd(b, i); i == first || i > first+1 && b[first] == '0' {
		return -1, false
	}
	integer = true
	if i < len(b) && b[i] == '.' {
		integer = false
		from := i + 1
		if i = digitsEnd(b, from); i == from {
			return -1, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		integer = false
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = digitsEnd(b, from); i == from {
			return -1, false
		}
	}
	return i, integer
}

func digitsEnd(b []byte, i int) int {
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	return i
}

// float32At reads the number at i and returns where it ends, -1 where there is no number of float32. The
// value is the one that strconv.ParseFloat(text, 32) gives.
func float32At(b []byte, i int) (value float32, end int) {
	if i < 16 || len(b)-i < 24 {
		return any32At(b, i)
	}
	value, length := usual32(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))
	if end = i + length; length == 0 || b[end]|0x20 == 'e' {
		return any32At(b, i)
	}
	return value, end
}

// usual32 reads the usual number at p, a digit, a point and up to 16 digits, and returns its length: 0 for any
// other, but it does not see an exponent behind it. It looks at 16 bytes before p and at 24 from p on.
//
// The end is found first, for on it hangs the next number; then the digits are read backwards from the end,
// eight at a time. No branch depends on the sign or on where among eight digits the number ends: what cannot
// be predicted costs more than all the rest.
func usual32(p unsafe.Pointer) (value float32, length int) {
	neg := uint64(0)
	if *(*byte)(p) == '-' {
		neg = 1
	}
	lead := *(*uint16)(unsafe.Add(p, neg)) - ('0' | '.'<<8)        // 0 to 9: a digit and a point
	size, other := uint64(0), notNumeric(*(*uint64)(p))&^(1<<24-1) // the first three bytes are not looked at
	if other == 0 {
		size, other = 8, notNumeric(*(*uint64)(unsafe.Add(p, 8)))
	}
	if other == 0 {
		size, other = 16, notNumeric(*(*uint64)(unsafe.Add(p, 16)))
	}
	size += uint64(bits.TrailingZeros64(other)) >> 3
	n, end := size-2-neg, unsafe.Add(p, size) // digits behind the point
	if lead > 9 || n-1 > 15 {
		return 0, 0
	}
	tens := &scales[n&31]
	w := (*(*uint64)(unsafe.Add(end, -8)) ^ '0'*eachByte) & tens.low
	m, wrong := uint64(lead)*tens.whole+eightDigits(w), notDigits(w)
	if n > 8 {
		w = (*(*uint64)(unsafe.Add(end, -16)) ^ '0'*eachByte) & tens.high
		m, wrong = m+eightDigits(w)*1e8, wrong|notDigits(w)
	}
	d := math.Float64bits(float64(int64(m)) / tens.float)
	if wrong != 0 || nearMiddle(d) {
		return 0, 0
	}
	return float32(math.Float64frombits(d | neg<<63)), int(size)
}

// notNumeric has bits where a byte of w is no digit. Some that are not have none, but all that end a number do.
func notNumeric(w uint64) uint64 { return (w ^ 0x10*eachByte) & (0x50 * eachByte) }

// notDigits has bits where a byte of w, whose digits are 0 to 9, is above 9.
func notDigits(w uint64) uint64 { return (w + (0x80-10)*eachByte | w) & (0x80 * eachByte) }

// scale is what belongs to a number of digits behind the point.
type scale struct {
	low, high uint64  // which of the last eight bytes, and of the eight before them, are among the digits
	whole     uint64  // ten to the power of that number
	float     float64 // the same
}

// scales is never written after its making.
var scales = makeScales()

func makeScales() (s [32]scale) {
	for n := 1; n <= 16; n++ {
		s[n] = scale{low: allBits << (64 - 8*min(n, 8)), whole: intTens[n], float: floatTens[n]}
		if n > 8 {
			s[n].high = allBits << (128 - 8*n)
		}
	}
	return s
}

// any32At is float32At for every number.
//
// The digits as an integer m of at most 18 digits and a power of ten of at most 22 give m × 10^e in float64
// with two roundings, each half a unit in the last place at most: 2 units of float64 off, no more. Rounding
// that to float32 gives the right value unless the middle between two float32 lies within these 2 units.
// The rare numbers where it does go to strconv, as all long ones do.
func any32At(b []byte, i int) (value float32, end int) {
	m, e, end, neg := decimalAt(b, i)
	if end < 0 || uint(e+22) > 44 {
		return slow32(b, i)
	}
	d := math.Float64bits(timesTen(m, e))
	if power := d>>52 - (1023 - 125); m != 0 && (nearMiddle(d) || power > 250) { // subnormal, or near the end
		return slow32(b, i)
	}
	return float32(math.Float64frombits(d | neg<<63)), end
}

// nearMiddle says whether the float64 d is within 4 units of the middle between two float32.
func nearMiddle(d uint64) bool { return d&(1<<29-1)-(1<<28-4) <= 8 }

// timesTen is m × 10^e, e from -22 to 22.
func timesTen(m int64, e int) float64 {
	if e < 0 {
		return float64(m) / floatTens[-e]
	}
	return float64(m) * floatTens[e]
}

// digitsIn is how many of the bytes of w are digits, from the lowest on, up to the first that is not.
func digitsIn(w uint64) uint {
	return uint(bits.TrailingZeros64(notDigits(w))) >> 3
}

// slow32 is float32At by way of strconv.
func slow32(b []byte, i int) (float32, int) {
	end, _ := numberEnd(b, i)
	if end < 0 {
		return 0, -1
	}
	v, err := strconv.ParseFloat(string(b[i:end]), 32)
	if err != nil {
		return 0, -1
	}
	return float32(v), end
}

// float64At is float32At for float64: exact where m has at most 53 bits (Clinger's case), strconv elsewhere.
func float64At(b []byte, i int) (value float64, end int) {
	m, e, end, neg := decimalAt(b, i)
	if end < 0 || m > 1<<53 || uint(e+22) > 44 {
		return slow64(b, i)
	}
	d := timesTen(m, e)
	return math.Float64frombits(math.Float64bits(d) | neg<<63), end
}

func slow64(b []byte, i int) (float64, int) {
	end, _ := numberEnd(b, i)
	if end < 0 {
		return 0, -1
	}
	v, err := strconv.ParseFloat(string(b[i:end]), 64)
	if err != nil {
		return 0, -1
	}
	return v, end
}

// decimalAt takes the number at i apart into m × 10^e. The end is -1 for what is not a number or has too
// many digits.
func decimalAt(b []byte, i int) (m int64, e, end int, neg uint64) {
	if i < len(b) && b[i] == '-' {
		neg = 1
		i++
	}
	u, first := uint64(0), i
	for i < len(b) && b[i]-'0' < 10 {
		u = u*10 + uint64(b[i]-'0')
		i++
	}
	digits := i - first
	if digits == 0 || digits > 1 && b[first] == '0' {
		return 0, 0, -1, neg
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		u, i = fractionAt(b, from, u)
		e = from - i
		if digits -= e; e == 0 {
			return 0, 0, -1, neg
		}
	}
	if digits > mostDigits {
		return 0, 0, -1, neg
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		power, to := powerAt(b, i+1)
		e, i = e+power, to
	}
	return int64(u), e, i, neg
}

// powerAt reads the exponent at i, behind the e.
func powerAt(b []byte, i int) (e, end int) {
	neg := false
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		neg = b[i] == '-'
		i++
	}
	end = digitsEnd(b, i)
	if end == i || end-i > 4 {
		return 0, -1
	}
	for _, c := range b[i:end] {
		e = e*10 + int(c-'0')
	}
	if neg {
		e = -e
	}
	return e, end
}

// fractionAt goes on with the digits at i, eight at a time: the bytes as one integer show how many of them
// are digits, are moved so that the last digit is the last byte, and are added up in pairs, fours and eights.
func fractionAt(b []byte, i int, m uint64) (uint64, int) {
	for len(b)-i >= 8 {
		w := binary.LittleEndian.Uint64(b[i:]) ^ '0'*eachByte
		n := digitsIn(w)
		m = m*intTens[n] + eightDigits(w<<(64-8*n))
		i += int(n)
		if n < 8 {
			return m, i
		}
	}
	for i < len(b) && b[i]-'0' < 10 {
		m = m*10 + uint64(b[i]-'0')
		i++
	}
	return m, i
}

// eightDigits is the number whose digits are the bytes of w, the lowest byte first.
func eightDigits(w uint64) uint64 {
	w = w*10 + w>>8 // bytes 0, 2, 4 and 6 are pairs now
	const pairs = 0x000000FF000000FF
	return ((w&pairs)*(100+1_000_000<<32) + (w>>16&pairs)*(1+10_000<<32)) >> 32
}

// integerAt reads the integer at i as a sign and a size, and returns where it ends: -1 where there is no
// integer of 64 bits.
func integerAt(b []byte, i int) (size uint64, neg bool, end int) {
	end, integer := numberEnd(b, i)
	if !integer {
		return 0, false, -1
	}
	if neg = b[i] == '-'; neg {
		i++
	}
	if end-i > mostDigits {
		size, err := strconv.ParseUint(string(b[i:end]), 10, 64)
		if err != nil {
			end = -1
		}
		return size, neg, end
	}
	for _, c := range b[i:end] {
		size = size*10 + uint64(c-'0')
	}
	return size, neg, end
}
