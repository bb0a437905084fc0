/*
 * command_usage.c: one line that shows how a command is written, out of the table alone.
 *
 *   SEND topic body [KEY k]... [TAG t] ...      POP group topic [topic ...] [COUNT n] ...
 *
 * What is not available yet is left out; for a command that is not available itself all is shown.
 */
#include "protocol/command/command_table.h"

/* How the value of an option is written; what has no line here goes by its type. */
static const char *const values[OPTION_COUNT] = {
    [OPT_ID_KEY] = "k",
    [OPT_ID_TAG] = "t",
    [OPT_ID_ORDER] = "k",
    [OPT_ID_PRIORITY] = "0..9",
    [OPT_ID_PROP] = "name value",
    [OPT_ID_DEDUP] = "id",
    [OPT_ID_TXN] = "txid",
    [OPT_ID_REASON] = "text",
    [OPT_ID_BACKOFF] = "d1,d2,...",
    [OPT_ID_CURSOR] = "c",
    [OPT_ID_PGROUP] = "g",
    [OPT_ID_STATE] = "s",
    [OPT_ID_COMPRESS] = "none|lz4|zstd",
    [OPT_ID_CHECKURL] = "url",
    [OPT_ID_SECRET] = "s",
    [OPT_ID_FILTER] = "TAG a||b | WHERE sql92 | NONE",
};

static const char *const values_by_type[] = {
    [OPT_FLAG] = "",
    [OPT_SWITCH] = "[yes|no]",
    [OPT_STR] = "text",
    [OPT_NAME] = "name",
    [OPT_INT] = "n",
    [OPT_UINT] = "n",
    [OPT_DUR] = "dur",
    [OPT_TIME] = "time",
    [OPT_PAIR] = "a b",
    [OPT_POINT] = "earliest|latest|time",
    [OPT_REST] = "group receipt [receipt ...]",
    [OPT_FILTER] = "kind text",
};

static void put_option(const struct command_info *info, enum option_id id, struct buf *out)
{
    bool find = info->id == CMD_FIND;
    bool must = find && id == OPT_ID_KEY;
    const char *value = values[id] ? values[id] : values_by_type[option_type(id)];
    if (find && id == OPT_ID_FROM)
        value = "time";
    buf_put_str(out, must ? " " : " [");
    buf_put_str(out, option_word(id));
    if (*value)
        buf_put_u8(out, ' ');
    buf_put_str(out, value);
    if (must)
        return;
    buf_put_str(out, option_repeats(id) && !find ? "]..." : "]");
}

static void put_rest(const struct command_info *info, struct buf *out)
{
    struct slice name = command_name(info, command_rest_named(info) ? info->max : info->max - 1U);
    if (info->rest == 1) {
        buf_put_u8(out, ' ');
        buf_put_slice(out, name);
    }
    buf_put_str(out, " [");
    buf_put_slice(out, command_rest_named(info) ? name : SLICE_LIT("arg"));
    buf_put_str(out, " ...]");
}

void command_usage(const struct command_info *info, struct buf *out)
{
    uint64_t shown = info->kind == KIND_LATER ? info->options : info->options & ~info->later;
    if (info->id == CMD_GROUP_SET) /* it is known only to say what to use instead */
        shown &= ~OPT(FROM);
    buf_put_str(out, info->words);
    for (uint32_t i = 0; i < info->max; i++) {
        /* AUTH alone may lack its first word, not its last. */
        bool must = info->id == CMD_AUTH ? i > 0 : i < info->min;
        buf_put_str(out, must ? " " : " [");
        buf_put_slice(out, command_name(info, i));
        if (!must)
            buf_put_u8(out, ']');
    }
    if (info->rest)
        put_rest(info, out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (shown & (UINT64_C(1) << i))
            put_option(info, (enum option_id)i, out);
    }
}
