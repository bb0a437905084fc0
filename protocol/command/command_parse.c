/*
 * command_parse.c: from words to a command, and what both parsers share.
 *
 *   NAME  pos pos ...  [rest ...]  [OPTION value]...
 *         └ min..max ┘ └ ends at the first of ITS option words, but takes one whatever it is
 *
 * The other parser, from named values, is command_named.c. Both fill the same space and end in
 * command_check, so that a rule is written once.
 *
 * Invariant: while parsing, cmd->opt and cmd->rest are set anew after each append, because the
 * space may move as it grows.
 */
#include "protocol/command/command_parse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/command/command_check.h"
#include "protocol/base/text.h"

enum status parse_no_memory(struct complaint c)
{
    return command_refuse(c, ST_NOMEM, "out of memory, nothing was done: try again");
}

struct slice command_name(const struct command_info *info, size_t i)
{
    const char *p = info->names;
    for (; i > 0 && *p; i--) {
        p += strcspn(p, " ");
        p += *p == ' ';
    }
    return slice_of(p, strcspn(p, " "));
}

/* Names are short, and found letter by letter: a call for each would take longer. */
int command_name_at(const struct command_info *info, struct slice name)
{
    const char *p = info->names;
    for (int i = 0; *p; i++) {
        size_t len = 0;
        while (p[len] && p[len] != ' ')
            len++;
        if (slice_equal(slice_of(p, len), name))
            return i;
        p += len + (p[len] == ' ');
    }
    return -1;
}

bool command_rest_named(const struct command_info *info)
{
    return info->rest > 0 && command_name(info, info->max).len > 0;
}

/* "KEY, TAG, ORDER" of the options in the mask. */
static void list_options(uint64_t mask, char *out, size_t out_size)
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

static bool grow(void **array, uint32_t *size, size_t item)
{
    uint32_t more = *size ? *size * 2 : 16;
    void *grown = realloc(*array, more * item);
    if (!grown)
        return false;
    *array = grown;
    *size = more;
    return true;
}

bool parse_add_rest(struct command_space *s, struct command *cmd, struct slice v)
{
    if (s->n_slices == s->slices_size) {
        void *array = s->slices;
        if (!grow(&array, &s->slices_size, sizeof *s->slices))
            return false;
        s->slices = array;
    }
    s->slices[s->n_slices++] = v;
    cmd->rest = s->slices;
    cmd->n_rest = s->n_slices;
    return true;
}

/* An option that was read and found to belong to the command: bounds, repetition, into the space.
 */
enum status parse_add_option(struct command_space *s, struct command *cmd, struct option o,
                             struct complaint c)
{
    uint64_t bit = UINT64_C(1) << o.id;
    if (cmd->info->later & bit)
        return command_refuse(c, ST_ERR, "not available yet: %s of %s; nothing was done",
                              option_word(o.id), cmd->info->words);
    if ((cmd->has & bit) && !option_repeats(o.id))
        return command_refuse(c, ST_ERR, "%s is given twice: it may stand once", option_word(o.id));
    enum status st = option_check(cmd, &o, c);
    if (st)
        return st;
    if (s->n_options == s->options_size) {
        void *array = s->options;
        if (!grow(&array, &s->options_size, sizeof *s->options))
            return parse_no_memory(c);
        s->options = array;
    }
    s->options[s->n_options++] = o;
    cmd->opt = s->options;
    cmd->n_opt = s->n_options;
    cmd->has |= bit;
    return ST_OK;
}

static enum status wrong_arity(const struct command_info *info, struct complaint c)
{
    char text[LIST_SIZE];
    struct buf usage;
    buf_init(&usage, sizeof text - 1);
    command_usage(info, &usage);
    snprintf(text, sizeof text, "%.*s", (int)usage.len, usage.data ? (const char *)usage.data : "");
    buf_free(&usage);
    return command_refuse(c, ST_ERR, "wrong number of words for '%s': %s", info->words, text);
}

static enum status not_an_option(const struct command_info *info, struct slice word,
                                 struct complaint c)
{
    char quoted[QUOTED_SIZE], list[LIST_SIZE];
    text_quote(word, QUOTED_BYTES, quoted, sizeof quoted);
    list_options(info->options, list, sizeof list);
    return command_refuse(c, ST_ERR, "'%s' is not an option of %s: it takes %s", quoted,
                          info->words, list);
}

bool parse_own_option(const struct command_info *info, struct slice word, enum option_id *ret_id)
{
    enum option_id id;
    if (!info->options || !option_find(word, &id) || !(info->options & (UINT64_C(1) << id)))
        return false;
    *ret_id = id;
    return true;
}

