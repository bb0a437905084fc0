/* model_keep.c: asks the store which messages it has deleted, and judges that (model_keep.h). */
#include "tests/lib/model_keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_SHARE 4 /* as in keep.c: messages that get too old one after the other go together */
#define LATE_MIN_MS 1000
#define MESSAGE_BYTES 200 /* more than any message of the test has */

/* One topic, as it was and as the store says that it is. */
struct m_step {
    struct model *m;
    struct m_topic *t;
    uint32_t floors[M_QUEUES];
    int64_t bytes;
};

static const char *answer; /* to the last TOPIC INFO */

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "the store answers: %s\n", answer ? answer : "");
    model_complain(what);
}

struct m_setting model_setting(struct prng *p, bool made)
{
    static const char *const compress[] = {"none", "lz4", "zstd"};
    struct m_setting c = {.retention_ms = -1, .max_bytes = -1};
    int which = 1 + (int)prng_below(p, 7), n = 0; /* at least one */
    if (made || which & 1)
        c.queues = 1 + (int)prng_below(p, M_QUEUES);
    if (which & 2)
        c.retention_ms = prng_below(p, 4) ? (int64_t)prng_below(p, 2000) : 0;
    if (which & 4)
        c.max_bytes = prng_below(p, 4) ? (int64_t)prng_below(p, 3000) : 0;
    if (c.queues)
        n = snprintf(c.text, sizeof(c.text), " QUEUES %d", c.queues);
    if (c.retention_ms >= 0)
        n += snprintf(c.text + n, sizeof(c.text) - (size_t)n, " RETENTION %d", (int)c.retention_ms);
    if (c.max_bytes >= 0)
        n += snprintf(c.text + n, sizeof(c.text) - (size_t)n, " MAXBYTES %d", (int)c.max_bytes);
    if (made)
        (void)snprintf(c.text + n, sizeof(c.text) - (size_t)n, " COMPRESS %s", compress[prng_below(p, 3)]);
    return c;
}

static void take(struct m_topic *t, const struct m_setting *c)
{
    t->n_queues = c->queues ? (uint32_t)c->queues : t->n_queues;
    t->retention_ms = c->retention_ms >= 0 ? c->retention_ms : t->retention_ms;
    t->max_bytes = c->max_bytes >= 0 ? c->max_bytes : t->max_bytes;
}

void model_topic_created(struct model *m, int topic, const struct m_setting *c, const char *said)
{
    struct m_topic *t = &m->topics[topic];
    must(strcmp(said, t->there ? "-EXISTS" : "OK") == 0, "TOPIC CREATE was answered otherwise");
    if (t->there)
        return;
    model_topic_made(m, topic, (uint32_t)c->queues);
    take(t, c);
}

void model_topic_set(struct model *m, int topic, const struct m_setting *c, const char *said)
{
    struct m_topic *t = &m->topics[topic];
    bool fewer = t->there && c->queues && c->queues < (int)t->n_queues;
    must(strcmp(said, !t->there ? "-NOTOPIC" : fewer ? "-ERR" : "OK") == 0, "TOPIC SET was answered otherwise");
    if (t->there && !fewer)
        take(t, c);
}

static bool old(const struct m_step *x, const struct m_message *mm, int64_t late_ms)
{
    return x->t->retention_ms && mm->stored_ms + x->t->retention_ms + late_ms <= x->m->now_ms;
}

static void ask(struct m_step *x, struct shell *s, int topic)
{
    const char *said = answer = shell_do(s, "TOPIC INFO t%d", topic);
    x->bytes = shell_field(strstr(said, "] bytes:"), "bytes"); /* those of the queues come first */
    must(shell_field(said, "queues") == x->t->n_queues, "TOPIC INFO has another number of queues");
    must(shell_field(said, "order_queues") == x->t->order_queues, "ORDER keys lead to another number of queues");
    must(shell_field(said, "retention") == x->t->retention_ms && shell_field(said, "maxbytes") == x->t->max_bytes,
         "TOPIC INFO has other settings");
    for (uint32_t q = 0; q < x->t->n_queues; q++) {
        char place[20];
        (void)snprintf(place, sizeof(place), "{queue:%u ", q);
        const char *at = strstr(said, place);
        must(at && shell_field(at, "next") == x->t->queues[q].end, "a queue ends elsewhere");
        x->floors[q] = (uint32_t)shell_field(at, "first");
        must(x->floors[q] >= x->t->queues[q].floor && x->floors[q] <= x->t->queues[q].end, "a floor is out of bounds");
    }
}

