/*
 * command_parse.c: from the words of a text request to a command.
 *
 *   NAME  pos pos ...  [rest ...]  [OPTION value]...
 *         └ min..max ┘ └ ends at the first of ITS option words, but takes one whatever it is
 *
 * The other parser, from named values, is command_named.c; what both share is command_build.c.
 */
#include "protocol/command/command.h"

#include <assert.h>
#include <stdio.h>

#include "protocol/base/text.h"
#include "protocol/command/command_build.h"
#include "protocol/command/command_check.h"
#include "protocol/command/command_table.h"
#include "protocol/filter/filter_kind.h"

#define LIST_SIZE 700 /* a list of words in an error */

/* "KEY, TAG, ORDER" of the options in the mask. */
static void parse_list_options(uint64_t mask, char *out, size_t out_size)
{
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < OPTION_COUNT && len < out_size; i++) {
        if (!(mask & (UINT64_C(1) << i)))
            continue;
        int n = snprintf(out + len, out_size - len, "%s%s", len ? ", " : "",
                         option_word((enum option_id)i));
        len += n > 0 ? (size_t)n : 0;
    }
}

static enum status parse_wrong_arity(const struct command_info *info, struct complaint c)
{
    char text[LIST_SIZE];
    struct buf usage;
    buf_init(&usage, sizeof text - 1);
    command_usage(info, &usage);
    snprintf(text, sizeof text, "%.*s", (int)usage.len, usage.data ? (const char *)usage.data : "");
    buf_free(&usage);
    return complain(c, ST_ERR, "wrong number of words for '%s': %s", info->words, text);
}

static enum status parse_not_an_option(const struct command *cmd, struct slice word, struct complaint c)
{
    const struct command_info *info = cmd->info;
    char quoted[QUOTED_SIZE], list[LIST_SIZE];
    text_quote(word, QUOTED_BYTES, quoted, sizeof quoted);
    if (cmd->n_opt && cmd->opt[cmd->n_opt - 1].n == FILTER_WHERE && cmd->opt[cmd->n_opt - 1].id == OPT_ID_FILTER)
        return complain(c, ST_ERR, "'%s' is not an option of %s: FILTER WHERE takes its expression as one word, in quotes",
                        quoted, info->words);
    parse_list_options(info->options, list, sizeof list);
    return complain(c, ST_ERR, "'%s' is not an option of %s: it takes %s", quoted,
                    info->words, list);
}

/* What is left of the request. */
struct words {
    const struct slice *at;
    size_t left;
};

static struct slice parse_take(struct words *w)
{
    assert(w->left > 0);
    w->left--;
    return *w->at++;
}

static bool parse_at_option(const struct command_info *info, const struct words *w)
{
    enum option_id id;
    return w->left > 0 && command_own_option(info, w->at[0], &id);
}

static enum status parse_take_rest(struct command_space *s, struct command *cmd, struct words *w,
                                   bool all, struct complaint c)
{
    while (w->left > 0) {
        if (!all && cmd->n_rest > 0 && parse_at_option(cmd->info, w))
            break;
        if (!build_add_rest(s, cmd, parse_take(w)))
            return build_no_memory(c);
    }
    return ST_OK;
}

static enum status parse_take_positional(struct command_space *s, struct command *cmd, struct words *w,
                                         struct complaint c)
{
    const struct command_info *info = cmd->info;
    while (cmd->n_pos < info->max && w->left > 0) {
        if (cmd->n_pos >= info->min && parse_at_option(info, w))
            break;
        cmd->pos[cmd->n_pos++] = parse_take(w);
    }
    if (cmd->n_pos < info->min)
        return parse_wrong_arity(info, c);
    bool none = info->rest == 0 || (info->rest == 2 && parse_at_option(info, w));
    if (none)
        return ST_OK;
    if (info->rest == 1 && w->left == 0)
        return parse_wrong_arity(info, c);
    return parse_take_rest(s, cmd, w, info->options == 0, c);
}

static bool parse_is_yes_or_no(struct slice word)
{
    return slice_equal_nocase(word, SLICE_LIT("YES")) || slice_equal_nocase(word, SLICE_LIT("NO"));
}

