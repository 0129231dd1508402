package kube

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"trimtab.dev/trimtab/optimizer"
)

// OrdersName is the one ConfigMap in which people order and the daemon answers. It is installed with the
// daemon; whoever may patch it may order.
const OrdersName = "trimtab-orders"

// How long things in the orders ConfigMap count.
const (
	orderLapses = time.Hour      // an order that nobody took up for so long is not what the person meant now
	answerStays = 24 * time.Hour // for whoever gave the order
)

// Orders is the daemon's side of the orders ConfigMap. Only the leader may use it.
type Orders struct {
	maps      typedcorev1.ConfigMapInterface
	namespace string
	now       func() time.Time
}

// NewOrders reads and answers the orders of namespace.
func NewOrders(client kubernetes.Interface, namespace string) *Orders {
	return &Orders{client.CoreV1().ConfigMaps(namespace), namespace, time.Now}
}

// Pending implements optimizer.Orders. Orders that cannot be read, and those that are an hour old, it
// answers itself. Without the ConfigMap nobody can order, which is no error.
func (o *Orders) Pending(ctx context.Context) ([]optimizer.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	m, err := o.maps.Get(ctx, OrdersName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", o.namespace, OrdersName, err)
	}
	good, bad := readOrders(m.Data, o.now())
	if len(bad) == 0 {
		return good, nil
	}
	return good, o.write(ctx, func(m *corev1.ConfigMap) {
		_, bad := readOrders(m.Data, o.now())
		for _, b := range bad {
			o.end(m, b.order, b.why)
		}
	})
}

// Answer implements optimizer.Orders. An order of the same key that was given since stays.
func (o *Orders) Answer(ctx context.Context, done optimizer.Order, text string) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	return o.write(ctx, func(m *corev1.ConfigMap) { o.end(m, done, text) })
}

// write changes the ConfigMap as it is now, again whenever somebody else was faster.
func (o *Orders) write(ctx context.Context, change func(*corev1.ConfigMap)) error {
	var lost error
	for range writeTries {
		m, err := o.maps.Get(ctx, OrdersName, metav1.GetOptions{})
		if err == nil {
			change(m)
			_, err = o.maps.Update(ctx, m, metav1.UpdateOptions{})
		}
		if !outrun(err) {
			return o.fault(err)
		}
		lost = err
	}
	return o.fault(lost)
}

func (o *Orders) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("answer in ConfigMap %s/%s: %w", o.namespace, OrdersName, err)
}

// end replaces an order by its answer and forgets old answers.
func (o *Orders) end(m *corev1.ConfigMap, done optimizer.Order, text string) {
	now := o.now()
	for key, value := range m.Data {
		if a, ok := readAnswer(value); isAnswer(key) && (!ok || now.Sub(a.At) > answerStays) {
			delete(m.Data, key)
		}
	}
	if held, err := readOrder(done.Key, m.Data[done.Key]); err != nil || held.At.Equal(done.At) {
		delete(m.Data, done.Key)
	}
	if m.Data == nil {
		m.Data = map[string]string{}
	}
	m.Data[answerKey(done.Key)] = answerText{At: now, Ordered: done.At, Text: text}.String()
}

// badOrder is one that is answered as it is.
type badOrder struct {
	order optimizer.Order
	why   string
}

// readOrders gives the orders to carry out, oldest first, and those that cannot be.
func readOrders(data map[string]string, now time.Time) (good []optimizer.Order, bad []badOrder) {
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if isAnswer(key) {
			continue
		}
		o, err := readOrder(key, data[key])
		if err == nil && now.Sub(o.At).Abs() > orderLapses {
			err = fmt.Errorf("it was given at %s, and here it is %s, which is too far apart to be what was meant; order it again",
				o.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
		if err != nil {
			bad = append(bad, badOrder{o, "not done: " + err.Error()})
			continue
		}
		good = append(good, o)
	}
	slices.SortStableFunc(good, func(a, b optimizer.Order) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Key, b.Key)) })
	return good, bad
}
