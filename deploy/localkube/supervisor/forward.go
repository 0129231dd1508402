//go:build linux

package supervisor

import (
	"io"
	"net"
	"sync"
	"time"
)

// forward hands connections on from a listener to an address. The listener
// was opened before the supervisor entered its namespaces and still listens
// there; what is dialled here is inside.
func forward(l net.Listener, to string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go join(c, to)
	}
}

func join(outer net.Conn, to string) {
	defer outer.Close()
	inner, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer inner.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(inner, outer) })
	both.Go(func() { pass(outer, inner) })
	both.Wait()
}

// pass copies until the sender is done and tells the receiver so.
func pass(to, from net.Conn) {
	io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok {
		half.CloseWrite()
	}
}
