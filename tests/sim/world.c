/*
 * world.c: commit groups, crashes, power cuts, time and the members that take check-backs (world.h).
 *
 * The ticker and the takers work as in the broker, but without threads: a TICK comes when the effects of the last
 * group say so, and a taker that found nothing looks again on news of its producer group, or at the time that
 * CHECKS told it. So if the store loses a wake-up, a member waits although a check is due, which is a failure.
 */
#include "tests/sim/world.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS_MAX 500

struct world w;
static struct oracle saved[W_SAVED];
static char came[O_DELAYED][32]; /* ids of delayed messages that became visible and are not judged yet */

int below(uint64_t n)
{
    return (int)prng_below(&w.p, n);
}

struct w_policy policy_of(int pgroup)
{
    const struct o_pgroup *own = &w.o.pgroups[pgroup];
    const struct policy *p = &w.s.policy;
    return (struct w_policy){
        .checkin_ms = own->checkin_ms ? own->checkin_ms : p->checkin_ms,
        .check_every_ms = own->check_every_ms ? own->check_every_ms : p->check_every_ms,
        .timeout_ms = own->timeout_ms ? own->timeout_ms : p->txn_timeout_ms,
        .check_max = own->check_max ? own->check_max : p->check_max,
    };
}

/* ---- the trace ---- */

static void note(const char *line)
{
    if (w.trace)
        (void)fprintf(stderr, "%s\n", line);
    (void)snprintf(w.told[w.n_told++ % W_LINES], sizeof(w.told[0]), "%s", line);
}

void world_note(const char *fmt, ...)
{
    char line[160];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    note(line);
}

void world_tell(const char *what)
{
    uint32_t from = w.n_told > W_LINES ? w.n_told - W_LINES : 0;
    for (uint32_t i = from; i < w.n_told && !w.trace; i++)
        (void)fprintf(stderr, "    %s\n", w.told[i % W_LINES]);
    (void)fprintf(stderr, "SIM_SEED=%llu, step %u, %s, +%lld ms: %s\n", (unsigned long long)w.seed, w.step,
                  w.doing, (long long)(w.o.now_ms - SHELL_TIME), what);
    if (w.said.len)
        (void)fprintf(stderr, "    the answer: %.600s\n", (const char *)w.said.data);
}

/* ---- groups ---- */

/* Finds the files of RocksDB's write-ahead log and their lengths. */
static void logs_look(struct w_log *logs, uint32_t *ret_n)
{
    DIR *dir = opendir(w.s.path);
    uint32_t n = 0;
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        size_t len = strlen(e->d_name);
        char path[8192];
        struct stat st;
        if (len < 5 || len >= sizeof(logs[0].name) || strcmp(e->d_name + len - 4, ".log") != 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", w.s.path, e->d_name);
        if (stat(path, &st) != 0)
            continue; /* it was removed meanwhile */
        must(n < W_LOGS, "the simulation has no room for so many logs");
        memcpy(logs[n].name, e->d_name, len + 1);
        logs[n++].synced = st.st_size;
    }
    if (dir)
        (void)closedir(dir);
    *ret_n = n;
}

/* Notes that everything written so far is synced and cannot be lost. */
static void durable(void)
{
    uint64_t index = 0;
    int64_t now = 0;
    state_last(w.s.st, &index, &now);
    oracle_copy(&saved[0], &w.o);
    w.saved_index[0] = w.n_saved ? w.saved_index[w.n_saved - 1] : index;
    w.n_saved = 1;
    if (w.lazy)
        logs_look(w.logs, &w.n_logs);
}

void world_sync(void)
{
    char err[200];
    must(store_sync(w.s.store, err, sizeof(err)) == ST_OK, "the store was not synced");
    durable();
}

