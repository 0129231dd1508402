#!/usr/bin/env bash
# Every check that needs no cluster, as continuous integration runs it. One line before each step.
set -euo pipefail
cd "$(dirname "$0")/.."
# The flags of the product's build, so that what vet and staticcheck look at is compiled once.
export GOFLAGS="-trimpath -buildvcs=false"
lk=deploy/localkube
begin=$SECONDS
step() { printf '== %s (%d s)\n' "$1" $((SECONDS - begin)); }

step "gofmt"
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then echo "not formatted, run gofmt -w: $unformatted"; exit 1; fi

step "go.mod is tidy"
go mod tidy -diff
(cd $lk && go mod tidy -diff)
(cd deploy/upstream && go mod tidy -diff)
(cd deploy/helm && go mod tidy -diff)
(cd serving/runtime/kernel/gen && go mod tidy -diff)

step "go vet"
CGO_ENABLED=0 go vet ./...
# ./kube only links upstream programs; vetting it would compile all of Kubernetes.
driver=$(cd $lk && go list ./... | grep -v '/kube$')
(cd $lk && CGO_ENABLED=0 go vet -tags e2e $driver)
(cd deploy/helm && CGO_ENABLED=0 go vet .)
# The same sources with ONNX Runtime, which is loaded at run time.
CGO_ENABLED=0 go vet -tags onnx ./serving/... ./cmd/modelserver ./deploy/onnxruntime/...
(cd serving/runtime/kernel/gen && CGO_ENABLED=0 go vet .)

step "staticcheck"
go build -modfile=go.tool.mod -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck
CGO_ENABLED=0 bin/staticcheck ./...
(cd $lk && CGO_ENABLED=0 ../../bin/staticcheck -tags e2e $driver)
(cd deploy/helm && CGO_ENABLED=0 ../../bin/staticcheck .)

# -count=1: these read files outside their module, which the test cache does not follow.
step "tests of the local cluster's driver"
(cd $lk && CGO_ENABLED=0 go test -count=1 $driver)

step "the chart, and the manifests rendered from it"
(cd deploy/helm && CGO_ENABLED=0 go test -count=1 .)

if ! command -v gcc >/dev/null; then
	echo "the race detector needs gcc: apt-get install -y gcc libc6-dev"; exit 1
fi
# What starts no goroutine, as optimizer/alone_test.go sees to, has nothing to race with. Without the detector it takes a
# tenth of the time, and so do the tests of one goroutine that other packages leave out with -short.
alone=(./cmd/simulate ./cmd/simulate/show ./optimizer ./optimizer/cost ./optimizer/fleet ./optimizer/simulator
	./policies ./policies/admission ./recommender ./recommender/capacity ./recommender/replay ./recommender/scaling
	./recommender/sharing ./recommender/sizing ./reports ./serving/batch ./serving/curve)
long=(./deploy/bench ./serving/runtime/examples ./serving/runtime/ort)
# Half an hour for a package, not go test's ten minutes: the largest took 395 s on two busy cores.
step "tests of what has one goroutine, and the long ones"
CGO_ENABLED=0 go test -timeout 30m "${alone[@]}" "${long[@]}"
step "tests, with the race detector"
go list ./... | grep -vxFf <(go list "${alone[@]}") | CGO_ENABLED=1 xargs go test -race -short -timeout 30m

step "sizes beside their aims"
go run ./deploy/sizes .

step "known vulnerabilities"
if vulns=$(CGO_ENABLED=0 timeout 120 go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./... 2>&1); then
	echo "none"
elif echo "$vulns" | grep -q '^Vulnerability #'; then
	echo "$vulns"; exit 1
else
	echo "not checked: the vulnerability database is not reachable from here"
fi
echo "all checks passed in $((SECONDS - begin)) s"
