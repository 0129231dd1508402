package sharing

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const gib = 1 << 30

func card(t testing.TB, name string) Card {
	t.Helper()
	for _, c := range Cards() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no card %s", name)
	return Card{}
}

// named is the card's profiles of these names, "3g.40gb 1g.10gb".
func named(t testing.TB, c Card, names string) []Profile {
	t.Helper()
	var out []Profile
	for _, name := range strings.Fields(names) {
		p, ok := c.Profile(name)
		if !ok {
			t.Fatalf("%s has no %s", c.Name, name)
		}
		out = append(out, p)
	}
	return out
}

func TestCardOf(t *testing.T) {
	for product, want := range map[string]string{
		"NVIDIA A100-SXM4-80GB":            "A100-80GB",
		"NVIDIA-A100-SXM4-40GB":            "A100-40GB",
		"NVIDIA-A100-SXM4-40GB-MIG-1g.5gb": "A100-40GB",
		"NVIDIA A100 80GB PCIe":            "A100-80GB",
		"NVIDIA-A100-PCIE-40GB":            "A100-40GB",
		"NVIDIA-H100-80GB-HBM3":            "H100-80GB",
		"NVIDIA H100 PCIe":                 "H100-80GB",
		"NVIDIA H200":                      "H200",
		"NVIDIA-A30":                       "A30",
		"Tesla-T4-SHARED":                  "T4",
		"NVIDIA-L4":                        "L4",
		"NVIDIA-L40S":                      "L40S",
		"NVIDIA A10G":                      "A10G",
		"NVIDIA-A10":                       "A10",
		"NVIDIA-A2":                        "A2",
		"NVIDIA A40":                       "A40",
		"NVIDIA-L40":                       "L40",
		"NVIDIA RTX A6000":                 "RTX-A6000",
		"NVIDIA-RTX-6000-Ada-Generation":   "RTX-6000-ADA",
		"Tesla-V100-SXM2-16GB":             "V100-16GB",
		"Tesla V100-PCIE-32GB":             "V100-32GB",
		"Tesla V100S-PCIE-32GB":            "V100S-32GB",
		"Tesla-V100-SXM2-16GB-SHARED":      "V100-16GB",
		"Quadro RTX 6000":                  "", // 24 GB
		"GRID T4-8C":                       "", // half a card
		"NVIDIA-A40-12Q":                   "",
		"NVIDIA A10-24Q":                   "",
		"NVIDIA A100":                      "", // 40 or 80 GB
		"NVIDIA H100 NVL":                  "", // 94 GB
		"NVIDIA RTX A4000":                 "",
		"":                                 "",
	} {
		if got, ok := CardOf(product); got.Name != want || ok != (want != "") {
			t.Errorf("%q is %q, want %q", product, got.Name, want)
		}
	}
}

// TestCards: as many instances of a profile as NVIDIA's table says fit a card, and not one more.
func TestCards(t *testing.T) {
	if !slices.IsSortedFunc(Cards(), func(a, b Card) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted")
	}
	counts := map[int][]int{7: {7, 4, 3, 2, 1, 1}, 4: {4, 2, 1}, 0: nil}
	for _, c := range Cards() {
		for i, p := range c.Profiles {
			n := counts[c.Compute][i]
			if _, ok := c.Layout(slices.Repeat([]Profile{p}, n)); !ok {
				t.Errorf("%s does not hold %d × %s", c.Name, n, p.Name)
			}
			if _, ok := c.Layout(slices.Repeat([]Profile{p}, n+1)); ok {
				t.Errorf("%s holds %d × %s", c.Name, n+1, p.Name)
			}
			if len(p.Starts) != n || int64(n)*p.Memory > c.Memory {
				t.Errorf("%s: %d × %s of %d bytes on %d", c.Name, n, p.Name, p.Memory, c.Memory)
			}
		}
	}
}

