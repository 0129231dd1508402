// Command probe is the pod of the cluster test: it answers, asks others, calls
// the API server with its service account, and burns CPU when told to.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getenv("NODE")) })
	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		ask(w, &http.Client{Timeout: 3 * time.Second}, r.URL.Query().Get("url"), "")
	})
	http.HandleFunc("/api", callAPI)
	http.HandleFunc("/burn", func(http.ResponseWriter, *http.Request) { go burn() })
	if err := http.ListenAndServe(":8080", nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func callAPI(w http.ResponseWriter, r *http.Request) {
	roots := x509.NewCertPool()
	ca, _ := os.ReadFile(account + "ca.crt")
	roots.AppendCertsFromPEM(ca)
	token, _ := os.ReadFile(account + "token")
	c := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	ask(w, c, "https://"+os.Getenv("KUBERNETES_SERVICE_HOST")+"/apis", string(token))
}

func ask(w http.ResponseWriter, c *http.Client, url, token string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body)
}

func burn() {
	for {
	}
}
