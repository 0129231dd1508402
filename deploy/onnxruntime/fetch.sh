#!/usr/bin/env bash
# Fetches ONNX Runtime's shared library of the version in SHA256SUMS into the user's cache, once, and
# prints its path. It comes from the npm package onnxruntime-node, by npm's own configuration; nothing of
# the package is run. What does not have the recorded checksum is not kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
say() { echo "onnxruntime: $*" >&2; }

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) platform=linux-x64 ;;
*) say "there is no checksum for $(uname -s) on $(uname -m); add one to SHA256SUMS"; exit 1 ;;
esac
read -r sum path < <(grep "/$platform/" "$here/SHA256SUMS")
version=${path%%/*}
file=${path##*/}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trimtab/onnxruntime/$version
good() { [ -f "$1" ] && echo "$sum  $1" | sha256sum --check --status; }

if good "$cache/$file"; then
	say "$version is in $cache"
	echo "$cache/$file"
	exit
fi
for tool in npm tar sha256sum; do
	command -v $tool >/dev/null || { say "$tool is needed"; exit 1; }
done
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "fetching onnxruntime-node $version (86 MB)"
(cd "$work" && npm pack --silent --ignore-scripts --cache npm "onnxruntime-node@$version" >/dev/null) &
fetch=$!
while kill -0 $fetch 2>/dev/null; do
	sleep 2
	size=$(du -sk "$work" 2>/dev/null | cut -f1 || true)
	say "$(( ${size:-0} / 1024 )) MB on disk"
done
wait $fetch || { say "npm could not fetch it; is there a network, and which registry does npm config name?"; exit 1; }

say "unpacking $file"
tar -xzf "$work"/onnxruntime-node-*.tgz -C "$work" --strip-components=5 --wildcards "package/bin/napi-v*/linux/x64/$file"
if ! good "$work/$file"; then
	say "the checksum of $file is $(sha256sum "$work/$file" | cut -d' ' -f1), not the recorded $sum; it is not kept"
	exit 1
fi
chmod 644 "$work/$file"
mv "$work/$file" "$cache/$file"
say "$version is in $cache ($(( $(stat -c %s "$cache/$file") / 1048576 )) MB)"
echo "$cache/$file"
