package serving

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// keyring decides who may ask. Without keys everybody may.
type keyring struct {
	keys func() []string // read anew each time: a Secret that is mounted changes
}

// allows reports whether one of the keys was sent, as a bearer token or in X-Api-Key. Keys are compared by
// their hash, in a time that tells neither their length nor how much of them was right.
func (k keyring) allows(get func(string) string) bool {
	keys := k.keys()
	if len(keys) == 0 {
		return true
	}
	kind, token, _ := strings.Cut(get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		token = ""
	}
	// Both count: the token may be for a gateway on the way, which passes it on.
	return among(keys, token)|among(keys, get("X-Api-Key")) == 1
}

// among is 1 if sent is one of the keys, else 0.
func among(keys []string, sent string) int {
	hash, right := sha256.Sum256([]byte(sent)), 0
	for _, key := range keys {
		if key == "" {
			continue // lets nobody in
		}
		want := sha256.Sum256([]byte(key))
		right |= subtle.ConstantTimeCompare(hash[:], want[:])
	}
	return right
}

// errKey refuses a request without a key.
func errKey() error {
	return refuse(http.StatusUnauthorized, "send the API key as \"Authorization: Bearer KEY\" or in X-Api-Key")
}
