/* local_acl_log.c: ACL GENPASS and ACL LOG. */
#include "broker/serve/local/local.h"

#include "broker/auth/acl_log.h"
#include "broker/auth/scrypt.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"
#include "protocol/base/text.h"

#define GENPASS_BITS 256
#define GENPASS_BITS_MAX 4096
#define LOG_COUNT 10

void local_ACL_GENPASS(struct conn *c, const struct command *cmd, struct request rq)
{
    char text[GENPASS_BITS_MAX / 4 + 1];
    uint64_t bits = GENPASS_BITS;
    if (cmd->n_pos && (!text_uint(cmd->pos[0], &bits) || bits == 0 || bits > GENPASS_BITS_MAX)) {
        local_refuse(c, rq, ST_ERR, "ACL GENPASS takes the number of bits that the password is to have, from 1 to %d",
                     GENPASS_BITS_MAX);
        return;
    }
    size_t n = (size_t)(bits + 3) / 4;
    if (!scrypt_random_text(text, n)) {
        local_refuse(c, rq, ST_BUSY, "there is no randomness now: try again");
        return;
    }
    struct buf *r = loop_reply(c->loop);
    reply_bulk(r, slice_of(text, n));
    conn_answer(c, rq, buf_slice(r));
}

void local_ACL_LOG(struct conn *c, const struct command *cmd, struct request rq)
{
    struct acl_log *log = serve_of(c->loop)->env.acl_log;
    uint64_t most = LOG_COUNT;
    if (cmd->n_pos && slice_equal_nocase(cmd->pos[0], SLICE_LIT("RESET"))) {
        acl_log_reset(log);
        local_ok(c, rq);
        return;
    }
    if (cmd->n_pos && !text_uint(cmd->pos[0], &most)) {
        local_refuse(c, rq, ST_ERR, "ACL LOG takes how many lines to show, or RESET");
        return;
    }
    struct buf *r = loop_reply(c->loop);
    acl_log_write(log, most, timers_now(), r);
    conn_answer(c, rq, buf_slice(r));
}
