// Package recommender remembers what was measured (History) and says what history alone asks for
// (Recommend). It knows no policy, no quota and no cluster: others turn a policy into Options and
// judge the result. It reads no clock and changes nothing.
//
// Replicas are not pooled. Use of a workload means use of its hottest replica: time is cut into
// slots of a minute (or of a sample's window where that is longer), and each slot speaks with the
// samples of the pod whose mean was highest in it. Averaged over slots that is never less than the
// mean of any one replica measured all along, and it needs no memory of pods, so that it survives
// rollouts. Where different replicas are hot at different times it is more than any of them used,
// which errs on the side of not shrinking.
//
// The past is kept coarser the older it is, see History; all numbers are of the window asked for,
// whose start is rounded down to what is still told apart.
package recommender
