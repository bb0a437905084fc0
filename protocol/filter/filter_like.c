/*
 * filter_like.c: matches a text with a pattern (filter_like.h), in one pass and without memory.
 *
 *   pattern  a%bc%     text  a x x b b c d        behind a % the pattern is tried at one place after the other; when it fails
 *             ▲ star              ▲ resume        behind a later one, only the places behind that one are tried
 *
 * That is quick for usual texts, and at worst as slow as the text times the pattern, which is why the steps are counted.
 */
#include "protocol/filter/filter_like.h"

struct like {
    struct slice text, pattern, escape;
    size_t t, p;            /* what is compared next */
    bool star;              /* there was a % ... */
    size_t star_p, resume;  /* ... the pattern behind it, and where in the text it was tried last */
};

/* Bytes of the character at `at`. */
static size_t like_character(struct slice s, size_t at)
{
    size_t n = 1;
    if (s.data[at] < 0xc0)
        return n;
    while (at + n < s.len && n < 4 && (s.data[at + n] & 0xc0) == 0x80)
        n++;
    return n;
}

static bool like_at_escape(const struct like *l)
{
    size_t n = l->escape.len;
    return n > 0 && l->pattern.len - l->p >= n && memcmp(l->pattern.data + l->p, l->escape.data, n) == 0;
}

/* Compares one piece of the pattern, which is not %, with the text, and goes on behind both. */
static bool like_step(struct like *l)
{
    if (l->p >= l->pattern.len || l->t >= l->text.len)
        return false;
    size_t p = l->p;
    if (like_at_escape(l))
        p += l->escape.len;
    else if (l->pattern.data[p] == '_') {
        l->t += like_character(l->text, l->t);
        l->p++;
        return true;
    }
    if (p >= l->pattern.len || l->pattern.data[p] != l->text.data[l->t])
        return false;
    l->p = p + 1;
    l->t++;
    return true;
}

static bool like_at_star(const struct like *l)
{
    return l->p < l->pattern.len && l->pattern.data[l->p] == '%' && !like_at_escape(l);
}

enum filter_truth filter_like(struct slice text, struct slice pattern, struct slice escape, uint32_t *steps)
{
    struct like l = {.text = text, .pattern = pattern, .escape = escape};
    for (;;) {
        if (*steps == 0)
            return FILTER_UNKNOWN;
        --*steps;
        if (like_at_star(&l)) {
            l.star = true;
            l.star_p = ++l.p;
            l.resume = l.t;
            if (l.p == pattern.len)
                return FILTER_TRUE;
        } else if (l.t == text.len && l.p == pattern.len) {
            return FILTER_TRUE;
        } else if (!like_step(&l)) {
            if (!l.star || l.resume >= text.len)
                return FILTER_FALSE;
            l.resume += like_character(text, l.resume);
            l.t = l.resume;
            l.p = l.star_p;
        }
    }
}