/* What has gone: *ret_sized is set where it was not for its age; then *ret_newest is the newest of those. */
static void judge_gone(struct m_step *x, bool *ret_sized, uint32_t *ret_newest)
{
    for (uint32_t q = 0; q < x->t->n_queues; q++) {
        const struct m_queue *mq = &x->t->queues[q];
        for (uint32_t o = mq->floor; o < x->floors[q]; o++) {
            if (old(x, &mq->messages[o], 0) || mq->messages[o].harm != M_WHOLE)
                continue;
            must(x->t->max_bytes > 0, "a message was deleted before its time");
            *ret_sized = true;
            *ret_newest = mq->messages[o].group > *ret_newest ? mq->messages[o].group : *ret_newest;
        }
    }
}

static void judge_kept(struct m_step *x, bool sized, uint32_t newest)
{
    uint32_t n = 0;
    int64_t late = x->t->retention_ms / LATE_SHARE;
    for (uint32_t q = 0; q < x->t->n_queues; q++) {
        const struct m_queue *mq = &x->t->queues[q];
        for (uint32_t o = x->floors[q]; o < mq->end; o++) {
            n++;
            must(mq->messages[o].harm == M_LOST || !old(x, &mq->messages[o], late > LATE_MIN_MS ? late : LATE_MIN_MS),
                 "a message that is too old is still there");
            must(!sized || x->t->harmed || mq->messages[o].group >= newest, "a newer message was deleted before an older one");
        }
    }
    if (!x->t->max_bytes || x->t->harmed)
        return;
    must(n <= 1 || x->bytes <= 2 * x->t->max_bytes, "more than twice MAXBYTES is kept");
    must(!sized || x->bytes + MESSAGE_BYTES >= x->t->max_bytes, "more was deleted than had to be");
    must(!sized || n > 0, "the newest message was deleted");
}

/* A TICK that gave up a lost message leaves other leases that are over to the next one, and may have deleted their messages
 * meanwhile: these are no dead letters then. */
static void judge_dead(struct model *m, struct shell *s, uint32_t gone)
{
    for (int g = 0; g < M_GROUPS && gone > 0 && m->gave_up; g++) {
        const char *said = shell_do(s, "LAG g%d", g);
        int64_t dead = shell_field(said, "dead");
        if (dead < 0)
            continue;
        must(dead <= m->dead[g] && dead + gone >= m->dead[g], "another number is dead");
        m->dead[g] = (uint32_t)dead;
    }
}

/* What was deleted is done with for all groups. Returns how many messages that are. */
static uint32_t forget(struct m_step *x, int topic)
{
    uint32_t n = 0;
    for (uint32_t q = 0; q < x->t->n_queues; q++) {
        struct m_queue *mq = &x->t->queues[q];
        for (int g = 0; g < M_GROUPS; g++)
            for (uint32_t o = mq->floor; o < x->floors[q]; o++)
                x->m->gts[g][topic].cells[q][o].state = M_DONE;
        n += x->floors[q] - mq->floor;
        mq->floor = x->floors[q];
    }
    return n;
}

void model_kept(struct model *m, struct shell *s)
{
    uint32_t gone = 0;
    for (int t = 0; t < M_TOPICS; t++) {
        struct m_step x = {.m = m, .t = &m->topics[t]};
        bool sized = false;
        uint32_t newest = 0;
        if (!x.t->there)
            continue;
        ask(&x, s, t);
        judge_gone(&x, &sized, &newest);
        judge_kept(&x, sized, newest);
        gone += forget(&x, t);
    }
    judge_dead(m, s, gone);
}
