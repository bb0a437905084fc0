/*
 * command_message.c: the message that a SEND or a HALF wants stored, out of its options.
 */
#include "protocol/command/command_message.h"

#include <stdio.h>

/* One of SEND's options into the message; those the caller handles are passed over. */
static void message_take(struct message *m, const struct option *o, struct buf *scratch)
{
    if (o->id == OPT_ID_KEY) {
        m->fields |= MSG_KEY;
        m->keys[m->n_keys++] = o->v;
    } else if (o->id == OPT_ID_TAG) {
        m->fields |= MSG_TAG;
        m->tag = o->v;
    } else if (o->id == OPT_ID_ORDER) {
        m->fields |= MSG_ORDER;
        m->order = o->v;
    } else if (o->id == OPT_ID_PRIORITY) {
        m->fields |= MSG_PRIORITY;
        m->priority = (uint8_t)o->n;
    } else if (o->id == OPT_ID_PROP) {
        m->fields |= MSG_PROPS;
        m->n_props++;
        buf_put_sized(scratch, o->v);
        buf_put_sized(scratch, o->v2);
    }
}

enum status command_message(const struct command *cmd, struct slice body, struct buf *scratch,
                            struct message *ret_m, char *err, size_t err_size)
{
    struct message m;
    message_clear(&m);
    m.body = body;
    size_t begin = scratch->len, props_bytes = 0;
    for (uint32_t i = 0; i < cmd->n_opt; i++) {
        const struct option *o = &cmd->opt[i];
        if (o->id == OPT_ID_PROP)
            props_bytes += o->v.len + o->v2.len;
        if ((o->id == OPT_ID_KEY && m.n_keys == KEYS_MAX) ||
            (o->id == OPT_ID_PROP && m.n_props == PROPS_MAX)) {
            snprintf(err, err_size, "%s: a message has at most %d of them", option_word(o->id),
                     o->id == OPT_ID_KEY ? KEYS_MAX : PROPS_MAX);
            return ST_LIMIT;
        }
        if (props_bytes > PROPS_BYTES_MAX) {
            snprintf(err, err_size, "PROP: all properties together are over %ld bytes",
                     PROPS_BYTES_MAX);
            return ST_TOOBIG;
        }
        message_take(&m, o, scratch);
    }
    if (scratch->failed) {
        snprintf(err, err_size, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    if (m.n_props)
        m.props = slice_of(scratch->data + begin, scratch->len - begin);
    message_copy(&m, ret_m);
    return ST_OK;
}
