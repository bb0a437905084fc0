#!/bin/sh
# run.sh <folder of the programs> [options of demo]: the demo, as `make demo` runs it.
set -eu
bin=$1
shift
exec "$bin/examples/demo/demo" --bin "$bin" --data "$(cd "$(dirname "$0")" && pwd)/data" "$@"