/* How many checks of the producer group became due, according to the news. */
static uint32_t news_of(int pgroup)
{
    char name[8];
    int n = snprintf(name, sizeof(name), "p%d", pgroup);
    uint64_t key = news_key(NEWS_PGROUP, slice_of(name, (size_t)n), slice_of(NULL, 0));
    for (uint32_t i = 0; i < w.s.fx.n_keys; i++)
        if (w.s.fx.keys[i] == key)
            return w.s.fx.counts[i];
    return w.s.fx.overflow ? UINT16_MAX : 0;
}

static const char *finish(uint32_t i, const char *line)
{
    buf_reset(&w.said, (size_t)1 << 20);
    shell_render(&w.said, buf_slice(&shell_outcome(&w.s, i)->reply), false);
    buf_put_u8(&w.said, 0);
    world_note("%.70s -> %.70s", line, (const char *)w.said.data);
    return (const char *)w.said.data;
}

const char *world_do(const char *fmt, ...)
{
    static char line[16384];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    must(n >= 0 && (size_t)n < sizeof(line), "the simulation's line is too long");
    uint32_t i = shell_add(&w.s, "%s", line);
    if (shell_outcome(&w.s, i)->n_grants == 0)
        return finish(i, line);
    world_note("%.70s -> granted", line);
    return "";
}

const char *world_words(const struct slice *words, size_t n, const char *line)
{
    return finish(shell_add_words(&w.s, words, n), line);
}

/* The same query while a read fails, or finds damage: an error, or what can be read before that, and nothing else. How
 * many bytes a topic has is not known where a row of its directory is damaged. */
static void ask_badly(const char *line, const char *right)
{
    if (strncmp(line, "TOPIC INFO", 10) == 0)
        return;
    static const enum kv_op ops[] = {KV_OP_GET, KV_OP_ITER, KV_OP_GET_DAMAGE, KV_OP_ITER_DAMAGE};
    enum kv_op op = ops[prng_below(&w.bad, 4)];
    kv_fault(w.s.st->kv, op, 1 + (int)prng_below(&w.bad, 5));
    const char *said = shell_do(&w.s, "%s", line);
    kv_fault(w.s.st->kv, op, 0);
    size_t len = strlen(said);
    bool part = len > 0 && said[len - 1] == ']' && strncmp(line, "READ ", 5) == 0 && strncmp(said, right, len - 1) == 0;
    bool bodiless = strncmp(line, "TXN MESSAGES ", 13) == 0 && strstr(said, "=null"); /* one that cannot be read */
    if (said[0] == '-' || part || bodiless || strcmp(said, right) == 0)
        return;
    world_note("-- %.70s, while a read failed", line);
    world_note("-- should be %.140s", right);
    world_note("-- is        %.140s", said);
    must(false, "a query was answered with something else where a read failed");
}

