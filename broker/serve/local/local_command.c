/*
 * local_command.c: the command COMMAND [COUNT | LIST | INFO [name ...] | DOCS [name ...]], in the shapes that
 * Redis clients expect. Its contents come from command.def.
 *
 *   COMMAND, INFO   array of  name, arity, flags, first key, last key, step, categories, tips (none), keys (none),
 *                             subcommands, in the same form
 *   DOCS            map       name ─► map summary, since, group, arguments or subcommands
 *
 * Commands of two words ("TOPIC CREATE") are shown as Redis shows its own: a container `topic`
 * with the subcommand `topic|create`, which may be asked for by that name, too. So are the words of CLIENT. The arity
 * counts all words of the name, and is negative where more words may follow.
 */
#include <stdio.h>

#include "broker/serve/local/local.h"
#include "broker/serve/local/local_answer.h"
#include "protocol/base/reply.h"
#include "halfmq_version.h"

#define COMMAND_NAMES_MAX 1000 /* of INFO and DOCS: each may be answered with some KiB */

static const char usage[] = "write COMMAND [COUNT | LIST | INFO [name ...] | DOCS [name ...]]";

/* The first word of a command; *ret_second: what follows it, or empty. */
static struct slice local_command_first_word(const struct command_info *info, struct slice *ret_second)
{
    const char *blank = strchr(info->words, ' ');
    size_t len = blank ? (size_t)(blank - info->words) : strlen(info->words);
    *ret_second = slice_str(blank ? blank + 1 : "");
    return slice_of(info->words, len);
}

static bool local_command_is_shown(const struct command_info *info)
{
    switch (info->id) {
    case CMD_CHECKS_SERVE: /* not for clients of Redis */
    case CMD_CHECKS_UNSERVE:
    case CMD_STREAM_GROUP:
    case CMD_STREAM_QUEUE:
    case CMD_STREAM_CREDIT:
    case CMD_STREAM_CLOSE: return false;
    default: return info->kind != KIND_INNER;
    }
}

/* True for the first of the commands that begin with the same word: it is the one that is shown. */
static bool local_command_is_leader(enum command_id id)
{
    struct slice rest, word = local_command_first_word(command_info(id), &rest);
    if (!local_command_is_shown(command_info(id)))
        return false;
    for (unsigned i = 0; i < id; i++) {
        const struct command_info *info = command_info((enum command_id)i);
        if (local_command_is_shown(info) && slice_equal(word, local_command_first_word(info, &rest)))
            return false;
    }
    return true;
}

static bool local_command_is_container(enum command_id id)
{
    struct slice second;
    local_command_first_word(command_info(id), &second);
    return second.len > 0;
}

static size_t local_command_count_leaders(void)
{
    size_t n = 0;
    for (unsigned id = 0; id < COMMAND_COUNT; id++)
        n += local_command_is_leader((enum command_id)id);
    return n;
}

/* "topic": of a command of one word, or of a family. */
static void local_command_put_name(struct buf *r, const struct command_info *info)
{
    struct slice second, word = local_command_first_word(info, &second);
    char name[RIGHT_NAME_SIZE];
    size_t n = 0;
    for (; n < word.len && n < sizeof name; n++)
        name[n] = (char)(word.data[n] | 0x20);
    reply_bulk(r, slice_of(name, n));
}

/* Is a right (command_right.c) shown as a subcommand of what begins with the word: a command of two words, or a word of CLIENT? */
static bool local_command_is_under(unsigned right, struct slice word)
{
    struct slice second, first = local_command_first_word(command_info(right_command(right)), &second);
    bool shown = right < COMMAND_COUNT ? local_command_is_shown(command_info((enum command_id)right)) && second.len
                                       : right_command(right) == CMD_CLIENT;
    return shown && slice_equal(word, first);
}

static size_t local_command_count_under(struct slice word)
{
    size_t n = 0;
    for (unsigned right = 0; right < RIGHT_COUNT; right++)
        n += local_command_is_under(right, word);
    return n;
}

/* alone: as a subcommand of its family. */
static int64_t local_command_arity_of(const struct command_info *info, bool alone)
{
    if (local_command_is_container(info->id) && !alone)
        return -2;
    int64_t least = 1 + alone + info->min + (info->rest == 1);
    bool more = info->rest || info->options || info->max > info->min;
    return more ? -least : least;
}

/* Which categories a command and its parts have, and the subcommands of a container: bit c is category c. */
static unsigned local_command_categories(enum command_id id, bool alone)
{
    struct slice second, word = local_command_first_word(command_info(id), &second);
    unsigned found = 0;
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        enum command_id of = right_command(right);
        if (local_command_is_shown(command_info(of)) &&
            (of == id || (!alone && second.len && local_command_is_under(of, word))))
            found |= 1U << right_category(right);
    }
    return found;
}

