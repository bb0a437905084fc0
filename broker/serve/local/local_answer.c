/* local_answer.c: the replies that most LOCAL commands end with: `+OK`, and errors made of a format. */
#include "broker/serve/local/local_answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "protocol/base/reply.h"
#include "protocol/base/text.h"

void local_ok(struct conn *c, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    reply_ok(r);
    conn_answer(c, rq, buf_slice(r));
}

void local_refuse(struct conn *c, struct request rq, enum status s, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    conn_refuse(c, rq, s, n < 0 ? NULL : text);
}

const char *local_quote(struct slice word, char out[LOCAL_QUOTED])
{
    text_quote(word, LOCAL_QUOTED / 2, out, LOCAL_QUOTED);
    return out;
}
