package kube

import (
	"cmp"
	"net"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// scrape is what the prometheus.io annotations of a pod or a Service say.
type scrape struct {
	said   bool // anything about scraping, yes or no
	wanted bool
	port   string // number or name; empty: not said
	path   string
	scheme string
}

func readScrape(annotations map[string]string) scrape {
	value, said := annotations["prometheus.io/scrape"]
	wanted, err := strconv.ParseBool(value)
	return scrape{
		said:   said,
		wanted: said && err == nil && wanted,
		port:   annotations["prometheus.io/port"],
		path:   annotations["prometheus.io/path"],
		scheme: annotations["prometheus.io/scheme"],
	}
}

// service is one Service that selects pods and wants them scraped; of any other only the name is kept.
type service struct {
	metav1.ObjectMeta
	selector labels.Selector // nil: not for scraping
	scrape   scrape
}

func readService(s *corev1.Service) *service {
	r := &service{ObjectMeta: identity(s), scrape: readScrape(s.Annotations)}
	if !r.scrape.wanted || len(s.Spec.Selector) == 0 {
		return r
	}
	r.selector = labels.SelectorFromSet(s.Spec.Selector)
	if r.scrape.port == "" && len(s.Spec.Ports) > 0 {
		p := s.Spec.Ports[0]
		r.scrape.port = cmp.Or(p.TargetPort.String(), "0")
		if r.scrape.port == "0" {
			r.scrape.port = strconv.Itoa(int(p.Port)) // the API server's default
		}
	}
	return r
}

// scrapeURL is where the pod serves its metrics: by its own annotations, or by those of the first
// Service, in the order given, that selects it. Its own word counts more, also when it is no. Empty: nowhere.
func (p *pod) scrapeURL(services []*service) string {
	if p.scrape.said {
		return p.at(p.scrape)
	}
	for _, s := range services {
		if s.Namespace != p.Namespace || s.selector == nil || !s.selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		if u := p.at(s.scrape); u != "" {
			return u
		}
	}
	return ""
}

// at is the URL that s means for this pod; without a port it is the first that the pod declares.
func (p *pod) at(s scrape) string {
	scheme := cmp.Or(s.scheme, "http")
	number := p.port(s.port)
	if !s.wanted || p.ip == "" || number == 0 || (scheme != "http" && scheme != "https") {
		return ""
	}
	ref, err := url.Parse("/" + strings.TrimLeft(cmp.Or(s.path, "/metrics"), "/"))
	if err != nil {
		return ""
	}
	ref.Scheme, ref.Host = scheme, net.JoinHostPort(p.ip, strconv.Itoa(number))
	return ref.String()
}

// port finds a port by number or declared name, 0 if there is none.
func (p *pod) port(want string) int {
	if n, err := strconv.ParseUint(want, 10, 16); err == nil {
		return int(n)
	}
	for _, d := range p.ports {
		if want == "" || d.name == want {
			return int(d.number)
		}
	}
	return 0
}
