/*
 * rpc_command.c: the command that a MessagePack-RPC frame asks for.
 *
 *   [0, 7, "send", [{"topic": "T", "body": <bin>, "key": ["a", "b"], "ttl": 5000, "prop": {"n": 1}}]]
 *      command_put   topic=T       body=..        key=a key=b       ttl=5000     prop=n,1
 *
 * Each key goes to command_put under its own name, which knows what it means for all dialects. This file translates
 * values only: bytes as they are, numbers and true/false as decimal text, a list item by item, a map pair by pair where
 * the option takes pairs. A filter is such a map with one pair, or a text. A key whose value is nil is ignored.
 *
 * Invariant: decimal text lies in space->text and the command points at it, so the room for all of it is reserved before
 * the first digit is written.
 */
#include "protocol/rpc/rpc.h"

#include "protocol/base/complaint.h"
#include "protocol/base/text.h"

#include <assert.h>
#include <stdio.h>

#define DIGITS_MAX  20 /* of a 64-bit number, with its sign */
#define TEXT_KEEP   4096
#define QUOTED_SIZE 144

/* What all keys of a frame need while they are put, one after the other. */
struct filling {
    struct command_space *space;
    struct command *cmd;
    struct slice key;
    int word; /* which of the command's own words it names; -1: none */
    struct slice name; /* of the value at hand, in the map that the key holds; empty: there is no map */
    struct complaint say;
};

static const char *const kind_names[] = {
    [RPC_NIL] = "nil",        [RPC_BOOL] = "a boolean",     [RPC_INT] = "an integer",
    [RPC_DOUBLE] = "a float", [RPC_BYTES] = "a string",     [RPC_LIST] = "a list",
    [RPC_MAP] = "a map",      [RPC_OTHER] = "an extension",
};

static enum status rpc_command_refuse_value(struct filling *f, const char *got, const char *wanted)
{
    char key[QUOTED_SIZE], name[QUOTED_SIZE];
    text_quote(f->key, 32, key, sizeof key);
    text_quote(f->name, 32, name, sizeof name);
    return complain(f->say, ST_ERR, "'%s%s%s' holds %s: %s", key, f->name.len ? "." : "", name, got, wanted);
}

/* One value as the text that a person would have typed. */
static enum status rpc_command_text_of(struct filling *f, const struct rpc_value *v, struct slice *ret_text)
{
    struct buf *text = &f->space->text;
    size_t from = text->len;
    int64_t n;
    bool b;
    if (rpc_bytes(v, ret_text))
        return ST_OK;
    if (rpc_bool(v, &b))
        buf_put_u8(text, b ? '1' : '0');
    else if (rpc_int(v, &n))
        buf_put_int(text, n);
    else if (rpc_kind(v) == RPC_INT)
        return rpc_command_refuse_value(f, "too large a number", "at most 9223372036854775807");
    else
        return rpc_command_refuse_value(f, kind_names[rpc_kind(v)], "send bytes, an integer or a boolean");
    assert(!text->failed);
    *ret_text = slice_of(text->data + from, text->len - from);
    return ST_OK;
}

static enum status rpc_command_put(struct filling *f, struct slice value, struct slice value2)
{
    if (f->word >= 0)
        return command_put_word(f->space, f->cmd, f->word, value, f->say.text, f->say.size);
    return command_put(f->space, f->cmd, f->key, value, value2, f->say.text, f->say.size);
}

static enum status rpc_command_put_one(struct filling *f, const struct rpc_value *v)
{
    struct slice text;
    enum status s = rpc_command_text_of(f, v, &text);
    return s == ST_OK ? rpc_command_put(f, text, slice_of(NULL, 0)) : s;
}

static enum status rpc_command_put_pair(struct filling *f, const struct rpc_value *name,
                                        const struct rpc_value *v)
{
    struct slice first, second;
    if (!rpc_bytes(name, &first))
        return rpc_command_refuse_value(f, kind_names[rpc_kind(name)], "names in its map are strings");
    f->name = first;
    enum status s = rpc_command_text_of(f, v, &second);
    f->name = slice_of(NULL, 0);
    return s == ST_OK ? rpc_command_put(f, first, second) : s;
}