const char *world_ask(const char *fmt, ...)
{
    char line[200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    const char *said = shell_do(&w.s, "%s", line);
    buf_reset(&w.said, (size_t)4 << 20);
    buf_put_str(&w.said, said);
    buf_put_u8(&w.said, 0);
    if (prng_below(&w.bad, 6) == 0)
        ask_badly(line, (const char *)w.said.data);
    return (const char *)w.said.data;
}

/* Saves the present state of the oracle as one that a power cut may lead back to. */
static void save(void)
{
    if (w.n_saved == 0 || w.s.fx.written) {
        if (w.n_saved == W_SAVED)
            world_sync();
        w.saved_index[w.n_saved++] = w.s.fx.index;
    }
    oracle_copy(&saved[w.n_saved - 1], &w.o);
}

void world_write(void)
{
    w.s.sync = !w.lazy;
    int64_t synced_ms = w.s.st->synced_ms;
    if (w.s.n > 0)
        oracle_settle(&w.o);
    must(shell_write(&w.s), "a group was not written");
    w.s.st->lru.bytes_max = (size_t)prng_below(&w.bad, 3) * 2000; /* little is in memory */
    w.s.st->wait_window = 1 + (uint32_t)prng_below(&w.bad, 4);
    w.next_due_ms = w.s.fx.next_due_ms;
    for (int g = 0; g < O_PGROUPS; g++) {
        uint32_t news = news_of(g);
        w.takers[g].news = w.takers[g].news || news;
        w.lines[g].woken += news;
    }
    oracle_age(&w.o, w.s.policy.txn_outcome_retention_ms);
    save();
    if (!w.lazy || w.s.st->synced_ms != synced_ms)
        durable(); /* the state itself syncs once a minute */
    w.o.group++;
}

/* ---- the process ends and starts ---- */

/* Nobody waits any longer for the state that is gone. */
static void cut_off(void)
{
    w.next_due_ms = 0; /* the ticker runs once to find out when something is due */
    for (int g = 0; g < O_PGROUPS; g++)
        w.takers[g] = (struct w_taker){.there = w.takers[g].there};
    memset(w.lines, 0, sizeof(w.lines)); /* connections of waiting members are lost */
}

static void start_again(void)
{
    /* The broker's clock starts at the greater of the last stamp and the wall clock. */
    int64_t before_ms = w.o.now_ms;
    w.s.now_ms = w.wall_ms;
    must(shell_open(&w.s), "the store does not open");
    w.o.now_ms = w.s.now_ms;
    for (int t = 0; t < O_TOPICS; t++)
        for (int d = 0; d < O_COMMANDS * O_DEDUPS; d++) {
            struct o_dedup *dedup = &w.o.topics[t].dedups[d / O_DEDUPS][d % O_DEDUPS];
            dedup->may_be_gone = dedup->may_be_gone || dedup->until_ms <= before_ms;
        }
    cut_off();
    w.n_saved = 0;
    oracle_age(&w.o, w.s.policy.txn_outcome_retention_ms);
    durable();
    w.o.group++;
}

/* Goes back to an earlier state. Transactions that were opened since then become ghosts: they never existed. */
static void go_back(const struct oracle *to)
{
    static struct oracle lost;
    oracle_copy(&lost, &w.o);
    oracle_copy(&w.o, to);
    oracle_keep_gone(&w.o, &lost);
    w.o.group = lost.group;
    w.o.now_ms = lost.now_ms;
    for (uint32_t i = 0; i < lost.n_txns; i++)
        if (lost.txns[i].id > w.o.last_id)
            w.ghosts[w.n_ghosts++ % W_GHOSTS] = lost.txns[i].id;
}

void world_crash(void)
{
    world_note("-- killed, the open group is lost");
    shell_close(&w.s);
    go_back(&saved[w.n_saved - 1]);
    start_again();
}

void world_restart(void)
{
    world_write();
    world_note("-- stopped and started");
    shell_close(&w.s);
    start_again();
}

void world_reload(void)
{
    bool written = below(2);
    if (written)
        world_write();
    world_note(written ? "-- the state is loaded again" : "-- the state is loaded again, the open group is lost");
    must(shell_reload(&w.s), "the state does not load");
    if (!written)
        go_back(&saved[w.n_saved - 1]);
    cut_off();
    w.o.group++;
}

static int64_t synced_of(const char *name)
{
    for (uint32_t i = 0; i < w.n_logs; i++)
        if (strcmp(w.logs[i].name, name) == 0)
            return w.logs[i].synced;
    return 0;
}

/* Cuts the power: each log file is cut somewhere behind its last sync. The index of the store tells which groups are
 * left. */
void world_cut(void)
{
    if (!w.lazy) {
        world_crash();
        return;
    }
    struct w_log logs[W_LOGS];
    uint32_t n = 0, kept = 0;
    shell_close(&w.s);
    logs_look(logs, &n);
    for (uint32_t i = 0; i < n; i++) {
        char path[8192];
        int64_t from = synced_of(logs[i].name), more = logs[i].synced - from;
        int64_t size = from + (more > 0 ? below((uint64_t)more + 1) : 0);
        (void)snprintf(path, sizeof(path), "%s/%s", w.s.path, logs[i].name);
        must(truncate(path, size) == 0, "the simulation cannot cut the write-ahead log");
    }
    must(shell_open(&w.s), "the store does not open after a power cut");
    while (kept < w.n_saved && w.saved_index[kept] != w.s.index)
        kept++;
    must(kept < w.n_saved, "a power cut led to a state that never was");
    world_note("-- power cut, %u of %u groups left", kept + 1, w.n_saved);
    shell_close(&w.s);
    go_back(&saved[kept]);
    start_again();
}

void world_begin(uint64_t seed)
{
    w.seed = seed;
    w.step = 0;
    w.doing = "beginning";
    w.n_told = w.n_asked = w.n_ghosts = w.n_saved = w.serial = 0;
    buf_init(&w.said, 0);
    memset(w.takers, 0, sizeof(w.takers));
    memset(w.lines, 0, sizeof(w.lines));
    memset(came, 0, sizeof(came));
    w.listing = (struct w_listing){.on = false};
    w.sent = (struct w_sent){.n = 0};
    shell_start(&w.s);
    w.o.n_txns = w.o.n_delayed = 0;
    memset(w.o.pgroups, 0, sizeof(w.o.pgroups));
    memset(w.o.topics, 0, sizeof(w.o.topics));
    memset(&w.o.works, 0, sizeof(w.o.works));
    w.o.now_ms = w.wall_ms = w.s.now_ms;
    w.o.group = 1;
    w.o.last_id = TXID_MIN;
    w.next_due_ms = 0;
    w.p = prng_from(seed);
    w.bad = prng_from(~seed);
    w.lazy = below(4) == 0;
    w.few = below(3) == 0;
    durable();
}

void world_end(void)
{
    shell_stop(&w.s);
    buf_free(&w.said);
}

/* ---- time, and what becomes due ---- */

void world_pass(int64_t ms, int64_t step_ms)
{
    world_write();
    w.wall_ms += ms + step_ms;
    w.s.now_ms += ms; /* the monotonic time since the last stamp */
    if (w.wall_ms > w.s.now_ms)
        w.s.now_ms = w.wall_ms;
    w.o.now_ms = w.s.now_ms;
    world_note("-- %lld ms later%s", (long long)ms, step_ms ? ", the wall clock was set" : "");
}

static struct o_delayed *waiting_of(uint32_t serial)
{
    for (uint32_t i = 0; i < w.o.n_delayed; i++)
        if (w.o.delayed[i].there && w.o.delayed[i].part.serial == serial)
            return &w.o.delayed[i];
    must(false, "a message came that waits no more, or never did");
    return NULL;
}

/* Reads the messages of a queue that the oracle does not know yet: delayed messages that became visible. */
static void gather_fired(int t, int q)
{
    const char *at = world_ask("READ t%d %d %u COUNT 1000", t, q, w.o.queues[t][q].end);
    unsigned serial = 0;
    char id[32];
    for (at += strspn(at, "[ "); *at != ']' && *at; at += strspn(at, " ")) {
        must(sscanf(at, "%31[^=]=%u", id, &serial) == 2, "READ answered something else than messages");
        memcpy(came[waiting_of(serial) - w.o.delayed], id, sizeof(id));
        at += strcspn(at, " ]");
    }
}

/* The first of them to judge: they must become visible in the order of their due times, and then of their tokens. */
static struct o_delayed *first_fired(void)
{
    struct o_delayed *first = NULL;
    for (uint32_t i = 0; i < w.o.n_delayed; i++)
        if (came[i][0] && (!first || w.o.delayed[i].due_ms < first->due_ms))
            first = &w.o.delayed[i];
    return first;
}

/* Judges the delayed messages after a TICK. quiet: all that are due must be visible. */
static void judge_delayed(bool quiet)
{
    for (int t = 0; t < O_TOPICS; t++) {
        if (!oracle_waiting(&w.o, t, true))
            continue;
        for (int q = 0; q < (int)w.o.topics[t].n_queues; q++)
            gather_fired(t, q);
        for (struct o_delayed *d = first_fired(); d; d = first_fired()) {
            char *id = came[d - w.o.delayed];
            oracle_fired(&w.o, d, id);
            id[0] = 0;
        }
        oracle_dropped(&w.o, t, world_ask("DELAYED LIST t%d COUNT 1000", t), quiet);
        must(!quiet || !oracle_waiting(&w.o, t, true), "a delayed message is late");
    }
}

/* Judges which transactions a TICK has parked. quiet: everything that is due must be done. */
static void judge_parked(bool quiet)
{
    for (uint32_t i = 0; i < w.o.n_txns; i++) {
        struct o_txn *x = &w.o.txns[i];
        bool sure = false;
        bool parks = oracle_parks(&w.o, x, policy_of(x->pgroup).check_max, &sure);
        if (parks) {
            const char *said = world_ask("TXN INFO %llu", (unsigned long long)x->id);
            bool parked = strstr(said, " state:parked ");
            must(parked || strstr(said, " state:pending "), "an open transaction was decided by itself");
            must(parked || !quiet || !sure, "a transaction was not parked");
            x->fate = parked ? O_PARKED : O_PENDING;
        }
        bool due = x->fate == O_PENDING && x->next_ms <= w.o.now_ms;
        if (due && x->kind != O_ASK) /* check_max was raised: it may be asked, or still be parked */
            x->kind = quiet ? O_ASK : O_EITHER;
    }
    judge_delayed(quiet);
    if (w.n_saved)
        oracle_copy(&saved[w.n_saved - 1], &w.o);
}

void world_tick(void)
{
    must(strcmp(world_do("TICK"), "OK") == 0, "a TICK was refused");
    world_write();
    judge_parked(false);
}

static void lose_asks(const struct w_ask *asks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const char *said = world_do("UNASK %llu-%u", (unsigned long long)asks[i].txid, asks[i].attempt);
        must(strcmp(said, "OK") == 0, "UNASK was refused");
        struct o_txn *x = oracle_find(&w.o, asks[i].txid);
        if (x)
            oracle_unasked(&w.o, x, asks[i].attempt, policy_of(x->pgroup).check_max);
    }
    if (n)
        world_write();
}

