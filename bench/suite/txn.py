"""txn.py: whole transactions (HALF, then COMMIT; two round trips, two syncs) over single XADDs.

64 are in flight over 4 connections; Redis has its 50 clients, as in all rows.
"""
from suite.loads import BODY, halfmq_bench, redis_benchmark
from suite.servers import HalfMQ, Redis

SECONDS = 4
REQUESTS = 200000


def transactions(bench, port):
    result, command = halfmq_bench(bench, port, "txn", "--inflight", "64", "--size", "100", "--duration",
                                   bench.seconds(SECONDS))
    return result["transactions_per_s"], command


def measure(bench):
    bench.figure("txn").fsync = "fsync=always; appendfsync always"
    with HalfMQ(bench, "txn") as broker, Redis(bench, "txn-redis") as redis:
        def theirs():
            (per_second, _, _), command = redis_benchmark(bench, redis.port, 1, REQUESTS, "XADD", "bench",
                                                          "*", "f", BODY)
            redis.forget()
            return per_second, command

        bench.alternate("txn", lambda: transactions(bench, broker.port), theirs)
