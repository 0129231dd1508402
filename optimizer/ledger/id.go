package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"trimtab.dev/trimtab/optimizer"
)

// stamp begins every ID: IDs sort by the second at which their changes were begun.
const stamp = "20060102t150405"

var idForm = regexp.MustCompile(`^[0-9]{8}t[0-9]{6}-[0-9a-f]{6}$`)

// newID names an entry by its time and six digits of a digest over what is changed, such as
// 20261121t113845-3f9a2c: short enough to type. The same change begun at the same time has the same ID,
// unless that is taken.
func newID(c optimizer.Change, at time.Time, taken func(id string) bool) (string, error) {
	if y := at.UTC().Year(); y < 1 || y > 9999 {
		return "", fmt.Errorf("no ID has room for the year %d", y)
	}
	for salt := 0; ; salt++ {
		text, err := json.Marshal([]any{c.Ref, c.From.UID, c.Reasons, c.From, c.To, at.UTC(), salt})
		if err != nil {
			return "", fmt.Errorf("name the change of %s: %w", c.Ref, err)
		}
		sum := sha256.Sum256(text)
		if id := at.UTC().Format(stamp) + "-" + hex.EncodeToString(sum[:3]); !taken(id) {
			return id, nil
		}
	}
}
