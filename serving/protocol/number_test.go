package protocol

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestNumbersAgainstStrconv: every text that JSON calls a number is read as strconv reads it, in front of
// every kind of end.
func TestNumbersAgainstStrconv(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 / fewer {
		checkNumber(t, randomNumber(r), []string{"", ",", "]", " ,1.25,2.5]", "]}]}"}[r.IntN(5)])
	}
}

func randomNumber(r *rand.Rand) string {
	switch r.IntN(10) {
	case 0: // any float32, as short as can be
		return strconv.FormatFloat(float64(math.Float32frombits(r.Uint32()&^(1<<30))), 'g', -1, 32)
	case 1: // any float64
		return strconv.FormatFloat(math.Float64frombits(r.Uint64()), 'g', -1, 64)
	case 2: // what Python writes of numbers between 0 and 1
		return strconv.FormatFloat(r.Float64(), 'g', -1, 64)
	case 3: // usual requests
		return strconv.FormatFloat(float64(float32(r.NormFloat64())), 'f', -1, 32)
	case 4: // middles between two float32, exactly
		f := math.Float32frombits(r.Uint32() &^ (1 << 31) % (0x7f << 23))
		up := math.Nextafter32(f, math.MaxFloat32)
		return strconv.FormatFloat(float64(f)+(float64(up)-float64(f))/2, 'f', -1, 64)
	case 5: // next to a middle, in the digits that float64 does not see
		f := float64(r.IntN(1<<24)) + 0.5
		return strconv.FormatFloat(f*float64(int(1)<<r.IntN(10)), 'f', -1, 64) + strings.Repeat("0", r.IntN(20)) + "1"
	case 6:
		return strconv.FormatInt(int64(r.Uint64()>>r.IntN(64)), 10)
	case 7: // subnormal and near the end
		return strconv.FormatFloat(r.Float64()*10, 'e', r.IntN(20), 64) + []string{"", "-4", "-38", "-44", "+38"}[r.IntN(5)]
	}
	return mangled(r)
}

// mangled is anything made of a number's characters.
func mangled(r *rand.Rand) string {
	const characters = "00123456789999.-+eE"
	b := make([]byte, 1+r.IntN(25))
	for i := range b {
		b[i] = characters[r.IntN(len(characters))]
	}
	return string(b)
}

func checkNumber(t *testing.T, text, tail string) {
	t.Helper()
	b := []byte(text + tail)
	valid := json.Valid([]byte(text)) && (text[0] == '-' || text[0]-'0' < 10)
	want32, err32 := strconv.ParseFloat(text, 32)
	got32, end32 := float32At(b, 0)
	if ok := valid && err32 == nil; ok != (end32 == len(text)) || ok && math.Float32bits(got32) != math.Float32bits(float32(want32)) {
		t.Fatalf("%q: float32 %v up to %d; strconv says %v, %v", b, got32, end32, float32(want32), err32)
	}
	want64, err64 := strconv.ParseFloat(text, 64)
	got64, end64 := float64At(b, 0)
	if ok := valid && err64 == nil; ok != (end64 == len(text)) || ok && math.Float64bits(got64) != math.Float64bits(want64) {
		t.Fatalf("%q: float64 %v up to %d; strconv says %v, %v", b, got64, end64, want64, err64)
	}
	wantInt, errInt := strconv.ParseUint(strings.TrimPrefix(text, "-"), 10, 64)
	size, neg, end := integerAt(b, 0)
	if ok := valid && errInt == nil; ok != (end == len(text)) || ok && (size != wantInt || neg != strings.HasPrefix(text, "-")) {
		t.Fatalf("%q: integer %d %v up to %d; strconv says %d, %v", b, size, neg, end, wantInt, errInt)
	}
}

func TestNumbersByHand(t *testing.T) {
	for _, text := range []string{"0", "-0", "1", "0.1", "16777217", "16777219", "9007199254740993", "1e22", "1e23", "1e39", "-1e39",
		"3.4028235e38", "3.4028236e38", "3.40282357e38", "1.401298464324817e-45", "7e-46", "1.17549435e-38", "1e-400", "1e400",
		"0.00000000000000000000001", "123456789012345678", "1234567890123456789", "18446744073709551615", "18446744073709551616",
		"01", "-01", "1.", ".5", "-", "", "+1", "1e", "1e+", "1.e1", "1e00005", "0x10", "1_0", "Inf", "NaN", "0e0", "0.0e-9", "1E5", "00.5"} {
		for _, tail := range []string{"", ",", "]", "          ", ",0.12345678,0.123456789]"} {
			if text != "" {
				checkNumber(t, text, tail)
			}
		}
	}
}

func FuzzNumber(f *testing.F) {
	f.Add("16777217", ",")
	f.Add("0.1234567890123456789", "]")
	f.Fuzz(func(t *testing.T, text, tail string) {
		if text == "" || tail != "" && strings.ContainsAny(tail[:1], "0123456789.eE+-") || strings.TrimSpace(text) != text {
			return
		}
		checkNumber(t, text, tail)
	})
}
