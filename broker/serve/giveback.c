/* giveback.c: builds RELEASE, SKIP and UNASK commands for what could not be delivered, and submits them (giveback.h). */
#include "broker/serve/giveback.h"

#include <stdlib.h>

#include "broker/base/log.h"
#include "broker/serve/redriven.h"
#include "broker/serve/session.h"
#include "broker/serve/stream_inner.h"
#include "broker/serve/submit.h"
#include "protocol/base/text.h"

#define GIVEBACK_RECEIPTS_MAX 1000 /* for marks: receipts in one command */

/* ---- messages ---- */

static void giveback_released(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    if (e->fate != ST_OK)
        log_event(LOG_DEBUG, "could not requeue what a client has not received; the lease expires by itself",
                  " command=%s", e->cmd.info->words);
    entry_free(e);
}

/* RELEASE also says when they were leased, or the first of them. */
static bool giveback_command(struct loop *l, enum command_id id, struct slice group, struct slice *receipts, uint32_t n,
                             int64_t popped_ms)
{
    bool release = id == CMD_RELEASE;
    struct option at = {.id = OPT_ID_AT, .n = popped_ms};
    struct command cmd = {.info = command_info(id),
                          .n_pos = 1,
                          .n_rest = n,
                          .n_opt = release ? 1 : 0,
                          .pos = {group},
                          .rest = receipts,
                          .opt = &at,
                          .has = release ? OPT(AT) : 0};
    return submit_own(&serve_of(l)->late, l, &cmd, giveback_released);
}

/* Submits RELEASE or SKIP. text holds the receipts one behind the other; on entry receipts[i] has only its length, since
 * text may have moved while it grew. */
static void giveback_submit(struct loop *l, enum command_id id, struct slice group, const struct buf *text,
                            struct slice *receipts, uint32_t n, int64_t popped_ms)
{
    const uint8_t *at = text->data;
    if (text->failed)
        return;
    for (uint32_t i = 0; i < n; i++) {
        receipts[i].data = at;
        at += receipts[i].len;
    }
    if (!n || !giveback_command(l, id, group, receipts, n, popped_ms))
        log_text(LOG_DEBUG, "cannot requeue messages now; their lease expires by itself");
}

static bool giveback_has_bit(const struct grant *g, uint32_t i)
{
    return !g->bits || (g->bits[i / 64] >> (i % 64)) & 1;
}

/* Appends the receipts of the grants that `done` leaves to text, one for each run of neighbouring offsets; returns how
 * many. */
static uint32_t giveback_put_receipts(const struct outcome *o, const struct granted *done, struct buf *text,
                                      struct slice *receipts)
{
    uint32_t n = 0;
    for (uint32_t i = done->grant; i < o->n_grants; i++) {
        const struct grant *g = &o->grants[i];
        uint32_t from = i == done->grant && done->offset > g->base ? (uint32_t)(done->offset - g->base) : 0;
        for (uint32_t k = from, first; k < g->count; k++) {
            if (!giveback_has_bit(g, k))
                continue;
            for (first = k; k + 1 < g->count && giveback_has_bit(g, k + 1); k++)
                ;
            size_t before = text->len;
            text_put_receipt_range(text, g->topic, g->queue, g->base + first, g->base + k, g->attempt);
            receipts[n++] = slice_of(NULL, text->len - before);
        }
    }
    return n;
}

void giveback_rest(struct loop *l, const struct entry *e, const struct granted *done)
{
    uint32_t most = 0;
    for (uint32_t i = done->grant; i < e->out.n_grants; i++)
        most += e->out.grants[i].count;
    struct slice *receipts = most ? malloc(most * sizeof *receipts) : NULL;
    if (!receipts)
        return;
    struct buf text;
    buf_init(&text, 0);
    uint32_t n = giveback_put_receipts(&e->out, done, &text, receipts);
    if (n)
        giveback_submit(l, CMD_RELEASE, e->cmd.pos[0], &text, receipts, n, e->out.popped_ms);
    free(receipts);
    buf_free(&text);
}

void giveback_messages(struct loop *l, const struct entry *e)
{
    giveback_rest(l, e, &(struct granted){0});
}

