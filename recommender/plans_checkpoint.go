package recommender

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// A checkpoint of plans is like one of a history: magic, version, the workload, what stands of each of its
// containers, and a CRC-32 of all before it.
const (
	plansMagic   = "TTPL"
	plansVersion = 1
)

// Checkpoint is what stands of one workload; nil where nothing does. The newest advice is no part of it.
func (p *Plans) Checkpoint(ref fleet.Ref) []byte {
	list := p.workloads[ref]
	if len(list) == 0 {
		return nil
	}
	e := encoder(append([]byte(plansMagic), plansVersion))
	e.ref(ref)
	e.count(len(list))
	for _, st := range list {
		e.name(st.container)
		cpu, _ := st.cpu.AppendBinary(nil)       // has no error
		memory, _ := st.memory.AppendBinary(nil) // has no error
		e.name(string(cpu))
		e.name(string(memory))
	}
	return binary.LittleEndian.AppendUint32(e, crc32.ChecksumIEEE(e))
}

// Restore takes up a Checkpoint where nothing stands of its workload yet, or where replace says so. On an error p is
// not changed.
func (p *Plans) Restore(checkpoint []byte, replace func(fleet.Ref) bool) error {
	ref, list, err := decodePlans(checkpoint)
	if err != nil {
		return fmt.Errorf("restore plans: %w", err)
	}
	if len(p.workloads[ref]) == 0 || replace(ref) {
		p.workloads[ref] = list
	}
	return nil
}

func decodePlans(data []byte) (ref fleet.Ref, list []*standing, err error) {
	body, ok := strings.CutPrefix(string(data), plansMagic)
	if !ok || len(body) < 1+crc32.Size {
		return ref, nil, errBroken
	}
	if v := body[0]; v != plansVersion {
		return ref, nil, fmt.Errorf("the checkpoint is of version %d, this program reads %d", v, plansVersion)
	}
	end := len(data) - crc32.Size
	if crc32.ChecksumIEEE(data[:end]) != binary.LittleEndian.Uint32(data[end:]) {
		return ref, nil, errBroken
	}
	d := decoder{rest: data[len(plansMagic)+1 : end]}
	ref = d.ref()
	for range d.count() {
		st := &standing{container: d.name()}
		d.must(st.cpu.UnmarshalBinary([]byte(d.name())) == nil)
		d.must(st.memory.UnmarshalBinary([]byte(d.name())) == nil)
		d.must(len(list) == 0 || list[len(list)-1].container < st.container)
		list = append(list, st)
	}
	d.must(len(d.rest) == 0 && len(list) > 0)
	if d.broken {
		return ref, nil, errBroken
	}
	return ref, list, nil
}
