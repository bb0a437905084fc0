/*
 * test_storage_twins_faults.c: tests that apply is a function of the stored state, the stamp and the command. Two stores
 * get the same commit groups, give the same replies, and end with the same bytes, although one of them has a thirtieth
 * of the other's memory, restarts or drops its state and loads it again and again, runs out of memory at any place, and
 * has reads that fail or find damage: then a command is refused and has changed nothing, or its group is given up. Queries
 * give the same answers, too, or while a read fails an error. Every command of the table takes part.
 *
 *   SEEDS=n         how many pairs (a dozen by default)
 *   HALFMQ_SEED=n   the first of them (1 by default: the same pairs every time); a failure prints its seed, which repeats it with SEEDS=1
 *   TRACE=1         prints every command and its reply
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/model/young.h"
#include "tests/lib/batch.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

#define IDS 40
#define LINES_MAX 24
#define LINE_SIZE 65000
#define GROUPS_A_SEED 100
#define SEEDS_DEFAULT 12
#define MEMORY_LARGE MIB(64)
#define MEMORY_SMALL MIB(2)

struct twins {
    struct shell a, b; /* b has the troubles */
    struct prng p;
    uint64_t seed;
    uint32_t group;
    uint64_t ids[IDS]; /* txids, as returned */
    uint64_t token;    /* of the last delayed message */
    uint32_t n_ids;
    uint32_t n;
    char lines[LINES_MAX][LINE_SIZE];
    uint32_t given_up; /* groups that b was given a second time */
    uint32_t refused;  /* commands that b refused because of a read */
    bool over;  /* the two cannot be compared any more */
    bool fired; /* memory ran out in the last group */
    bool trace;
    bool seen[COMMAND_COUNT]; /* which commands were given */
};

static struct twins t;

static unsigned below(uint64_t n)
{
    return (unsigned)prng_below(&t.p, n);
}

static void complain(const char *what, const char *more)
{
    (void)fprintf(stderr, "HALFMQ_SEED=%llu SEEDS=1, group %u: %s: %s\n", (unsigned long long)t.seed, t.group, what,
                  more);
    abort();
}

/* ---- random commands, which may fail ---- */

static const char *any_options(void)
{
    static const char *const options[] = {"", "", " QUEUE 1", " ORDER k", " TTL 100", " KEY a KEY b", " DEDUP d",
                                          " DELAY 60", " DELAY 5 QUEUE 2 TTL 90", " ORDER l", " PRIORITY 9",
                                          " PRIORITY 0 TTL 200"};
    return options[below(sizeof(options) / sizeof(options[0]))];
}

/* Mostly a short body; sometimes one that makes records, groups and transactions large. */
static const char *any_body(void)
{
    static char bodies[3][60001];
    unsigned kind = below(12);
    if (!bodies[0][0])
        for (int i = 0; i < 3; i++)
            memset(bodies[i], 'x', sizeof(bodies[i]) - 1);
    bodies[0][1 + below(30)] = 0;
    bodies[1][3000] = 0;
    const char *body = kind == 0 ? bodies[2] : kind < 4 ? bodies[1] : bodies[0];
    return body;
}

static unsigned long long any_id(void)
{
    return t.n_ids ? t.ids[below(t.n_ids)] : 5000000000;
}

static void any_produce(char *line)
{
    static const char *const options[] = {"", " DEDUP d", " QUEUE 1", " QUEUE 0 DEDUP e", " ORDER k TAG a", " AT 1"};
    switch (below(6)) {
    case 3: (void)snprintf(line, LINE_SIZE, "PRODUCE t%u %u%s", below(3), 1 + below(40), options[below(4)]); return;
    case 0: (void)snprintf(line, LINE_SIZE, "MSEND t%u a b c d e f g", below(3)); return;
    case 1:
        (void)snprintf(line, LINE_SIZE, "HALF pg t%u %s CHECKIN %u%s", below(3), any_body(), below(5) * 20,
                       options[below(2)]);
        return;
    case 2: (void)snprintf(line, LINE_SIZE, "HALF pg t%u %s TXN %llu", below(3), any_body(), any_id()); return;
    default: {
        const char *more = below(2) ? any_options() : options[below(6)], *body = any_body();
        (void)snprintf(line, LINE_SIZE, "SEND t%u %s%s", below(3), body, more);
    }
    }
}

