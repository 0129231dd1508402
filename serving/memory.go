package serving

import (
	"context"
	"io"
	"net/http"
	"time"
)

// bodyStep is how many bytes are reserved at once for a body of unknown length.
const bodyStep = 64 << 10

// reserve takes n bytes of those that the bodies of all requests may have together, until the request is over.
func (s *Server) reserve(a *asked, n int64) error {
	most := s.mostBodies.Load()
	if a.reserved+n > most {
		return refuse(http.StatusRequestEntityTooLarge, "body is larger than %d bytes, which is what all bodies may have; send it in parts", most)
	}
	for {
		have := s.bodies.Load()
		if have+n > most {
			return shed(ShedInflight, 0)
		}
		if s.bodies.CompareAndSwap(have, have+n) {
			a.reserved += n
			return nil
		}
	}
}

// keep makes what is reserved n bytes, now that the length is known.
func (s *Server) keep(a *asked, n int64) error {
	if n > a.reserved {
		return s.reserve(a, n-a.reserved)
	}
	s.giveBack(a, a.reserved-n)
	return nil
}

// free gives back all that is reserved.
func (s *Server) free(a *asked) { s.giveBack(a, a.reserved) }

func (s *Server) giveBack(a *asked, n int64) {
	if n == 0 {
		return
	}
	a.reserved -= n
	s.bodies.Add(-n)
	s.wake()
}

// wake lets one of those that await memory try again.
func (s *Server) wake() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// await reserves for a gRPC message, whose length is not known before it is there, as much as it may have. Most
// messages are there at once and need a little of it, so others will give it back in a moment: it waits for
// that. Where not even two of the largest fit they may have more than is reserved, two of them at once.
func (s *Server) await(ctx context.Context, a *asked) error {
	n := min(s.cfg.MaxBody, s.mostBodies.Load()/2)
	err := s.reserve(a, n)
	if err == nil {
		return nil
	}
	late := time.NewTimer(s.patience.memory)
	defer late.Stop()
	for err != nil {
		select {
		case <-s.freed:
			err = s.reserve(a, n)
		case <-late.C:
			return err
		case <-ctx.Done():
			return ended(ctx.Err())
		}
	}
	s.wake() // there may be enough for another
	return nil
}

// metered is a body that reserves memory as it comes, where more comes than is reserved.
type metered struct {
	from   io.Reader
	server *Server
	of     *asked
	got    int64
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	if m.got += int64(n); m.got > m.of.reserved {
		steps := (m.got - m.of.reserved + bodyStep - 1) / bodyStep
		if full := m.server.reserve(m.of, steps*bodyStep); full != nil {
			return n, full
		}
	}
	return n, err
}
