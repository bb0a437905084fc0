/* judge.c: judges commands by the rules of users (judge.h). */
#include "storage/access/judge.h"

#include <assert.h>

#include "protocol/base/text.h"
#include "storage/access/glob.h"

const char *denied_word(enum denied d)
{
    static const char *const words[] = {"command", "topic", "group", "pgroup"};
    return words[d];
}

/* Most patterns that do not match differ in the first byte. */
static bool judge_may_match(struct slice pattern, struct slice name)
{
    uint8_t first = pattern.data[0];
    return first == '*' || first == '?' || (name.len && first == name.data[0]);
}

static bool judge_names(const struct user_names *names, struct slice name)
{
    bool may = names->all;
    for (uint32_t i = 0; i < names->n && !may; i++)
        may = judge_may_match(names->pattern[i], name) && glob_matches(names->pattern[i], name);
    return may;
}

bool judge_right(const struct access_user *u, unsigned right)
{
    return u->rights[right / 64] >> (right % 64) & 1;
}

bool judge_group(const struct access_user *u, struct slice group)
{
    return judge_names(&u->row.groups, group);
}

bool judge_pgroup(const struct access_user *u, struct slice pgroup)
{
    return judge_names(&u->row.pgroups, pgroup);
}

static bool judge_begins(struct slice name, struct slice head)
{
    return name.len >= head.len && memcmp(name.data, head.data, head.len) == 0;
}

bool judge_topic(const struct access_user *u, struct slice topic)
{
    static const char *const heads[] = {"%DLQ%", "%RETRY%"};
    for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct slice head = slice_str(heads[i]);
        if (judge_begins(topic, head))
            return judge_group(u, slice_of(topic.data + head.len, topic.len - head.len));
    }
    return judge_names(&u->row.topics, topic);
}

/* ---- names of a command ---- */

/* Who asks for what, while one command is judged. */
struct judging {
    const struct access_user *u;
    struct allowed_names *known;
    struct denial *denial;
};

static bool judge_is(const struct judging *j, enum denied what, struct slice name)
{
    static const enum touch touches[] = {[DENIED_TOPIC] = TOUCH_TOPIC, [DENIED_GROUP] = TOUCH_GROUP, [DENIED_PGROUP] = TOUCH_PGROUP};
    bool may = what == DENIED_TOPIC   ? judge_topic(j->u, name)
               : what == DENIED_GROUP ? judge_group(j->u, name)
                                      : judge_pgroup(j->u, name);
    if (may)
        allowed_add(j->known, j->u, touches[what], name);
    else
        *j->denial = (struct denial){.reason = what, .object = name};
    return may;
}

/* An id or a receipt, of which only the topic counts. What is none is refused by whoever does the command. */
static bool judge_message(const struct judging *j, struct slice id)
{
    const uint8_t *colon = id.len ? memchr(id.data, ':', id.len) : NULL;
    return !colon || judge_is(j, DENIED_TOPIC, slice_of(id.data, (size_t)(colon - id.data)));
}

/* A channel needs the right to subscribe to its kind, too. */
static bool judge_channel(const struct judging *j, struct slice channel)
{
    struct slice topic = SLICE_LIT("topic:"), check = SLICE_LIT("check:");
    bool is_check = judge_begins(channel, check), is_topic = judge_begins(channel, topic);
    unsigned right = is_check ? RIGHT_SUBSCRIBE_CHECK : CMD_SUBSCRIBE;
    if (!judge_right(j->u, right)) {
        *j->denial = (struct denial){.reason = DENIED_COMMAND, .right = CMD_SUBSCRIBE};
        return false;
    }
    if (is_check)
        return judge_is(j, DENIED_PGROUP, slice_of(channel.data + check.len, channel.len - check.len));
    return !is_topic || judge_is(j, DENIED_TOPIC, slice_of(channel.data + topic.len, channel.len - topic.len));
}

static bool judge_name(const struct judging *j, enum touch touch, struct slice name)
{
    switch (touch) {
    case TOUCH_TOPIC: return judge_is(j, DENIED_TOPIC, name);
    case TOUCH_GROUP: return judge_is(j, DENIED_GROUP, name);
    case TOUCH_PGROUP: return judge_is(j, DENIED_PGROUP, name);
    case TOUCH_ID:
    case TOUCH_RECEIPT: return judge_message(j, name);
    case TOUCH_CHANNEL: return judge_channel(j, name);
    case TOUCH_NONE:
    case TOUCH_TXN:
    case TOUCH_TOKEN: break;
    }
    return true;
}

static bool judge_words(const struct judging *j, const struct command *cmd)
{
    enum touch rest = command_touch(cmd->info, COMMAND_POS_MAX);
    for (uint32_t i = 0; i < cmd->n_pos; i++) {
        if (!judge_name(j, command_touch(cmd->info, i), cmd->pos[i]))
            return false;
    }
    for (uint32_t i = 0; i < cmd->n_opt; i++) {
        if (!judge_name(j, option_touch(cmd->opt[i].id), cmd->opt[i].v))
            return false;
    }
    for (uint32_t i = 0; i < cmd->n_rest && rest != TOUCH_NONE; i++) {
        if (!judge_name(j, rest, cmd->rest[i]))
            return false;
    }
    return true;
}

