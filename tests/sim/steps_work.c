/*
 * steps_work.c: the steps of a work queue (work.h): SEND, POP through a FILTER WHERE, ACK, NACK, REJECT, DLQ LIST and
 * REDRIVE, a filter that changes, RETENTION; and several of them in a row, as an EXEC is applied: in one commit group, of
 * which a crash or a power cut leaves all or nothing.
 */
#include "tests/sim/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sifting.h"

static struct o_works *works(void)
{
    return &w.o.works;
}

static bool is(const char *said, const char *want)
{
    return strcmp(said, want) == 0;
}

static bool work_there(void)
{
    return works()->there;
}

/* May RETENTION have deleted it? A letter, and what was redriven, is not in the topic any more. */
static bool work_may_go(const struct o_work *m)
{
    return !m->redriven && m->state != O_DEAD && m->stored_ms + O_WORK_KEPT_MS <= w.o.now_ms;
}

/* ---- SEND ---- */

static void work_make(void)
{
    must(is(world_do("TOPIC CREATE w QUEUES 1 RETENTION %d", O_WORK_KEPT_MS), "OK"), "the topic was not made");
    must(is(world_do("GROUP CREATE f w FILTER WHERE \"n >= 3\" ATTEMPTS %d LEASE 300d", O_WORK_ATTEMPTS), "OK"),
         "the group was not made");
    *works() = (struct o_works){.there = true, .least = 3};
}

static void work_send(void)
{
    struct o_works *all = works();
    if (all->n == O_WORK_MAX)
        return;
    char want[24];
    struct o_work m = {.n = (uint32_t)below(10), .stored_ms = w.o.now_ms, .fresh = true};
    (void)snprintf(want, sizeof(want), "w:0:%u", all->n);
    must(is(world_do("SEND w m%u PROP n %u", all->n, m.n), want), "a SEND has another place");
    all->all[all->n++] = m;
}

void step_work_send(void)
{
    if (!work_there())
        work_make();
    for (int n = 1 + below(4); n > 0; n--)
        work_send();
}

/* ---- POP ---- */

static struct o_work *work_redriven_at(uint64_t offset)
{
    for (uint32_t i = 0; i < works()->n; i++)
        if (works()->all[i].redriven && works()->all[i].offset == offset)
            return &works()->all[i];
    return NULL;
}

static void work_came(const struct grant *g, uint64_t offset)
{
    bool retry = slice_equal(g->topic, SLICE_LIT("%RETRY%f"));
    struct o_work *m = retry ? work_redriven_at(offset) : offset < works()->n ? &works()->all[offset] : NULL;
    must(m != NULL && m->redriven == retry, "the group got what is not there");
    must(m->state == O_READY, "the group got what it has had, or what is gone");
    must(!m->fresh || m->n >= works()->least, "the group got what its filter does not match");
    must(g->attempt == m->attempt + 1, "an attempt number of the group does not follow");
    m->state = O_HELD;
    m->attempt = g->attempt;
    m->fresh = false;
}

/* What is ready and did not come was deleted by RETENTION; what does not match was passed for good. */
static void work_drained(void)
{
    for (uint32_t i = 0; i < works()->n; i++) {
        struct o_work *m = &works()->all[i];
        bool passed = m->fresh && m->n < works()->least;
        if (m->state == O_READY && !passed && !m->maybe) {
            must(work_may_go(m), "the group did not get what is ready");
            m->state = O_CUT;
        }
        if (m->state == O_READY)
            m->state = O_DROPPED;
        m->fresh = false;
    }
}

/* A POP may have passed what does not match. */
static void work_looked(void)
{
    for (uint32_t i = 0; i < works()->n; i++) {
        struct o_work *m = &works()->all[i];
        m->maybe = m->maybe || (m->fresh && m->n < works()->least);
    }
}

