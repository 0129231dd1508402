package managed

import (
	"reflect"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
)

// paused says of every row that nothing is written.
func paused(rows []optimizer.Kept) []optimizer.Kept {
	for i := range rows {
		if rows[i].State == optimizer.Tuning {
			rows[i].State = optimizer.AsAsked
		}
		rows[i].Detail = strings.TrimSuffix("paused by its document; "+rows[i].Detail, "; ")
	}
	return rows
}

// glanceEvery is how often servers are looked at where nothing may be written: several replicas of the
// daemon watch, and one acts.
const glanceEvery = 30 * time.Second

// look is what a pass that might not write saw of a server.
type look struct {
	server policies.Server
	at     time.Time
	rows   []optimizer.Kept
}

// glance gives the rows of a moment ago, if this pass may not write and the document is the same.
func (p *pass) glance(s policies.Server) ([]optimizer.Kept, bool) {
	last, ok := p.glances[s.Namespace+"/"+s.Name]
	age := p.now.Sub(last.at)
	return last.rows, ok && !p.write && age > 0 && age < glanceEvery && reflect.DeepEqual(last.server, s)
}

// seenAt remembers the rows of a pass that may not write.
func (p *pass) seenAt(s policies.Server, rows []optimizer.Kept) {
	if p.write {
		delete(p.glances, s.Namespace+"/"+s.Name)
		return
	}
	p.glances[s.Namespace+"/"+s.Name] = look{s, p.now, rows}
}
