/* exec_sift.c: one sifter for neighbouring POPs that want the same (exec_sift.h). */
#include "broker/serve/multi/exec_sift.h"

#include "broker/base/clock.h"
#include "storage/query.h"

#define SLICE_NS INT64_C(1000000)

/* Do both POPs name the same group and topics? */
static bool exec_sift_is_alike(const struct command *a, const struct command *b)
{
    bool alike = b->info->id == CMD_POP && a->n_rest == b->n_rest && slice_equal(a->pos[0], b->pos[0]);
    for (uint32_t i = 0; alike && i < a->n_rest; i++)
        alike = slice_equal(a->rest[i], b->rest[i]);
    return alike;
}

/* A sifter for this POP and those like it, up to the next one that is not. NULL: no memory. */
static struct sifter *exec_sift_begin(const struct entry *first)
{
    struct sifter *s = sifter_new(&first->cmd, slice_of(NULL, 0));
    for (const struct entry *e = first->next; s && e; e = e->next) {
        if (exec_sift_is_alike(&first->cmd, &e->cmd))
            sifter_want_more(s, &e->cmd);
        else if (e->cmd.info->id == CMD_POP)
            break;
    }
    return s;
}

/* The sifter of m->sift_first is done: gives what it found to the POPs that it was for. Without memory, or where nothing
 * could be read, they get only what needs no sifter. */
static void exec_sift_end(struct multi *m)
{
    struct entry *first = m->sift_first, *e = first;
    struct slice found = first->sifter ? sifter_found(first->sifter) : slice_of(NULL, 0);
    if (first->sifter && !sifter_filters(first->sifter)) {
        entry_sift_over(first);
        found = slice_of(NULL, 0);
    }
    for (; e && (e->cmd.info->id != CMD_POP || exec_sift_is_alike(&first->cmd, &e->cmd)); e = e->next) {
        if (e->cmd.info->id == CMD_POP)
            e->cmd.sifted = found;
    }
    m->sift_first = NULL;
    m->sift_next = e;
}

/* One step. */
static void exec_sift_step(struct multi *m)
{
    struct view *v = loop_view(m->conn->loop);
    struct sifter *s = m->sift_first->sifter;
    if (!s || !v || sifter_step(s, v) != ST_BUSY)
        exec_sift_end(m);
}

bool exec_sift(struct multi *m)
{
    int64_t end_ns = clock_mono_ns() + SLICE_NS;
    while (m->sift_next && clock_mono_ns() < end_ns) {
        if (m->sift_first) {
            exec_sift_step(m);
        } else if (m->sift_next->cmd.info->id != CMD_POP) {
            m->sift_next = m->sift_next->next;
        } else {
            m->sift_first = m->sift_next;
            m->sift_first->sifter = exec_sift_begin(m->sift_first);
        }
    }
    return m->sift_next == NULL;
}
