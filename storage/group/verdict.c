/* verdict.c: gives verdicts (verdict.h). */
#include "storage/group/verdict.h"

#include "storage/group/tag_filter.h"

static const struct columns no_columns;

/* Finds out which tags of the record's dictionary the group wants, unless that is known. */
static enum status judge_tags(struct judge *j, struct columns_here *here)
{
    enum status s = ST_OK;
    bool known = here->count && here->wanted_ref == j->gt->filter_ref;
    if (!known)
        s = tag_filter_wanted(j->gt->filter, &here->columns, &here->wanted);
    here->wanted_ref = s == ST_OK ? j->gt->filter_ref : 0;
    j->wanted = here->wanted.data;
    return s;
}

enum status judge_begin(struct judge *j, struct state *st, const struct gt *gt, uint32_t queue,
                        const struct record_info *info)
{
    static const uint8_t nothing[1];
    struct columns_here *here = NULL;
    enum status s = log_columns_here(st, gt->topic, queue, info, &here);
    *j = (struct judge){.gt = gt, .queue = queue, .base = info->base, .columns = &no_columns, .wanted = nothing};
    if (s == ST_DAMAGED)
        return ST_OK;
    if (s != ST_OK)
        return s;
    j->columns = &here->columns;
    return gt->filter_kind == FILTER_TAG ? judge_tags(j, here) : ST_OK;
}

enum pop_verdict judge_message(const struct judge *j, uint64_t offset)
{
    uint32_t i = (uint32_t)(offset - j->base);
    if (j->gt->filter_kind == FILTER_TAG) {
        uint32_t tag = columns_tag(j->columns, i);
        if (!((j->wanted[tag / 8] >> tag % 8) & 1))
            return VERDICT_DROP;
    }
    return VERDICT_TAKE;
}