static void any_txn(char *line)
{
    switch (below(7)) {
    case 5: (void)snprintf(line, LINE_SIZE, "UNKNOWN %llu", any_id()); break;
    case 6: (void)snprintf(line, LINE_SIZE, "UNASK %llu-%u", any_id(), 1 + below(3)); break;
    case 0: (void)snprintf(line, LINE_SIZE, "ROLLBACK %llu", any_id()); break;
    case 1: (void)snprintf(line, LINE_SIZE, "CHECKS pg COUNT %u", below(5) + 1); break;
    case 2:
        (void)snprintf(line, LINE_SIZE, "COMMIT %llu ACK g%u t%u:%u:%u#%u", any_id(), below(2), below(3), below(4),
                       below(30), 1 + below(3));
        break;
    case 3: (void)snprintf(line, LINE_SIZE, "TXN EXTEND %llu %u", any_id(), below(100)); break;
    default: (void)snprintf(line, LINE_SIZE, "COMMIT %llu", any_id());
    }
}

/* What names a receipt, of one message or of a range. */
static void any_receipt(char *line)
{
    static const char *const words[] = {"ACK", "ACK", "NACK", "NACK", "REJECT", "EXTEND", "RELEASE", "SKIP"};
    unsigned what = below(8), group = below(2), topic = below(3), q = below(4), o = below(40), n = below(12);
    unsigned attempt = 1 + below(below(3) ? 2 : 6);
    char range[20] = "", more[20] = "";
    if (what != 2 && what != 3 && what != 4 && n)
        (void)snprintf(range, sizeof(range), "-%u", o + n);
    if (words[what][0] == 'E')
        (void)snprintf(more, sizeof(more), " %u", below(60));
    else if (words[what][0] == 'N' && below(2))
        (void)snprintf(more, sizeof(more), " DELAY %u", below(90));
    (void)snprintf(line, LINE_SIZE, "%s g%u t%u:%u:%u%s#%u%s", words[what], group, topic, q, o, range, attempt, more);
}

/* Groups are limited, paused and moved. */
static void any_group(char *line)
{
    static const char *const what[] = {"SET", "SET", "PAUSE", "RESUME", "RESUME", "SEEK", "SEEK", "SEEK"};
    static const char *const set[] = {"RATE 40", "RATE 0 INFLIGHT 0", "INFLIGHT 7", "RATE 3 BACKOFF 20", "ATTEMPTS 2 BACKOFF 0"};
    static const char *const to[] = {"earliest", "latest", "QUEUE 0 OFFSET 3", "QUEUE 1 OFFSET 0", "1795501800200"};
    unsigned k = below(8), more = below(5);
    if (k >= 2 && k < 5 && below(2))
        (void)snprintf(line, LINE_SIZE, "GROUP %s g%u", what[k], below(2));
    else
        (void)snprintf(line, LINE_SIZE, "GROUP %s g%u t%u %s", what[k], below(2), below(3),
                       k < 2 ? set[more] : k < 5 ? "" : to[more]);
}

