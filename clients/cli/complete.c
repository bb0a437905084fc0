/*
 * complete.c: see complete.h.
 *
 *   first word            first words of all commands, and HELP, TAIL, EXIT
 *   second word           second words of commands that have two
 *   further words         the options of the command, once its positional words are there
 */
#include "clients/cli/complete.h"

#include "clients/cli/shorthand.h"
#include "protocol/command/command.h"

#define WORDS_MAX 64

struct seeker {
    void (*found)(void *arg, struct slice word);
    void *arg;
    struct slice typed;
};

static void offer(const struct seeker *s, struct slice word)
{
    if (word.len >= s->typed.len && slice_equal_nocase(s->typed, slice_of(word.data, s->typed.len)))
        s->found(s->arg, word);
}

/* Blank-separated words before the cursor; the last one, maybe empty, is still being typed. */
static size_t complete_split(struct slice line, struct slice *words)
{
    struct cursor c = cursor_of(line);
    size_t n = 0;
    for (;;) {
        while (cursor_left(&c) > 0 && *c.at == ' ')
            c.at++;
        const uint8_t *start = c.at;
        while (cursor_left(&c) > 0 && *c.at != ' ')
            c.at++;
        if (n < WORDS_MAX)
            words[n++] = slice_of(start, (size_t)(c.at - start));
        if (cursor_left(&c) == 0)
            return n;
    }
}

static void name_parts(const struct command_info *info, struct slice *ret_first,
                       struct slice *ret_second)
{
    struct slice name = slice_str(info->words);
    const uint8_t *blank = memchr(name.data, ' ', name.len);
    size_t first = blank ? (size_t)(blank - name.data) : name.len;
    *ret_first = slice_of(name.data, first);
    *ret_second = blank ? slice_of(blank + 1, name.len - first - 1) : slice_of(NULL, 0);
}

static void offer_first(const struct seeker *s)
{
    struct slice last = slice_of(NULL, 0);
    for (int id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info((enum command_id)id);
        struct slice first, second;
        name_parts(info, &first, &second);
        /* Commands with the same first word stand together in the table. */
        if (info->kind != KIND_INNER && !slice_equal(first, last))
            offer(s, first);
        last = first;
    }
    struct slice word, command;
    const char *what;
    for (size_t i = 0; shorthand_at(i, &word, &command, &what); i++)
        offer(s, word);
    offer(s, SLICE_LIT("TAIL"));
    offer(s, SLICE_LIT("EXIT"));
}

static void offer_second(const struct seeker *s, struct slice word)
{
    for (int id = 0; id < COMMAND_COUNT; id++) {
        const struct command_info *info = command_info((enum command_id)id);
        struct slice first, second;
        name_parts(info, &first, &second);
        if (info->kind != KIND_INNER && second.len && slice_equal_nocase(first, word))
            offer(s, second);
    }
}

static void offer_options(const struct seeker *s, const struct slice *words, size_t n)
{
    size_t used;
    const struct command_info *info = command_find(words, n, &used);
    if (!info || n < used + info->min)
        return;
    for (int id = 0; id < OPTION_COUNT; id++) {
        if (info->options & (UINT64_C(1) << id))
            offer(s, slice_str(option_word((enum option_id)id)));
    }
}

void complete_line(struct slice line, void (*found)(void *arg, struct slice word), void *arg,
                   size_t *ret_typed)
{
    struct slice words[WORDS_MAX];
    size_t n = complete_split(line, words);
    struct seeker s = {found, arg, words[n - 1]};
    bool help = n > 1 && slice_equal_nocase(words[0], SLICE_LIT("HELP"));
    size_t skip = help ? 1 : 0;
    if (n - skip == 1)
        offer_first(&s);
    else if (n - skip == 2)
        offer_second(&s, words[skip]);
    if (n - skip > 1 && !help)
        offer_options(&s, words, n - 1);
    *ret_typed = s.typed.len;
}
