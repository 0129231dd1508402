// Package reports tells people what a plan says: as text, as one self-contained page and, for the
// simulated fleet, as a summary that is read in a minute. It decides nothing, computes no cost of its
// own and knows no clock: the same plan gives the same bytes.
package reports
