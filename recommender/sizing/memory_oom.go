package sizing

import "math"

const (
	memoryOOMFactor = 1.2       // the bump of VPA's RecordOOM (container.go, OOMBumpUpRatio)
	memoryOOMAtMost = 100 << 20 // bytes, VPA's OOMMinBumpUp
	memoryOOMHold   = 28        // days in which a floor stands undiminished for the image that was killed
	memoryOOMElse   = 7         // days in which it stands for another image of the same container
	memoryOOMHalf   = 14        // days in which it halves after that; at half it is forgotten
	memoryOOMImages = 4         // images whose kills are remembered
)

// memoryFloors are the floors that kills have left, one an image. They live apart from the use that
// was seen, because a kill says what was not enough and never how much would have been.
type memoryFloors struct {
	image [memoryOOMImages]uint32
	bytes [memoryOOMImages]float32
	at    [memoryOOMImages]int64
}

// with is f, which may be nil and stays as it is, and that image was killed when it wanted more than bytes. Where all
// places are taken, the floor that weighs least by now makes room.
func (f *memoryFloors) with(at int64, bytes float64, image uint32) *memoryFloors {
	n := f.all()
	floor := max(bytes*memoryOOMFactor, bytes+memoryOOMAtMost)
	place, least := 0, math.Inf(1)
	for i := range n.bytes {
		stands := n.stands(i, at, n.image[i])
		if stands > 0 && n.image[i] == image {
			place, floor = i, max(floor, stands)
			break
		}
		if stands < least {
			place, least = i, stands
		}
	}
	n.image[place], n.bytes[place], n.at[place] = image, memoryCeil(floor), at
	return &n
}

// all is the floors; none where f is nil, as it is of most containers.
func (f *memoryFloors) all() memoryFloors {
	if f == nil {
		return memoryFloors{}
	}
	return *f
}

// stands is what is left of floor i at a time while the given image runs, in bytes.
func (f *memoryFloors) stands(i int, at int64, image uint32) float64 {
	hold := memoryOOMHold
	if f.image[i] != image {
		hold = memoryOOMElse
	}
	over := float64(at-f.at[i])/memoryDay - float64(hold)
	if over >= memoryOOMHalf {
		return 0
	}
	return float64(f.bytes[i]) * math.Exp2(-max(over, 0)/memoryOOMHalf)
}

// least is the request below which a kill is known to have happened, in bytes; zero where none did.
func (f *memoryFloors) least(at int64, image uint32) float64 {
	floor := 0.0
	if f == nil {
		return floor
	}
	for i := range f.bytes {
		floor = max(floor, f.stands(i, at, image))
	}
	return floor
}
