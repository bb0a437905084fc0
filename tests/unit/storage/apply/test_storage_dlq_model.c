/*
 * test_storage_dlq_model.c: random histories of dead letters, compared with a model that has one cell for each message.
 *
 *   FRESH ─► LEASED ─► WAITING, DONE, or DEAD ─ REDRIVE ─► FRESH at another place, with its origin
 *
 * A message is a serial number, which is also its body, so one that is lost, doubled, or delivered from the wrong place is
 * seen. Which letters a REDRIVE by COUNT has moved, the next DLQ LIST tells: they must be as many as it answered. A
 * second group takes the letters themselves, and must get each once while it is one.
 *
 *   SEEDS=n   how many histories      HALFMQ_SEED=n   the first of them      TRACE=1   prints every command
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

#define SERIALS 300
#define GROUPS_A_SEED 150
#define SEEDS_DEFAULT 20
#define ATTEMPTS 3
#define LEASE_MS 100

enum fate { FRESH, LEASED, WAITING, DONE, DEAD };

struct cell {
    enum fate fate;
    bool redriven;        /* it is at %RETRY%g:0:offset; else at its origin */
    uint32_t queue, at;   /* its origin t:queue:at */
    uint32_t offset;      /* in %RETRY%g */
    uint32_t letter;      /* DEAD: its offset in %DLQ%g, once that is known */
    bool known, taken;    /* ... and whether the second group got it */
    uint32_t attempt;
    int64_t due_ms;
};

struct history {
    struct cell cells[SERIALS];
    uint32_t n, moved; /* letters that were moved since the last look */
    uint32_t base, top, retry_base, retry_top; /* attempt numbers */
    uint32_t letters_end, retry_end;
    bool retry_there;
};

static struct {
    struct shell s;
    struct history h;
    struct prng p;
    uint64_t seed;
    bool trace, give_up;
    char line[800];
} w;

static uint32_t below(uint32_t n)
{
    return (uint32_t)prng_below(&w.p, n);
}

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "HALFMQ_SEED=%llu SEEDS=1: %s: %s\n", (unsigned long long)w.seed, w.line, what);
    abort();
}

static const char *run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *run(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(w.line, sizeof(w.line), fmt, ap);
    va_end(ap);
    const char *said = shell_do(&w.s, "%s", w.line);
    if (w.trace)
        (void)fprintf(stderr, "%s -> %s\n", w.line, said);
    return said;
}

/* Runs a command that changes something. NULL: its group was given up, as a read or the write was made to fail. */
static const char *change(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *change(const char *fmt, ...)
{
    static const enum kv_op ops[] = {KV_OP_WRITE, KV_OP_SYNC, KV_OP_GET, KV_OP_ITER, KV_OP_GET_DAMAGE, KV_OP_ITER_DAMAGE};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(w.line, sizeof(w.line), fmt, ap);
    va_end(ap);
    enum kv_op op = ops[below(6)];
    w.give_up = below(25) == 0;
    if (w.give_up)
        kv_fault(w.s.st->kv, op, 1 + (int)below(op < KV_OP_GET ? 1 : 6));
    uint32_t i = shell_add(&w.s, "%s", w.line);
    w.s.st->sick = w.s.st->sick || w.give_up;
    bool written = shell_write(&w.s);
    must(written != w.give_up, "a group was not written, or should not have been");
    if (!written) { /* as the process does: what was given up is gone with the state */
        shell_close(&w.s);
        must(shell_open(&w.s), "the store does not open");
        return NULL;
    }
    const char *said = shell_reply(&w.s, i);
    if (w.trace)
        (void)fprintf(stderr, "%s -> %s\n", w.line, said);
    return said;
}

/* ---- what messages come to ---- */

static void dies(struct cell *c)
{
    c->fate = DEAD;
    c->known = c->taken = false;
}

static uint32_t delivered(const struct cell *c)
{
    return c->attempt - (c->redriven ? w.h.retry_base : w.h.base);
}

static void failed(struct cell *c, int64_t due_ms)
{
    if (delivered(c) >= ATTEMPTS) {
        dies(c);
        return;
    }
    c->fate = WAITING;
    c->due_ms = due_ms;
}

static bool ready(const struct cell *c)
{
    return c->fate == FRESH || (c->fate == WAITING && c->due_ms <= w.s.now_ms);
}

static uint32_t count(enum fate fate)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w.h.n; i++)
        n += w.h.cells[i].fate == fate;
    return n;
}

static void end_leases(void)
{
    for (uint32_t i = 0; i < w.h.n; i++) {
        struct cell *c = &w.h.cells[i];
        if (c->fate == LEASED && c->due_ms <= w.s.now_ms)
            failed(c, w.s.now_ms);
    }
}

/* ---- commands ---- */