/* One POP. Returns how many came. */
static uint32_t work_pop(void)
{
    uint32_t n = 0;
    world_write();
    uint32_t at = sifting_add(&w.s, "POP f w COUNT 1000", below(2));
    const struct outcome *out = shell_outcome(&w.s, at);
    must(out->n_grants || !reply_is_error(buf_slice(&out->reply), NULL), "a POP through a filter failed");
    world_note("POP f w COUNT 1000 -> %u grants", out->n_grants);
    for (uint32_t i = 0; i < out->n_grants; i++)
        for (uint32_t k = 0; k < out->grants[i].count; k++)
            if (!out->grants[i].bits || out->grants[i].bits[k / 64] >> (k % 64) & 1) {
                work_came(&out->grants[i], out->grants[i].base + k);
                n++;
            }
    work_looked();
    return n;
}

/* Takes all there is. What a sift has not seen is in the open group, so that is written first; and a POP that has got
 * something does not wait for a sift. */
void step_work_pop(void)
{
    if (!work_there())
        return;
    while (work_pop() > 0)
        ;
    work_drained();
}

/* ---- ACK, NACK, REJECT ---- */

static struct o_work *work_any(enum o_work_state state)
{
    uint32_t n = works()->n, from = n ? (uint32_t)below(n) : 0;
    for (uint32_t i = 0; i < n; i++)
        if (works()->all[(from + i) % n].state == state)
            return &works()->all[(from + i) % n];
    return NULL;
}

static void work_dies(struct o_work *m)
{
    m->state = O_DEAD;
    m->letter = works()->letters++;
}

static void work_end(void)
{
    struct o_work *m = work_any(O_HELD);
    if (!m)
        return;
    char receipt[40];
    int how = below(5);
    uint32_t at = m->redriven ? m->offset : (uint32_t)(m - works()->all);
    (void)snprintf(receipt, sizeof(receipt), "%s:0:%u#%u", m->redriven ? "%RETRY%f" : "w", at, m->attempt);
    const char *said = how < 2 ? world_do("ACK f %s", receipt)
                       : how == 2 ? world_do("NACK f %s", receipt) : world_do("REJECT f %s REASON bad", receipt);
    if (is(said, how < 2 ? "0" : "-STALE")) {
        must(work_may_go(m), "a receipt is stale whose lease holds");
        m->state = O_CUT;
        return;
    }
    must(is(said, how < 2 ? "1" : "OK"), "a receipt was answered something else");
    if (how < 2)
        m->state = O_ENDED;
    else if (how == 2 && m->attempt < O_WORK_ATTEMPTS)
        m->state = O_READY;
    else
        work_dies(m);
}

void step_work_end(void)
{
    for (int n = work_there() ? 1 + below(6) : 0; n > 0; n--)
        work_end();
}

/* ---- dead letters ---- */

static struct o_work *work_oldest_letter(void)
{
    struct o_work *oldest = NULL;
    for (uint32_t i = 0; i < works()->n; i++) {
        struct o_work *m = &works()->all[i];
        if (m->state == O_DEAD && (!oldest || m->letter < oldest->letter))
            oldest = m;
    }
    return oldest;
}

static void work_redrive(void)
{
    uint32_t count = 1 + (uint32_t)below(6), moved = 0;
    const char *said = world_do("DLQ REDRIVE f COUNT %u", count);
    for (struct o_work *m; moved < count && (m = work_oldest_letter()); moved++) {
        m->state = O_READY;
        m->redriven = true;
        m->fresh = false;
        m->attempt = 0;
        m->offset = works()->redriven++;
    }
    char want[12];
    (void)snprintf(want, sizeof(want), "%u", moved);
    must(is(said, want), "REDRIVE moved another number of letters");
}

void step_work_redrive(void)
{
    if (work_there())
        work_redrive();
}

/* ---- the rest ---- */

/* What was not looked at yet is judged by the new filter. */
void step_work_filter(void)
{
    if (!work_there())
        return;
    works()->least = (uint32_t)below(8);
    must(is(world_do("GROUP SET f w FILTER WHERE \"n >= %u\"", works()->least), "OK"), "the filter was not set");
}

