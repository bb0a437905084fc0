"""sends.py: single SENDs beside Redis's XADD, under the load tester that Redis ships.

Both servers run all the time and take turns; each answers a write when it is synced. PING is the
ceiling: what the sockets alone allow.
"""
from suite.loads import BODY, redis_benchmark
from suite.servers import HalfMQ, Redis

DEPTHS = ((1, 100000), (16, 500000), (128, 1500000))
PINGS = 100000


def measure(bench):
    with HalfMQ(bench, "sends") as broker, Redis(bench, "sends-redis") as redis:
        for depth, n in DEPTHS:
            sends(bench, broker, redis, depth, n)
        pings(bench, broker, redis)


def rate(result):
    (per_second, _, _), command = result
    return per_second, command


def sends(bench, broker, redis, depth, n):
    def theirs():
        got = rate(redis_benchmark(bench, redis.port, depth, n, "XADD", "bench", "*", "f", BODY))
        redis.forget()
        return got

    key = f"send_{depth}"
    bench.figure(key).fsync = "fsync=always; appendfsync always"
    bench.alternate(
        key, lambda: rate(redis_benchmark(bench, broker.port, depth, n, "SEND", "bench", BODY)), theirs)


def pings(bench, broker, redis):
    """PING of both, and a SEND between two of ours: both sides of a ratio must be measured at the same time."""
    def ping(port):
        return rate(redis_benchmark(bench, port, 1, PINGS, "-t", "ping_mbulk"))

    bench.figure("ping_1").fsync = "nothing is written"
    bench.alternate("ping_1", lambda: ping(broker.port), lambda: ping(redis.port))
    bench.figure("send_1_ping").fsync = "fsync=always"
    bench.alternate(
        "send_1_ping",
        lambda: rate(redis_benchmark(bench, broker.port, 1, PINGS, "SEND", "bench", BODY)),
        lambda: ping(broker.port))
