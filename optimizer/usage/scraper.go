package usage

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// ScraperOptions is what a Scraper fetches and where it writes.
type ScraperOptions struct {
	Owners      Owners
	Store       *Store
	Interval    time.Duration // between scrapes; 0: DefaultInterval
	Timeout     time.Duration // of one scrape, body included; 0: 5 s
	MaxBody     int64         // bytes of one answer, unpacked; a larger one is refused; 0: 4 MiB
	MaxSeries   int           // kept series of one pod; more are refused; 0: 2000
	Concurrency int           // scrapes at once; 0: 16
	Client      *http.Client  // nil: one that keeps connections, follows no redirect and uses no proxy
	Log         *slog.Logger  // nil: nothing is logged
}

// Scraper reads the metrics that servers expose themselves, and those of dcgm-exporter on the GPUs that
// pods hold, into the store, under the workload's own labels. It is for one goroutine; it fans out by itself.
type Scraper struct {
	o        ScraperOptions
	own      *http.Transport // closed when Run ends; nil: the client is the caller's
	families map[string]bool // kept
	faults   *faults
	live     map[origin]scraped
}

// scraped is what a pod's last scrape left in the store.
type scraped struct {
	at     int64 // milliseconds since 1970
	series map[string]labels.Labels
	url    string
}

// NewScraper builds a Scraper; Run or Scrape set it to work.
func NewScraper(o ScraperOptions) *Scraper {
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, 4<<20)
	o.MaxSeries = cmp.Or(o.MaxSeries, 2000)
	o.Concurrency = cmp.Or(o.Concurrency, 16)
	s := &Scraper{o: o, families: map[string]bool{}, faults: newFaults(o.Log), live: map[origin]scraped{}}
	for _, f := range Families() {
		s.families[f] = true
	}
	if o.Client == nil {
		s.own = transport(o)
		s.o.Client = &http.Client{Transport: s.own, CheckRedirect: stay}
	}
	return s
}

func transport(o ScraperOptions) *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: o.Timeout}).DialContext,
		MaxIdleConnsPerHost:   1,
		IdleConnTimeout:       4 * o.Interval,
		ResponseHeaderTimeout: o.Timeout,
	}
}

// stay keeps a pod from sending the scraper elsewhere: a pod's annotations are not to be trusted with
// the daemon's place in the network.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Run scrapes at once and then at every interval until ctx ends. What fails is counted, logged when
// failing begins and ends, and tried again at the next interval.
func (s *Scraper) Run(ctx context.Context) {
	every(ctx, s.o.Interval, func() { _ = s.Scrape(ctx) }) // Scrape has reported it
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
}

// Scrape takes one reading of every pod and exporter that serves metrics. That one of them does not answer is no error
// but a reading, trimtab_scrape_up 0; an error means that nothing was written.
func (s *Scraper) Scrape(ctx context.Context) error {
	targets, err := s.targets(ctx)
	if err != nil {
		return s.failed(ctx, sourceOwners, err)
	}
	s.faults.report(sourceOwners, nil)
	s.o.Store.targets.Set(float64(len(targets)))
	answers := s.fetchAll(ctx, targets)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	readings, live := s.readings(targets, answers)
	if err := s.o.Store.write(ctx, readings); err != nil {
		return s.failed(ctx, sourceStore, err)
	}
	s.faults.report(sourceStore, nil)
	s.live = live
	return nil
}

// target is one page that is scraped.
type target struct {
	origin origin // of the page
	url    string
	ready  bool
	read   func(body []byte, at int64) ([]reading, error)
}

// targets is the pages of every pod that has one, and of the exporters, which speak for the pods that are
// known to be there and for no others.
func (s *Scraper) targets(ctx context.Context) ([]target, error) {
	pods, err := s.o.Owners.Pods(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the owners of pods: %w", err)
	}
	exporters, err := s.o.Owners.Exporters(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the exporters of GPU metrics: %w", err)
	}
	var out []target
	for _, p := range pods {
		if o := (origin{ref: p.Ref, pod: p.Name}); p.ScrapeURL != "" {
			out = append(out, target{o, p.ScrapeURL, p.Ready, func(body []byte, at int64) ([]reading, error) { return s.parse(body, o, at) }})
		}
	}
	held := byName(pods)
	for _, e := range exporters {
		if o := (origin{ref: fleet.Ref{Namespace: e.Namespace}, pod: e.Name}); e.ScrapeURL != "" {
			out = append(out, target{o, e.ScrapeURL, e.Ready, func(body []byte, at int64) ([]reading, error) { return s.parseGPUs(body, held, at) }})
		}
	}
	return out, nil
}

func (s *Scraper) failed(ctx context.Context, source string, err error) error {
	if ctx.Err() == nil {
		s.o.Store.errors.WithLabelValues(source).Inc()
		s.faults.report(source, err)
	}
	return err
}

// answer is what one scrape brought.
type answer struct {
	at       int64 // when it was asked for, in milliseconds since 1970
	readings []reading
	err      error
}

// fetchAll scrapes every target, a few at once; the answers are in the order of the targets.
func (s *Scraper) fetchAll(ctx context.Context, targets []target) []answer {
	answers := make([]answer, len(targets))
	slots := make(chan struct{}, s.o.Concurrency)
	var wg sync.WaitGroup
	for i, t := range targets {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			answers[i] = s.fetch(ctx, t)
		})
	}
	wg.Wait()
	return answers
}

// readings turns the answers into what to write: their values, whether the targets were up, and the end
// of every series that was there last time and is not now.
func (s *Scraper) readings(targets []target, answers []answer) ([]reading, map[origin]scraped) {
	var out []reading
	live := make(map[origin]scraped, len(targets))
	for i, t := range targets {
		o, a := t.origin, answers[i]
		up := 1.0
		if a.err != nil {
			up = 0
		}
		s.report(t, a.err)
		now := scraped{at: a.at, url: t.url, series: make(map[string]labels.Labels, len(a.readings))}
		for _, r := range a.readings {
			now.series[string(r.series.Bytes(nil))] = r.series
		}
		out = append(out, a.readings...)
		out = append(out, reading{series: o.series(seriesScrapeUp), at: a.at, value: up})
		out = append(out, s.live[o].ended(now.series, a.at)...)
		live[o] = now
	}
	return append(out, s.gone(live)...), live
}

// report counts a scrape that failed, and logs it once; a pod that is not ready yet may fail in peace.
func (s *Scraper) report(t target, err error) {
	if err != nil {
		s.o.Store.errors.WithLabelValues(sourceScrape).Inc()
	}
	if err == nil || t.ready {
		s.faults.report(t.url, err)
	}
}

// ended gives a stale marker for every series that is not in now, in a fixed order.
func (s scraped) ended(now map[string]labels.Labels, at int64) []reading {
	var out []reading
	for key, l := range s.series {
		if _, ok := now[key]; !ok {
			out = append(out, reading{series: l, at: at, end: true})
		}
	}
	slices.SortFunc(out, func(a, b reading) int { return labels.Compare(a.series, b.series) })
	return out
}

// gone ends every series of the pods that are not scraped any more.
func (s *Scraper) gone(live map[origin]scraped) []reading {
	var out []reading
	for _, o := range sortedKeys(s.live) {
		if _, ok := live[o]; ok {
			continue
		}
		last := s.live[o]
		out = append(out, last.ended(nil, last.at+1)...)
		out = append(out, reading{series: o.series(seriesScrapeUp), at: last.at + 1, end: true})
		s.faults.forget(last.url)
	}
	return out
}
