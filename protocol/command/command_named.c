/*
 * command_named.c: from the named values of a MessagePack-RPC map to a command.
 *
 *   begin ─► put (key, value) in any order, a repeating key once a value ─► end
 *
 * A key is a positional name, the repeating one's name, or an option's word in small letters.
 * COMMIT's ACK has keys of its own as well, `group` and `receipt`, as its words have names. The option's
 * word is taken too, with the group or with all the words: ack = group, ack = [group, receipt, ...].
 *
 * Invariant: between begin and end a positional word was given exactly where its data is not NULL.
 */
#include "protocol/command/command.h"

#include <assert.h>
#include <stdio.h>

#include "protocol/base/text.h"
#include "protocol/command/command_build.h"
#include "protocol/command/command_check.h"
#include "protocol/command/command_table.h"

#define LIST_SIZE 700 /* a list of words in an error */

enum status command_begin(struct command_space *space, const struct command_info *info,
                          struct command *ret_cmd, char *err, size_t err_size)
{
    struct complaint c = {err, err_size};
    if (info->kind == KIND_LATER)
        return build_not_yet(info, c);
    build_start(space, info, ret_cmd);
    return ST_OK;
}

static void named_append_word(char *out, size_t out_size, struct slice word)
{
    size_t len = strlen(out);
    snprintf(out + len, out_size - len, "%s%.*s", len ? ", " : "", (int)word.len,
             word.len ? (const char *)word.data : "");
}

static void named_append_lower(char *out, size_t out_size, const char *word)
{
    char lower[32];
    size_t n = 0;
    for (; word[n] && n < sizeof lower; n++)
        lower[n] = (char)(word[n] >= 'A' && word[n] <= 'Z' ? word[n] + 32 : word[n]);
    named_append_word(out, out_size, slice_of(lower, n));
}

static enum status named_unknown_key(const struct command_info *info, struct slice key,
                                     struct complaint c)
{
    char quoted[QUOTED_SIZE], list[LIST_SIZE] = "";
    text_quote(key, QUOTED_BYTES, quoted, sizeof quoted);
    for (size_t i = 0; command_name(info, i).len; i++)
        named_append_word(list, sizeof list, command_name(info, i));
    for (int i = 0; i < OPTION_COUNT; i++) {
        enum option_id id = (enum option_id)i;
        if (!(info->options & (UINT64_C(1) << i)))
            continue;
        if (option_type(id) == OPT_REST)
            named_append_word(list, sizeof list, SLICE_LIT("group, receipt"));
        else
            named_append_lower(list, sizeof list, option_word(id));
    }
    return complain(c, ST_ERR, "unknown key '%s' for %s: it takes %s", quoted, info->method,
                    list[0] ? list : "no keys");
}

/* Of a flag or a switch. */
static bool named_flag_off(struct slice v)
{
    return slice_equal_nocase(v, SLICE_LIT("NO")) || slice_equal_nocase(v, SLICE_LIT("FALSE")) ||
           slice_equal(v, SLICE_LIT("0"));
}

/* A list is put item by item, so that a second value of a key is one of a list, mostly. */
static enum status named_second_value(const struct command_info *info, struct slice key, struct complaint c)
{
    char quoted[QUOTED_SIZE];
    text_quote(key, QUOTED_BYTES, quoted, sizeof quoted);
    bool backoff = slice_equal_nocase(key, SLICE_LIT("backoff"));
    return complain(c, ST_ERR, "'%s' is given twice, or as a list: %s takes one value%s", quoted, info->method,
                    backoff ? ", such as \"1s,10s,1m\"" : "");
}

static enum status named_add_option(struct command_space *s, struct command *cmd, struct slice key, struct option o,
                                    struct complaint c)
{
    if ((cmd->has & (UINT64_C(1) << o.id)) && !option_repeats(o.id))
        return named_second_value(cmd->info, key, c);
    return build_add_option(s, cmd, o, c);
}

