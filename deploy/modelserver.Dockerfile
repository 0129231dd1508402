# The model server's image: one static binary, with the builtin runtime. Build the binary first:
#   CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/modelserver ./cmd/modelserver
#   docker build -f deploy/modelserver.Dockerfile -t REGISTRY/modelserver:VERSION bin
FROM scratch
COPY modelserver /modelserver
USER 65532:65532
ENTRYPOINT ["/modelserver"]
