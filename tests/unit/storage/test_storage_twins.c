/* test_storage_twins.c: tests that apply is a function of the stored state, the stamp and the command: two stores that
 * get the same commands give the same replies and have the same bytes, although one of them restarts, or drops its
 * state and loads it, again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/prng.h"
#include "tests/lib/shell_check.h"
#include "tests/lib/sifting.h"

#define IDS 40

struct twins {
    struct shell a, b;
    struct prng p;
    uint64_t ids[IDS]; /* txids, as returned */
    uint64_t token;    /* of the last delayed message */
    uint32_t n_ids;
};

static unsigned below(struct twins *t, uint64_t n)
{
    return (unsigned)prng_below(&t->p, n);
}

/* Makes a random command, which may fail. */
static void any_line(struct twins *t, char *line, size_t size)
{
    unsigned topic = below(t, 3), group = below(t, 2), n = below(t, 5), q = below(t, 4), o = below(t, 60);
    unsigned long long id = t->n_ids ? t->ids[below(t, t->n_ids)] : 5000000000;
    static const char *const options[] = {"", " QUEUE 1", " ORDER k", " TTL 100", " KEY a KEY b", " DEDUP d",
                                          " DELAY 60", " DELAY 5 QUEUE 2 TTL 90", " ORDER j", " ORDER j TTL 80"};
    const char *option = options[below(t, 10)];
    switch (below(t, 24)) {
    case 0:
    case 1:
    case 2: (void)snprintf(line, size, "SEND t%u m%s", topic, option); break;
    case 3: (void)snprintf(line, size, "MSEND t%u a b c", topic); break;
    case 4: (void)snprintf(line, size, "HALF pg t%u m%s CHECKIN %u", topic, option, n * 20); break;
    case 5: (void)snprintf(line, size, "HALF pg t%u m TXN %llu", topic, id); break;
    case 6: (void)snprintf(line, size, "COMMIT %llu", id); break;
    case 7: (void)snprintf(line, size, "ROLLBACK %llu", id); break;
    case 8: (void)snprintf(line, size, "CHECKS pg COUNT %u", n + 1); break;
    case 9:
    case 10: (void)snprintf(line, size, "POP g%u t%u COUNT %u LEASE %u", group, topic, n * n + 1, 1 + o * 5); break;
    case 11: (void)snprintf(line, size, "ACK g%u t%u:%u:%u#1", group, topic, q, o); break;
    case 12: (void)snprintf(line, size, "NACK g%u t%u:%u:%u#1 DELAY %u", group, topic, q, o, n * 30); break;
    case 13: (void)snprintf(line, size, "REJECT g%u t%u:%u:%u#1", group, topic, q, o); break;
    case 18: (void)snprintf(line, size, "DELAYED CANCEL @%llu", (unsigned long long)t->token); break;
    case 14: (void)snprintf(line, size, "EXTEND g%u t%u:%u:%u#1 %u", group, topic, q, o, o); break;
    case 15: (void)snprintf(line, size, "ACK g%u t%u:%u:%u-%u#1", group, topic, q, o, o + n); break;
    case 16: (void)snprintf(line, size, "EXTEND g%u t%u:%u:%u-%u#1 %u", group, topic, q, o, o + n, o); break;
    case 17:
        (void)snprintf(line, size, "RELEASE g%u t%u:%u:%u#1 t%u:%u:%u-%u#1", group, topic, q, o, topic, q, o + 2, o + 2 + n);
        break;
    case 20: (void)snprintf(line, size, "DLQ REDRIVE g%u COUNT %u", group, n + 1); break;
    case 21: (void)snprintf(line, size, "DLQ REDRIVE g%u %%DLQ%%g%u:0:%u", group, group, o % 20); break;
    case 22: (void)snprintf(line, size, "%s g%u %%RETRY%%g%u:0:%u#1", n < 3 ? "REJECT" : "ACK", group, group, o % 20); break;
    case 23: (void)snprintf(line, size, "POP g%u %%DLQ%%g%u COUNT %u", group, 1 - group, n); break;
    default: {
        static const char *const rare[] = {"TOPIC PURGE t0", "TOPIC DELETE t1", "GROUP DELETE g1", "TICK",
                                           "GROUP CREATE g1 t2 ATTEMPTS 1 BACKOFF 10,20", "UNASK 5000000000",
                                           "PGROUP SET pg CHECKMAX 2 CHECKEVERY 5", "PGROUP SET pg TIMEOUT 90 SECRET s",
                                           "PGROUP DELETE pg", "TOPIC SET t0 MAXBYTES 2000", "TOPIC SET t1 QUEUES 6",
                                           "TOPIC SET t2 RETENTION 1500 MAXBYTES 700",
                                           "GROUP SET g0 t0 RATE 50 INFLIGHT 4", "GROUP SET g0 t0 RATE 0 INFLIGHT 0 BACKOFF 5",
                                           "GROUP SET g1 t1 RATE 7 ATTEMPTS 3", "GROUP PAUSE g0", "GROUP PAUSE g1 t1",
                                           "GROUP RESUME g0", "GROUP RESUME g1", "GROUP SEEK g0 t0 earliest",
                                           "GROUP SEEK g1 t1 QUEUE 1 OFFSET 3", "GROUP SEEK g0 t2 QUEUE 0 OFFSET 1",
                                           "GROUP SEEK g1 t0 latest", "GROUP SEEK g1 t2 1795501800500",
                                           "GROUP CREATE g1 t1 ORDERED", "GROUP SET g0 t0 ORDERED", "GROUP SET g0 t2 ORDERED",
                                           "GROUP SET g0 t0 FILTER WHERE \"key = 'a' OR offset > 30\"",
                                           "GROUP SET g0 t0 FILTER NONE", "GROUP SET g1 t1 FILTER TAG a||b",
                                           "GROUP SET g1 t2 FILTER WHERE \"NOT order = 'k'\"",
                                           "GROUP CREATE g1 t0 FILTER WHERE \"queue IN (1, 2) AND stored > 0\"",
                                           "GROUP SET g1 t0 ORDERED", "GROUP SET g0 t0 ORDERED no", "GROUP SET g0 t1 ORDERED",
                                           "ACL SETUSER ann on nopass +@read ~t0", "ACL SETUSER ann -@read ~t1* pgroup:pg",
                                           "ACL SETUSER bob rate:5 conns:7 group:g?", "ACL SETUSER bob reset +nothing",
                                           "ACL DELUSER ann bob", "ACL SETUSER default off", "ACL SETUSER default on nopass"};
        (void)snprintf(line, size, "%s", rare[below(t, sizeof(rare) / sizeof(rare[0]))]);
    }
    }
}

