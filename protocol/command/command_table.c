/*
 * command_table.c: the tables of commands and options, and look-ups in them.
 *
 *   "topic" ──► upper case, zero padded to 16 bytes ──► tag of its first three letters
 *                         │                                 │ memchr over the lines' tags
 *                         └──────── compared with ◄─── lines that have this tag
 *
 * A look-up is a few nanoseconds, and nothing is set up at run time: the tables, tags and all, are
 * made by the compiler out of command.def and option.def.
 *
 * Invariants (asserted, or held by the unit test): no name is over 15 bytes; a command's first word
 * has three letters or more; a command of two words stands in command.def before the command of one
 * word that begins alike (CHECKS SERVE before CHECKS).
 */
#include "protocol/command/command_table.h"

#include <assert.h>

#define WORD_BYTES 16

/* A table line's word in lower case, letter by letter, so that it is a constant. */
#define AT(s, i)    (s "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")[i]
#define LOW(s, i)   (AT(s, i) >= 'A' && AT(s, i) <= 'Z' ? (char)(AT(s, i) + 32) : AT(s, i))
#define LOW4(s, i)  LOW(s, i), LOW(s, i + 1), LOW(s, i + 2), LOW(s, i + 3)
#define LOWER(s)                                                                     \
    {                                                                                \
        LOW4(s, 0), LOW4(s, 4), LOW4(s, 8), LOW(s, 12), LOW(s, 13), LOW(s, 14), '\0' \
    }

/* One byte that tells most words apart. */
#define TAG(a, b, c) ((uint8_t)((a) + 7 * (b) + 31 * (c)))
#define TAG_OF(s)    TAG(AT(s, 0), AT(s, 1), AT(s, 2))
#define TAG_LOWER(s) TAG(LOW(s, 0), LOW(s, 1), LOW(s, 2))

#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary)                 \
    static_assert(sizeof words > 3, "a name is too short");                                      \
    static_assert(sizeof words <= WORD_BYTES && sizeof #id <= WORD_BYTES, "a name is too long"); \
    static_assert(max <= COMMAND_POS_MAX && min <= max && rest <= 2, "arity of a command");      \
    static_assert(((later) & ~(options)) == 0, "what is refused for now is an option");
#include "protocol/command/command.def"
#undef COMMAND

static const char spelled[COMMAND_COUNT][WORD_BYTES] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) words,
#include "protocol/command/command.def"
#undef COMMAND
};

static const char methods[COMMAND_COUNT][WORD_BYTES] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) LOWER(#id),
#include "protocol/command/command.def"
#undef COMMAND
};

static const uint8_t spelled_tags[COMMAND_COUNT] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) TAG_OF(words),
#include "protocol/command/command.def"
#undef COMMAND
};

static const uint8_t method_tags[COMMAND_COUNT] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) TAG_LOWER(#id),
#include "protocol/command/command.def"
#undef COMMAND
};

static const struct command_info infos[COMMAND_COUNT] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) \
    {CMD_##id,                                                                   \
     spelled[CMD_##id],                                                          \
     methods[CMD_##id],                                                          \
     names,                                                                      \
     summary,                                                                    \
     KIND_##kind,                                                                \
     min,                                                                        \
     max,                                                                        \
     rest,                                                                       \
     options,                                                                    \
     later,                                                                      \
     CATEGORY_##category,                                                        \
     touches},
#include "protocol/command/command.def"
#undef COMMAND
};

static const char option_words[OPTION_COUNT][WORD_BYTES] = {
#define OPTION(id, word, type, repeat, touches) word,
#include "protocol/command/option.def"
#undef OPTION
};

static const uint8_t option_tags[OPTION_COUNT] = {
#define OPTION(id, word, type, repeat, touches) TAG_OF(word),
#include "protocol/command/option.def"
#undef OPTION
};

struct table_option {
    enum option_type type;
    bool repeats;
    enum touch touch;
};

static const struct table_option option_lines[OPTION_COUNT] = {
#define OPTION(id, word, type, repeat, touches) {OPT_##type, repeat, TOUCH_##touches},
#include "protocol/command/option.def"
#undef OPTION
};

/* Up to 15 bytes of a word as two numbers to compare. Its first byte is the lowest. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "command_table_load_short and command_table_tag_of count on it");

struct folded {
    uint64_t half[2];
};

static uint64_t command_table_upper8(uint64_t w)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low7 = w & (ones * 0x7f);
    uint64_t from_a = low7 + ones * (0x80 - 'a');
    uint64_t past_z = low7 + ones * (0x7f - 'z');
    uint64_t letters = (from_a ^ past_z) & ~w & (ones * 0x80);
    return w ^ (letters >> 2);
}

/* n <= 8 bytes as a number, zero padded; made of overlapping reads, as storing them one by one and
 * loading them back as a whole stalls the processor. */
static uint64_t command_table_load_short(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    if (n == 8) {
        memcpy(&v, p, 8);
    } else if (n >= 4) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        v = low | (uint64_t)high << (8 * (n - 4));
    } else if (n > 0) {
        v = p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) | (uint64_t)p[n - 1] << (8 * (n - 1));
    }
    return v;
}