static void any_rare(char *line)
{
    static const char *const rare[] = {
        "TOPIC PURGE t0", "TOPIC DELETE t1", "TOPIC DELETE t2", "GROUP DELETE g1", "GROUP DELETE g0", "TICK", "TICK",
        "GROUP CREATE g1 t2 ATTEMPTS 1 BACKOFF 10,20", "GROUP CREATE g0 t1 ATTEMPTS 2 FROM latest",
        "GROUP CREATE g1 t0 ATTEMPTS 1 LEASE 5", "ADVANCE g0 t1", "UNASK 5000000000", "PGROUP SET pg CHECKMAX 2 CHECKEVERY 5",
        "PGROUP SET pg TIMEOUT 90 SECRET s", "PGROUP DELETE pg", "TOPIC CREATE t1 QUEUES 2 COMPRESS lz4",
        "POP g0 %DLQ%g1 COUNT 5", "TOPIC PURGE t2", "TOPIC SET t0 MAXBYTES 5000", "TOPIC SET t1 MAXBYTES 200 QUEUES 3",
        "TOPIC SET t2 RETENTION 300", "TOPIC SET t0 RETENTION 10", "TOPIC SET t1 QUEUES 5 MAXBYTES 100000",
        "TOPIC SET t2 MAXBYTES 200000", "TOPIC SET t1 MAXBYTES 0 RETENTION 0",
        "ACL SETUSER u1 on nopass +@produce ~t*", "ACL SETUSER u2 #h1 rate:3", "ACL SETUSER u2 !h1 reset",
        "ACL DELUSER u1 u2 u1", "DLQ REDRIVE g0", "DLQ REDRIVE g1 COUNT 3", "DLQ PURGE g0",
        "DLQ REDRIVE g1 %DLQ%g1:0:2 %DLQ%g1:0:1", "DLQ REDRIVE g1 %DLQ%g1:0:4", "TOPIC DELETE %RETRY%g1",
        "GROUP CREATE g1 t1 ORDERED", "GROUP SET g0 t0 ORDERED", "GROUP SET g0 t1 ORDERED", "GROUP SET g1 t0 ORDERED",
        "GROUP SET g0 t0 ORDERED no", "GROUP SET g1 t1 ORDERED no"};
    if (below(6) == 0)
        (void)snprintf(line, LINE_SIZE, "DELAYED CANCEL @%llu", (unsigned long long)t.token);
    else
        (void)snprintf(line, LINE_SIZE, "%s", rare[below(sizeof(rare) / sizeof(rare[0]))]);
}

/* Groups of many large messages, or of many large young transactions, are where limits are met. */
static void any_bulk(char *line, unsigned bulk)
{
    static char body[60001];
    memset(body, 'y', sizeof(body) - 1);
    if (bulk == 1)
        (void)snprintf(line, LINE_SIZE, "SEND t%u %s%s", below(3), body, below(3) ? "" : " TTL 200");
    else
        (void)snprintf(line, LINE_SIZE, "HALF pg t%u %.*s", below(3), 2000 + (int)below(2000), body);
}

static void any_line(char *line, unsigned bulk)
{
    unsigned kind = below(20);
    if (bulk && below(8)) {
        any_bulk(line, bulk);
        return;
    }
    if (kind < 8)
        any_produce(line);
    else if (kind < 10)
        any_txn(line);
    else if (kind < 14 && below(3))
        (void)snprintf(line, LINE_SIZE, "%s g%u t%u COUNT %u LEASE %u", below(3) ? "POP" : "TAKE", below(2), below(3),
                       1 + below(30), 1 + below(60));
    else if (kind < 14)
        (void)snprintf(line, LINE_SIZE, "POP g%u t%u t%u COUNT 1000", below(2), below(3), below(3));
    else if (kind < 18)
        any_receipt(line);
    else if (kind < 19 && below(2))
        any_group(line);
    else
        any_rare(line);
}

/* ---- the same for both ---- */

/* "PRODUCE t1 3 ...": a batch of three messages. */
static void add_batch(struct shell *s, const char *line)
{
    struct slice words[7];
    struct batch b;
    char text[80];
    uint32_t n = 0;
    (void)snprintf(text, sizeof(text), "%s", line);
    for (char *rest = text, *word; n < 7 && (word = strsep(&rest, " "));)
        words[n++] = slice_str(word);
    batch_init(&b);
    for (unsigned long left = strtoul((const char *)words[2].data, NULL, 10); left > 0; left--)
        batch_add_body(&b, left % 3 ? "short" : "a body that is a little longer");
    words[2] = batch_end(&b);
    shell_add_words(s, words, n);
    batch_free(&b);
}

static void add_line(struct shell *s, const char *line)
{
    if (strncmp(line, "PRODUCE ", 8) == 0)
        add_batch(s, line);
    else
        shell_add(s, "%s", line);
}

static void add_all(struct shell *s)
{
    for (uint32_t i = 0; i < t.n; i++)
        add_line(s, t.lines[i]);
}

/* Gives the group to b. While it does that, memory runs out where `fail` says (0: nowhere). False: it was given up. */
static bool give_b(uint64_t fail)
{
    t.b.inside = fault_heap_inside;
    fault_heap_fail(fail, below(4) == 0);
    add_all(&t.b);
    bool written = shell_write(&t.b);
    t.fired = fault_heap_fired();
    fault_heap_fail(0, false);
    t.b.inside = NULL;
    if (!written && !t.fired)
        complain("a group was given up for no reason", t.b.err);
    return written;
}

