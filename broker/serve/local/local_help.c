/*
 * local_help.c: the command HELP: text for a person at a terminal. Its contents come from command.def.
 */
#include <stdio.h>

#include "broker/serve/local/local.h"
#include "broker/serve/local/local_answer.h"
#include "protocol/base/reply.h"

struct help_topic {
    const char *title;
    enum command_id first; /* commands are in the order of command.def, so a topic ends where the next one begins */
};

static const struct help_topic topics[] = {
    {"Connection", CMD_PING},           {"Produce", CMD_SEND},
    {"Half messages", CMD_HALF},        {"Consume in a group", CMD_POP},
    {"Read without a group", CMD_READ}, {"Manage topics", CMD_TOPIC_CREATE},
};

static const char *help_kind_note(const struct command_info *info)
{
    return info->kind == KIND_LATER ? " (not available yet)" : "";
}

static void help_put_topic(struct buf *out, const char *title, enum command_id from, enum command_id to)
{
    buf_printf(out, "%s\n", title);
    for (enum command_id id = from; id < to; id++) {
        const struct command_info *info = command_info(id);
        if (info->kind != KIND_INNER)
            buf_printf(out, "  %-15s %s%s\n", info->words, info->summary, help_kind_note(info));
    }
    buf_put_str(out, "\n");
}

static void help_put_all(struct buf *out)
{
    size_t n = sizeof topics / sizeof *topics;
    for (size_t i = 0; i < n; i++)
        help_put_topic(out, topics[i].title, topics[i].first,
                  i + 1 < n ? topics[i + 1].first : COMMAND_COUNT);
    buf_put_str(
        out,
        "HELP <command> explains one. Quick start: SEND orders hello, then POP workers orders,\n"
        "then ACK workers <the receipt>.\n");
}

static const char *help_value_of(enum option_id id)
{
    static const char *const words[] = {
        [OPT_FLAG] = "no value",
        [OPT_SWITCH] = "yes, no, or no value: yes",
        [OPT_STR] = "text",
        [OPT_NAME] = "a name",
        [OPT_INT] = "a whole number",
        [OPT_UINT] = "a whole number",
        [OPT_DUR] = "a duration: 250 (ms), 250ms 10s 5m 2h 7d",
        [OPT_TIME] = "a time: Unix ms, or RFC 3339",
        [OPT_PAIR] = "a name and a value",
        [OPT_FILTER] = "TAG a||b, WHERE expression, or NONE",
        [OPT_POINT] = "earliest, latest or a time",
        [OPT_REST] = "a word, then the rest of the line",
    };
    static const enum option_type types[] = {
#define OPTION(id, word, type, repeat, touches) OPT_##type,
#include "protocol/command/option.def"
#undef OPTION
    };
    return words[types[id]];
}

/* Parts of it that belong to another category. */
static void help_put_parts(struct buf *out, enum command_id id)
{
    char name[RIGHT_NAME_SIZE];
    for (unsigned right = COMMAND_COUNT; right < RIGHT_COUNT; right++) {
        if (right_command(right) == id && right_category(right) != right_category(id))
            buf_printf(out, "  %s: @%s\n", right_words(right, name), category_name(right_category(right)));
    }
}

static void help_put_one(struct buf *out, const struct command_info *info)
{
    command_usage(info, out);
    buf_printf(out, "\n  %s%s\n  category @%s\n", info->summary, help_kind_note(info), category_name(info->category));
    help_put_parts(out, info->id);
    if (info->options)
        buf_put_str(out, "options, in any order:\n");
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        uint64_t bit = UINT64_C(1) << id;
        if (info->options & bit)
            buf_printf(out, "  %-10s %s%s\n", option_word((enum option_id)id),
                       help_value_of((enum option_id)id),
                       info->later & bit ? " (not available yet)" : "");
    }
}

/* All commands whose words are, or begin with, what was asked for: HELP TOPIC shows every TOPIC
 * one. */
static bool help_matches(const struct command_info *info, const struct slice *words, uint32_t n)
{
    struct slice all = slice_str(info->words);
    for (uint32_t i = 0; i < n; i++) {
        size_t len = 0;
        while (len < all.len && all.data[len] != ' ')
            len++;
        if (len == 0 || !slice_equal_nocase(slice_of(all.data, len), words[i]))
            return false;
        all = slice_of(all.data + len, all.len - len);
        if (all.len)
            all = slice_of(all.data + 1, all.len - 1);
    }
    return info->kind != KIND_INNER;
}

static bool help_put_matching(struct buf *out, const struct slice *words, uint32_t n)
{
    bool found = false;
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info((enum command_id)id);
        if (!help_matches(info, words, n))
            continue;
        if (found)
            buf_put_str(out, "\n");
        help_put_one(out, info);
        found = true;
    }
    return found;
}

void local_HELP(struct conn *c, const struct command *cmd, struct request rq)
{
    char quoted[LOCAL_QUOTED];
    struct buf text;
    buf_init(&text, 0);
    bool found = true;
    if (cmd->n_rest == 0)
        help_put_all(&text);
    else
        found = help_put_matching(&text, cmd->rest, cmd->n_rest);
    if (found) {
        struct buf *r = loop_reply(c->loop);
        reply_text(r, buf_slice(&text));
        conn_answer(c, rq, buf_slice(r));
    } else {
        local_refuse(c, rq, ST_ERR, "no command '%s': HELP alone lists them all",
                     local_quote(cmd->rest[0], quoted));
    }
    buf_free(&text);
}
