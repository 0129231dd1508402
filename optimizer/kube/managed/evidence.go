package managed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"trimtab.dev/trimtab/recommender/capacity"
)

// curveURL is where the pod whose metrics are at an address says what a batch of a model costs.
func curveURL(metrics, model string) string {
	return strings.TrimSuffix(metrics, "/metrics") + "/v2/models/" + url.PathEscape(model) + "/curve"
}

// readAccount asks a pod for its curve and what comes to it. A server that does not know the question says
// nothing, and so does a model that is only a name for others.
func readAccount(ctx context.Context, client *http.Client, url string) (capacity.Account, error) {
	body, err := read(ctx, client, url)
	if a := (*answer)(nil); errors.As(err, &a) && a.status == http.StatusNotFound {
		return capacity.Account{}, nil
	}
	if err != nil {
		return capacity.Account{}, err
	}
	return capacity.ParseAccount(body)
}

// evidence is what a tuner judges by: what happened in a window, what the pods say of themselves, and what
// the cluster has. The words name pods that are unlike the others.
func (j *job) evidence(w capacity.Window, all []shown) (capacity.Evidence, string) {
	e := capacity.Evidence{At: j.now, Window: w, Price: j.price(), Scaled: j.autoscaler() != "", Quota: j.quota()}
	e.Nodes, e.Cores = j.free()
	e.Processors = j.processors()
	if g, ok := j.gate(); ok {
		e.Refused, e.Least = g.refuses, g.least()
	}
	var accounts []capacity.Account
	for _, s := range all {
		accounts = append(accounts, s.account)
	}
	e, odd := e.Together(accounts)
	if len(odd) == 0 {
		return e, ""
	}
	var who []pod
	for _, i := range odd {
		who = append(who, j.pods[i])
	}
	return e, fmt.Sprintf("a batch takes over a quarter more or less than elsewhere on %s: look what else runs on its node", names(who))
}