/* How many words an option takes. */
static size_t parse_count_values(enum option_type type, const struct words *w)
{
    bool none = type == OPT_FILTER && w->left > 0 && slice_equal_nocase(w->at[0], SLICE_LIT("NONE"));
    if (type == OPT_SWITCH)
        return w->left > 0 && parse_is_yes_or_no(w->at[0]) ? 1 : 0;
    return type == OPT_FLAG ? 0 : type == OPT_PAIR || (type == OPT_FILTER && !none) ? 2 : 1;
}

static enum status parse_lacks_value(enum option_id id, struct complaint c)
{
    enum option_type type = option_type(id);
    bool several = type == OPT_PAIR || type == OPT_REST || type == OPT_FILTER;
    return complain(c, ST_ERR, "%s lacks its value%s: %s %s", option_word(id), several ? "s" : "", option_word(id),
                    type == OPT_REST     ? "group receipt [receipt ...]"
                    : type == OPT_PAIR   ? "name value"
                    : type == OPT_FILTER ? "TAG a||b, WHERE expression, or NONE"
                                         : "value");
}

static enum status parse_take_option(struct command_space *s, struct command *cmd, struct words *w,
                                     struct complaint c)
{
    struct slice word = parse_take(w);
    struct option o = {.n = 0};
    if (!command_own_option(cmd->info, word, &o.id))
        return parse_not_an_option(cmd, word, c);
    enum option_type type = option_type(o.id);
    size_t values = parse_count_values(type, w);
    if (w->left < values + (type == OPT_REST ? 1 : 0))
        return parse_lacks_value(o.id, c);
    if (values > 0)
        o.v = parse_take(w);
    if (values > 1)
        o.v2 = parse_take(w);
    if (type == OPT_FLAG || type == OPT_SWITCH)
        o.n = !slice_equal_nocase(o.v, SLICE_LIT("NO"));
    enum status st = build_add_option(s, cmd, o, c);
    if (st || type != OPT_REST)
        return st;
    return parse_take_rest(s, cmd, w, true, c);
}

static size_t parse_subcommands(struct slice family, char *out, size_t out_size)
{
    size_t len = 0, found = 0;
    for (int i = 0; i < COMMAND_COUNT && len < out_size; i++) {
        const char *words = command_info((enum command_id)i)->words;
        if (strlen(words) <= family.len || words[family.len] != ' ' ||
            !slice_equal_nocase(slice_of(words, family.len), family))
            continue;
        int n = snprintf(out + len, out_size - len, "%s%s", found++ ? ", " : "",
                         words + family.len + 1);
        len += n > 0 ? (size_t)n : 0;
    }
    return found;
}

static enum status parse_unknown_command(const struct slice *words, size_t n, struct complaint c)
{
    char quoted[QUOTED_SIZE], second[QUOTED_SIZE], list[LIST_SIZE];
    text_quote(words[0], QUOTED_BYTES, quoted, sizeof quoted);
    if (!parse_subcommands(words[0], list, sizeof list))
        return complain(c, ST_ERR, "unknown command '%s': HELP lists them all", quoted);
    if (n < 2)
        return complain(c, ST_ERR, "'%s' lacks its second word: one of %s", quoted, list);
    text_quote(words[1], QUOTED_BYTES, second, sizeof second);
    return complain(c, ST_ERR, "unknown command '%s %s': the second word is one of %s",
                    quoted, second, list);
}

enum status command_from_words(struct command_space *space, const struct slice *words, size_t n,
                               struct command *ret_cmd, char *err, size_t err_size)
{
    struct complaint c = {err, err_size};
    struct command cmd;
    size_t used;
    assert(n > 0);
    const struct command_info *info = command_find(words, n, &used);
    if (!info)
        return parse_unknown_command(words, n, c);
    if (info->kind == KIND_LATER)
        return build_not_yet(info, c);
    struct words w = {words + used, n - used};
    build_start(space, info, &cmd);
    enum status st = parse_take_positional(space, &cmd, &w, c);
    if (!st && w.left > 0 && !info->options)
        st = parse_wrong_arity(info, c);
    while (!st && w.left > 0)
        st = parse_take_option(space, &cmd, &w, c);
    if (!st)
        st = command_check(&cmd, c);
    if (!st)
        *ret_cmd = cmd;
    return st;
}