static void local_command_put_categories(struct buf *r, unsigned found)
{
    char text[32];
    reply_array(r, (size_t)__builtin_popcount(found));
    for (unsigned c = 0; c < CATEGORY_COUNT; c++) {
        if (!(found >> c & 1))
            continue;
        snprintf(text, sizeof text, "@%s", category_name((enum category)c));
        reply_simple(r, text);
    }
}

static void local_command_put_entry_of(struct buf *r, enum command_id id, int64_t arity, unsigned categories)
{
    reply_int(r, arity);
    reply_array(r, 1);
    reply_simple(r, command_info(id)->kind == KIND_WRITE ? "write" : "readonly");
    for (int i = 0; i < 3; i++)
        reply_int(r, 0);
    local_command_put_categories(r, categories);
    reply_array(r, 0);
    reply_array(r, 0);
}

/* What local_command_is_under says is one. */
static void local_command_put_subcommand(struct buf *r, unsigned right)
{
    char name[RIGHT_NAME_SIZE];
    enum command_id id = right_command(right);
    bool part = right >= COMMAND_COUNT;
    reply_array(r, 10);
    reply_bulk_str(r, right_rule_name(right, name));
    local_command_put_entry_of(r, id, part ? -2 : local_command_arity_of(command_info(id), true),
                               part ? 1U << right_category(right) : local_command_categories(id, true));
    reply_array(r, 0);
}

static void local_command_put_entry(struct buf *r, enum command_id id)
{
    struct slice second, word = local_command_first_word(command_info(id), &second);
    reply_array(r, 10);
    local_command_put_name(r, command_info(id));
    local_command_put_entry_of(r, id, local_command_arity_of(command_info(id), false), local_command_categories(id, false));
    reply_array(r, local_command_count_under(word));
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        if (local_command_is_under(right, word))
            local_command_put_subcommand(r, right);
    }
}

static enum command_id local_command_leader_of(struct slice name)
{
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        struct slice second;
        if (slice_equal_nocase(name, local_command_first_word(command_info((enum command_id)id), &second)) &&
            local_command_is_leader((enum command_id)id))
            return (enum command_id)id;
    }
    return COMMAND_COUNT;
}

/* The subcommand with a name such as "topic|create"; RIGHT_COUNT: there is none. */
static unsigned local_command_subcommand_of(struct slice name)
{
    char own[RIGHT_NAME_SIZE];
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        struct slice second, word = local_command_first_word(command_info(right_command(right)), &second);
        if (local_command_is_under(right, word) && slice_equal_nocase(name, slice_str(right_rule_name(right, own))))
            return right;
    }
    return RIGHT_COUNT;
}

static void local_command_put_one(struct buf *r, struct slice name)
{
    enum command_id id = local_command_leader_of(name);
    unsigned right = id == COMMAND_COUNT ? local_command_subcommand_of(name) : RIGHT_COUNT;
    if (id != COMMAND_COUNT)
        local_command_put_entry(r, id);
    else if (right != RIGHT_COUNT)
        local_command_put_subcommand(r, right);
    else
        reply_null(r);
}

static void local_command_put_all(struct buf *r)
{
    reply_array(r, local_command_count_leaders());
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        if (local_command_is_leader((enum command_id)id))
            local_command_put_entry(r, (enum command_id)id);
    }
}

static void local_command_put_info(struct buf *r, const struct slice *names, uint32_t n)
{
    if (n == 0) {
        local_command_put_all(r);
        return;
    }
    reply_array(r, n);
    for (uint32_t i = 0; i < n; i++)
        local_command_put_one(r, names[i]);
}

static void local_command_put_list(struct buf *r)
{
    reply_array(r, local_command_count_leaders());
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        if (local_command_is_leader((enum command_id)id))
            local_command_put_name(r, command_info((enum command_id)id));
    }
}

/* ---- DOCS ---- */

static void local_command_put_pair(struct buf *r, const char *key, const char *value)
{
    reply_bulk_str(r, key);
    reply_bulk_str(r, value);
}

static void local_command_put_argument(struct buf *r, struct slice name, const char *token, const char *flag)
{
    reply_map(r, 2U + (token ? 1U : 0U) + (flag ? 1U : 0U));
    reply_bulk_str(r, "name");
    reply_bulk(r, name);
    local_command_put_pair(r, "type", "string");
    if (token)
        local_command_put_pair(r, "token", token);
    if (!flag)
        return;
    reply_bulk_str(r, "flags");
    reply_array(r, 1);
    reply_simple(r, flag);
}

static size_t local_command_count_names(const char *names)
{
    size_t n = *names != '\0';
    for (; *names; names++)
        n += *names == ' ';
    return n;
}

