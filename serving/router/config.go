package router

import (
	"time"

	"trimtab.dev/trimtab/serving/batch"
)

// Keys of the configuration, a JSON object. The first four are the article's; batch_size, max_delay and
// generation are the contract with whoever tunes the server.
const (
	KeyBatchSize     = "batch_size"
	KeyMaxLength     = "max_sequence_length"
	KeyFeatures      = "feature_columns"
	KeyTemperature   = "temperature"
	KeyMaxDelay      = "max_delay"
	KeySLO           = "slo"
	KeyBatching      = "batching"
	KeyInstances     = "instances"
	KeyMaxQueueRows  = "max_queue_rows"
	KeyMaxQueueBytes = "max_queue_bytes"
	KeyGeneration    = "generation"
	KeyModels        = "models"
	KeyRoutes        = "routes"
	KeyChains        = "chains"
)

// Key is a key of the configuration and what stands in for it, for tables and for help.
type Key struct {
	Name    string
	Meaning string
	Env     string // environment variable; empty: none
	Flag    string // of modelserver serve; empty: none
	Default string // empty: none
	Model   bool   // it may also stand in a model and in a version, where it wins over the ones outside
}

// Keys are all keys of the top level. What the file says wins over the flag, the flag over the
// environment variable, and that over the default.
func Keys() []Key {
	return []Key{
		{KeyBatchSize, "rows in one batch at most", "BATCH_SIZE", "--batch-size", "32", true},
		{KeyMaxLength, "longest dynamic dimension of a request; a longer one is refused with 400", "MAX_SEQUENCE_LENGTH", "--max-sequence-length", "0 (any)", true},
		{KeyFeatures, "names of a row's values in the flat object of /predict", "", "", "the model's own", true},
		{KeyTemperature, "ignored, and said once: no model here samples", "", "", "", false},
		{KeyMaxDelay, "longest wait to fill a batch", "MAX_QUEUE_DELAY", "--max-queue-delay", "the slo, else 5ms", true},
		{KeySLO, "time from arrival to answer that a request without a deadline should take", "SLO", "--slo", "0s (none)", true},
		{KeyBatching, "adaptive, static (always waits max_delay) or off (each request alone)", "BATCHING", "--batching", "adaptive", true},
		{KeyInstances, "batches of a model computed at once; 0 follows the CPU limit", "INSTANCES", "--instances", "0", true},
		{KeyMaxQueueRows, "rows that may wait", "MAX_QUEUE_ROWS", "--max-queue-rows", "16384", true},
		{KeyMaxQueueBytes, "bytes of input that may wait; 0 is any number", "MAX_QUEUE_BYTES", "--max-queue-bytes", "67108864", true},
		{KeyGeneration, "a whole number that comes back as a metric", "", "", "0", false},
		{KeyModels, "models with their versions, files and weights", "", "--model", "the one model of the flags", false},
		{KeyRoutes, "rules that choose a model by a field of the body or by a header", "", "", "none", false},
		{KeyChains, "models one after the other under one deadline", "", "", "none", false},
	}
}

// Batching is how batches are made. The zero value adapts to the load.
type Batching uint8

// The ways to batch.
const (
	Adaptive Batching = iota // wait as long as it pays and the deadlines allow
	Static                   // always wait the whole delay, as other batchers do
	Off                      // each request alone
)

// String is the way's name in the configuration.
func (b Batching) String() string { return [...]string{"adaptive", "static", "off"}[b] }

// ParseBatching reads a way's name.
func ParseBatching(name string) (Batching, bool) {
	for b := Adaptive; b <= Off; b++ {
		if b.String() == name {
			return b, true
		}
	}
	return Adaptive, false
}

// Settings are what a running version can be told anew.
type Settings struct {
	Limits    batch.Limits // in force: with batching off, a batch is of one request and waits for nobody
	Batching  Batching
	Instances int      // batches computed at once; 0 follows the CPU limit
	MaxLength int      // of every dynamic dimension of a request; 0: any
	Features  []string // names of a row's values; nil: the model's own

	general bool // Features were said for all models: they hold where a row is as wide
}

// Standing is what holds where the file says nothing: the flags, the environment and the defaults.
type Standing struct {
	Models     []ModelConfig // when the file names none; their Settings are of no account
	Limits     batch.Limits  // Static is of no account: Batching says it
	Batching   Batching
	Instances  int
	MaxLength  int
	Runtime    string // of versions that name none; empty: auto
	DelayGiven bool   // somebody chose MaxQueueDelay: an SLO does not take its place
}

// Config is a configuration without a fault in itself. Whether its files can be loaded, its features fit
// and its chains join only shows when a Router applies it.
type Config struct {
	Generation int64 // 0: none is said
	Models     []ModelConfig
	Routes     []Route
	Chains     []ChainConfig
	Default    string // model, alias or chain of requests that name none; never empty when there are models
}

// ModelConfig is a model and its versions.
type ModelConfig struct {
	Name     string
	Default  bool
	Versions []VersionConfig // at least one; the last is for requests that name none, unless there are weights
}

// VersionConfig is a version of a model.
type VersionConfig struct {
	Version string
	File    string // or whatever else the router's Open knows
	Runtime string // auto, builtin, onnx or sim; empty in Standing: its own
	Weight  int64  // share, of the sum over the model's versions, of the requests that name no version; at most 10,000,000
	Settings
}

// Route is a rule that chooses the model for requests to an alias, which may be a model's own name. Rules of
// one alias are tried in their order. A target is a model, a chain, or model/version; never an alias.
type Route struct {
	Alias     string
	Default   bool
	Field     string            // of the body's object; or
	Header    string            // one of the two is set
	Is        map[string]string // from values to targets; nil, with Header only: the value is the version of Otherwise
	Otherwise string            // target of all other values and of none; empty: the next rule decides
}

// ChainConfig is models run one after the other: what one gives the next one takes, by name, or by position
// where there is one of each.
type ChainConfig struct {
	Name    string
	Default bool
	Steps   []string      // at least two; model or model/version
	SLO     time.Duration // deadline of requests without one, for all steps together; 0: each step's own
}
