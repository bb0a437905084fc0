#!/bin/sh
# run.sh: the figures of bench/README.md, beside Redis on the same machine in the same run.
# usage: run.sh [folder of halfmqd] [options of compare.py]
set -eu
here=$(dirname "$0")
bin=${1:-$here/../build/bin}
[ $# -gt 0 ] && shift
for tool in redis-server redis-benchmark redis-cli; do
    command -v "$tool" >/dev/null || {
        echo "bench: $tool is missing: apt-get install redis-server redis-tools" >&2
        exit 1
    }
done
exec /usr/bin/python3 "$here/compare.py" --bin "$bin" "$@"
