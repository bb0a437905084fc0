/*
 * command_right.c: what a user may be allowed: commands, and the parts of those of which a word says what they do.
 *
 *   0 .. COMMAND_COUNT-1        the commands of command.def
 *   COMMAND_COUNT ..            its PART lines: client|list, subscribe|check, ...
 *
 * In rules a command has its words in lower case with | between: topic|create. To add one: a line in command.def.
 */
#include "protocol/command/command.h"

#include <assert.h>
#include <stdio.h>

struct part_info {
    enum command_id command;
    const char *word;
    enum category category;
};

static const struct part_info parts[] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary)
#define PART(id, command, word, category) {CMD_##command, word, CATEGORY_##category},
#include "protocol/command/command.def"
#undef COMMAND
};

static_assert(sizeof parts / sizeof *parts == RIGHT_COUNT - COMMAND_COUNT, "each part is a right");

static const char *const categories[CATEGORY_COUNT] = {
    [CATEGORY_CONNECTION] = "connection", [CATEGORY_PRODUCE] = "produce", [CATEGORY_TXN] = "txn",
    [CATEGORY_CONSUME] = "consume",       [CATEGORY_READ] = "read",       [CATEGORY_PUBSUB] = "pubsub",
    [CATEGORY_MANAGE] = "manage",         [CATEGORY_ADMIN] = "admin",
};

const char *category_name(enum category c)
{
    assert(c < CATEGORY_COUNT);
    return categories[c];
}

bool category_find(struct slice name, enum category *ret_c)
{
    for (unsigned c = 0; c < CATEGORY_COUNT; c++) {
        if (!slice_equal_nocase(name, slice_str(categories[c])))
            continue;
        *ret_c = (enum category)c;
        return true;
    }
    return false;
}

unsigned command_right(const struct command *cmd)
{
    enum command_id id = cmd->info->id;
    for (unsigned i = 0; id == CMD_CLIENT && i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].command == id && cmd->n_rest > 0 && slice_equal_nocase(cmd->rest[0], slice_str(parts[i].word)))
            return COMMAND_COUNT + i;
    }
    return id;
}

enum category right_category(unsigned right)
{
    assert(right < RIGHT_COUNT);
    return right < COMMAND_COUNT ? command_info((enum command_id)right)->category
                                 : parts[right - COMMAND_COUNT].category;
}

enum command_id right_command(unsigned right)
{
    assert(right < RIGHT_COUNT);
    return right < COMMAND_COUNT ? (enum command_id)right : parts[right - COMMAND_COUNT].command;
}

const char *right_words(unsigned right, char *out)
{
    const struct part_info *part = right < COMMAND_COUNT ? NULL : &parts[right - COMMAND_COUNT];
    const struct command_info *info = command_info(part ? part->command : (enum command_id)right);
    snprintf(out, RIGHT_NAME_SIZE, "%s%s%s", info->words, part ? " " : "", part ? part->word : "");
    return out;
}

const char *right_rule_name(unsigned right, char *out)
{
    right_words(right, out);
    for (char *p = out; *p; p++)
        *p = *p == ' ' ? '|' : *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    return out;
}

bool right_is_named(unsigned right, struct slice name)
{
    char own[RIGHT_NAME_SIZE];
    struct slice all = slice_str(right_rule_name(right, own));
    bool family = name.len < all.len && all.data[name.len] == '|';
    return right_category(right) != CATEGORY_NONE &&
           slice_equal_nocase(family ? slice_of(all.data, name.len) : all, name);
}
