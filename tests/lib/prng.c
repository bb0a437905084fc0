/* prng.c: splitmix64: one addition and three mixing steps, which is good enough for choosing what a test does. */
#include "tests/lib/prng.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct prng prng_from(uint64_t seed)
{
    return (struct prng){seed};
}

static char history[64]; /* as it is printed */

static void prng_aborts(int number)
{
    (void)!write(STDERR_FILENO, history, strlen(history));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

struct prng prng_history(uint64_t seed)
{
    (void)snprintf(history, sizeof history, "this history: HALFMQ_SEED=%llu SEEDS=1\n", (unsigned long long)seed);
    (void)signal(SIGABRT, prng_aborts);
    return prng_from(seed);
}

struct prng prng_start(void)
{
    const char *given = getenv("HALFMQ_SEED");
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed =
        given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec;
    (void)fprintf(stderr, "HALFMQ_SEED=%llu\n", (unsigned long long)seed);
    return prng_from(seed);
}

uint64_t prng_next(struct prng *p)
{
    uint64_t z = p->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t prng_below(struct prng *p, uint64_t n)
{
    assert(n > 0);
    return prng_next(p) % n;
}

void prng_fill(struct prng *p, void *bytes, size_t n)
{
    uint8_t *at = bytes;
    while (n > 0) {
        uint64_t v = prng_next(p);
        size_t some = n < sizeof(v) ? n : sizeof(v);
        memcpy(at, &v, some);
        at += some;
        n -= some;
    }
}
