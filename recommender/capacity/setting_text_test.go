package capacity

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// before is a setting whose limit is above its request; guaranteed has them equal.
var (
	before     = Setting{Batch: 8, Delay: 5 * ms, Replicas: 3, CPU: 500, Limit: 1000, Memory: 256 << 20}
	guaranteed = Setting{Batch: 1, Replicas: 1, CPU: 500, Limit: 500, Memory: 1 << 20}
)

func TestParseSetting(t *testing.T) {
	with := func(from Setting, change func(*Setting)) Setting {
		change(&from)
		return from
	}
	tests := []struct {
		text string
		from Setting
		want Setting
	}{
		{"replicas=2,batch=16", before, with(before, func(s *Setting) { s.Replicas, s.Batch = 2, 16 })},
		{" replicas=2 , batch=16", before, with(before, func(s *Setting) { s.Replicas, s.Batch = 2, 16 })},
		{"delay=0", before, with(before, func(s *Setting) { s.Delay = 0 })},
		{"delay=1.5ms", before, with(before, func(s *Setting) { s.Delay = 1500 * time.Microsecond })},
		{"cpu=250m", before, with(before, func(s *Setting) { s.CPU = 250 })},
		{"cpu=0.7,limit=1.1", before, with(before, func(s *Setting) { s.CPU, s.Limit = 700, 1100 })},
		{"cpu=2,limit=none", before, with(before, func(s *Setting) { s.CPU, s.Limit = 2000, 0 })},
		{"cpu=2", guaranteed, with(guaranteed, func(s *Setting) { s.CPU, s.Limit = 2000, 2000 })},
		{"cpu=300m,limit=500m", guaranteed, with(guaranteed, func(s *Setting) { s.CPU = 300 })},
		{"memory=64Mi", before, with(before, func(s *Setting) { s.Memory = 64 << 20 })},
		{"memory=64M", before, with(before, func(s *Setting) { s.Memory = 64e6 })},
		{"memory=1.5Gi", before, with(before, func(s *Setting) { s.Memory = 3 << 29 })},
		{"instances=2,spot=true", before, with(before, func(s *Setting) { s.Instances, s.Spot = 2, true })},
		{"instances=auto,spot=false", with(before, func(s *Setting) { s.Instances, s.Spot = 2, true }), before},
	}
	for _, tt := range tests {
		if got, err := ParseSetting(tt.text, tt.from); err != nil || got != tt.want {
			t.Errorf("%s: %+v %v, want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestParseSettingFaults(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"", []string{`"" is not KEY=VALUE`}},
		{"replicas", []string{`"replicas" is not KEY=VALUE; write such as replicas=2,batch=16`}},
		{"replica=2", []string{`there is no "replica" to set; write one of batch, delay, replicas, cpu, limit, memory, instances, spot`}},
		{"batch=8,batch=8", []string{"batch is set twice"}},
		{"batch=0,delay=2s,replicas=1e3,spot=yes", []string{"batch=0 ", "delay=2s ", "replicas=1e3 ", "spot=yes is not understood; write true or false"}},
		{"batch=+8", []string{"batch=+8 "}},
		{"delay=-1ms", []string{"delay=-1ms is not understood; write a time up to 1s, such as 5ms"}},
		{"delay=5", []string{"delay=5 "}},
		{"cpu=0", []string{"cpu=0 is not understood; write cores from 1m to 512, such as 500m"}},
		{"cpu=0.0001", []string{"cpu=0.0001 "}},
		{"cpu=1.5m", []string{"cpu=1.5m "}},
		{"cpu=1/2", []string{"cpu=1/2 "}},
		{"cpu=1e3", []string{"cpu=1e3 "}},
		{"cpu=m", []string{"cpu=m "}},
		{"cpu=513", []string{"cpu=513 "}},
		{"memory=1", []string{"memory=1 "}},
		{"memory=256MB", []string{"memory=256MB "}},
		{"memory=99999999999999999999", []string{"memory=99999999999999999999 "}},
		{"instances=0", []string{"instances=0 "}},
		{"cpu=2", []string{"limit 1 is below cpu 2, which no pod may have; write a larger limit, or limit=none"}},
	}
	for _, tt := range tests {
		got, err := ParseSetting(tt.text, before)
		if err == nil || got != before {
			t.Errorf("%q: %+v %v, want what it was and an error", tt.text, got, err)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		for i, want := range tt.want {
			if len(lines) != len(tt.want) || !strings.HasPrefix(lines[i], want) {
				t.Errorf("%q: %q, want %q", tt.text, lines, tt.want)
				break
			}
		}
	}
}

// FuzzSettingQuantity: what is read is what Kubernetes reads.
func FuzzSettingQuantity(f *testing.F) {
	for _, s := range []string{"500m", "1.5", ".5", "5.", "0.0001", "256Mi", "1.1k", "1T", "16Ti", "-1", "1e3", "", ".", "m", "1..2", "1u"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got int64
		if !settingQuantity(text, 1000, 1, 1<<40, &got) {
			return
		}
		want, err := resource.ParseQuantity(text)
		if err != nil || want.MilliValue() != got {
			t.Errorf("%q is read as %d thousandths; Kubernetes reads %v %v", text, got, want.MilliValue(), err)
		}
	})
}

// FuzzParseSetting: what is accepted is within bounds, and saying it again changes nothing.
func FuzzParseSetting(f *testing.F) {
	for _, s := range []string{"replicas=2,batch=16", "delay=5ms,cpu=500m,limit=none,memory=64Mi,instances=auto,spot=true", "cpu=2", "=,", "batch=1,batch=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, from := range []Setting{{}, before, guaranteed} {
			got, err := ParseSetting(text, from)
			if err != nil {
				if got != from {
					t.Errorf("%q: a fault, yet %+v", text, got)
				}
				continue
			}
			if got.Batch > mostBatch || got.Delay < 0 || got.Delay > mostDelay || got.Replicas > mostReplicas || got.CPU > mostCPU ||
				got.Memory > mostMemory || got.Instances > mostInstances || got.Limit > 0 && got.Limit < got.CPU {
				t.Errorf("%q: %+v is out of bounds", text, got)
			}
			if again, err := ParseSetting(text, got); err != nil || again != got {
				t.Errorf("%q said again: %+v %v, before %+v", text, again, err, got)
			}
		}
	})
}

func TestSettingChanges(t *testing.T) {
	to := Setting{Batch: 16, Delay: 8 * ms, Replicas: 2, CPU: 300, Memory: 128 << 20, Instances: 2, Spot: true}
	want := "batch 8 -> 16, delay 5ms -> 8ms, replicas 3 -> 2, cpu 500m -> 300m, limit 1 -> none, memory 256Mi -> 128Mi, instances auto -> 2, capacity on-demand -> spot"
	if got := before.Changes(to); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := before.Changes(before); got != "no change" {
		t.Errorf("%q, want no change", got)
	}
}
