package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
)

// drainOrder is how a server goes out of service: begun at a time, or not.
type drainOrder struct{ since time.Time }

// begin takes the server out of service; a second order changes nothing. Readiness goes, and batches
// wait for nobody any more.
func (s *Server) begin() time.Time {
	order := &drainOrder{since: time.Now()}
	if !s.draining.CompareAndSwap(nil, order) {
		order = s.draining.Load()
	} else {
		s.log.Info("draining", "delay", s.cfg.DrainDelay.String(), "timeout", s.cfg.DrainTimeout.String())
		s.router.Flush()
	}
	return order.since
}

// drain loses nobody: first readiness goes, then, if the server was ever ready and so has clients, for a
// while requests are still served, each connection told to close, so that load balancers learn of it; only
// then do the listeners close. Idle connections are left alone until then: closing one could cross with a
// request on its way.
func (s *Server) drain(srv *http.Server, own *grpc.Server, known bool) error {
	since := s.begin()
	if known {
		time.Sleep(time.Until(since.Add(s.cfg.DrainDelay)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	stopped := make(chan struct{})
	go func() { defer close(stopped); own.GracefulStop() }()
	err := srv.Shutdown(ctx)
	select {
	case <-stopped:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
		own.Stop()
		<-stopped
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("finish requests within %s: %d are lost: %w", s.cfg.DrainTimeout, s.inside(), err), srv.Close())
	}
	s.shared.Stop() // only now: it cuts what is on the HTTP connections
	if err == nil {
		s.log.Info("drained")
	}
	return err
}

// drainNow is POST /drain: it takes the server out of service as SIGTERM does, answers when no request is
// inside, and leaves the process running. It is for who is on the same machine, or has the API key: anybody else could
// switch the server off.
func (s *Server) drainNow(w http.ResponseWriter, q *http.Request) error {
	if err := s.mayDrain(q); err != nil {
		return err
	}
	since, longest := s.begin(), s.cfg.DrainDelay+s.cfg.DrainTimeout
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longest + s.patience.answer))
	for s.inside() > 0 && time.Since(since) < longest {
		select {
		case <-q.Context().Done():
			return shed(ShedCancelled, 0)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return writeJSON(w, http.StatusOK, map[string]any{"draining": true, "inflight": s.inside(), "seconds": time.Since(since).Seconds()})
}

func (s *Server) mayDrain(q *http.Request) error {
	if len(s.keys.keys()) > 0 {
		if !s.keys.allows(q.Header.Get) {
			return errKey()
		}
		return nil
	}
	if !local(q.RemoteAddr) || proxied(q.Header) {
		return refuse(http.StatusForbidden, "draining is for this machine only, as the server has no API key")
	}
	return nil
}

// local reports whether an address is one of the two that programs on this machine come from. Of the other
// loopback addresses some are proxies': a service mesh brings requests from elsewhere from 127.0.0.6.
func local(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return ip.Equal(net.IPv4(127, 0, 0, 1)) || ip.Equal(net.IPv6loopback)
}

// proxied reports whether a proxy left its mark, even an empty one.
func proxied(h http.Header) bool {
	for name := range h {
		if name == "Forwarded" || name == "Via" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Envoy-") {
			return true
		}
	}
	return false
}
