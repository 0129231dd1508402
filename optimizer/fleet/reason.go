package fleet

// Reason is why something is recommended: a closed set.
type Reason string

// The reasons.
const (
	CPUUnderused    Reason = "cpu-underused"
	CPUPlan         Reason = "cpu-plan" // the hours of the week ask for another request now
	MemoryUnderused Reason = "memory-underused"
	FewRequests     Reason = "few-requests"
	ReplicaForecast Reason = "replica-forecast" // the requests foreseen ask for more or fewer; with an autoscaler, advice
	BatchOnDemand   Reason = "batch-on-demand"
	GPUUnderused    Reason = "gpu-underused" // advice: no GPU is taken away in place
	BatchSize       Reason = "batch-size"    // of a model server that Trimtab owns
)

// HoldReason is why a workload, or one recommendation for it, is left alone: a closed set.
type HoldReason string

// The hold reasons, in the order of the stages that give them.
const (
	HoldKind         HoldReason = "unsupported-kind" // only Deployments are acted on yet
	HoldTwoPolicies  HoldReason = "two-policies"     // more than one policy selects it
	HoldBadPolicy    HoldReason = "bad-policy"       // its policy document has faults and no good version is known
	HoldClass        HoldReason = "unknown-class"    // neither label nor policy says online or batch
	HoldRollout      HoldReason = "rollout-in-progress"
	HoldNoMetrics    HoldReason = "no-metrics"         // nothing was ever measured
	HoldStaleMetrics HoldReason = "stale-metrics"      // the last measurement is too old to act on
	HoldShortHistory HoldReason = "too-little-history" // measured for less time than the policy asks
	HoldGPU          HoldReason = "gpu-unknown"        // a GPU workload is not judged by its CPU
	HoldAutoscaler   HoldReason = "autoscaler"         // an HPA owns the replicas, or scales on a request
	HoldNoRequest    HoldReason = "no-cpu-request"     // without a request, use is no share of anything
	HoldCapacity     HoldReason = "unknown-capacity"   // its nodes are mixed, or no label says how they are bought
	HoldNoSpotNode   HoldReason = "no-spot-node"
	HoldBounds       HoldReason = "unknown-bounds" // LimitRange and ResourceQuota could not be read
	HoldLimitRange   HoldReason = "limit-range"    // no admissible value is left
	HoldQuota        HoldReason = "quota"
	HoldAtTarget     HoldReason = "at-target"      // what it may be given is what it has
	HoldQoS          HoldReason = "qos-class"      // the change would alter the pod's QoS class
	HoldManaged      HoldReason = "managed"        // an InferenceServer document owns it
	HoldRestart      HoldReason = "needs-restart"  // a resize in place would restart a container
	HoldUnrollable   HoldReason = "unsafe-rollout" // replacing its pods would lose requests
	HoldOpen         HoldReason = "change-in-progress"
	HoldReverted     HoldReason = "reverted" // a change of it was taken back lately
	HoldCooldown     HoldReason = "cooldown"
	HoldBudget       HoldReason = "budget"
	HoldMoved        HoldReason = "moved" // the object changed since it was observed
)

// Hold is one reason to leave something alone, with the words a person needs to act on it.
type Hold struct {
	Reason HoldReason `json:"reason"`
	Detail string     `json:"detail"`
}
