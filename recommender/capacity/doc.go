// Package capacity says what a model server would do at any setting, which setting is the cheapest that
// keeps its SLO, and how to get there without harm.
//
// Predict is the model: from what a batch costs and what comes, the latency, CPU and memory of a batch
// limit, delay, number of replicas and request. Best asks it for the cheapest setting of a room, Try for
// one setting. State is the tuner: it is handed what was measured while a setting was in force, and says
// which should be in force next: one change at a time, each judged against the window before it, taken
// back where it does not hold what was predicted, and few in a day. Calibration is how predictions came
// true.
//
// All of it is arithmetic on values. It writes nothing, waits for nothing and reads no clock; everything it
// decides can be said in words.
package capacity