void giveback_receipts(struct loop *l, const struct entry *e, const struct buf *sized, uint32_t n)
{
    struct slice *receipts = n ? malloc(n * sizeof *receipts) : NULL;
    struct cursor c = cursor_of(buf_slice(sized));
    if (!receipts || sized->failed) {
        free(receipts);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        receipts[i] = cursor_sized(&c);
    if (!giveback_command(l, CMD_RELEASE, e->cmd.pos[0], receipts, n, e->out.popped_ms))
        log_text(LOG_DEBUG, "cannot requeue messages now; their lease expires by itself");
    free(receipts);
}

bool giveback_lost(struct loop *l, const struct entry *e, const struct view *v)
{
    const struct lost *lost = NULL;
    uint32_t n = view_lost(v, &lost);
    struct slice *receipts = n ? malloc(n * sizeof *receipts) : NULL;
    if (!receipts)
        return n > 0; /* they are found damaged once more when they are delivered again */
    struct buf text;
    buf_init(&text, 0);
    for (uint32_t i = 0; i < n; i++) {
        const struct grant *g = lost[i].grant;
        size_t before = text.len;
        text_put_receipt_range(&text, g->topic, g->queue, lost[i].first, lost[i].last, g->attempt);
        receipts[i] = slice_of(NULL, text.len - before);
    }
    giveback_submit(l, CMD_SKIP, e->cmd.pos[0], &text, receipts, n, 0);
    free(receipts);
    buf_free(&text);
    return true;
}

/* The first n marks, all of one stream, in one RELEASE. */
static void giveback_first_marks(struct loop *l, struct marks *ms, uint32_t n)
{
    const struct command *cmd = &marks_at(ms, 0)->stream->cmd;
    struct slice receipts[GIVEBACK_RECEIPTS_MAX];
    uint8_t hold[SYSTEM_NAME_BYTES_MAX];
    struct buf text;
    buf_init(&text, 0);
    for (uint32_t i = 0; i < n; i++) {
        const struct mark *m = marks_at(ms, i);
        size_t before = text.len;
        struct slice topic = m->topic < cmd->n_rest ? cmd->rest[m->topic] : redriven_topic(cmd->pos[0], hold);
        text_put_receipt_range(&text, topic, m->queue, m->first, m->last, m->attempt);
        receipts[i] = slice_of(NULL, text.len - before);
    }
    giveback_submit(l, CMD_RELEASE, cmd->pos[0], &text, receipts, n, marks_at(ms, 0)->popped_ms);
    buf_free(&text);
    for (uint32_t i = 0; i < n; i++)
        marks_drop_first(ms);
}

void giveback_marks(struct loop *l, struct marks *ms)
{
    while (ms->n) {
        uint32_t n = 1;
        while (n < ms->n && n < GIVEBACK_RECEIPTS_MAX && marks_at(ms, n)->stream == marks_at(ms, 0)->stream)
            n++;
        giveback_first_marks(l, ms, n);
    }
}

/* ---- check-backs ---- */

static void giveback_unasked(struct journal_client *owner, struct entry *e)
{
    (void)owner;
    if (e->fate != ST_OK)
        log_text(LOG_DEBUG, "could not undo check-backs; they are asked again later");
    entry_free(e);
}

void giveback_unask(struct loop *l, struct unask *u)
{
    struct command cmd;
    bool some = u->n > 0;
    if (some && (!unask_command(u, &cmd) || !submit_own(&serve_of(l)->late, l, &cmd, giveback_unasked)))
        log_text(LOG_DEBUG, "cannot undo check-backs now; they are asked again later");
}

void giveback_ask(struct loop *l, struct unask *u, struct ask ask)
{
    unask_add(u, ask);
    if (unask_full(u))
        giveback_unask(l, u);
}

void giveback_one_ask(struct loop *l, struct ask ask)
{
    struct unask u;
    unask_init(&u);
    giveback_ask(l, &u, ask);
    giveback_unask(l, &u);
    unask_fini(&u);
}

void giveback_checks(struct loop *l, struct slice reply)
{
    struct check_list list;
    struct check check;
    struct unask u;
    if (!check_list_open(reply, &list))
        return;
    unask_init(&u);
    while (check_list_next(&list, &check))
        giveback_ask(l, &u, check.ask);
    giveback_unask(l, &u);
    unask_fini(&u);
}

void giveback_asks(struct conn *c)
{
    struct session *s = session_of(c);
    struct ask ask;
    struct unask u;
    if (s->asks.n == 0)
        return;
    unask_init(&u);
    while (asks_pop(&s->asks, &ask))
        giveback_ask(c->loop, &u, ask);
    giveback_unask(c->loop, &u);
    unask_fini(&u);
}

/* ---- both ---- */

void giveback_entry(struct loop *l, const struct entry *e)
{
    if (e->fate != ST_OK || e->out.nothing)
        return;
    if (e->cmd.info->id == CMD_POP)
        giveback_messages(l, e);
    else if (e->cmd.info->id == CMD_CHECKS)
        giveback_checks(l, buf_slice(&e->out.reply));
}