static void do_send(void)
{
    unsigned q = 0, o = 0;
    if (w.h.n == SERIALS)
        return;
    const char *said = change("SEND t %u KEY k%u", w.h.n, w.h.n % 3);
    if (!said)
        return;
    must(sscanf(said, "t:%u:%u", &q, &o) == 2, "no id");
    w.h.cells[w.h.n++] = (struct cell){.queue = q, .at = o, .attempt = w.h.base};
}

static void popped(const char *at, uint32_t *ret_redriven)
{
    unsigned q = 0, o = 0, attempt = 0, serial = 0;
    bool redriven = *at == '%';
    int n = redriven ? sscanf(at, "%%RETRY%%g:%u:%u#%u=%u", &q, &o, &attempt, &serial)
                     : sscanf(at, "t:%u:%u#%u=%u", &q, &o, &attempt, &serial);
    must(n == 4 && serial < w.h.n, "POP answers something else");
    struct cell *c = &w.h.cells[serial];
    must(ready(c), "delivered what is not ready");
    must(c->redriven == redriven, "delivered from another topic");
    must(redriven ? q == 0 && o == c->offset : q == c->queue && o == c->at, "delivered from another place");
    must(attempt == c->attempt + 1, "the attempt number does not follow");
    uint32_t *top = redriven ? &w.h.retry_top : &w.h.top;
    *top = attempt > *top ? attempt : *top;
    c->attempt = attempt;
    c->fate = LEASED;
    c->due_ms = w.s.now_ms + LEASE_MS;
    *ret_redriven += redriven;
}

static void do_pop(void)
{
    uint32_t wanted = 1 + below(below(2) ? 3 : 30), could = 0, could_redriven = 0, n = 0, redriven = 0;
    bool take = below(3) == 0; /* may get fewer, to end with a record */
    const char *said = change("%s g t COUNT %u LEASE %d", take ? "TAKE" : "POP", wanted, LEASE_MS);
    if (!said)
        return;
    end_leases();
    for (uint32_t i = 0; i < w.h.n; i++) {
        could += ready(&w.h.cells[i]);
        could_redriven += ready(&w.h.cells[i]) && w.h.cells[i].redriven;
    }
    for (const char *at = said + 1; *at && *at != ']'; at += strcspn(at, " ]"), at += *at == ' ')
        popped(at, &redriven), n++;
    uint32_t most = wanted < could ? wanted : could, most_redriven = wanted < could_redriven ? wanted : could_redriven;
    must(n == most || (take && n > 0 && n < most), "POP delivered more or fewer than it should");
    must(redriven == most_redriven || (take && redriven == n && n < most), "what was redriven does not come first");
}

static void do_receipt(void)
{
    uint32_t i = w.h.n ? below(w.h.n) : 0;
    for (uint32_t tries = 0; w.h.n && tries < SERIALS && w.h.cells[i].fate != LEASED; tries++)
        i = (i + 1) % w.h.n;
    struct cell *c = &w.h.cells[i];
    if (w.h.n == 0 || c->fate != LEASED)
        return;
    char id[40];
    if (c->redriven)
        (void)snprintf(id, sizeof(id), "%%RETRY%%g:0:%u#%u", c->offset, c->attempt);
    else
        (void)snprintf(id, sizeof(id), "t:%u:%u#%u", c->queue, c->at, c->attempt);
    bool holds = w.s.now_ms < c->due_ms;
    uint32_t what = below(6), pause = below(2) ? 0 : below(200);
    const char *said = what < 2    ? change("ACK g %s", id)
                       : what < 4  ? change("REJECT g %s REASON r", id)
                       : what == 4 ? change("NACK g %s DELAY %u", id, pause)
                                   : change("RELEASE g %s", id);
    if (!said)
        return;
    must(what == 5 || strcmp(said, !holds ? (what < 2 ? "0" : "-STALE") : what < 2 ? "1" : "OK") == 0,
         "a receipt was judged otherwise");
    if (!holds)
        return;
    if (what < 2) {
        c->fate = DONE;
    } else if (what < 4) {
        dies(c);
    } else if (what == 4) {
        failed(c, w.s.now_ms + pause);
    } else {
        c->fate = WAITING;
        c->attempt--;
        c->due_ms = w.s.now_ms;
    }
}

static void do_redrive_count(void)
{
    uint32_t wanted = 1 + below(below(2) ? 3 : 40), there = count(DEAD);
    const char *said = change("DLQ REDRIVE g COUNT %u", wanted);
    if (!said)
        return;
    w.h.moved = (uint32_t)strtoul(said, NULL, 10);
    must(*said != '-' && w.h.moved == (wanted < there ? wanted : there), "REDRIVE answers another number");
}