/* COMMIT's ACK: takes the keys group and receipt, or ack for both. *ret_mine: it was one of these keys. */
static enum status named_put_ack(struct command_space *s, struct command *cmd, struct slice key,
                                 struct slice value, bool *ret_mine, struct complaint c)
{
    if (!(cmd->info->options & OPT(ACK)))
        return ST_OK;
    bool word = slice_equal(key, SLICE_LIT("ack"));
    if (slice_equal(key, SLICE_LIT("receipt")) || (word && command_has(cmd, OPT(ACK)))) {
        *ret_mine = true;
        return build_add_rest(s, cmd, value) ? ST_OK : build_no_memory(c);
    }
    if (slice_equal(key, SLICE_LIT("group")) || word) {
        *ret_mine = true;
        return named_add_option(s, cmd, key, (struct option){.id = OPT_ID_ACK, .v = value}, c);
    }
    return ST_OK;
}

enum status command_put_word(struct command_space *space, struct command *cmd, int at, struct slice value,
                             char *err, size_t err_size)
{
    const struct command_info *info = cmd->info;
    struct complaint c = {err, err_size};
    assert(at >= 0 && at <= info->max);
    if (at == info->max) /* the repeating word's name is the last */
        return build_add_rest(space, cmd, value) ? ST_OK : build_no_memory(c);
    if (cmd->pos[at].data)
        return named_second_value(info, command_name(info, (size_t)at), c);
    /* Data that is not NULL marks the word as given, an empty body too. */
    cmd->pos[at] = value.data ? value : slice_of("", 0);
    return ST_OK;
}

enum status command_put(struct command_space *space, struct command *cmd, struct slice key,
                        struct slice value, struct slice value2, char *err, size_t err_size)
{
    struct complaint c = {err, err_size};
    int at = key.len ? command_name_at(cmd->info, key) : -1;
    if (at >= 0)
        return command_put_word(space, cmd, at, value, err, err_size);
    bool mine = false;
    enum status st = named_put_ack(space, cmd, key, value, &mine, c);
    if (mine)
        return st;
    struct option o = {.v = value, .v2 = value2};
    if (!command_own_option(cmd->info, key, &o.id) || option_type(o.id) == OPT_REST)
        return named_unknown_key(cmd->info, key, c);
    if (option_type(o.id) == OPT_FLAG) {
        if (named_flag_off(value))
            return ST_OK;
        o = (struct option){.id = o.id, .n = 1};
    }
    if (option_type(o.id) == OPT_SWITCH)
        o = (struct option){.id = o.id, .n = !named_flag_off(value)};
    return named_add_option(space, cmd, key, o, c);
}

static enum status named_missing_key(const struct command_info *info, struct slice name,
                                     struct complaint c)
{
    return complain(c, ST_ERR, "key '%.*s' is missing: %s needs it", (int)name.len,
                    (const char *)name.data, info->method);
}

/* Counts the positional words that were put. AUTH alone may lack its first and have its last. */
static enum status named_close_positional(struct command *cmd, struct complaint c)
{
    const struct command_info *info = cmd->info;
    if (info->id == CMD_AUTH && !cmd->pos[0].data) {
        if (!cmd->pos[1].data)
            return named_missing_key(info, command_name(info, 1), c);
        cmd->pos[0] = cmd->pos[1];
        cmd->pos[1] = slice_of(NULL, 0);
    }
    for (uint32_t i = 0; i < info->max; i++) {
        if (!cmd->pos[i].data) {
            if (i < info->min)
                return named_missing_key(info, command_name(info, i), c);
            break;
        }
        cmd->n_pos = i + 1;
    }
    return ST_OK;
}

enum status command_end(struct command_space *space, struct command *cmd, char *err,
                        size_t err_size)
{
    struct complaint c = {err, err_size};
    (void)space;
    enum status st = named_close_positional(cmd, c);
    if (st)
        return st;
    if (cmd->info->rest == 1 && cmd->n_rest == 0)
        return named_missing_key(cmd->info, command_name(cmd->info, cmd->info->max), c);
    if (cmd->info->options & OPT(ACK)) {
        if (command_has(cmd, OPT(ACK)) && cmd->n_rest == 0)
            return named_missing_key(cmd->info, SLICE_LIT("receipt"), c);
        if (!command_has(cmd, OPT(ACK)) && cmd->n_rest > 0)
            return named_missing_key(cmd->info, SLICE_LIT("group"), c);
    }
    return command_check(cmd, c);
}
