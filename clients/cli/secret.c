/* secret.c: knows which words are passwords; see secret.h. */
#include "clients/cli/secret.h"

#include <stdint.h>
#include <stdlib.h>

#define LINE_WORDS_MAX 64

static bool secret_word_is(const struct slice *words, size_t n, size_t i, const char *word)
{
    return i < n && slice_equal_nocase(words[i], slice_str(word));
}

bool secret_is(const struct slice *words, size_t n, size_t i)
{
    if (secret_word_is(words, n, 0, "AUTH"))
        return i > 0 && i + 1 == n;
    if (secret_word_is(words, n, 0, "HELLO"))
        return i >= 3 && (secret_word_is(words, n, i - 2, "AUTH"));
    if (secret_word_is(words, n, 0, "CONFIG") && secret_word_is(words, n, 1, "SET"))
        return i >= 3 && secret_word_is(words, n, i - 1, "PASSWORD");
    if (secret_word_is(words, n, 0, "ACL") && secret_word_is(words, n, 1, "SETUSER"))
        return i >= 3 && words[i].len && (words[i].data[0] == '>' || words[i].data[0] == '<');
    return false;
}

/* A word, without the quote that it may begin with. */
static struct slice secret_next(struct cursor *c)
{
    while (cursor_left(c) > 0 && (*c->at == ' ' || *c->at == '\t' || *c->at == '\'' || *c->at == '"'))
        c->at++;
    const uint8_t *start = c->at;
    while (cursor_left(c) > 0 && *c->at != ' ' && *c->at != '\t' && *c->at != '\n' && *c->at != '\'' && *c->at != '"')
        c->at++;
    return slice_of(start, (size_t)(c->at - start));
}

bool secret_in_line(struct slice line)
{
    struct slice words[LINE_WORDS_MAX];
    struct cursor c = cursor_of(line);
    size_t n = 0;
    while (cursor_left(&c) > 0 && n < LINE_WORDS_MAX) {
        struct slice word = secret_next(&c);
        if (word.len)
            words[n++] = word;
        else if (cursor_left(&c) > 0)
            c.at++;
    }
    for (size_t i = 0; i < n; i++)
        if (secret_is(words, n, i))
            return true;
    return n == LINE_WORDS_MAX && (secret_word_is(words, n, 0, "ACL") || secret_word_is(words, n, 0, "CONFIG"));
}

bool secret_hide(struct slice *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!secret_is(words, n, i) || !words[i].len)
            continue;
        uint8_t *copy = malloc(words[i].len);
        if (!copy)
            return false;
        uint8_t *shown = (uint8_t *)(uintptr_t)words[i].data;
        memcpy(copy, shown, words[i].len);
        memset(shown, '*', words[i].len);
        words[i].data = copy;
    }
    return true;
}

void secret_forget(struct slice *words, size_t n, char *const *argv)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *copy = (uint8_t *)(uintptr_t)words[i].data;
        if (copy == (uint8_t *)argv[i])
            continue;
        explicit_bzero(copy, words[i].len);
        free(copy);
    }
}
