/* weigh.c: how large the record of a message is (query.h), as the directory says. */
#include "storage/query/base/locate.h"

#include "storage/disk/directory.h"

static struct query_weight weigh_record(struct view *v, uint64_t topic, enum compress compress, uint32_t queue,
                                        uint64_t offset)
{
    struct query_weight w = {0};
    struct directory d;
    struct record_info info;
    if (!directory_open(&d, v->kv, v->snap, topic, compress))
        return w;
    if (directory_find(&d, queue, offset, &info) == ST_OK) {
        w.record = info.bytes;
        w.message = info.count == 1 ? info.bytes : 0;
    }
    directory_close(&d);
    return w;
}

/* Of a message of v->topic, or of the first one behind it. */
static struct query_weight weigh_in_topic(struct view *v, uint64_t queue, const struct position *p)
{
    uint64_t offset = 0;
    if (queue >= v->topic.n_queues || locate_position(v, (uint32_t)queue, p, &offset) != ST_OK)
        return (struct query_weight){0};
    return weigh_record(v, v->topic.id, v->topic.compress, (uint32_t)queue, offset);
}

struct query_weight query_weigh(struct view *v, const struct command *cmd)
{
    struct message_id id = {.topic = cmd->n_pos ? cmd->pos[0] : slice_of(NULL, 0)};
    struct position at = {POSITION_OFFSET, 0};
    uint64_t queue = 0;
    bool parsed = false;
    if (cmd->info->id == CMD_GET) {
        parsed = text_id(cmd->pos[0], &id);
        queue = id.queue;
        at.n = (int64_t)id.offset;
    } else if (cmd->info->id == CMD_READ) {
        parsed = text_uint(cmd->pos[1], &queue) && position_parse(cmd->pos[2], &at);
    }
    return parsed && view_topic(v, id.topic) == ST_OK ? weigh_in_topic(v, queue, &at) : (struct query_weight){0};
}

struct query_weight query_weigh_grant(struct view *v, const struct grant *g)
{
    uint32_t i = 0;
    while (g->bits && i + 1 < g->count && !((g->bits[i / 64] >> (i % 64)) & 1))
        i++;
    return weigh_record(v, g->topic_id, g->compress, g->queue, g->base + i);
}

struct query_weight query_weigh_reader(struct view *v, const struct reader *r)
{
    struct position at = {POSITION_OFFSET, (int64_t)r->next};
    return view_topic(v, r->topic) == ST_OK ? weigh_in_topic(v, r->queue, &at) : (struct query_weight){0};
}
