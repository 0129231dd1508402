package cluster

import (
	"time"

	"trimtab.dev/trimtab/deploy/localkube/pki"
)

// Keys are the files of the pki directory by name. Files that end in
// .kubeconfig are for the components; public.kubeconfig is for people.
type Keys map[string][]byte

// NewKeys makes every key and certificate of s.
func (s Spec) NewKeys(now time.Time) (Keys, error) {
	ca, err := pki.NewAuthority("localkube", now)
	if err != nil {
		return nil, err
	}
	keys := Keys{"ca.crt": ca.Cert()}
	for file, r := range s.requests() {
		p, err := ca.Issue(r)
		if err != nil {
			return nil, err
		}
		keys[file+".crt"], keys[file+".key"] = p.Cert, p.Key
		keys[file+".kubeconfig"] = Kubeconfig(s.Server(), ca.Cert(), p)
		if file == "admin" {
			keys["public.kubeconfig"] = Kubeconfig(s.PublicServer(), ca.Cert(), p)
		}
	}
	keys["sa.key"], err = pki.SigningKey()
	return keys, err
}

// requests are keyed by file name.
func (s Spec) requests() map[string]pki.Request {
	r := map[string]pki.Request{
		"apiserver": {
			Name: "kube-apiserver",
			DNS:  []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
			IPs:  []string{"127.0.0.1", ServiceIP, s.Host()},
		},
		"etcd":               {Name: "etcd", DNS: []string{"localhost"}, IPs: []string{"127.0.0.1"}},
		"admin":              {Name: "admin", Groups: []string{"system:masters"}},
		"controllers":        {Name: "system:kube-controller-manager"},
		"scheduler":          {Name: "system:kube-scheduler"},
		"proxy":              {Name: "system:kube-proxy"},
		"kubelet-client":     {Name: "apiserver-kubelet-client", Groups: []string{"system:masters"}},
		"front-proxy-client": {Name: "front-proxy-client"},
		"metrics-server":     {Name: "metrics-server", DNS: []string{metricsServiceName}},
	}
	if s.Level == 3 {
		for _, n := range RealNodes {
			r[n.Name] = pki.Request{
				Name: "system:node:" + n.Name, Groups: []string{"system:nodes"},
				DNS: []string{n.Name}, IPs: []string{n.Gateway},
			}
		}
	}
	return r
}
