#!/bin/sh
# deps.sh: makes sure that the Debian packages which HalfMQ is built from are there.
#
#   sh cmake/deps.sh demo     what `make demo` needs: the broker, libhalfmq and the demo
#   sh cmake/deps.sh build    and what `make` needs: the command line, the load tester, the examples
#   sh cmake/deps.sh test     and what `make test` and `make bench` need, PostgreSQL and Redis too
#   sh cmake/deps.sh tools    clang and its tools for fuzz, format and tidy, and gcovr for coverage
#
# Several sets may be named; without one it is `test`.
#
# With everything installed it only asks dpkg and returns at once, without the network. Otherwise it
# installs what is missing when it is root or may use sudo without a password, else it prints the
# command to run. On a system without dpkg it says so and leaves the rest to CMake's own messages.
set -eu

demo="build-essential cmake ninja-build pkg-config librocksdb-dev libevent-dev libmsgpack-dev
libcjson-dev libisal-dev libxxhash-dev libbsd-dev libssl-dev libjwt-dev libsqlite3-dev"
build="$demo libhiredis-dev libedit-dev libsmartcols-dev libpq-dev"
test="$build libcmocka-dev postgresql redis-tools redis-server python3 python3-redis python3-msgpack
abigail-tools libuv1-dev"
tools="clang libclang-rt-14-dev clang-format clang-tidy llvm gcovr"

packages=
for set in "${@:-test}"; do
    case "$set" in
    demo) packages="$packages $demo" ;;
    build) packages="$packages $build" ;;
    test) packages="$packages $test" ;;
    tools) packages="$packages $tools" ;;
    *)
        echo "deps: there is no set $set; there are demo, build, test and tools" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps: no dpkg here; see cmake/deps.sh for the libraries that HalfMQ needs" >&2
    exit 0
fi

missing=
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    case "$status" in
    *not-installed* | *config-files* | "") missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    root=
elif sudo -n true 2>/dev/null; then
    root="sudo -n"
else
    echo "deps: these packages are missing, and installing them needs root. Please run:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

echo "deps: installing$missing"
# RUNLEVEL=1: redis-server and postgresql are for the tests, nobody wants them running as services.
# The package lists may be old or absent; an update that fails (no network) need not be fatal.
$root apt-get update -qq || echo "deps: apt-get update failed, trying with the lists at hand" >&2
# shellcheck disable=SC2086 # the lists are words on purpose
if ! $root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing \
    >/dev/null; then
    echo "deps: apt-get could not install$missing; look at its message above" >&2
    exit 1
fi