/* The group passes what does not match, and nothing else. */
void step_work_advance(void)
{
    struct advance_found found;
    struct advance *a = work_there() ? advance_new(1) : NULL;
    if (!a)
        return;
    world_write();
    if (sifting_find(&w.s, a, &found) == ST_OK) {
        w.s.sifted = found.sifted;
        must(is(world_do("ADVANCE f w"), "OK"), "the group cannot go on");
        w.s.sifted = slice_of(NULL, 0);
        work_looked();
    }
    advance_free(a);
}

/* Several commands in a row, with nothing between them, and often the end of the process behind them. */
void step_work_exec(void)
{
    if (!work_there())
        return;
    for (int n = 2 + below(5); n > 0; n--) {
        int what = below(3);
        if (what == 0)
            work_send();
        else if (what == 1)
            work_end();
        else
            work_redrive();
    }
    if (below(3) == 0)
        world_crash();
}

/* ---- what is stored ---- */

static void audit_letters(void)
{
    const char *at = shell_do(&w.s, "DLQ LIST f COUNT 1000");
    uint32_t n = 0, dead = 0;
    for (uint32_t i = 0; i < works()->n; i++)
        dead += works()->all[i].state == O_DEAD;
    for (at = strstr(at, "%DLQ%"); at; at = strstr(at + 1, "%DLQ%"), n++) {
        unsigned letter = 0, serial = 0;
        must(sscanf(at, "%%DLQ%%f:0:%u=m%u", &letter, &serial) == 2 && serial < works()->n, "DLQ LIST has another letter");
        must(works()->all[serial].state == O_DEAD && works()->all[serial].letter == letter, "DLQ LIST has another letter");
    }
    must(n == dead, "DLQ LIST has another number of letters");
    must(shell_field(strstr(shell_do(&w.s, "LAG f"), "topic:w"), "dead") == dead, "LAG has another number of letters");
}

/* LAG counts what matches, of all that POP has not passed. */
static void audit_lag(void)
{
    uint64_t least = 0, most = 0, held = 0, held_most = 0;
    for (uint32_t i = 0; i < works()->n; i++) {
        const struct o_work *m = &works()->all[i];
        bool ready = !m->redriven && m->state == O_READY && (!m->fresh || m->n >= works()->least);
        bool is_held = !m->redriven && m->state == O_HELD;
        most += ready;
        least += ready && !work_may_go(m) && !m->maybe;
        held_most += is_held;
        held += is_held && !work_may_go(m);
    }
    const char *said = strstr(shell_do(&w.s, "LAG f"), "topic:w");
    int64_t is_ready = shell_field(said, "ready"), is_held = shell_field(said, "inflight");
    must(is_ready >= (int64_t)least && is_ready <= (int64_t)most, "LAG has another number of ready messages");
    must(is_held >= (int64_t)held && is_held <= (int64_t)held_most, "LAG has another number of leased messages");
}

/* What is young is there, and the ticker has run: what is old is gone. quiet: nothing is due. */
static void audit_kept(bool quiet)
{
    unsigned first = works()->n;
    const char *said = shell_do(&w.s, "READ w 0 earliest");
    must(is(said, "[]") || sscanf(said, "[w:0:%u=", &first) == 1, "READ answered something else");
    for (uint32_t i = 0; i < works()->n; i++) {
        int64_t gone_ms = works()->all[i].stored_ms + O_WORK_KEPT_MS;
        must(i >= first || gone_ms <= w.o.now_ms, "RETENTION deleted what is young");
        must(i < first || !quiet || gone_ms + O_WORK_SLACK_MS > w.o.now_ms, "RETENTION left what is old");
    }
}

void step_work_look(void)
{
    if (!work_there())
        return;
    world_write();
    if (below(2))
        world_settle();
    audit_letters();
    audit_lag();
    audit_kept(w.next_due_ms > w.s.now_ms);
}