static void local_command_put_arguments(struct buf *r, const struct command_info *info)
{
    uint64_t options = info->options & ~info->later;
    size_t n = local_command_count_names(info->names);
    reply_array(r, n + (unsigned)__builtin_popcountll(options));
    const char *at = info->names;
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(at, " ");
        bool repeats = info->rest && i + 1 == n;
        bool may_lack = repeats ? info->rest == 2 : i >= info->min;
        local_command_put_argument(r, slice_of(at, len), NULL,
                                   may_lack  ? "optional"
                                   : repeats ? "multiple"
                               : NULL);
        at += len + (at[len] == ' ');
    }
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const char *word = option_word((enum option_id)id);
        if (options & (UINT64_C(1) << id))
            local_command_put_argument(r, slice_str(word), word, "optional");
    }
}

static void local_command_put_doc(struct buf *r, const struct command_info *info)
{
    reply_map(r, 4);
    local_command_put_pair(r, "summary", info->summary);
    local_command_put_pair(r, "since", HALFMQ_VERSION);
    local_command_put_pair(r, "group", "halfmq");
    reply_bulk_str(r, "arguments");
    local_command_put_arguments(r, info);
}

static void local_command_put_subcommand_doc(struct buf *r, unsigned right)
{
    char name[RIGHT_NAME_SIZE];
    reply_bulk_str(r, right_rule_name(right, name));
    local_command_put_doc(r, command_info(right_command(right)));
}

static void local_command_put_container_doc(struct buf *r, enum command_id leader)
{
    struct slice second, word = local_command_first_word(command_info(leader), &second);
    reply_map(r, 4);
    local_command_put_pair(r, "summary", "a family of commands");
    local_command_put_pair(r, "since", HALFMQ_VERSION);
    local_command_put_pair(r, "group", "halfmq");
    reply_bulk_str(r, "subcommands");
    reply_map(r, local_command_count_under(word));
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        if (local_command_is_under(right, word))
            local_command_put_subcommand_doc(r, right);
    }
}

static void local_command_put_docs_of(struct buf *r, enum command_id id)
{
    local_command_put_name(r, command_info(id));
    if (local_command_is_container(id))
        local_command_put_container_doc(r, id);
    else
        local_command_put_doc(r, command_info(id));
}

/* Names that are unknown are left out, as Redis does. A name that is given twice is answered once, so that the reply
 * is never larger than that for all of them. */
static void local_command_put_docs(struct buf *r, const struct slice *names, uint32_t n)
{
    bool wanted[COMMAND_COUNT] = {false}, subs[RIGHT_COUNT] = {false};
    size_t known = 0;
    for (uint32_t i = 0; i < n; i++) {
        enum command_id id = local_command_leader_of(names[i]);
        unsigned right = id == COMMAND_COUNT ? local_command_subcommand_of(names[i]) : RIGHT_COUNT;
        bool *what = id != COMMAND_COUNT ? &wanted[id] : right != RIGHT_COUNT ? &subs[right] : NULL;
        known += what && !*what;
        if (what)
            *what = true;
    }
    reply_map(r, n ? known : local_command_count_leaders());
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        if (n ? wanted[id] : local_command_is_leader((enum command_id)id))
            local_command_put_docs_of(r, (enum command_id)id);
    }
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        if (subs[right])
            local_command_put_subcommand_doc(r, right);
    }
}

void local_COMMAND(struct conn *c, const struct command *cmd, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    struct slice word = cmd->n_rest ? cmd->rest[0] : slice_str("INFO");
    const struct slice *names = cmd->n_rest ? cmd->rest + 1 : NULL;
    uint32_t n = cmd->n_rest ? cmd->n_rest - 1 : 0;
    if (n > COMMAND_NAMES_MAX) {
        local_refuse(c, rq, ST_ERR, "COMMAND takes at most %d names: ask for all by naming none", COMMAND_NAMES_MAX);
        return;
    }
    if (slice_equal_nocase(word, SLICE_LIT("INFO"))) {
        local_command_put_info(r, names, n);
    } else if (slice_equal_nocase(word, SLICE_LIT("DOCS"))) {
        local_command_put_docs(r, names, n);
    } else if (slice_equal_nocase(word, SLICE_LIT("COUNT")) && !n) {
        reply_int(r, (int64_t)local_command_count_leaders());
    } else if (slice_equal_nocase(word, SLICE_LIT("LIST")) && !n) {
        local_command_put_list(r);
    } else {
        char quoted[LOCAL_QUOTED];
        local_refuse(c, rq, ST_ERR, "'%s' is not a subcommand of COMMAND, or has the wrong number of words: %s",
                     local_quote(word, quoted), usage);
        return;
    }
    conn_answer(c, rq, buf_slice(r));
}