static void do_redrive_ids(void)
{
    char ids[600] = "";
    int at = 0;
    uint32_t expected = 0;
    bool named[SERIALS] = {false};
    for (int k = 1 + (int)below(5); k > 0; k--) {
        uint32_t letter = below(w.h.letters_end + 2);
        letter = letter < w.h.letters_end ? letter : letter + 1000;
        at += snprintf(ids + at, sizeof(ids) - (size_t)at, " %%DLQ%%g:0:%u", letter);
        for (uint32_t i = 0; i < w.h.n; i++) {
            const struct cell *c = &w.h.cells[i];
            bool hit = c->fate == DEAD && c->known && c->letter == letter && !named[i];
            named[i] = named[i] || hit;
            expected += hit;
        }
    }
    const char *said = change("DLQ REDRIVE g%s", ids);
    if (!said)
        return;
    must(*said != '-' && strtoul(said, NULL, 10) == expected, "REDRIVE by ids answers another number");
    w.h.moved = expected;
    for (uint32_t i = 0; i < w.h.n; i++)
        w.h.cells[i].known = w.h.cells[i].known && !named[i]; /* it must be among those that are gone: look() */
}

static void do_purge(void)
{
    uint32_t there = count(DEAD);
    const char *said = change("DLQ PURGE g");
    if (!said)
        return;
    must(*said != '-' && strtoul(said, NULL, 10) == there, "PURGE answers another number");
    for (uint32_t i = 0; i < w.h.n; i++)
        w.h.cells[i].fate = w.h.cells[i].fate == DEAD ? DONE : w.h.cells[i].fate;
}

static void retry_gone(void)
{
    for (uint32_t i = 0; i < w.h.n; i++) {
        struct cell *c = &w.h.cells[i];
        if (c->redriven && c->fate != DEAD)
            c->fate = DONE;
    }
    w.h.retry_base = w.h.retry_top;
    w.h.retry_end = 0;
    w.h.retry_there = false;
}

static void do_delete(void)
{
    uint32_t what = below(4);
    if (what == 0 && w.h.retry_there) {
        if (change("TOPIC DELETE %%RETRY%%g"))
            retry_gone();
        return;
    }
    if (what != 1 || !change("GROUP DELETE g"))
        return;
    retry_gone();
    w.h.base = w.h.top;
    w.h.letters_end = 0;
    while (!change("GROUP CREATE g t ATTEMPTS %d LEASE %d", ATTEMPTS, LEASE_MS))
        ;
    for (uint32_t i = 0; i < w.h.n; i++) { /* a new group begins at the beginning */
        struct cell *c = &w.h.cells[i];
        c->fate = FRESH;
        c->redriven = false;
        c->attempt = w.h.base;
    }
}

/* The second group takes letters. */
static void do_take_letters(void)
{
    uint32_t expected = 0, n = 0;
    for (uint32_t i = 0; i < w.h.n; i++)
        expected += w.h.cells[i].fate == DEAD && !w.h.cells[i].taken;
    const char *said = change("POP u %%DLQ%%g COUNT 1000");
    if (!said || *said == '-')
        return;
    for (const char *at = said; (at = strchr(at, '=')); n++) {
        uint32_t serial = (uint32_t)strtoul(++at, NULL, 10);
        must(serial < w.h.n && w.h.cells[serial].fate == DEAD, "the second group got what is no letter");
        must(!w.h.cells[serial].taken, "the second group got a letter twice");
        w.h.cells[serial].taken = true;
    }
    must(n == expected, "the second group did not get all letters");
}

/* ---- looking ---- */

/* Reads all letters, page by page, and notes where they are. What is not there any more was moved. */
static void look_at_letters(bool seen[SERIALS])
{
    unsigned long cursor = 0;
    do {
        const char *said = run("DLQ LIST g COUNT %u CURSOR %lu", 1 + below(7), cursor);
        must(*said == '[', "DLQ LIST fails");
        cursor = strtoul(said + 1, NULL, 10);
        for (const char *at = said; (at = strstr(at, "%DLQ%g:0:"));) {
            unsigned offset = 0, serial = 0;
            must(sscanf(at, "%%DLQ%%g:0:%u=%u", &offset, &serial) == 2 && serial < w.h.n, "DLQ LIST has something else");
            struct cell *c = &w.h.cells[serial];
            must(!seen[serial], "a letter is there twice");
            must(c->fate == DEAD, "a letter that nobody gave up");
            must(!c->known || c->letter == offset, "a letter has moved");
            seen[serial] = c->known = true;
            c->letter = offset;
            w.h.letters_end = offset + 1 > w.h.letters_end ? offset + 1 : w.h.letters_end;
            at++;
        }
    } while (cursor);
}

