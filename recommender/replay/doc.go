// Package replay walks the recorded use of containers through request rules, as if each rule had sized them
// then, and scores every rule in the same way: what it would have asked for, how often use was above that,
// how much was not met, how often it would have resized, what it costs and how many nodes it fills.
//
// A rule is asked for its request at a sample before it is told the sample, so none sees the future; only
// Clairvoyant does, as the bound that hindsight sets. The rules of other tools are re-implemented here from
// their published constants, each named beside its rule. No rule knows which series it is tried on.
//
// It opens no files but those of an fs.FS that it is given, and reads no clocks or random sources: the same series
// give the same bytes.
package replay