/* What is left of the request. */
struct words {
    const struct slice *at;
    size_t left;
};

static struct slice take(struct words *w)
{
    assert(w->left > 0);
    w->left--;
    return *w->at++;
}

static bool at_option(const struct command_info *info, const struct words *w)
{
    enum option_id id;
    return w->left > 0 && parse_own_option(info, w->at[0], &id);
}

static enum status take_rest(struct command_space *s, struct command *cmd, struct words *w,
                             bool all, struct complaint c)
{
    while (w->left > 0) {
        if (!all && cmd->n_rest > 0 && at_option(cmd->info, w))
            break;
        if (!parse_add_rest(s, cmd, take(w)))
            return parse_no_memory(c);
    }
    return ST_OK;
}

static enum status take_positional(struct command_space *s, struct command *cmd, struct words *w,
                                   struct complaint c)
{
    const struct command_info *info = cmd->info;
    while (cmd->n_pos < info->max && w->left > 0) {
        if (cmd->n_pos >= info->min && at_option(info, w))
            break;
        cmd->pos[cmd->n_pos++] = take(w);
    }
    if (cmd->n_pos < info->min)
        return wrong_arity(info, c);
    bool none = info->rest == 0 || (info->rest == 2 && at_option(info, w));
    if (none)
        return ST_OK;
    if (info->rest == 1 && w->left == 0)
        return wrong_arity(info, c);
    return take_rest(s, cmd, w, info->options == 0, c);
}

static enum status take_option(struct command_space *s, struct command *cmd, struct words *w,
                               struct complaint c)
{
    struct slice word = take(w);
    struct option o = {.n = 0};
    if (!parse_own_option(cmd->info, word, &o.id))
        return not_an_option(cmd->info, word, c);
    enum option_type type = option_type(o.id);
    size_t values = type == OPT_FLAG ? 0 : type == OPT_PAIR ? 2 : 1;
    if (w->left < values + (type == OPT_REST ? 1 : 0))
        return command_refuse(c, ST_ERR, "%s lacks its value%s: %s %s", option_word(o.id),
                              values > 1 || type == OPT_REST ? "s" : "", option_word(o.id),
                              type == OPT_REST   ? "group receipt [receipt ...]"
                              : type == OPT_PAIR ? "name value"
                                                 : "value");
    if (values > 0)
        o.v = take(w);
    if (values > 1)
        o.v2 = take(w);
    if (type == OPT_FLAG)
        o.n = 1;
    enum status st = parse_add_option(s, cmd, o, c);
    if (st || type != OPT_REST)
        return st;
    return take_rest(s, cmd, w, true, c);
}

static size_t subcommands(struct slice family, char *out, size_t out_size)
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

static enum status unknown_command(const struct slice *words, size_t n, struct complaint c)
{
    char quoted[QUOTED_SIZE], second[QUOTED_SIZE], list[LIST_SIZE];
    text_quote(words[0], QUOTED_BYTES, quoted, sizeof quoted);
    if (!subcommands(words[0], list, sizeof list))
        return command_refuse(c, ST_ERR, "unknown command '%s': HELP lists them all", quoted);
    if (n < 2)
        return command_refuse(c, ST_ERR, "'%s' lacks its second word: one of %s", quoted, list);
    text_quote(words[1], QUOTED_BYTES, second, sizeof second);
    return command_refuse(c, ST_ERR, "unknown command '%s %s': the second word is one of %s",
                          quoted, second, list);
}

void parse_start(struct command_space *s, const struct command_info *info, struct command *cmd)
{
    command_space_reset(s);
    cmd->info = info;
    cmd->n_pos = cmd->n_rest = cmd->n_opt = 0;
    for (int i = 0; i < COMMAND_POS_MAX; i++)
        cmd->pos[i] = slice_of(NULL, 0);
    cmd->rest = NULL;
    cmd->opt = NULL;
    cmd->has = 0;
    cmd->batch = (struct batch_facts){0};
}

enum status parse_not_yet(const struct command_info *info, struct complaint c)
{
    return command_refuse(c, ST_ERR, "not available yet: %s; nothing was done", info->words);
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
        return unknown_command(words, n, c);
    if (info->kind == KIND_LATER)
        return parse_not_yet(info, c);
    struct words w = {words + used, n - used};
    parse_start(space, info, &cmd);
    enum status st = take_positional(space, &cmd, &w, c);
    if (!st && w.left > 0 && !info->options)
        st = wrong_arity(info, c);
    while (!st && w.left > 0)
        st = take_option(space, &cmd, &w, c);
    if (!st)
        st = command_check(&cmd, c);
    if (!st)
        *ret_cmd = cmd;
    return st;
}
