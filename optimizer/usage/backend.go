package usage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// backend evaluates PromQL: the embedded engine, or a server that is asked by HTTP.
type backend interface {
	// query evaluates text at start, start+step, ... end. The caller calls done when it has read the matrix.
	query(ctx context.Context, text string, start, end time.Time, step time.Duration) (m promql.Matrix, done func(), err error)
	// names gives the names of the metrics of which any selector has a series between start and end.
	names(ctx context.Context, selectors []string, start, end time.Time) ([]string, error)
}

// query implements backend.
func (s *Store) query(ctx context.Context, text string, start, end time.Time, step time.Duration) (promql.Matrix, func(), error) {
	q, err := s.engine.NewRangeQuery(ctx, s.db, nil, text, start, end, step)
	if err != nil {
		return nil, nil, fmt.Errorf("parse query %s: %w", text, err)
	}
	res := q.Exec(ctx)
	m, err := res.Matrix()
	if err != nil {
		q.Close()
		return nil, nil, errors.Join(fmt.Errorf("query %s: %w", text, err), ctx.Err())
	}
	return m, q.Close, nil
}

// names implements backend.
func (s *Store) names(ctx context.Context, selectors []string, start, end time.Time) ([]string, error) {
	reader, err := s.db.Querier(start.UnixMilli(), end.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("open the usage store: %w", err)
	}
	defer reader.Close()
	var out []string
	for _, text := range selectors {
		matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(text)
		if err != nil {
			return nil, fmt.Errorf("parse selector %s: %w", text, err)
		}
		found, _, err := reader.LabelValues(ctx, model.MetricNameLabel, nil, matchers...)
		if err != nil {
			return nil, fmt.Errorf("list metric names: %w", err)
		}
		out = append(out, found...)
	}
	return out, nil
}
