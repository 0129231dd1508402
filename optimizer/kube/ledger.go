package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/ledger"
)

// LedgerLabel marks the ConfigMaps of the ledger; its value is empty.
const LedgerLabel = "trimtab.dev/ledger"

// How a write of a ConfigMap is tried: that often against other writers, and for that long in all. Each
// time that one writer loses another has got on, so no waiting is needed between.
const (
	writeTries  = 5
	writeWithin = 15 * time.Second
)

// Ledger keeps an optimizer.Ledger in ConfigMaps of the daemon's namespace; see package ledger for what
// is in them and how much. Every call reads all of them as they are now, which is one consistent moment,
// and writes by their resource versions: whoever wrote in between wins, and the call begins again.
// Every intent is written to the same ConfigMap, so two leaders never both begin a change of one workload.
type Ledger struct {
	maps      typedcorev1.ConfigMapInterface
	namespace string
	known     atomic.Pointer[ledger.Known] // of the last read
}

// NewLedger keeps a ledger in namespace.
func NewLedger(client kubernetes.Interface, namespace string) *Ledger {
	return &Ledger{maps: client.CoreV1().ConfigMaps(namespace), namespace: namespace}
}

// Begin implements optimizer.Ledger. Where the error is not ErrOpen the intent may still have been
// written down, if the answer was lost: then it is an open entry.
func (l *Ledger) Begin(ctx context.Context, c optimizer.Change, at time.Time) (id string, err error) {
	err = l.write(ctx, func(b *ledger.Book) (err error) {
		id, err = b.Begin(c, at)
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// Note implements optimizer.Ledger.
func (l *Ledger) Note(ctx context.Context, id, detail string) error {
	return l.write(ctx, func(b *ledger.Book) error { return b.Note(id, detail) })
}

// Finish implements optimizer.Ledger.
func (l *Ledger) Finish(ctx context.Context, id string, o optimizer.Outcome, detail string, at time.Time) error {
	return l.write(ctx, func(b *ledger.Book) error { return b.Finish(id, o, detail, at) })
}

// Entries implements optimizer.Ledger. Beside an error that is ledger.ErrDamaged, and beside no other,
// the entries that could be read are given.
func (l *Ledger) Entries(ctx context.Context) ([]optimizer.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	book, _, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	return book.Entries(), l.advise(book.Damage())
}

// write makes one operation on the ledger as it is now, again whenever somebody else was faster.
func (l *Ledger) write(ctx context.Context, do func(*ledger.Book) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	var lost error
	for range writeTries {
		book, held, err := l.read(ctx)
		if err != nil {
			return err
		}
		if err := do(book); err != nil {
			return l.advise(err)
		}
		if lost = l.store(ctx, book.Changed(), held); !outrun(lost) {
			return lost
		}
	}
	return fmt.Errorf("%d times another writer was faster; does more than one daemon lead? %w", writeTries, lost)
}

// outrun tells whether a write was refused because somebody else wrote since.
func outrun(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

func (l *Ledger) read(ctx context.Context) (*ledger.Book, map[string]*corev1.ConfigMap, error) {
	list, err := l.maps.List(ctx, metav1.ListOptions{LabelSelector: LedgerLabel})
	if err != nil {
		return nil, nil, fmt.Errorf("list the ledger's ConfigMaps in %s: %w", l.namespace, err)
	}
	pages, held := map[string]map[string]string{}, map[string]*corev1.ConfigMap{}
	for i := range list.Items {
		m := &list.Items[i]
		pages[m.Name], held[m.Name] = m.Data, m
	}
	var before ledger.Known
	if k := l.known.Load(); k != nil {
		before = *k
	}
	book := ledger.Open(pages, before)
	known := book.Known()
	l.known.Store(&known)
	return book, held, nil
}

// store writes pages in their order and stops at the first that fails.
func (l *Ledger) store(ctx context.Context, pages []ledger.Page, held map[string]*corev1.ConfigMap) error {
	for _, p := range pages {
		var err error
		if m, there := held[p.Name]; there {
			m.Data = maps.Clone(p.Texts)
			_, err = l.maps.Update(ctx, m, metav1.UpdateOptions{})
		} else {
			m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Labels: map[string]string{LedgerLabel: ""}}, Data: maps.Clone(p.Texts)}
			_, err = l.maps.Create(ctx, m, metav1.CreateOptions{})
		}
		if err != nil {
			return fmt.Errorf("write ConfigMap %s/%s: %w", l.namespace, p.Name, err)
		}
	}
	return nil
}

// advise says what to do about a damaged ledger.
func (l *Ledger) advise(err error) error {
	if !errors.Is(err, ledger.ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w\nno change begins until that is mended; to give up what cannot be read, take the key out with `kubectl -n %s edit configmap NAME`, or delete a ConfigMap that is no page", err, l.namespace)
}