/* As the process does: what was given up is gone with the state, and a new one goes on from the store. */
static void restart_b(uint64_t index)
{
    shell_close(&t.b);
    if (!shell_open(&t.b))
        complain("the store does not open", t.b.err);
    t.b.index = index;
    t.b.now_ms = t.a.now_ms;
    t.given_up++;
}

/* Notes which commands of the table the lines are. */
static void see_commands(void)
{
    static const char *const inner[] = {"TICK", "TAKE", "RELEASE", "SKIP", "UNASK", "ADVANCE"};
    static const enum command_id ids[] = {CMD_TICK, CMD_TAKE, CMD_RELEASE, CMD_SKIP, CMD_UNASK, CMD_ADVANCE};
    for (uint32_t i = 0; i < t.n; i++) {
        char text[40];
        size_t used = 0;
        (void)snprintf(text, sizeof(text), "%.39s", t.lines[i]);
        char *rest = text;
        struct slice words[2] = {slice_str(strsep(&rest, " ")), slice_str(rest ? strsep(&rest, " ") : "")};
        const struct command_info *info = command_find(words, rest || words[1].len ? 2 : 1, &used);
        if (info)
            t.seen[info->id] = true;
        for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++)
            if (slice_equal(words[0], slice_str(inner[k])))
                t.seen[ids[k]] = true;
    }
}

/* A command that is added to the table takes part, too. */
static void every_command_was_given(void)
{
    for (enum command_id id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info(id);
        bool concerns = info->kind == KIND_QUERY || info->kind == KIND_WRITE || info->kind == KIND_INNER;
        if (concerns && !t.seen[id])
            complain("the twins were never given", info->words);
    }
}

static void remember_ids(void)
{
    for (uint32_t i = 0; i < t.n; i++) {
        const char *said = shell_reply(&t.a, i);
        if (said[0] == '@')
            t.token = strtoull(said + 1, NULL, 10);
        uint64_t id = strncmp(t.lines[i], "HALF", 4) == 0 ? strtoull(said, NULL, 10) : 0;
        if (id)
            t.ids[t.n_ids < IDS ? t.n_ids++ : below(IDS)] = id;
    }
}

/* What a POP or TAKE has leased is read after the group was written, where memory may run out, too: the broker gives it back. */
static bool unread(const char *line, const char *said)
{
    return t.fired && (strncmp(line, "POP", 3) == 0 || strncmp(line, "TAKE", 4) == 0) && (strcmp(said, "-BUSY") == 0 || said[0] == '!');
}

static void same_replies(void)
{
    for (uint32_t i = 0; i < t.n; i++) {
        const char *a = shell_reply(&t.a, i), *b = shell_reply(&t.b, i);
        if (t.trace)
            (void)fprintf(stderr, "%u  %.100s -> %.100s\n", t.group, t.lines[i], a);
        if (strcmp(a, b) == 0 || unread(t.lines[i], b))
            continue;
        (void)fprintf(stderr, "a: %.300s\nb: %.300s\n", a, b);
        complain("other replies", t.lines[i]);
    }
    if (t.a.fx.written != t.b.fx.written)
        complain("only one has written", "");
}

/* Commands that do what they can, and leave to later what they cannot read. */
static bool goes_on(const char *line)
{
    static const char *const some[] = {"TICK",   "RELEASE",      "SKIP",        "UNASK", "POP", "TAKE",
                                       "CHECKS", "TOPIC DELETE", "GROUP DELETE", "DLQ REDRIVE"};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        if (strncmp(line, some[i], strlen(some[i])) == 0)
            return true;
    return false;
}

/* Gives b the command alone, while a read fails. It gets the reply that a had, or it has changed nothing. True: the
 * former. */
