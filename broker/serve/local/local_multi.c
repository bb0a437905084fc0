/* local_multi.c: LOCAL commands that queue others: MULTI EXEC DISCARD, and WATCH, which is refused. */
#include "broker/serve/local/local.h"
#include "broker/serve/multi/exec.h"
#include "broker/serve/multi/multi.h"

void local_MULTI(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    multi_begin(c, rq);
}

void local_EXEC(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    exec_begin(c, rq);
}

void local_DISCARD(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    multi_discard(c, rq);
}

void local_WATCH(struct conn *c, const struct command *cmd, struct request rq)
{
    (void)cmd;
    multi_watch(c, rq);
}
