package sizing

import (
	"testing"
)

func BenchmarkMemoryAddRequest(b *testing.B) {
	m := NewMemory(MemoryOptions{})
	use := spiky(1)
	held := 0.0
	for i := 0; b.Loop(); i++ {
		at := int64(memoryT0 + i*memorySlot)
		m.Add(at, use(i))
		held = m.Request(at, held).Request
	}
}

func BenchmarkMemoryAdd(b *testing.B) {
	m := NewMemory(MemoryOptions{})
	for i := 0; b.Loop(); i++ {
		m.Add(int64(memoryT0+i*60), gib)
	}
}

func BenchmarkMemoryDecide(b *testing.B) {
	m := NewMemory(MemoryOptions{})
	memoryWalk(m, 100, spiky(1), nil)
	for b.Loop() {
		m.news++
		m.Request(m.at, 2*gib)
	}
}
