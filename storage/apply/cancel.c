/* cancel.c: DELAYED CANCEL: deletes a delayed message before it is due (model/delay.h). */
#include "storage/apply/handlers.h"
#include "storage/apply/acl/seen.h"
#include "storage/model/delay.h"

void apply_delayed_cancel(struct state *st, const struct stamp *stamp, const struct command *cmd,
                          struct outcome *out)
{
    (void)stamp;
    uint64_t token = 0;
    enum status s = text_token(cmd->pos[0], &token) ? seen_delayed(st, cmd, token) : ST_GONE; /* never given out */
    if (s == ST_OK)
        s = delay_cancel(st, token);
    if (s == ST_OK || s == ST_GONE)
        reply_int(&out->reply, s == ST_OK);
    else
        core_fail(out, s, "DELAYED CANCEL");
}
