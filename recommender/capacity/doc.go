// Package capacity finds the batch size at which a model server is cheapest within its SLO.
//
// It is a state machine on values: it is handed what was measured while a size was in force and says
// which size should be in force next, until all were tried; then it watches that the best one keeps the
// SLO, and otherwise takes it back. It writes nothing, waits for nothing and reads no clock. Everything
// it decides by was measured under the server's own traffic, and can be said in words.
package capacity