/* Finds those that were moved in the topic of redriven messages. */
static void look_at_redriven(const bool seen[SERIALS])
{
    uint32_t n = 0;
    const char *said = w.h.moved ? run("READ %%RETRY%%g 0 %u COUNT 1000", w.h.retry_end) : "";
    for (const char *at = said; (at = strstr(at, "%RETRY%g:0:")); n++, at++) {
        unsigned offset = 0, serial = 0;
        must(sscanf(at, "%%RETRY%%g:0:%u=%u", &offset, &serial) == 2 && serial < w.h.n, "something else was redriven");
        struct cell *c = &w.h.cells[serial];
        must(c->fate == DEAD && !seen[serial], "redriven, and a letter still");
        must(offset == w.h.retry_end++, "an offset is missing");
        *c = (struct cell){.fate = FRESH, .redriven = true, .queue = c->queue, .at = c->at, .offset = offset,
                           .attempt = w.h.retry_base};
        w.h.retry_there = true;
    }
    must(n == w.h.moved, "REDRIVE has moved another number");
    w.h.moved = 0;
    for (uint32_t i = 0; i < w.h.n; i++)
        must(w.h.cells[i].fate != DEAD || seen[i], "a letter is lost");
}

static void look_at_lag(void)
{
    uint32_t left[2] = {0};
    for (uint32_t i = 0; i < w.h.n; i++)
        left[w.h.cells[i].redriven] += w.h.cells[i].fate < DONE;
    const char *said = run("LAG g");
    for (int k = 0; k < 2; k++) {
        const char *at = strstr(said, k ? "topic:%RETRY%g " : "topic:t ");
        must((at != NULL) == (k == 0 || w.h.retry_there), "LAG knows other topics");
        if (at)
            must(shell_field(at, "lag") == left[k] && shell_field(at, "dead") == count(DEAD), "LAG has other figures");
    }
}

/* Some message that is not done is where it should be, with its origin; and a letter by its id. */
static void look_at_one(void)
{
    if (w.h.n == 0)
        return;
    uint32_t i = below(w.h.n);
    const struct cell *c = &w.h.cells[i];
    char want[60], origin[40];
    (void)snprintf(origin, sizeof(origin), "origin:t:%u:%u ", c->queue, c->at);
    if (c->fate == DONE || !(c->redriven || c->fate == DEAD))
        return;
    w.s.full = true;
    const char *said = c->fate == DEAD ? run("GET %%DLQ%%g:0:%u", c->letter) : run("GET %%RETRY%%g:0:%u", c->offset);
    w.s.full = false;
    (void)snprintf(want, sizeof(want), " %u {", i);
    must(strstr(said, want) != NULL, "GET has another message");
    must(strstr(said, origin) || strstr(said, "origin:t:"), "it has no origin");
    (void)snprintf(origin, sizeof(origin), "origin:t:%u:%u", c->queue, c->at);
    must(strstr(said, origin) != NULL, "it has another origin");
}

static void look(void)
{
    bool seen[SERIALS] = {false};
    look_at_letters(seen);
    look_at_redriven(seen);
    look_at_lag();
    look_at_one();
}

/* ---- histories ---- */

static void one_command(void)
{
    static void (*const commands[])(void) = {do_send, do_send, do_pop, do_pop, do_receipt, do_receipt, do_receipt,
                                             do_receipt, do_receipt, do_redrive_count, do_redrive_ids, do_take_letters};
    uint32_t rare = below(60);
    if (rare == 0)
        do_purge();
    else if (rare == 1)
        do_delete();
    else
        commands[below(sizeof(commands) / sizeof(commands[0]))]();
}

static void pass_time(void)
{
    w.s.now_ms += below(4) ? below(20) : below(150);
    if (below(3) == 0)
        return; /* the timer is late */
    shell_pass(&w.s, 0);
    end_leases();
}

static void one_history(uint64_t seed)
{
    w.seed = seed;
    w.p = prng_history(seed);
    w.h = (struct history){0};
    shell_start(&w.s);
    w.s.sync = true;
    run("TOPIC CREATE t QUEUES 2");
    run("GROUP CREATE g t ATTEMPTS %d LEASE %d", ATTEMPTS, LEASE_MS);
    for (int i = 0; i < GROUPS_A_SEED; i++) {
        w.s.st->lru.bytes_max = below(3) * 2000; /* little is in memory */
        w.s.st->wait_window = 1 + below(below(2) ? 3 : 40);
        one_command();
        look();
        if (below(10) == 0)
            must(shell_reload(&w.s), "the state does not load");
        if (below(30) == 0)
            shell_reopen(&w.s);
        pass_time();
        look();
    }
    shell_stop(&w.s);
}

static void histories(void **state)
{
    (void)state;
    const char *text = getenv("SEEDS");
    uint64_t n = text ? strtoull(text, NULL, 10) : SEEDS_DEFAULT, first = prng_start().state;
    w.trace = getenv("TRACE") != NULL;
    for (uint64_t i = 0; i < n; i++)
        one_history(first + i);
}

int main(void)
{
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
