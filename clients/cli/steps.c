/* steps.c: asks again until the broker has done all of it; see steps.h. */
#include "clients/cli/steps.h"

#include <inttypes.h>
#include <stdio.h>

#include "clients/cli/print/show.h"
#include "protocol/base/text.h"

/* One step. *ret_done: how much; other replies are shown. */
static enum exit_code steps_one(struct cli_conn *conn, const struct slice *words, size_t n, bool json, uint64_t *ret_done)
{
    redisReply *reply = NULL;
    enum exit_code e = conn_ask(conn, words, n, &reply);
    if (e != EXIT_DONE)
        return e;
    *ret_done = 0;
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
        *ret_done = (uint64_t)reply->integer;
    else
        e = show_reply(reply, SHAPE_VALUE, json);
    freeReplyObject(reply);
    return e;
}

enum exit_code steps_redrive(struct cli_conn *conn, const struct slice *words, size_t n, bool json)
{
    struct slice step[5];
    char rest[24];
    uint64_t most = UINT64_MAX, sum = 0, done = 1;
    bool counted = n == 5 && slice_equal_nocase(words[3], SLICE_LIT("COUNT")) && text_uint(words[4], &most);
    bool once = n != 3 && !counted;
    enum exit_code e = EXIT_DONE;
    while (e == EXIT_DONE && done > 0 && sum < most) {
        if (counted) {
            memcpy(step, words, sizeof step);
            snprintf(rest, sizeof rest, "%" PRIu64, most - sum);
            step[4] = slice_str(rest);
        }
        e = steps_one(conn, counted ? step : words, n, json, &done);
        sum += e == EXIT_DONE ? done : 0;
        if (once)
            break;
    }
    if (e != EXIT_DONE) {
        if (sum > 0)
            fprintf(stderr, "halfmq: %" PRIu64 " were redriven before that\n", sum);
        return e;
    }
    printf("%" PRIu64 "\n", sum);
    return EXIT_DONE;
}