/* Checks that a check about x is exactly as it should be. */
static void judge_object(const struct o_txn *x, const char *at)
{
    struct buf want;
    buf_init(&want, 0);
    buf_printf(&want, "{txid:%llu pgroup:p%d attempt:%u created:%lld messages:[", (unsigned long long)x->id,
               x->pgroup, x->checks, (long long)x->created_ms);
    for (uint32_t i = 0; i < x->n; i++) {
        buf_printf(&want, "%s{topic:t%d key:[] tag:%s body:%u", i ? " " : "", x->parts[i].topic,
                   x->parts[i].tag ? "g" : "null", x->parts[i].serial);
        for (uint32_t k = 0; k < x->parts[i].pad; k++)
            buf_put_u8(&want, '.');
        buf_put_str(&want, " properties:{}}");
    }
    buf_put_str(&want, "]}");
    must(!want.failed && strncmp(at, (const char *)want.data, want.len) == 0, "a check says something else");
    buf_free(&want);
}

uint32_t world_checks(int pgroup, uint32_t count, int lost, int64_t *ret_retry_ms)
{
    struct w_ask asks[100], gone[100];
    uint32_t got = 0, n_gone = 0;
    const char *said = world_do("CHECKS p%d COUNT %u", pgroup, count);
    const struct outcome *out = shell_outcome(&w.s, w.s.n - 1);
    for (const char *at = said; (at = strstr(at, "{txid:")); at++) {
        struct o_txn *x = oracle_find(&w.o, strtoull(at + 6, NULL, 10));
        must(x != NULL && got < count, "asked about a transaction that is not there, or more than wanted");
        must(x->pgroup == pgroup, "asked another group");
        oracle_asked(&w.o, x, (uint32_t)shell_field(at + 1, "attempt"), policy_of(pgroup).check_every_ms,
                     policy_of(pgroup).check_max);
        judge_object(x, at);
        asks[got++] = (struct w_ask){x->id, x->checks};
    }
    must((got == 0) == out->nothing && *said == '[', "CHECKS says that it found nothing, or does not");
    oracle_asked_all(&w.o, pgroup, policy_of(pgroup).check_max, got < count);
    *ret_retry_ms = out->retry_at_ms;
    world_write();
    for (uint32_t i = 0; i < got; i++) {
        if (below(8) < lost)
            gone[n_gone++] = asks[i];
        else
            w.inbox[w.n_asked++ % W_INBOX] = asks[i];
    }
    lose_asks(gone, n_gone);
    return got;
}