static struct folded command_table_load(struct slice word)
{
    bool two = word.len > 8;
    return (struct folded){{command_table_load_short(word.data, two ? 8 : word.len),
                            two ? command_table_load_short(word.data + 8, word.len - 8) : 0}};
}

static struct folded command_table_fold(struct slice word)
{
    struct folded f = command_table_load(word);
    f.half[0] = command_table_upper8(f.half[0]);
    f.half[1] = command_table_upper8(f.half[1]);
    return f;
}

/* Is the line the word, or with len bytes only (1..15), does it begin with it? */
static bool command_table_begins(const char *line, const struct folded *word, size_t len)
{
    uint64_t half[2];
    memcpy(half, line, sizeof half);
    uint64_t mask0 = len < 8 ? ~(UINT64_MAX << (8 * len)) : UINT64_MAX;
    uint64_t mask1 = len <= 8 ? 0 : len < 16 ? ~(UINT64_MAX << (8 * (len - 8))) : UINT64_MAX;
    return (((half[0] ^ word->half[0]) & mask0) | ((half[1] ^ word->half[1]) & mask1)) == 0;
}

static uint8_t command_table_tag_of(const struct folded *word)
{
    uint64_t w = word->half[0];
    return TAG((uint8_t)w, (uint8_t)(w >> 8), (uint8_t)(w >> 16));
}

/* The first line from `from` on that has the tag; n where there is none. */
static size_t command_table_next_tagged(const uint8_t *tags, size_t n, size_t from, uint8_t tag)
{
    const uint8_t *at = from < n ? memchr(tags + from, tag, n - from) : NULL;
    return at ? (size_t)(at - tags) : n;
}

/* A word that ends in a zero byte would be taken for the padded one without it. */
static bool command_table_fits(struct slice word)
{
    return word.len > 0 && word.len < WORD_BYTES && word.data[word.len - 1] != '\0';
}

const struct command_info *command_info(enum command_id id)
{
    assert((int)id >= 0 && id < COMMAND_COUNT);
    return &infos[id];
}

/* Line i begins with the first word; is it the whole name, and if not, does the second word fit? */
static size_t command_table_words_of_line(size_t i, const struct slice *words, size_t n)
{
    size_t len = words[0].len;
    const char *behind = spelled[i] + len;
    if (*behind == '\0')
        return memchr(words[0].data, ' ', len) ? 0 : 1;
    if (*behind != ' ' || n < 2)
        return 0;
    return slice_equal_nocase(slice_str(behind + 1), words[1]) ? 2 : 0;
}

const struct command_info *command_find(const struct slice *words, size_t n, size_t *ret_used)
{
    if (n == 0 || !command_table_fits(words[0]))
        return NULL;
    struct folded key = command_table_fold(words[0]);
    uint8_t tag = command_table_tag_of(&key);
    size_t i = command_table_next_tagged(spelled_tags, COMMAND_COUNT, 0, tag);
    for (; i < COMMAND_COUNT; i = command_table_next_tagged(spelled_tags, COMMAND_COUNT, i + 1, tag)) {
        if (!command_table_begins(spelled[i], &key, words[0].len) || infos[i].kind == KIND_INNER)
            continue;
        size_t used = command_table_words_of_line(i, words, n);
        if (used) {
            *ret_used = used;
            return &infos[i];
        }
    }
    return NULL;
}

const struct command_info *command_find_method(struct slice method)
{
    if (!command_table_fits(method))
        return NULL;
    struct folded key = command_table_load(method);
    uint8_t tag = command_table_tag_of(&key);
    size_t i = command_table_next_tagged(method_tags, COMMAND_COUNT, 0, tag);
    for (; i < COMMAND_COUNT; i = command_table_next_tagged(method_tags, COMMAND_COUNT, i + 1, tag)) {
        if (command_table_begins(methods[i], &key, WORD_BYTES))
            return infos[i].kind == KIND_INNER ? NULL : &infos[i];
    }
    return NULL;
}

const char *option_word(enum option_id id)
{
    assert((int)id >= 0 && id < OPTION_COUNT);
    return option_words[id];
}

bool option_find(struct slice word, enum option_id *ret_id)
{
    if (!command_table_fits(word))
        return false;
    struct folded key = command_table_fold(word);
    uint8_t tag = command_table_tag_of(&key);
    size_t i = command_table_next_tagged(option_tags, OPTION_COUNT, 0, tag);
    for (; i < OPTION_COUNT; i = command_table_next_tagged(option_tags, OPTION_COUNT, i + 1, tag)) {
        if (command_table_begins(option_words[i], &key, WORD_BYTES)) {
            *ret_id = (enum option_id)i;
            return true;
        }
    }
    return false;
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

bool command_own_option(const struct command_info *info, struct slice word, enum option_id *ret_id)
{
    enum option_id id;
    if (!info->options || !option_find(word, &id) || !(info->options & (UINT64_C(1) << id)))
        return false;
    *ret_id = id;
    return true;
}

enum touch option_touch(enum option_id id)
{
    return option_lines[id].touch;
}

enum option_type option_type(enum option_id id)
{
    return option_lines[id].type;
}

bool option_repeats(enum option_id id)
{
    return option_lines[id].repeats;
}

