package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// What a request is taken to cost beside the model until it is measured: reading and writing a small JSON
// body over HTTP took 60 to 160 us of CPU of the reference server, on machines of 2026.
const (
	assumedPath  = 100e-6 // CPU seconds
	assumedReach = 250e-6 // seconds, with the path
)

// mostCurve bounds the bytes of a curve's answer.
const mostCurve = 1 << 20

// curveAnswer is what of GET /v2/models/NAME/curve counts here. The model server may not import its tuner
// nor this program the server, so a test holds the names that both use.
type curveAnswer struct {
	Model string `json:"model"`
	capacity.Service
	MaxBatch int `json:"max_batch_rows"` // 1: the batch axis is fixed; 0: any number
}

// service is what a model costs by its server's own word.
func (s sketch) service(ctx context.Context, doc policies.Server) (capacity.Service, error) {
	if s.curve == "" {
		return capacity.Service{}, nil
	}
	data, err := s.readCurve(ctx, doc.ModelName())
	if err != nil {
		return capacity.Service{}, badInput("trimtab tune: --curve %s: cannot be read: %v", s.curve, err)
	}
	var a curveAnswer
	if err := json.Unmarshal(data, &a); err != nil {
		return capacity.Service{}, badInput("trimtab tune: --curve %s: is not the answer of GET /v2/models/NAME/curve: %v", s.curve, err)
	}
	of := doc.ModelName()
	if onServer(s.curve) {
		of = "" // the URL says of which, or it was asked for this one
	}
	if err := a.check(of); err != nil {
		return capacity.Service{}, badInput("trimtab tune: --curve %s: %v", s.curve, err)
	}
	return capacity.Service{Path: assumedPath, Reach: assumedReach, MaxBatch: a.MaxBatch}.Follows(a.Curve), nil
}

// check tells what is wrong with an answer for a model; an empty name is any.
func (a curveAnswer) check(model string) error {
	c := a.Curve
	switch {
	case !c.Known():
		return errors.New("no batch of the model was seen yet; ask a server that profiled itself, which it does when it loads the model")
	case capacity.Sound(c) != nil || c.Largest < 1:
		return errors.New("its numbers are no times of batches; ask a model server for a new one")
	case model != "" && a.Model != "" && a.Model != model:
		return fmt.Errorf("it is of model %s, but the document is of %s; give the curve of that, or the URL of this one where a server calls it so", a.Model, model)
	}
	return nil
}

// onServer tells that a curve is to be asked for, not read from a file.
func onServer(curve string) bool {
	return strings.HasPrefix(curve, "http://") || strings.HasPrefix(curve, "https://")
}

// bare tells that a curve is an URL without a path, which leaves the model to the document.
func bare(curve string) bool {
	u, err := url.Parse(curve)
	return onServer(curve) && err == nil && strings.Trim(u.Path, "/") == ""
}

// readCurve gives a file's bytes, or a model server's answer. An URL without a path to a model is asked
// for the one that a server has this name for.
func (s sketch) readCurve(ctx context.Context, model string) ([]byte, error) {
	if !onServer(s.curve) {
		return read(s.curve)
	}
	u, err := url.Parse(s.curve)
	if err != nil {
		return nil, err
	}
	absent := ""
	if bare(s.curve) {
		u = u.JoinPath("v2", "models", model, "curve")
		absent = "; if the server has another name for its model, give the whole URL, .../v2/models/NAME/curve"
	}
	return askCurve(ctx, u.String(), absent)
}

// askCurve gets an answer; absent is said where there is none of that name.
func askCurve(ctx context.Context, from, absent string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostCurve))
	if err != nil || resp.StatusCode == http.StatusOK {
		return body, err
	}
	if resp.StatusCode != http.StatusNotFound {
		absent = ""
	}
	return nil, fmt.Errorf("it answers %s: %s%s", resp.Status, strings.TrimSpace(string(body)), absent)
}
