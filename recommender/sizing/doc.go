// Package sizing says what a container should request, hour by hour, from its own use.
//
// CPU is a plan in money. A Track keeps the peak of each hour of the last four weeks, some four bits an hour.
// Four outlooks read it: what any hour took (flat), what this hour took on other days (daily), what it took
// in other weeks (weekly), and what the last hours took (recent). Each would have chosen a request for every
// hour that has passed; what these would have cost, reserved and missed, decides how far each is believed.
// The plan is the cheapest course of requests through the next day by what they expect together:
//
//	reserved core-hours + price of an hour in which use exceeds the request + price of the CPU missed + price of each change
//
// so that a peak that returns is grown for before it comes, noise is not followed, and where the calendar
// does not pay the plan is flat. An excess is answered at once by the cheapest request for hours in which
// use has come so far. A peak that only the calendar expects, and that is late, is awaited for six hours; and
// nothing falls below what an hour used first.
//
// Memory is a peak with a margin that the container's own history earns: see Memory.
//
// Everything is pure: samples in, requests out, state that can be written down and read back.
package sizing
