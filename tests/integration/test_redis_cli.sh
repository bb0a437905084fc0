#!/bin/sh
# test_redis_cli.sh: sends every kind of command with an unchanged redis-cli and compares its output. The script
# starts the broker on free ports, and stops it at the end.
set -eu

bin=${BIN:-${HALFMQ_BIN:-build/bin}}
halfmqd=${HALFMQD:-$bin/halfmqd}
folder=$(mktemp -d)
failed=0

"$halfmqd" --port 0 --http_port 0 --data "$folder/data" --check_every 20ms >"$folder/log" 2>&1 &
broker=$!
trap 'kill "$broker" 2>/dev/null || true; wait "$broker" 2>/dev/null || true; rm -rf "$folder"' EXIT

tries=0
until grep -q ' addr=.* http=' "$folder/log"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$broker" 2>/dev/null; then
        cat "$folder/log" >&2
        echo "the broker did not get ready" >&2
        exit 1
    fi
    sleep 0.1
done
port=$(sed -n 's/.* addr=[^ ]*:\([0-9]*\) .*/\1/p' "$folder/log" | tail -n 1)

# Runs one command and puts its output into $answer.
ask() {
    answer=$(timeout 60 redis-cli -p "$port" "$@" 2>&1) || true
}

# is <expected> <words ...>: checks that the output is exactly this. like <pattern> <words ...>: that it matches the
# shell pattern.
is() {
    expected=$1
    shift
    ask "$@"
    if [ "$answer" != "$expected" ]; then
        printf 'FAILED  %s\n  answered: %s\n  expected: %s\n' "$*" "$answer" "$expected" >&2
        failed=1
    fi
}

like() {
    pattern=$1
    shift
    ask "$@"
    # shellcheck disable=SC2254 # a pattern on purpose
    case "$answer" in
    $pattern) ;;
    *)
        printf 'FAILED  %s\n  answered: %s\n  expected: %s\n' "$*" "$answer" "$pattern" >&2
        failed=1
        ;;
    esac
}

# connection
is PONG PING
is hello PING hello
is "a b" ECHO "a b"
is OK SELECT 0
like "ERR *" SELECT 1
like "*proto*2*" HELLO 2
like "NOPROTO *" HELLO 9
like "[0-9]*" CLIENT ID
like "*addr=*" CLIENT LIST
like "[0-9]*" COMMAND COUNT
like "*send*" COMMAND LIST
like "*topic body*" HELP SEND
like "ERR *" NONSENSE
is OK QUIT

# MULTI takes more than one command of one connection
answer=$(printf 'MULTI\nSEND cli one QUEUE 0\nNONSENSE\nEXEC\nMULTI\nSEND cli two QUEUE 0\nECHO hi\nEXEC\n' |
    timeout 60 redis-cli -p "$port" 2>&1) || true
expected="OK
QUEUED
ERR unknown command 'NONSENSE': HELP lists them all

EXECABORT nothing was done, since a command was refused before EXEC

OK
QUEUED
QUEUED
cli:0:0
hi"
if [ "$answer" != "$expected" ]; then
    printf 'FAILED  MULTI\n  answered: %s\n' "$answer" >&2
    failed=1
fi
like "ERR *" EXEC

# produce
is orders:0:0 SEND orders one QUEUE 0 KEY k1 TAG red PROP color blue
is orders:0:1 SEND orders two QUEUE 0 DEDUP d
is orders:0:1 SEND orders two QUEUE 0 DEDUP d
like "orders:[0-3]:*" SEND orders three ORDER customer
like "many:*many:*" MSEND many a b
like "BADNAME *" SEND "a b" x
like "ERR *" SEND orders x QUEUE 9

# transactions
ask HALF shop orders half QUEUE 1
txid=$answer
like "[0-9]*" HALF shop stock other TXN "$txid" QUEUE 1
is "" READ orders 1 0
like "*pending*" TXN INFO "$txid"
is OK TXN EXTEND "$txid" 1h
is OK UNKNOWN "$txid"
is "orders:1:0
stock:1:0" COMMIT "$txid"
like "TXNCONFLICT *" ROLLBACK "$txid"
like "NOTXN *" COMMIT 99999999999
ask HALF shop orders dropped
is OK ROLLBACK "$answer"
ask HALF asked orders later CHECKIN 10ms
txid=$answer
like "*\"txid\":\"$txid\"*" CHECKS asked WAIT 20s
is OK ROLLBACK "$txid"

# consume
is OK GROUP CREATE g orders FROM earliest LEASE 1h ATTEMPTS 2 BACKOFF 0
like "EXISTS *" GROUP CREATE g orders
like "orders:0:0#1*one*color*blue*" POP g orders
is 1 ACK g "orders:0:0#1"
is 0 ACK g "orders:0:0#1"
like "orders:0:1#1*two*" POP g orders COUNT 1
is OK EXTEND g "orders:0:1#1" 1h
is OK NACK g "orders:0:1#1" REASON why
like "STALE *" EXTEND g "orders:0:1#1" 1h
like "*ready*" LAG g
like "*" LAG
like "*g*" GROUP LIST
like "*orders*" GROUP INFO g
like "NOGROUP *" GROUP INFO nobody
is OK GROUP DELETE g
like "NOTOPIC *" POP g nowhere

# read
like "orders:0:0*one*" READ orders 0 0
like "orders:0:1*two*" GET orders:0:1
is "" GET orders:0:999
like "orders:0:0*" FIND orders KEY k1

# manage
is OK TOPIC CREATE made QUEUES 2
like "*made*" TOPIC INFO made
like "*made*" TOPIC LIST
is OK TOPIC PURGE made
is OK TOPIC DELETE made
like "NOTOPIC *" TOPIC INFO made
like "*version:*" INFO server
like "fsync*always" CONFIG GET fsync
is OK CONFIG SET checkin 7s
like "checkin*7s" CONFIG GET checkin

# RESP3, and a body from standard input
is PONG -3 PING
like "*orders:0:0*" -3 GET orders:0:0
answer=$(printf 'from a pipe' | timeout 60 redis-cli -p "$port" -x SEND stdin)
case "$answer" in
stdin:*) ;;
*)
    echo "FAILED  redis-cli -x SEND stdin answered $answer" >&2
    failed=1
    ;;
esac

# the end
timeout 60 redis-cli -p "$port" SHUTDOWN >/dev/null 2>&1 || true
if ! timeout 60 tail --pid="$broker" -f /dev/null; then
    echo "FAILED  the broker is still there after SHUTDOWN" >&2
    failed=1
fi
exit "$failed"
