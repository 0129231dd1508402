package batch

import "time"

// need is what a request asks for.
type need struct {
	rows  int
	bytes int64
	class Class
	shape string
}

// refuse says why a request may not come in, nil if it may.
func (q *Queue[T]) refuse(n need, b budget, now time.Duration) *Refusal {
	l := q.limits
	if n.rows < 1 || n.rows > l.MaxQueueRows || l.MaxQueueBytes > 0 && n.bytes > l.MaxQueueBytes {
		return &Refusal{Reason: TooLarge}
	}
	if over := q.Rows() + n.rows - l.MaxQueueRows; over > 0 {
		return &Refusal{Reason: QueueFull, RetryAfter: q.toServe(over)}
	}
	if l.MaxQueueBytes > 0 && q.bytes+n.bytes > l.MaxQueueBytes {
		return &Refusal{Reason: QueueFull, RetryAfter: q.toServe(q.Rows())}
	}
	if b.deadline == never || !q.curve.Known() || l.Static {
		return nil
	}
	if late := q.late(n, b, now); late > 0 {
		return &Refusal{Reason: TooLate, RetryAfter: late}
	}
	return nil
}

// toServe is how long it takes to compute rows rows in full batches; a second where there is no curve.
func (q *Queue[T]) toServe(rows int) time.Duration {
	if !q.curve.Known() {
		return time.Second
	}
	most := q.plan.most
	return seconds(q.curve.Wall.At(float64(most)) * float64(rows) / float64(most*q.instances))
}

// late is by how much the predicted finish misses what the budget allows: 0 or less is in time. An idle
// server takes whatever it can answer before the deadline.
func (q *Queue[T]) late(n need, b budget, now time.Duration) time.Duration {
	most, free := q.plan.most, q.instances-len(q.running)
	if len(q.running) == 0 && q.Rows() == 0 && n.rows <= most {
		return now + q.wall(n.rows) - b.deadline
	}
	rows, batches, start := q.ahead(n)
	rows += n.rows
	full := (rows - 1) / most // batches of its own shape before its last
	if batches+full >= free {
		for _, r := range q.running {
			start += max(0, r.end-now)
		}
		start += time.Duration(full) * q.wall(most)
		start /= time.Duration(q.instances)
	} else {
		start = 0
	}
	// Others who come until its last batch starts will be in that batch and make it longer.
	joining := min(float64(most), start.Seconds()*q.inside.overall())
	run := start + q.wall(min(most, rows-full*most+int(joining)))
	return now + time.Duration(float64(run)*(1+q.curve.Error)) - b.due
}

// ahead is what is computed before a new request: rows of its own shape, and batches of others with the
// time that they take.
func (q *Queue[T]) ahead(n need) (rows, batches int, others time.Duration) {
	most := q.plan.most
	for _, l := range q.lanes {
		before := l.before(n.class)
		if l.shape == n.shape {
			rows = before
			continue
		}
		batches += (before + most - 1) / most
		others += time.Duration(before/most) * q.wall(most)
		if rest := before % most; rest > 0 {
			others += q.wall(rest)
		}
	}
	return rows, batches, others
}

// before is how many rows of the lane are computed before those of a new request of the class.
func (l *lane[T]) before(class Class) int {
	rows := 0
	for _, c := range served() {
		rows += l.classes[c].rows
		if c == class {
			break
		}
	}
	return rows
}
