/* group_options.c: reads the options of groups, which command parsing has checked (group_options.h). */
#include "storage/apply/group_options.h"

/* Reads "d1,d2,...". No pause at all is no backoff. */
static void group_options_backoff(struct group_settings *set, struct slice text)
{
    set->n_backoff = 0;
    while (text.len && set->n_backoff < BACKOFF_STEPS_MAX) {
        const uint8_t *comma = memchr(text.data, ',', text.len);
        size_t n = comma ? (size_t)(comma - text.data) : text.len;
        int64_t ms = 0;
        bool parsed = text_duration(slice_of(text.data, n), &ms);
        assert(parsed);
        set->backoff_ms[set->n_backoff++] = ms;
        size_t used = comma ? n + 1 : n;
        text = slice_of(text.data + used, text.len - used);
    }
    if (set->n_backoff == 1 && set->backoff_ms[0] == 0)
        set->n_backoff = 0;
}

void group_options_read(const struct command *cmd, struct group_settings *set)
{
    set->lease_ms = command_number(cmd, OPT_ID_LEASE, set->lease_ms);
    set->attempts = (uint32_t)command_number(cmd, OPT_ID_ATTEMPTS, set->attempts);
    set->from = command_number(cmd, OPT_ID_FROM, set->from);
    set->rate = (uint32_t)command_number(cmd, OPT_ID_RATE, set->rate);
    set->inflight = (uint32_t)command_number(cmd, OPT_ID_INFLIGHT, set->inflight);
    set->ordered = command_number(cmd, OPT_ID_ORDERED, set->ordered) != 0;
    const struct option *backoff = command_option(cmd, OPT_ID_BACKOFF), *filter = command_option(cmd, OPT_ID_FILTER);
    if (backoff)
        group_options_backoff(set, backoff->v);
    if (filter) {
        set->filter_kind = (enum filter_kind)filter->n;
        set->filter = filter->v2;
    }
}

static void group_options_missing(struct outcome *out, enum status s, const char *what, struct slice name)
{
    char text[160];
    text_quote(name, 135, text, sizeof(text));
    if (s == ST_GONE)
        reply_error(&out->reply, what[0] == 't' ? ST_NOTOPIC : ST_NOGROUP, "no %s '%s'", what, text);
    else
        core_fail(out, s, what);
}

struct gt *group_options_find(struct state *st, const struct command *cmd, struct outcome *out)
{
    struct topic *t = NULL;
    struct gt *gt = NULL;
    bool exists = false;
    enum status s = topic_get(st, cmd->pos[1], &t);
    if (s != ST_OK) {
        group_options_missing(out, s, "topic", cmd->pos[1]);
        return NULL;
    }
    s = group_get(st, cmd->pos[0], cmd->pos[1], &gt);
    if (s == ST_OK)
        return gt;
    enum status looked = s == ST_GONE ? group_exists(st, cmd->pos[0], &exists) : s;
    if (looked == ST_OK && exists)
        reply_error(&out->reply, ST_NOGROUP, "the group is not on this topic: GROUP CREATE it there first");
    else
        group_options_missing(out, looked == ST_OK ? s : looked, "group", cmd->pos[0]);
    return NULL;
}
