/* shorthand.c: writes short forms of commands out; see shorthand.h. */
#include "clients/cli/shorthand.h"

#include <string.h>

#include "protocol/command/command.h"

/* A first word alone, or with the name of something instead of a subcommand. NULL: that is no command. */
static const struct {
    const char *word, *alone, *named;
    size_t most; /* words; more are a command that the broker does not know */
} shorthand_families[] = {
    {"TOPIC", "LIST", "INFO", 2}, {"GROUP", "LIST", "INFO", 2},  {"PGROUP", "LIST", "INFO", 2},
    {"TXN", "LIST", "INFO", 2},   {"DLQ", NULL, "LIST", 1000}, {"DELAYED", NULL, "LIST", 1000},
    {"ACL", "LIST", "GETUSER", 2},
};

static const struct {
    const char *word, *first, *second, *command, *what;
} shorthand_words[] = {
    {"SEEK", "GROUP", "SEEK", "GROUP SEEK", "moves a group's position: short for GROUP SEEK"},
    {"LEASES", "GROUP", "LEASES", "GROUP LEASES", "what the consumers of a group have: short for GROUP LEASES"},
    {"REDRIVE", "DLQ", "REDRIVE", "DLQ REDRIVE", "requeues dead letters, all of them: DLQ REDRIVE as often as it takes"},
};

#define N_OF(table) (sizeof(table) / sizeof *(table))

bool shorthand_at(size_t i, struct slice *ret_word, struct slice *ret_command, const char **ret_what)
{
    if (i >= N_OF(shorthand_words))
        return false;
    *ret_word = slice_str(shorthand_words[i].word);
    *ret_command = slice_str(shorthand_words[i].command);
    *ret_what = shorthand_words[i].what;
    return true;
}

/* Puts a word before word number `at`. */
static size_t shorthand_insert(struct slice *words, size_t n, size_t at, const char *word)
{
    memmove(&words[at + 1], &words[at], (n - at) * sizeof *words);
    words[at] = slice_str(word);
    return n + 1;
}

size_t shorthand_expand(const struct slice *words, size_t n, struct slice *out)
{
    size_t used;
    memcpy(out, words, n * sizeof *words);
    if (n == 3 && slice_equal_nocase(words[0], SLICE_LIT("ACL")) && slice_equal_nocase(words[1], SLICE_LIT("SHOW"))) {
        out[1] = SLICE_LIT("GETUSER");
        return n;
    }
    if (n == 3 && slice_equal_nocase(words[0], SLICE_LIT("FIND")))
        return shorthand_insert(out, n, 2, "KEY");
    for (size_t i = 0; i < N_OF(shorthand_words); i++) {
        if (!slice_equal_nocase(words[0], slice_str(shorthand_words[i].word)))
            continue;
        out[0] = slice_str(shorthand_words[i].second);
        return shorthand_insert(out, n, 0, shorthand_words[i].first);
    }
    if (command_find(words, n, &used))
        return n;
    for (size_t i = 0; i < N_OF(shorthand_families); i++) {
        if (!slice_equal_nocase(words[0], slice_str(shorthand_families[i].word)) || n > shorthand_families[i].most)
            continue;
        const char *word = n == 1 ? shorthand_families[i].alone : shorthand_families[i].named;
        return word ? shorthand_insert(out, n, 1, word) : n;
    }
    return n;
}