static void same_group(struct twins *t)
{
    char line[200];
    uint32_t halfs[20], at[20], n = 1 + below(t, 12);
    for (uint32_t i = 0; i < n; i++) {
        any_line(t, line, sizeof(line));
        bool pop = strncmp(line, "POP", 3) == 0, before = pop && below(t, 2);
        at[i] = pop ? sifting_add(&t->a, line, before) : shell_add(&t->a, "%s", line);
        uint32_t other = pop ? sifting_add(&t->b, line, before) : shell_add(&t->b, "%s", line);
        assert_int_equal(at[i], other);
        halfs[i] = strncmp(line, "HALF", 4) == 0;
    }
    assert_true(shell_write(&t->a));
    assert_true(shell_write(&t->b));
    for (uint32_t i = 0; i < n; i++) {
        const char *said = shell_reply(&t->a, at[i]);
        assert_string_equal(said, shell_reply(&t->b, at[i]));
        if (said[0] == '@')
            t->token = strtoull(said + 1, NULL, 10);
        uint64_t id = halfs[i] ? strtoull(said, NULL, 10) : 0;
        if (id)
            t->ids[t->n_ids < IDS ? t->n_ids++ : below(t, IDS)] = id;
    }
    assert_true(t->a.fx.written == t->b.fx.written);
}

static void twins_grow_up_alike(void **state)
{
    (void)state;
    static struct twins t;
    shell_start(&t.a);
    shell_start(&t.b);
    t.b.memory_bytes = (size_t)16 << 20; /* from its first restart on: another size of memory, the same rows */
    t.p = prng_start();
    t.token = TXID_MIN;
    t.a.policy.check_every_ms = t.b.policy.check_every_ms = 20;
    t.a.policy.check_max = t.b.policy.check_max = 3;
    for (int i = 0; i < 400; i++) {
        same_group(&t);
        if (below(&t, 6) == 0)
            assert_int_equal(sifting_advance(&t.a, 1), sifting_advance(&t.b, 1));
        if (i % 10 == 0)
            assert_true(shell_digest(&t.a) == shell_digest(&t.b));
        if (below(&t, 24) == 0) /* before TICK has done the rest */
            shell_sound(&t.b);
        int64_t ms = (int64_t)below(&t, 50);
        shell_pass(&t.a, ms);
        shell_pass(&t.b, ms);
        unsigned what = below(&t, 12);
        uint64_t index = t.b.index; /* the store does not count commands that changed nothing */
        if (what == 0)
            shell_sound(&t.b); /* closes it, checks it, and opens it */
        else if (what < 3)
            assert_true(shell_reload(&t.b));
        t.b.index = index;
        t.b.st->wait_window = 1 + below(&t, 5);
        t.b.st->lru.bytes_max = below(&t, 2) * 3000;
        t.a.st->gone_left = t.b.st->gone_left = below(&t, 3);
    }
    assert_true(shell_digest(&t.a) == shell_digest(&t.b));
    shell_stop(&t.a);
    shell_stop(&t.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(twins_grow_up_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
