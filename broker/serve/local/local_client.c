/*
 * local_client.c: the command CLIENT: ID | LIST | KILL | SETNAME | GETNAME | SETINFO.
 */
#include <stdio.h>

#include "broker/serve/client_list.h"
#include "broker/serve/local/local.h"
#include "broker/serve/local/local_answer.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"
#include "protocol/base/text.h"

static const char usage[] =
    "write CLIENT ID | LIST | KILL id | SETNAME name | GETNAME | SETINFO LIB-NAME|LIB-VER text";

static void client_id(struct conn *c, const struct slice *words, uint32_t n, struct request rq)
{
    (void)words, (void)n;
    struct buf *r = loop_reply(c->loop);
    reply_int(r, (int64_t)c->id);
    conn_answer(c, rq, buf_slice(r));
}

static void client_list(struct conn *c, const struct slice *words, uint32_t n, struct request rq)
{
    (void)words, (void)n;
    client_list_begin(c, rq);
}

/* KILL id; or, as newer Redis clients write it, KILL ID id, whose reply is how many were closed. */
static void client_kill(struct conn *c, const struct slice *words, uint32_t n, struct request rq)
{
    bool counted = n == 2 && slice_equal_nocase(words[0], SLICE_LIT("ID"));
    uint64_t id;
    if (!(n == 1 || counted) || !text_uint(words[n - 1], &id)) {
        local_refuse(c, rq, ST_ERR, "CLIENT KILL takes the number that CLIENT LIST shows as id");
        return;
    }
    bool killed = net_kill_client(serve_of(c->loop)->env.net, id);
    if (counted) {
        struct buf *r = loop_reply(c->loop);
        reply_int(r, killed);
        conn_answer(c, rq, buf_slice(r));
    } else if (killed) {
        local_ok(c, rq);
    } else {
        local_refuse(c, rq, ST_ERR, "No such client: CLIENT LIST shows all clients");
    }
}

static void client_setname(struct conn *c, const struct slice *words, uint32_t n, struct request rq)
{
    (void)n;
    struct slice name = words[0];
    bool fine = name.len <= CLIENT_NAME_MAX;
    for (size_t i = 0; i < name.len && fine; i++)
        fine = name.data[i] > ' ' && name.data[i] <= '~';
    if (!fine)
        local_refuse(c, rq, ST_ERR,
                     "a client's name is at most %d printable characters without blanks",
                     CLIENT_NAME_MAX);
    else if (conn_set_text(c, &c->name, name) != ST_OK)
        local_refuse(c, rq, ST_BUSY, "no memory for the name: try again");
    else
        local_ok(c, rq);
}

static void client_getname(struct conn *c, const struct slice *words, uint32_t n, struct request rq)
{
    (void)words, (void)n;
    struct buf *r = loop_reply(c->loop);
    if (c->name)
        reply_bulk_str(r, c->name);
    else
        reply_null(r);
    conn_answer(c, rq, buf_slice(r));
}

/* Accepted because client libraries send it: their name and version. Not stored. */
static void client_setinfo(struct conn *c, const struct slice *words, uint32_t n, struct request rq)
{
    (void)words, (void)n;
    local_ok(c, rq);
}

struct subcommand {
    const char *word;
    uint32_t min, max; /* words behind it */
    void (*run)(struct conn *c, const struct slice *words, uint32_t n, struct request rq);
};

static const struct subcommand subcommands[] = {
    {"ID", 0, 0, client_id},           {"LIST", 0, 0, client_list},
    {"KILL", 1, 2, client_kill},       {"SETNAME", 1, 1, client_setname},
    {"GETNAME", 0, 0, client_getname}, {"SETINFO", 2, 2, client_setinfo},
};

void local_CLIENT(struct conn *c, const struct command *cmd, struct request rq)
{
    uint32_t n = cmd->n_rest - 1;
    char quoted[LOCAL_QUOTED];
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        const struct subcommand *s = &subcommands[i];
        if (!slice_equal_nocase(cmd->rest[0], slice_str(s->word)))
            continue;
        if (n >= s->min && n <= s->max)
            s->run(c, cmd->rest + 1, n, rq);
        else
            local_refuse(c, rq, ST_ERR, "wrong number of words for CLIENT %s: %s", s->word, usage);
        return;
    }
    local_refuse(c, rq, ST_ERR, "'%s' is not a subcommand of CLIENT: %s", local_quote(cmd->rest[0], quoted),
                 usage);
}