static enum status rpc_command_put_key(struct filling *f, const struct rpc_value *v)
{
    enum rpc_kind kind = rpc_kind(v);
    enum option_id id;
    f->word = command_name_at(f->cmd->info, f->key);
    enum option_type type = f->word < 0 && option_find(f->key, &id) ? option_type(id) : OPT_STR;
    if (kind == RPC_NIL)
        return ST_OK;
    bool pairs = type == OPT_PAIR || (type == OPT_FILTER && kind == RPC_MAP);
    if (type == OPT_PAIR && kind != RPC_MAP)
        return rpc_command_refuse_value(f, kind_names[kind], "send a map of names and values");
    if (type == OPT_FILTER && kind != RPC_MAP && kind != RPC_BYTES)
        return rpc_command_refuse_value(f, kind_names[kind], "send a map such as {\"where\": \"n > 1\"}, or \"none\"");
    if (type == OPT_FILTER && kind == RPC_MAP && rpc_len(v) != 1)
        return rpc_command_refuse_value(f, rpc_len(v) ? "several filters" : "an empty map", "send one");
    if (kind != RPC_LIST && !pairs)
        return rpc_command_put_one(f, v);
    enum status s = ST_OK;
    for (size_t i = 0; i < rpc_len(v) && s == ST_OK; i++)
        s = pairs ? rpc_command_put_pair(f, rpc_key(v, i), rpc_at(v, i))
                             : rpc_command_put_one(f, rpc_at(v, i));
    return s;
}

static enum status rpc_command_check_params(const struct rpc_value *params, struct complaint say)
{
    if (!params || rpc_kind(params) == RPC_MAP)
        return ST_OK;
    if (rpc_kind(params) == RPC_LIST)
        return complain(
            say, ST_ERR, "params are a list of %zu values: expected one map of names and values",
            rpc_len(params));
    return complain(say, ST_ERR, "params are %s: expected a map of names and values",
                    kind_names[rpc_kind(params)]);
}

static enum status rpc_command_put_all(struct filling *f, const struct rpc_value *params)
{
    enum status s = ST_OK;
    for (size_t i = 0; i < rpc_len(params) && s == ST_OK; i++) {
        if (!rpc_bytes(rpc_key(params, i), &f->key))
            return complain(f->say, ST_ERR, "a key of params is %s: expected a string",
                            kind_names[rpc_kind(rpc_key(params, i))]);
        s = rpc_command_put_key(f, rpc_at(params, i));
    }
    return s;
}

/* Room for every number's digits, so that they stay where they are put. */
static bool rpc_command_make_room(struct command_space *space, const struct rpc_frame *f)
{
    buf_reset(&space->text, TEXT_KEEP);
    return buf_room(&space->text, f->numbers * DIGITS_MAX) != NULL;
}

enum status rpc_command(struct command_space *space, const struct rpc_frame *f,
                        struct command *ret_cmd, char *err, size_t err_size)
{
    struct command cmd;
    struct filling filling = {.space = space, .cmd = &cmd, .say = {err, err_size}};
    const struct command_info *info = command_find_method(f->method);
    if (!info) {
        char method[QUOTED_SIZE];
        text_quote(f->method, 32, method, sizeof method);
        return complain(filling.say, ST_ERR, "unknown method '%s': HELP lists the commands",
                        method);
    }
    enum status s = rpc_command_check_params(f->params, filling.say);
    if (s == ST_OK && !rpc_command_make_room(space, f))
        return complain(filling.say, ST_NOMEM, "no memory for the request: try again");
    if (s == ST_OK)
        s = command_begin(space, info, &cmd, err, err_size);
    if (s == ST_OK)
        s = rpc_command_put_all(&filling, f->params);
    if (s == ST_OK)
        s = command_end(space, &cmd, err, err_size);
    if (s == ST_OK)
        *ret_cmd = cmd;
    return s;
}
