/* seen.c: judges what only the store knows whose it is (seen.h). */
#include "storage/apply/acl/seen.h"

#include "storage/access/judge.h"
#include "storage/model/delay.h"
#include "storage/model/txn.h"

enum status seen_txn(struct state *st, const struct stamp *stamp, const struct command *cmd, uint64_t txid,
                     struct buf *hold, struct txn_row *ret_row)
{
    enum status s = txn_get(st, stamp, txid, hold, ret_row);
    return s == ST_OK && cmd->user && !judge_pgroup(cmd->user, ret_row->pgroup) ? ST_GONE : s;
}

enum status seen_delayed(struct state *st, const struct command *cmd, uint64_t token)
{
    struct topic *t = NULL;
    if (!cmd->user)
        return ST_OK;
    enum status s = delay_topic(st, token, &t);
    return s == ST_OK && !judge_topic(cmd->user, t->name) ? ST_GONE : s;
}
