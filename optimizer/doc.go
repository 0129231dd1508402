// Package optimizer is the core of Trimtab: one pass from measurements to a Plan, and from a Plan to
// changes. It joins the pure rooms (policies, admission, recommender, cost) and reaches the world
// only through the small ports of ports.go; it reads no clock, file or network and logs nothing.
//
// Cycle.Run is the whole walk of one unit of data, in one direction:
//
//	remember -> observe -> settle -> recommend -> judge -> plan -> begin -> apply -> finish
package optimizer
