// Package upstream proves that policies/admission answers as Kubernetes 1.36.3 does. Its tests draw
// random pods, LimitRanges and quotas and ask both: ours, and the functions that the API server calls
// for a pod (LimitRanger's defaults and checks, the pod defaults of core/v1, and CheckRequest of
// ResourceQuota with the pod evaluator). The seeds are fixed, so every run asks the same questions.
//
//	TestLimitRange   200,000 pods: what each container is given, and whether the pod is let through
//	TestQuota        100,000 decisions: one pod more, or one pod resized
//	TestRecord       a slice of the two, with upstream's answers, that policies/admission replays
//
// One difference is known, counted and meant: see known. Not asked are quotas with scopes and, of the
// API server's validation of pods, all but a request over its limit: see above. Nothing here is part of
// the product, which does not compile Kubernetes; so it is a module of its own, with the versions of
// deploy/localkube.
//
//	CGO_ENABLED=0 go test -trimpath -buildvcs=false -vet=off -v .
//	CGO_ENABLED=0 go test -trimpath -buildvcs=false -vet=off -run TestRecord -update .
package upstream
