// Command trimtab optimizes the cost and the resources of machine-learning model servers on
// Kubernetes: it observes Deployments, recommends right-sizing, replica reduction and spot
// placement in money, and says why; where two switches allow it, it acts, and writes that down.
//
// A tour for newcomers, in reading order:
//
//	optimizer/fleet      the nouns: Workload, PodShape, Sample, Target, Hold
//	policies             YAML in, valid policies or every fault with its line out
//	policies/admission   what the API server would say of a change
//	optimizer/cost       Money, Prices, what a workload costs a month
//	recommender          History of use; what it asks for, with every step kept
//	recommender/sizing   CPU by hour of the week as a plan in money, memory by its peaks
//	recommender/scaling  replicas from rates and measured capacity
//	recommender/sharing  which pods can share a GPU
//	recommender/replay   recorded use through this rule and those of other tools, scored alike
//	recommender/capacity how a model server is run the cheapest within its SLO
//	optimizer            Cycle.Run: one pass from measurements to a Plan, and from it to changes
//	optimizer/ledger     what was begun and how it ended, as pages of text
//	optimizer/kube       Kubernetes objects to fleet values, and changes to patches
//	optimizer/kube/managed  the model servers that Trimtab owns
//	optimizer/usage      measurements into an embedded Prometheus TSDB, and back by named queries
//	optimizer/simulator  a whole fleet from a text file under a virtual clock
//	reports              a Plan, the history and the report as text and as pages
//	reports/mail         the report by SMTP
//	cmd/trimtab          this program: only wiring
//
// Everything from fleet to optimizer, and reports, is pure: no client-go, no network, no clock.
// optimizer/layers_test.go holds that picture; optimizer/DESIGN.md says why it is so.
package main
