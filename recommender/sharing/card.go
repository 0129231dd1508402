package sharing

import (
	"slices"
	"strings"
)

// Card is a model of GPU.
type Card struct {
	Name     string    // as Cards names it; empty: the card is not known, and nothing is shared on it
	Memory   int64     // bytes that pods can use, with MIG off
	Compute  int       // compute slices that MIG cuts it into; 0: it has no MIG
	Slots    int       // memory slices that MIG cuts it into
	Profiles []Profile // MIG instances, the smallest first
}

// Profile is a kind of MIG instance.
type Profile struct {
	Name    string // "3g.40gb"; the resource is nvidia.com/mig-3g.40gb
	Compute int    // compute slices it has
	Size    int    // memory slices it takes
	Memory  int64  // bytes that a pod in it can use
	Starts  []int  // the memory slices at which it may begin
}

// Share is the part of the card that the profile takes away from others, in thousandths: of compute or of
// memory slices, whichever is more, rounded up.
//
//	1g.10gb 143   1g.20gb 250   2g.20gb 286   3g.40gb 500   4g.40gb 572   7g.80gb 1000
func (p Profile) Share(c Card) int64 {
	return max(share(p.Compute, c.Compute), share(p.Size, c.Slots))
}

// share is a/b in thousandths, rounded up.
func share(a, b int) int64 { return int64((1000*a + b - 1) / b) }

// quarter is the unit of the tables below. Drivers differ by some hundred MiB in what they leave to pods,
// so all sizes are rounded down.
const quarter = 1 << 28 // bytes in a quarter of a GiB

// Cards is the models that are known, sorted by name: compute and memory slices and instances as in NVIDIA's
// "Supported MIG Profiles", places as "nvidia-smi mig -lgipp" lists them, memory in GiB from listings of
// "nvidia-smi mig -lgip" and, of whole cards, of nvidia-smi with ECC on. Profiles with media extensions (+me) are
// left out. Cards before Ampere, and those of Ampere and Ada for graphics, have no MIG: they are shared by turns.
func Cards() []Card {
	return []Card{
		{Name: "A10", Memory: 88 * quarter},
		seven("A100-40GB", 158, [4]int64{19, 38, 78, 157}, [6]string{"1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"}),
		seven("A100-80GB", 316, [4]int64{38, 78, 157, 316}, [6]string{"1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"}),
		{Name: "A10G", Memory: 88 * quarter},
		{Name: "A16", Memory: 58 * quarter}, // one of the four GPUs of the board
		{Name: "A2", Memory: 58 * quarter},
		{Name: "A30", Memory: 93 * quarter, Compute: 4, Slots: 4, Profiles: []Profile{
			{"1g.6gb", 1, 1, 23 * quarter, []int{0, 1, 2, 3}},
			{"2g.12gb", 2, 2, 46 * quarter, []int{0, 2}},
			{"4g.24gb", 4, 4, 93 * quarter, []int{0}},
		}},
		{Name: "A40", Memory: 178 * quarter},
		seven("H100-80GB", 316, [4]int64{38, 78, 157, 316}, [6]string{"1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"}),
		seven("H200", 560, [4]int64{64, 130, 278, 560}, [6]string{"1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"}),
		{Name: "L4", Memory: 88 * quarter},
		{Name: "L40", Memory: 178 * quarter},
		{Name: "L40S", Memory: 178 * quarter},
		{Name: "RTX-6000-ADA", Memory: 178 * quarter},
		{Name: "RTX-A6000", Memory: 178 * quarter},
		{Name: "T4", Memory: 58 * quarter},
		{Name: "V100-16GB", Memory: 62 * quarter},
		{Name: "V100-32GB", Memory: 126 * quarter},
		{Name: "V100S-32GB", Memory: 126 * quarter},
	}
}

// seven is a card of seven compute and eight memory slices, as all of A100, H100 and H200 are; memory in
// quarters of a GiB, of the card and of an eighth, a fourth, a half and all of it.
func seven(name string, card int64, memory [4]int64, names [6]string) Card {
	return Card{Name: name, Memory: card * quarter, Compute: 7, Slots: 8, Profiles: []Profile{
		{names[0], 1, 1, memory[0] * quarter, []int{0, 1, 2, 3, 4, 5, 6}},
		{names[1], 1, 2, memory[1] * quarter, []int{0, 2, 4, 6}},
		{names[2], 2, 2, memory[1] * quarter, []int{0, 2, 4}},
		{names[3], 3, 4, memory[2] * quarter, []int{0, 4}},
		{names[4], 4, 4, memory[2] * quarter, []int{0}},
		{names[5], 7, 8, memory[3] * quarter, []int{0}},
	}}
}

// CardOf finds the card by what the driver, DCGM (modelName) or the node label nvidia.com/gpu.product calls
// it: "NVIDIA A100-SXM4-80GB", "Tesla-T4-SHARED". False: it is not known, the name leaves its memory open
// where models differ ("NVIDIA A100"), or it is a part of a card, as a virtual GPU is ("GRID T4-8C").
func CardOf(product string) (Card, bool) {
	words := strings.FieldsFunc(strings.ToUpper(product), func(r rune) bool { return r == '-' || r == ' ' || r == '_' })
	if slices.ContainsFunc(words, virtual) {
		return Card{}, false
	}
	for _, c := range Cards() {
		all := strings.Split(c.Name, "-")
		if !slices.ContainsFunc(all, func(w string) bool { return !slices.Contains(words, w) }) {
			return c, true
		}
	}
	if slices.Contains(words, "H100") && slices.Contains(words, "PCIE") { // it has 80 GB and its name does not say so
		return CardOf("H100-80GB")
	}
	return Card{}, false
}

// virtual tells the profile of NVIDIA vGPU in a card's name: its memory in GB and A, B, C or Q for what it is for.
func virtual(word string) bool {
	size := strings.TrimRight(word, "ABCQ")
	return size != "" && len(word) == len(size)+1 && strings.Trim(size, "0123456789") == ""
}