func TestShare(t *testing.T) {
	var got []int64
	for _, p := range card(t, "A100-80GB").Profiles {
		got = append(got, p.Share(card(t, "A100-80GB")))
	}
	if want := []int64{143, 250, 286, 500, 572, 1000}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestSmallest: a duty d of the card keeps c of its 7 slices busy for d × 7/c, at most 0.8 here.
func TestSmallest(t *testing.T) {
	for _, c := range []struct {
		card   string
		duty   float64
		memory int64
		want   string
	}{
		{"A100-80GB", 0, 0, "1g.10gb"},
		{"A100-80GB", 0.11, 9 * gib, "1g.10gb"},  // 0.77
		{"A100-80GB", 0.12, 9 * gib, "2g.20gb"},  // 0.84, 0.42
		{"A100-80GB", 0.11, 10 * gib, "1g.20gb"}, // 9.5 GiB are too few
		{"A100-80GB", 0.22, 19 * gib, "2g.20gb"}, // 0.77
		{"A100-80GB", 0.24, 19 * gib, "3g.40gb"}, // 0.84, 0.56
		{"A100-80GB", 0.4, 39 * gib, "4g.40gb"},  // 0.93, 0.70
		{"A100-80GB", 0.01, 40 * gib, "7g.80gb"}, // 39.25 GiB are too few
		{"A100-80GB", 0.79, 1 * gib, "7g.80gb"},
		{"A100-80GB", 0.81, 1 * gib, ""},
		{"A100-80GB", 0.1, 80 * gib, ""},
		{"A100-40GB", 0.1, 9 * gib, "1g.10gb"},
		{"H200", 0.1, 33 * gib, "3g.71gb"},
		{"A30", 0.3, 6 * gib, "2g.12gb"}, // 0.3 × 4/2 = 0.6
		{"T4", 0.1, gib, ""},
	} {
		got, ok := card(t, c.card).Smallest(c.duty, c.memory, 0.8)
		if got.Name != c.want || ok != (c.want != "") {
			t.Errorf("%+v: got %q", c, got.Name)
		}
	}
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		profiles string
		want     []int
	}{
		{"7g.80gb", []int{0}},
		{"3g.40gb 3g.40gb", []int{0, 4}},
		{"3g.40gb 4g.40gb", []int{4, 0}},
		{"4g.40gb 4g.40gb", nil},
		{"2g.20gb 2g.20gb 3g.40gb", []int{0, 2, 4}},
		{"3g.40gb 2g.20gb 2g.20gb", []int{4, 0, 2}},
		{"4g.40gb 2g.20gb 1g.10gb", []int{0, 4, 6}},
		{"2g.20gb 2g.20gb 2g.20gb 2g.20gb", nil}, // the fourth has no place to begin
		{"2g.20gb 2g.20gb 2g.20gb 1g.20gb", []int{0, 2, 4, 6}},
		{"1g.20gb 1g.20gb 1g.20gb 1g.20gb", []int{0, 2, 4, 6}},
		{"7g.80gb 1g.10gb", nil},
		{"", nil},
	} {
		got, ok := card(t, "A100-80GB").Layout(named(t, card(t, "A100-80GB"), c.profiles))
		if ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.profiles, got, ok, c.want)
		}
	}
}

// TestLayoutIsTheNaiveOne tries every combination of places.
func TestLayoutIsTheNaiveOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		c := card(t, []string{"A100-80GB", "A30"}[r.IntN(2)])
		var profiles []Profile
		for range 1 + r.IntN(7) {
			profiles = append(profiles, c.Profiles[r.IntN(len(c.Profiles))])
		}
		at, ok := c.Layout(profiles)
		if ok != naive(profiles, make([]bool, c.Slots)) {
			t.Fatalf("%v: %v", profiles, ok)
		}
		if ok && !apart(c, profiles, at) {
			t.Fatalf("%v overlap at %v", profiles, at)
		}
	}
}

func naive(profiles []Profile, taken []bool) bool {
	if len(profiles) == 0 {
		return true
	}
	for _, start := range profiles[0].Starts {
		next := slices.Clone(taken)
		if !take(next, start, profiles[0].Size) {
			continue
		}
		if naive(profiles[1:], next) {
			return true
		}
	}
	return false
}

func take(taken []bool, start, size int) bool {
	for i := start; i < start+size; i++ {
		if i >= len(taken) || taken[i] {
			return false
		}
		taken[i] = true
	}
	return true
}

// apart tells whether the profiles begin where they may and share no slice.
func apart(c Card, profiles []Profile, at []int) bool {
	taken := make([]bool, c.Slots)
	for i, p := range profiles {
		if !slices.Contains(p.Starts, at[i]) || !take(taken, at[i], p.Size) {
			return false
		}
	}
	return true
}

func TestChoices(t *testing.T) {
	o := DefaultOptions()
	o.DutyMargin, o.MemoryMargin = 0, 0
	for _, c := range []struct {
		card   string
		duty   float64
		memory int64
		want   []Choice
	}{
		{"A100-80GB", 0.10, 9 * gib, []Choice{{TimeSlice, "", 8, 125}, {MIG, "1g.10gb", 7, 143}, {"", "", 1, 1000}}},
		{"A100-80GB", 0.30, 30 * gib, []Choice{{MIG, "3g.40gb", 2, 500}, {TimeSlice, "", 2, 500}, {"", "", 1, 1000}}},
		{"A100-80GB", 0.05, 45 * gib, []Choice{{"", "", 1, 1000}}}, // 90 GiB for two
		{"A100-80GB", 0.50, 10 * gib, []Choice{{"", "", 1, 1000}}}, // 100 % for two, 0.5 × 7/4 = 88 % of 4g.40gb
		{"A100-80GB", 0.45, 10 * gib, []Choice{{MIG, "4g.40gb", 1, 572}, {"", "", 1, 1000}}},
		{"T4", 0.20, 5 * gib, []Choice{{TimeSlice, "", 2, 500}, {"", "", 1, 1000}}}, // 14.5 / 5
		{"T4", 0, 0, []Choice{{TimeSlice, "", 8, 125}, {"", "", 1, 1000}}},
	} {
		need := Need{Card: card(t, c.card), Duty: c.duty, Memory: c.memory}
		if got := need.Choices(o); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %v %d GiB: got %v, want %v", c.card, c.duty, c.memory/gib, got, c.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[99-i] = float64(i + 1)
	}
	for _, c := range []struct {
		series  []float64
		q, want float64
	}{
		{hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0, 1}, {hundred, 0.5, 50},
		{[]float64{4, nan, 1, 3, 2}, 0.5, 2}, {[]float64{nan}, 0.5, 0}, {nil, 0.5, 0},
	} {
		if got := Percentile(c.series, c.q); got != c.want {
			t.Errorf("p%v of %d values: %v, want %v", c.q*100, len(c.series), got, c.want)
		}
	}
}
