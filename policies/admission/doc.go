// Package admission says what the API server would say to a change: whether the LimitRanges and
// ResourceQuotas of a namespace let the pods through, and which requests and limits would. It follows the sources
// of Kubernetes 1.36 (plugin/pkg/admission/limitranger, pkg/quota/v1/evaluator/core/pods.go and
// apiserver's resourcequota/controller.go); where Trimtab knows less than the API server, it is on the
// side that refuses.
//
// It only judges: nothing is written, no cluster is asked, and no limit is moved of which none was asked.
package admission