/* One CHECKS of a subscriber. If it found something it will look again at once, otherwise it sleeps. */
static void pull(int pgroup)
{
    struct w_taker *taker = &w.takers[pgroup];
    taker->news = false;
    int lost = below(4) ? 0 : 2;
    taker->parked = world_checks(pgroup, 1 + (uint32_t)below(100), lost, &taker->retry_ms) == 0;
}

static bool awake(const struct w_taker *taker)
{
    bool due = taker->retry_ms && taker->retry_ms <= w.s.now_ms;
    return taker->there && (!taker->parked || taker->news || due);
}

/* One member of the line looks for checks. */
static void line_look(struct w_line *line, int pgroup)
{
    int64_t retry_ms = 0;
    bool by_time = line->by_time;
    line->woken -= line->woken > 0;
    line->by_time = false;
    if (world_checks(pgroup, 1 + (uint32_t)below(2), 0, &retry_ms)) {
        line->n--;
        line->by_time = by_time;
    } else if (retry_ms && (line->retry_ms == 0 || retry_ms < line->retry_ms)) {
        line->retry_ms = retry_ms;
    }
}

void world_wait(int pgroup)
{
    struct w_line *line = &w.lines[pgroup];
    line->n++;
    line_look(line, pgroup);
}

/* Lets a member of the line look if one was woken. True: one has looked. */
static bool line_turn(int pgroup)
{
    struct w_line *line = &w.lines[pgroup];
    if (line->retry_ms && line->retry_ms <= w.s.now_ms) {
        line->by_time = true;
        line->retry_ms = 0;
    }
    if (line->n == 0)
        *line = (struct w_line){0};
    if (line->n == 0 || !(line->by_time || line->woken > 0))
        return false;
    line_look(line, pgroup);
    return true;
}

static void judge_sleep(void)
{
    for (uint32_t i = 0; i < w.o.n_txns; i++) {
        const struct o_txn *x = &w.o.txns[i];
        bool due = x->fate == O_PENDING && x->kind == O_ASK && x->next_ms <= w.o.now_ms &&
                   x->checks < policy_of(x->pgroup).check_max;
        must(!due || !w.takers[x->pgroup].there, "members sleep over a check that is due");
        must(!due || !w.lines[x->pgroup].n, "members in a WAIT sleep over a check that is due");
    }
}

void world_settle(void)
{
    bool busy = true;
    world_write();
    for (int round = 0; busy; round++) {
        must(round < ROUNDS_MAX, "the store does not come to rest");
        busy = false;
        if (w.next_due_ms <= w.s.now_ms) {
            must(strcmp(world_do("TICK"), "OK") == 0, "a TICK was refused");
            world_write();
            judge_parked(w.next_due_ms > w.s.now_ms);
            busy = true;
        }
        for (int g = 0; g < O_PGROUPS; g++) {
            busy = line_turn(g) || busy;
            if (!awake(&w.takers[g]))
                continue;
            pull(g);
            busy = true;
        }
    }
    judge_sleep();
}