/* ---- the command ---- */

bool judge_is_open(const struct command *cmd)
{
    switch (cmd->info->id) {
    case CMD_AUTH:
    case CMD_QUIT:
    case CMD_RESET: return true;
    case CMD_HELLO:
        for (uint32_t i = 1; i < cmd->n_rest; i++) {
            if (slice_equal_nocase(cmd->rest[i], SLICE_LIT("AUTH")))
                return true;
        }
        return false;
    default: return false;
    }
}

/* Commands that end or feed what another one has begun are allowed to who may begin it; channels are judged one by one. */
static bool judge_use(const struct access_user *u, const struct command *cmd, unsigned right)
{
    if (judge_right(u, right))
        return true;
    switch (cmd->info->id) {
    case CMD_STREAM_CREDIT:
    case CMD_STREAM_CLOSE: return judge_right(u, CMD_STREAM_GROUP) || judge_right(u, CMD_STREAM_QUEUE);
    case CMD_UNSUBSCRIBE: return judge_right(u, CMD_SUBSCRIBE) || judge_right(u, RIGHT_SUBSCRIBE_CHECK);
    case CMD_SUBSCRIBE: return judge_right(u, RIGHT_SUBSCRIBE_CHECK);
    default: return judge_is_open(cmd);
    }
}

bool judge(const struct access_user *u, struct allowed_names *known, const struct command *cmd, struct denial *ret_denial)
{
    if (u->free)
        return true;
    unsigned right = command_right(cmd);
    if (!judge_use(u, cmd, right)) {
        *ret_denial = (struct denial){.reason = DENIED_COMMAND, .right = right};
        return false;
    }
    return judge_words(&(struct judging){u, known, ret_denial}, cmd);
}

const struct access_user *judge_by_store(const struct access_user *u, const struct command *cmd)
{
    bool all = u->row.topics.all && u->row.groups.all && u->row.pgroups.all;
    return (u->looks[cmd->info->id] & LOOK_IN_STORE) || (command_has(cmd, OPT(TXN)) && !all) ? u : NULL;
}

/* ---- what is known already ---- */

static bool judge_is_name(enum touch touch)
{
    return touch == TOUCH_TOPIC || touch == TOUCH_GROUP || touch == TOUCH_PGROUP;
}

static bool judge_knows(const struct access_user *u, const struct allowed_names *known, enum touch touch, struct slice word)
{
    if (judge_is_name(touch))
        return allowed_has(known, u, touch, word);
    if (touch != TOUCH_ID && touch != TOUCH_RECEIPT)
        return touch == TOUCH_NONE || touch == TOUCH_TXN || touch == TOUCH_TOKEN;
    const uint8_t *colon = word.len ? memchr(word.data, ':', word.len) : NULL;
    return colon && allowed_has(known, u, TOUCH_TOPIC, slice_of(word.data, (size_t)(colon - word.data)));
}

/* Inlined, it would have judge_known_names save registers that it does not need. */
__attribute__((noinline)) static bool judge_knows_words(const struct access_user *u, const struct allowed_names *known,
                                                        const struct command *cmd)
{
    enum touch rest = command_touch(cmd->info, COMMAND_POS_MAX);
    for (uint32_t i = 0; i < cmd->n_pos; i++) {
        if (!judge_knows(u, known, command_touch(cmd->info, i), cmd->pos[i]))
            return false;
    }
    for (uint32_t i = 0; i < cmd->n_rest && rest != TOUCH_NONE; i++) {
        if (!judge_knows(u, known, rest, cmd->rest[i]))
            return false;
    }
    return true;
}

/* SEND and the like have nothing but names in front; for them it calls nothing. */
bool judge_known_names(const struct access_user *u, const struct allowed_names *known, const struct command *cmd)
{
    uint32_t touches = cmd->info->touches;
    const struct slice *word = cmd->pos, *end = word + cmd->n_pos;
    for (; touches && word < end && judge_is_name((enum touch)(touches & 15)); word++, touches >>= 4) {
        if (!allowed_has(known, u, (enum touch)(touches & 15), *word))
            return false;
    }
    return !touches || judge_knows_words(u, known, cmd);
}

void denial_print(struct buf *b, struct slice user, const struct denial *d)
{
    static const char *const things[] = {"", "topic", "group", "producer group"};
    char name[RIGHT_NAME_SIZE], quoted[4 * (SYSTEM_NAME_BYTES_MAX + 8)];
    buf_put_str(b, "user ");
    buf_put_slice(b, user);
    if (d->reason == DENIED_COMMAND) {
        buf_printf(b, " may not use %s", right_words(d->right, name));
        return;
    }
    text_quote(d->object, SYSTEM_NAME_BYTES_MAX, quoted, sizeof quoted);
    buf_printf(b, " may not access %s %s", things[d->reason], quoted);
}
