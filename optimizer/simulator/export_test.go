package simulator

import (
	"context"
	"sync"

	"trimtab.dev/trimtab/optimizer/cost"
)

// Whole is the built-in fleet's run as a newcomer sees it, made once for all tests.
var Whole = sync.OnceValues(func() (Result, error) {
	return Run(context.Background(), Builtin(), Options{Prices: cost.Builtin()})
})

// aWeek is the same of one week.
var aWeek = sync.OnceValues(func() (Result, error) {
	return Run(context.Background(), Builtin(), Options{Weeks: 1, Prices: cost.Builtin()})
})