static bool give_b_unread(void)
{
    uint64_t before = t.b.index, digest = shell_digest(&t.b);
    shell_reload(&t.b); /* so that there is something to read */
    t.b.index = before;
    int64_t settle_ms = young_due_ms(t.b.st);
    bool settles = settle_ms <= t.a.now_ms; /* young transactions are settled before the command */
    enum kv_op op = below(2) ? KV_OP_GET : KV_OP_ITER; /* what is damaged for good may make a difference */
    t.b.now_ms = t.a.now_ms;
    kv_fault(t.b.st->kv, op, 1 + (int)below(6));
    add_line(&t.b, t.lines[0]);
    kv_fault(t.b.st->kv, op, 0);
    bool written = shell_write(&t.b);
    t.over = written && settles; /* those that could not be read wait for the next command */
    if (t.over || (written && strcmp(shell_reply(&t.a, 0), shell_reply(&t.b, 0)) == 0))
        return true;
    const char *said = written ? shell_reply(&t.b, 0) : "given up";
    if (written && strcmp(said, "-ERR") != 0 && strcmp(said, "-DAMAGED") != 0)
        complain(said, t.lines[0]);
    t.refused++;
    if (written && shell_digest(&t.b) != digest)
        complain("a command was refused and has changed something", t.lines[0]);
    return false;
}

/* Gives b a command alone, of any kind, while a read fails or finds damage, and gives the group up. Nothing of it is in the
 * store. */
static void give_b_in_vain(void)
{
    static const enum kv_op ops[] = {KV_OP_GET, KV_OP_ITER, KV_OP_GET_DAMAGE, KV_OP_ITER_DAMAGE};
    enum kv_op op = ops[below(4)];
    uint64_t digest = shell_digest(&t.b), before = t.b.index;
    if (below(2)) {
        shell_reload(&t.b);
        t.b.index = before;
    }
    t.b.now_ms = t.a.now_ms;
    kv_fault(t.b.st->kv, op, 1 + (int)below(6));
    add_line(&t.b, t.lines[0]);
    kv_fault(t.b.st->kv, op, 0);
    t.b.st->sick = true;
    if (shell_write(&t.b))
        complain("a group that was given up was written", t.lines[0]);
    if (shell_digest(&t.b) != digest)
        complain("a group that was given up has changed something", t.lines[0]);
}

/* ---- queries ---- */

static void any_query(char *line)
{
    unsigned topic = below(3), q = below(4), o = below(40);
    switch (below(20)) {
    case 15: (void)snprintf(line, LINE_SIZE, "DLQ LIST g%u COUNT %u", below(2), 1 + below(5)); break;
    case 18: (void)snprintf(line, LINE_SIZE, "GROUP LEASES g%u COUNT %u", below(2), 1 + below(9)); break;
    case 17: (void)snprintf(line, LINE_SIZE, "TXN MESSAGES %llu", any_id()); break;
    case 16: (void)snprintf(line, LINE_SIZE, "READ %%DLQ%%g1 0 %u COUNT 5", below(9)); break;
    case 0: (void)snprintf(line, LINE_SIZE, "READ t%u %u %u COUNT %u", topic, q, o, 1 + below(50)); break;
    case 1: (void)snprintf(line, LINE_SIZE, "GET t%u:%u:%u", topic, q, o); break;
    case 2: (void)snprintf(line, LINE_SIZE, "FIND t%u KEY a", topic); break;
    case 3: (void)snprintf(line, LINE_SIZE, "TXN INFO %llu", any_id()); break;
    case 4: (void)snprintf(line, LINE_SIZE, "TXN LIST COUNT %u", 1 + below(30)); break;
    case 5: (void)snprintf(line, LINE_SIZE, "LAG g%u", below(2)); break;
    case 6: (void)snprintf(line, LINE_SIZE, "LAG"); break;
    case 7: (void)snprintf(line, LINE_SIZE, "TOPIC INFO t%u", topic); break;
    case 8: (void)snprintf(line, LINE_SIZE, "TOPIC LIST"); break;
    case 9: (void)snprintf(line, LINE_SIZE, "GROUP INFO g%u", below(2)); break;
    case 10: (void)snprintf(line, LINE_SIZE, "GROUP LIST"); break;
    case 11: (void)snprintf(line, LINE_SIZE, "PGROUP INFO pg"); break;
    case 12: (void)snprintf(line, LINE_SIZE, "PGROUP LIST"); break;
    case 13: (void)snprintf(line, LINE_SIZE, "DELAYED LIST t%u", topic); break;
    case 14: (void)snprintf(line, LINE_SIZE, "FIND t%u KEY b COUNT %u", topic, 1 + below(5)); break;
    default: (void)snprintf(line, LINE_SIZE, "TXN LIST PGROUP pg STATE pending");
    }
}

