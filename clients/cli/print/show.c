/*
 * show.c: prints replies, through cJSON or human.c; see show.h.
 *
 * A single value is printed from the reply itself and not from the tree, so that without --json the bytes of a body
 * that is not text come out as they were sent.
 */
#include "clients/cli/print/show.h"

#include <stdio.h>

#include "clients/cli/print/human.h"
#include "clients/cli/print/listing.h"

/* Flushes, and checks once whether anything could not be written. */
static enum exit_code flushed(void)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_REFUSED;
}

static enum exit_code no_memory(void)
{
    fputs("halfmq: out of memory while printing a reply\n", stderr);
    return EXIT_REFUSED;
}

static enum exit_code show_tree(cJSON *tree, enum reply_shape shape, bool json)
{
    if (tree && !json)
        tree = listing_rows(tree, shape);
    if (!tree)
        return no_memory();
    bool ok;
    if (json) {
        char *text = cJSON_PrintUnformatted(tree);
        ok = text != NULL;
        if (ok)
            puts(text);
        cJSON_free(text);
    } else {
        ok = shape == SHAPE_GROUP ? human_print_each(tree) : human_print(tree);
    }
    cJSON_Delete(tree);
    return ok ? flushed() : no_memory();
}

static enum exit_code show_error(const redisReply *reply)
{
    fflush(stdout);
    fprintf(stderr, "%.*s\n", (int)reply->len, reply->str);
    return EXIT_REFUSED;
}

enum exit_code show_reply(const redisReply *reply, enum reply_shape shape, bool json)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return show_error(reply);
    if (!json && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)) {
        human_bytes(slice_of(reply->str, reply->len));
        return flushed();
    }
    return show_tree(view_reply(reply, shape), shape, json);
}

enum exit_code show_push(const redisReply *reply, bool json)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return show_error(reply);
    if (json)
        return show_tree(view_reply(reply, SHAPE_VALUE), SHAPE_VALUE, true);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
        reply->element[2]->type == REDIS_REPLY_STRING)
        human_bytes(slice_of(reply->element[2]->str, reply->element[2]->len));
    return flushed();
}

enum exit_code show_message(const redisReply *message, bool json, bool first)
{
    if (!json && !first)
        putchar('\n');
    return show_tree(view_reply(message, SHAPE_MESSAGE), SHAPE_MESSAGE, json);
}
