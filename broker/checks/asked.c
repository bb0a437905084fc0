/* asked.c: reads the messages of a long transaction, twice (asked.h). */
#include "broker/checks/asked.h"

#include "broker/base/json.h"

#define STEP_BYTES ((size_t)KIB(256)) /* of messages in a step, and one message more */
#define STEP_MESSAGES 200             /* which is some milliseconds */
#define JSON_END "]}"                 /* of the object, behind its messages */

void asked_begin(struct asked *a, struct ask ask, bool json)
{
    *a = (struct asked){.ask = ask, .json = json, .length = sizeof JSON_END - 1};
}

/* Appends what a whole value of tokens is as text, but for its last `cut` bytes; in LOOK it is only measured. */
static enum status asked_put_json(struct asked *a, const struct buf *tokens, size_t cut, struct buf *out)
{
    struct buf text;
    buf_init(&text, REPLY_BYTES_MAX);
    struct buf *to = a->put ? out : &text;
    size_t before = to->len;
    bool made = !tokens->failed && json_from_reply(buf_slice(tokens), to) && !to->failed;
    if (made) {
        to->len -= cut;
        a->length += a->put ? 0 : to->len - before;
    }
    buf_free(&text);
    return made ? ST_OK : ST_NOMEM;
}

/* A text is made of the whole object without messages, whose end comes later. */
static enum status asked_open(struct asked *a, struct view *v, struct buf *out)
{
    struct check_head head;
    struct buf tokens;
    enum status s = query_check_begin(v, a->ask.txid, &a->reader, &head);
    if (s != ST_OK)
        return s;
    head.attempt = a->ask.attempt;
    a->open = true;
    if (!a->json) {
        if (a->put)
            check_object_put_head(out, &head, a->reader.n);
        return ST_OK;
    }
    buf_init(&tokens, 0);
    check_object_put_head(&tokens, &head, 0);
    s = asked_put_json(a, &tokens, sizeof JSON_END - 1, out);
    buf_free(&tokens);
    return s;
}

/* tokens is scratch. */
static enum status asked_message(struct asked *a, struct view *v, struct buf *tokens, struct buf *out)
{
    bool first = a->reader.at == 0, through = a->put && !a->json;
    buf_reset(tokens, SIZE_MAX);
    enum status s = query_check_next(v, &a->reader, through ? out : tokens);
    if (s != ST_OK || !a->json)
        return s == ST_OK && tokens->failed ? ST_NOMEM : s;
    if (a->put && !first)
        buf_put_u8(out, ',');
    a->length += !a->put && !first;
    return asked_put_json(a, tokens, 0, out);
}

/* The end of a pass. */
static enum status asked_end(struct asked *a, struct buf *out)
{
    bool look = !a->put;
    a->put = true;
    a->open = false;
    if (!look && a->json)
        buf_put_str(out, JSON_END);
    return look ? ST_BUSY : ST_OK;
}

enum status asked_step(struct asked *a, struct view *v, struct buf *out)
{
    struct buf tokens;
    size_t bytes = 0, n = 0, before = out->len;
    buf_init(&tokens, REPLY_BYTES_MAX);
    enum status s = a->open ? ST_OK : asked_open(a, v, out);
    for (; s == ST_OK && a->reader.at < a->reader.n; n++) {
        if (n == STEP_MESSAGES || bytes + out->len - before >= STEP_BYTES)
            s = ST_BUSY;
        else
            s = asked_message(a, v, &tokens, out);
        bytes += tokens.len;
    }
    buf_free(&tokens);
    return s == ST_OK ? asked_end(a, out) : s;
}

enum status asked_all(struct ask ask, struct view *v, struct buf *out)
{
    struct asked a;
    asked_begin(&a, ask, false);
    a.put = true; /* it can be taken back, so one pass does */
    enum status s = asked_step(&a, v, out);
    while (s == ST_BUSY)
        s = asked_step(&a, v, out);
    return s == ST_OK && out->failed ? ST_NOMEM : s;
}