/* An error; of READ and DLQ LIST also what is before it. How many bytes a topic has is not known where a row of it is damaged. */
static bool fails_well(const char *line, const char *right, const char *said)
{
    size_t len = strlen(said);
    bool part = strncmp(line, "READ", 4) == 0 && len > 0 && strncmp(said, right, len - 1) == 0;
    if (strncmp(line, "DLQ LIST", 8) == 0 && said[0] == '[') { /* fewer letters, and another cursor */
        const char *letters = strchr(right, ' '), *fewer = strchr(said, ' ');
        return strncmp(fewer, letters, strlen(fewer) - 2) == 0;
    }
    if (strncmp(line, "TXN MESSAGES", 12) == 0 && said[0] == '[') /* one that cannot be read has no body */
        return strstr(said, "=null") != NULL;
    return said[0] == '-' || part || strncmp(line, "TOPIC INFO", 10) == 0;
}

/* Also what a fault has damaged for one read stays in the list of what is known to be damaged. */
static bool are_alike(const char *line, const char *right, const char *said)
{
    const char *end = strncmp(line, "TOPIC INFO", 10) == 0 ? strstr(right, " damaged:[") : NULL;
    return end ? strncmp(right, said, (size_t)(end - right)) == 0 : strcmp(right, said) == 0;
}

static void same_answers(void)
{
    static const enum kv_op ops[] = {KV_OP_GET, KV_OP_ITER, KV_OP_GET_DAMAGE, KV_OP_ITER_DAMAGE};
    enum kv_op op = ops[below(4)];
    bool fails = below(2) == 0;
    any_query(t.lines[0]);
    t.n = 1;
    see_commands();
    const char *right = shell_do(&t.a, "%s", t.lines[0]);
    kv_fault(t.b.st->kv, op, fails ? 1 + (int)below(5) : 0);
    const char *said = shell_do(&t.b, "%s", t.lines[0]);
    kv_fault(t.b.st->kv, op, 0);
    if (are_alike(t.lines[0], right, said) || (fails && fails_well(t.lines[0], right, said)))
        return;
    (void)fprintf(stderr, "a: %.300s\nb: %.300s\n", right, said);
    complain("other answers", t.lines[0]);
}

/* What retention has deleted leaves a group when the next command looks at it, also one that is refused then. */
static void trim_groups(void)
{
    for (unsigned i = 0; i < 6; i++) {
        shell_add(&t.a, "GROUP SEEK g%u t%u earliest DRYRUN", i / 3, i % 3);
        shell_add(&t.b, "GROUP SEEK g%u t%u earliest DRYRUN", i / 3, i % 3);
    }
    if (!shell_write(&t.a) || !shell_write(&t.b))
        complain("the groups were not trimmed", t.b.err);
}

static void one_group(void)
{
    unsigned bulk = below(8);
    t.n = bulk && bulk < 3 ? LINES_MAX : bulk < 6 ? 1 : 1 + below(12);
    if (t.n == 1)
        trim_groups();
    uint64_t before = t.b.index, fail = below(8) ? 0 : 1 + below(below(2) ? 12 : 200);
    for (uint32_t i = 0; i < t.n; i++)
        any_line(t.lines[i], bulk < 3 ? bulk : 0);
    see_commands();
    add_all(&t.a);
    if (!shell_write(&t.a))
        complain("a group was not written", t.a.err);
    if (t.n == 1 && t.group > 0 && below(4) == 0) {
        give_b_in_vain();
        restart_b(before);
    }
    bool unread = t.group > 0 && t.n == 1 && below(4) && !goes_on(t.lines[0]), given = unread ? give_b_unread() : give_b(fail);
    if (unread)
        t.fired = false;
    if (!given) {
        restart_b(before);
        if (!give_b(0))
            complain("a group was not written the second time", t.b.err);
    }
    if (t.over)
        return;
    same_replies();
    remember_ids();
}

/* Both do what is due, in the same number of TICKs. */
static void pass(int64_t ms)
{
    t.a.now_ms += ms;
    t.b.now_ms += ms;
    for (int n = 0; n < 1000; n++) {
        (void)shell_do(&t.a, "TICK");
        (void)shell_do(&t.b, "TICK");
        if (t.a.status != ST_OK || t.b.status != ST_OK)
            complain("a TICK was not written", "");
        if (t.a.fx.next_due_ms > t.a.now_ms && t.b.fx.next_due_ms > t.b.now_ms)
            return;
    }
    complain("TICK does not end", "");
}

