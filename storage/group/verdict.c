/* verdict.c: gives verdicts (verdict.h). */
#include "storage/group/verdict.h"

static const struct columns no_columns;

static bool judge_needs_columns(const struct gt *gt)
{
    return gt->filter_kind == FILTER_TAG || gt->order || ranked(gt);
}

/* Finds out which tags of the record's dictionary the group wants, unless that is known. */
static enum status judge_tags(struct judge *j, struct columns_here *here)
{
    enum status s = ST_OK;
    bool known = here->count && here->wanted_ref == j->gt->filter_ref;
    if (!known)
        s = columns_wanted(&here->columns, j->gt->filter, &here->wanted);
    here->wanted_ref = s == ST_OK ? j->gt->filter_ref : 0;
    j->wanted = here->wanted.data;
    return s;
}

enum status judge_begin(struct judge *j, struct state *st, const struct gt *gt, uint32_t queue,
                        const struct record_info *info)
{
    static const uint8_t nothing[1];
    struct columns_here *here = NULL;
    *j = (struct judge){.gt = gt, .queue = queue, .base = info->base, .columns = &no_columns, .wanted = nothing};
    j->sifts = &st->sifts;
    if (!judge_needs_columns(gt))
        return ST_OK;
    enum status s = log_columns_here(st, gt->topic, queue, info, &here);
    if (s == ST_DAMAGED)
        return ST_OK;
    if (s != ST_OK)
        return s;
    j->columns = &here->columns;
    return gt->filter_kind == FILTER_TAG ? judge_tags(j, here) : ST_OK;
}

uint64_t judge_seek(const struct judge *j, uint8_t class, uint64_t from, uint64_t end)
{
    const struct column_values *v = &j->columns->priorities;
    uint64_t i = from - j->base, n = end - j->base;
    if (v->n == 0 || v->step == 0)
        return from >= end || columns_priority(j->columns, (uint32_t)i) == class ? from : end;
    if (class == MESSAGE_PRIORITY_DEFAULT) { /* mostly the next one */
        while (i < n && columns_priority(j->columns, (uint32_t)i) != class)
            i++;
        return j->base + i;
    }
    n = n < v->n ? n : v->n; /* those behind have the default one */
    const uint8_t *at = i < n ? memchr(v->at + i, class, n - i) : NULL;
    return at ? j->base + (uint64_t)(at - v->at) : end;
}

/* Whether it matches, from what was found out before (sift.h). */
static enum pop_verdict judge_where(struct judge *j, uint64_t offset)
{
    const struct sift_range *r = j->range;
    if (!r || offset - r->from >= r->count)
        r = j->range = sifts_find(j->sifts, j->gt->id, j->gt->filter_ref, j->queue, offset);
    return !r ? VERDICT_STOP : sift_has(r, offset) ? VERDICT_TAKE : VERDICT_DROP;
}

enum pop_verdict judge_message(struct judge *j, uint64_t offset)
{
    if (j->gt->filter_kind == FILTER_WHERE) {
        enum pop_verdict where = judge_where(j, offset);
        if (where != VERDICT_TAKE)
            return where;
    }
    uint32_t i = (uint32_t)(offset - j->base);
    if (j->gt->order && j->gt->lanes && ranked_past(j->gt, j->queue, columns_priority(j->columns, i), offset))
        return VERDICT_DROP;
    if (j->gt->filter_kind == FILTER_TAG) {
        uint32_t tag = columns_tag(j->columns, i);
        if (!((j->wanted[tag / 8] >> tag % 8) & 1))
            return VERDICT_DROP;
    }
    return VERDICT_TAKE;
}
