// Package scaling says how many replicas a server needs for the requests that come.
//
// A Track is told the request rate of each window of one server. It keeps five ways to foresee the
// next rate (the newest window, two averages, the same hour of the days before, the same hour of the
// week), and for each how wrong it was, apart for the windows after a sudden rise. For a window ahead
// each way names the replicas of the least cost: replicas, plus Risk times the chance that they do not
// suffice. The way whose advice cost least lately is followed. Under it lies a floor that needs no
// forecast: the newest window at no more than the Target share of the capacity, and what two of the
// last eight windows reached at full capacity. A single replica is let go only when that is asked for twice.
//
// Capacity is what was measured of one replica; the package never guesses it. Served gathers how fast single
// replicas answered at how many requests per second, and says what they are known to answer in time. It reads no clock,
// changes nothing and depends on nothing but its arguments: the same calls give the same advice.
package scaling