static void tell_row(const char *which, const struct kv_iter *it)
{
    struct slice k = kv_iter_valid(it) ? kv_iter_key(it) : slice_of(NULL, 0);
    struct slice v = kv_iter_valid(it) ? kv_iter_value(it) : slice_of(NULL, 0);
    (void)fprintf(stderr, "%s: ", which);
    for (size_t i = 0; i < k.len; i++)
        (void)fprintf(stderr, i == 0 ? "%c" : " %02x", k.data[i]);
    (void)fprintf(stderr, " = ");
    for (size_t i = 0; i < v.len && i < 64; i++)
        (void)fprintf(stderr, "%02x ", v.data[i]);
    (void)fprintf(stderr, "(%zu bytes)\n", v.len);
}

static struct kv_iter *all_of(struct shell *s, enum kv_family f)
{
    static const uint8_t last[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct kv_iter *it = kv_iter_new(s->st->kv, f, NULL, slice_of(NULL, 0), slice_of(last, sizeof(last)));
    assert_non_null(it);
    kv_iter_first(it);
    return it;
}

static void same_rows(enum kv_family f)
{
    struct kv_iter *a = all_of(&t.a, f), *b = all_of(&t.b, f);
    for (; kv_iter_valid(a) || kv_iter_valid(b); kv_iter_next(a), kv_iter_next(b)) {
        if (kv_iter_valid(a) && kv_iter_valid(b) && slice_equal(kv_iter_key(a), kv_iter_key(b)) &&
            slice_equal(kv_iter_value(a), kv_iter_value(b)))
            continue;
        tell_row("a", a);
        tell_row("b", b);
        complain("other rows", "");
    }
    kv_iter_free(a);
    kv_iter_free(b);
}

static void same_store(void)
{
    for (int f = 0; f < KV_FAMILIES; f++) {
        if (kv_has(t.a.st->kv, (enum kv_family)f) != kv_has(t.b.st->kv, (enum kv_family)f))
            complain("other families", "");
        if (kv_has(t.a.st->kv, (enum kv_family)f))
            same_rows((enum kv_family)f);
    }
}

static void begin(struct shell *s, size_t memory)
{
    shell_start(s);
    shell_close(s);
    s->memory_bytes = memory;
    if (!shell_open(s))
        complain("the store does not open", s->err);
    s->policy.check_every_ms = 20;
    s->policy.check_max = 3;
    s->policy.dedup_window_ms = 300;
}

static void one_pair(uint64_t seed)
{
    t.seed = seed;
    t.p = prng_history(seed);
    t.token = TXID_MIN;
    t.n_ids = 0;
    t.over = false;
    begin(&t.a, MEMORY_LARGE);
    begin(&t.b, MEMORY_SMALL);
    for (t.group = 0; t.group < GROUPS_A_SEED; t.group++) {
        one_group();
        if (t.over)
            break;
        if (t.group % 10 == 9 || t.trace)
            same_store();
        for (unsigned n = below(4); n > 0; n--)
            same_answers();
        if (below(3))
            pass((int64_t)below(50));
        else
            t.a.now_ms = t.b.now_ms += below(50); /* the ticker is late */
        unsigned what = below(12);
        uint64_t index = t.b.index; /* the store does not count commands that changed nothing */
        if (what == 0)
            shell_reopen(&t.b);
        else if (what < 3 && !shell_reload(&t.b))
            complain("the state does not load", t.b.err);
        t.b.index = index;
        t.b.now_ms = t.a.now_ms;
    }
    if (!t.over)
        same_store();
    shell_stop(&t.a);
    shell_stop(&t.b);
}

static void twins_grow_up_alike(void **state)
{
    (void)state;
    const char *text = getenv("SEEDS");
    uint64_t n = text ? strtoull(text, NULL, 10) : SEEDS_DEFAULT, first = getenv("HALFMQ_SEED") ? prng_start().state : 1;
    t.trace = getenv("TRACE") != NULL;
    for (uint64_t i = 0; i < n; i++)
        one_pair(first + i);
    if (n >= SEEDS_DEFAULT)
        every_command_was_given();
    print_message("%u groups were given a second time, %u commands refused\n", t.given_up, t.refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(twins_grow_up_alike)};
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
