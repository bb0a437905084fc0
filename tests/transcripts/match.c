/*
 * match.c: matches a reply against a pattern of a transcript while it parses the pattern.
 *
 * Each match_x function starts at the first character of its pattern and moves the position behind the last.
 * With a NULL value it only moves the position and always matches; that is how the patterns of a map's other
 * keys are skipped.
 */
#include "tests/transcripts/match.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 8192

struct matcher {
    const char *at;
    int version;
    struct vars *vars;
    const char *bad; /* what is wrong with the pattern itself */
    unsigned depth;  /* of lists and maps around */
};

static bool match_any(struct matcher *m, const struct resp_value *v);

const char *vars_get(const struct vars *v, const char *name, size_t len)
{
    for (size_t i = 0; i < v->n; i++) {
        if (strlen(v->var[i].name) == len && memcmp(v->var[i].name, name, len) == 0)
            return v->var[i].text;
    }
    return NULL;
}

bool vars_fill(const struct vars *v, const char *line, char *out, size_t out_size)
{
    size_t n = 0;
    while (*line) {
        const char *end = line[0] == '$' && line[1] == '{' ? strchr(line, '}') : NULL;
        const char *text = end ? vars_get(v, line + 2, (size_t)(end - line - 2)) : NULL;
        if (end && !text)
            return false;
        size_t len = text ? strlen(text) : 1;
        if (n + len >= out_size)
            return false;
        memcpy(out + n, text ? text : line, len);
        n += len;
        line = end ? end + 1 : line + 1;
    }
    out[n] = '\0';
    return true;
}

static bool vars_bind(struct vars *v, const char *name, size_t len, const struct resp_value *value)
{
    char number[32];
    const char *text = value->bytes;
    if (value->kind == RV_INT) {
        (void)snprintf(number, sizeof(number), "%lld", (long long)value->n);
        text = number;
    }
    if (!text || value->kind == RV_ERROR)
        return false;
    const char *old = vars_get(v, name, len);
    if (old)
        return strcmp(old, text) == 0;
    if (v->n == VARS_MAX || len >= sizeof(v->var[0].name) || strlen(text) >= sizeof(v->var[0].text))
        return false;
    (void)snprintf(v->var[v->n].name, sizeof(v->var[0].name), "%.*s", (int)len, name);
    (void)snprintf(v->var[v->n].text, sizeof(v->var[0].text), "%s", text);
    v->n++;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads one character of a double-quoted word; *at is at a backslash or at an ordinary character. */
static char unescape(const char **at)
{
    const char *p = *at;
    if (p[0] != '\\' || !p[1]) {
        *at = p + 1;
        return p[0];
    }
    if (p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
        *at = p + 4;
        return (char)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
    }
    *at = p + 2;
    switch (p[1]) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return p[1];
    }
}

bool word_read(const char **at, char *out, size_t out_size, size_t *ret_len)
{
    const char *p = *at + strspn(*at, " \t");
    size_t n = 0;
    if (*p == '\0') {
        *at = p;
        return false;
    }
    while (*p && *p != ' ' && *p != '\t' && n + 1 < out_size) {
        char quote = *p;
        if (quote != '"' && quote != '\'') {
            out[n++] = *p++;
            continue;
        }
        p++;
        while (*p && *p != quote && n + 1 < out_size) {
            if (quote == '"' || (p[0] == '\\' && p[1] == '\''))
                out[n++] = unescape(&p);
            else
                out[n++] = *p++;
        }
        if (*p != quote)
            return false;
        p++;
    }
    out[n] = '\0';
    *ret_len = n;
    *at = p;
    return true;
}

static void blanks(struct matcher *m)
{
    m->at += strspn(m->at, " ");
}

static bool take(struct matcher *m, const char *text)
{
    blanks(m);
    if (strncmp(m->at, text, strlen(text)) != 0)
        return false;
    m->at += strlen(text);
    return true;
}

static bool malformed(struct matcher *m, const char *why)
{
    m->bad = why;
    return false;
}

/* Reads a quoted string with ${x} in it. */
static bool quoted(struct matcher *m, char *out, size_t *ret_len)
{
    char raw[TEXT_MAX], filled[TEXT_MAX];
    const char *end = m->at + 1;
    while (*end && *end != '"')
        end += end[0] == '\\' && end[1] ? 2 : 1;
    if (*end != '"')
        return malformed(m, "a string without its closing quote");
    (void)snprintf(raw, sizeof(raw), "%.*s", (int)(end - m->at - 1), m->at + 1);
    if (!vars_fill(m->vars, raw, filled, sizeof(filled)))
        return malformed(m, "an unknown ${variable}, or too long");
    size_t n = 0;
    for (const char *p = filled; *p;)
        out[n++] = unescape(&p);
    *ret_len = n;
    m->at = end + 1;
    return true;
}

static bool match_string(struct matcher *m, const struct resp_value *v)
{
    char want[TEXT_MAX];
    size_t n;
    bool open_start = take(m, "*");
    if (*m->at != '"')
        return malformed(m, "* stands only beside a string");
    if (!quoted(m, want, &n))
        return false;
    bool open_end = *m->at == '*';
    m->at += open_end;
    if (!v)
        return true;
    if (v->kind != RV_BULK || v->len < n)
        return false;
    if (open_start && open_end)
        return memmem(v->bytes, v->len, want, n) != NULL;
    if (!open_start && !open_end && v->len != n)
        return false;
    return memcmp(open_start ? v->bytes + v->len - n : v->bytes, want, n) == 0;
}

static bool match_number(struct matcher *m, const struct resp_value *v)
{
    bool least = take(m, ">="), most = !least && take(m, "<=");
    char *end = NULL;
    long long want = strtoll(m->at, &end, 10);
    if (end == m->at)
        return malformed(m, "a number was expected");
    if (*end == '.') {
        size_t n = strspn(m->at, "-0123456789.eE");
        bool same = !v || (v->kind == RV_DOUBLE && v->len == n && memcmp(v->bytes, m->at, n) == 0);
        m->at += n;
        return same;
    }
    m->at = end;
    if (!v)
        return true;
    if (v->kind != RV_INT)
        return false;
    return least ? v->n >= want : most ? v->n <= want : v->n == want;
}

static size_t name_len(const char *at)
{
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_')
        n++;
    return n;
}

static bool match_word(struct matcher *m, const struct resp_value *v)
{
    const char *word = m->at;
    size_t n = name_len(word);
    if (n == 0)
        return malformed(m, "a pattern was expected");
    m->at += n;
    if (!v)
        return true;
    if (n == 1 && word[0] == '_')
        return v->kind != RV_ERROR;
    if (n == 2 && memcmp(word, "_i", 2) == 0)
        return v->kind == RV_INT;
    if (n == 2 && memcmp(word, "_s", 2) == 0)
        return v->kind == RV_BULK;
    if (n == 4 && memcmp(word, "null", 4) == 0)
        return v->kind == RV_NULL;
    if ((n == 4 && memcmp(word, "true", 4) == 0) || (n == 5 && memcmp(word, "false", 5) == 0))
        return v->kind == RV_BOOL && v->n == (n == 4);
    return v->kind == RV_SIMPLE && v->len == n && memcmp(v->bytes, word, n) == 0;
}

static bool match_variable(struct matcher *m, const struct resp_value *v)
{
    size_t n = name_len(m->at + 1);
    const char *name = m->at + 1;
    m->at += 1 + n;
    if (n == 0)
        return malformed(m, "$ without a name");
    return !v || vars_bind(m->vars, name, n, v);
}

/* Matches -CODE. The words that follow, up to the end of the pattern, must be in the text (ignoring case). */
static bool match_error(struct matcher *m, const struct resp_value *v)
{
    const char *code = m->at + 1;
    size_t n = name_len(code);
    const char *text = code + n + strspn(code + n, " ");
    size_t len = m->depth ? strcspn(text, ",]}") : strlen(text);
    m->at = text + len;
    if (!v)
        return true;
    bool coded = v->kind == RV_ERROR && v->len > n + 1 && memcmp(v->bytes, code, n) == 0 && v->bytes[n] == ' ';
    char part[512];
    (void)snprintf(part, sizeof part, "%.*s", (int)len, text);
    return coded && (!len || strcasestr(v->bytes + n + 1, part));
}

/* Matches a list item by item; its [ was read already. */
static bool match_list(struct matcher *m, const struct resp_value *v)
{
    size_t i = 0;
    bool fits = true;
    if (take(m, "]"))
        return !v || v->n_items == 0;
    do {
        if (take(m, "...")) {
            if (!take(m, "]"))
                return malformed(m, "... must come last");
            return fits;
        }
        const struct resp_value *item = v && i < v->n_items ? v->item[i] : NULL;
        fits = match_any(m, item) && (item || !v) && fits;
        if (m->bad)
            return false;
        i++;
    } while (take(m, ","));
    if (!take(m, "]"))
        return malformed(m, ", or ] was expected");
    return fits && (!v || i == v->n_items);
}

/* Matches a set; its set[ was read already. Each pattern takes the first matching value that is still free. */
static bool match_set(struct matcher *m, const struct resp_value *v)
{
    bool used[1024] = {false};
    size_t n = v ? v->n_items : 0, taken = 0;
    bool fits = n <= sizeof(used), more = false;
    while (!m->bad && !take(m, "]")) {
        if (take(m, "...")) {
            more = true;
            continue;
        }
        blanks(m);
        const char *start = m->at;
        bool found = v == NULL;
        (void)match_any(m, NULL);
        const char *end = m->at;
        for (size_t i = 0; i < n && fits && !found; i++) {
            size_t bound = m->vars->n;
            m->at = start;
            found = !used[i] && match_any(m, v->item[i]);
            used[i] = used[i] || found;
            m->vars->n = found ? m->vars->n : bound;
        }
        m->at = end;
        taken++;
        fits = fits && found;
        if (!take(m, ",") && *m->at != ']')
            return malformed(m, ", or ] was expected in a set");
    }
    return fits && (!v || more || taken == n);
}

static const struct resp_value *map_value(const struct resp_value *v, const char *key, size_t n)
{
    for (size_t i = 0; v && i + 1 < v->n_items; i += 2) {
        const struct resp_value *k = v->item[i];
        if (k->bytes && k->len == n && memcmp(k->bytes, key, n) == 0)
            return v->item[i + 1];
    }
    return NULL;
}

/* Matches a map; its { was read already. */
static bool match_map(struct matcher *m, const struct resp_value *v)
{
    size_t n = 0;
    bool fits = true;
    if (v && v->kind != (m->version == 3 ? RV_MAP : RV_ARRAY)) {
        v = NULL;
        fits = false;
    }
    if (take(m, "}"))
        return fits && (!v || v->n_items == 0);
    do {
        char key[TEXT_MAX];
        size_t len;
        if (take(m, "...")) {
            if (!take(m, "}"))
                return malformed(m, "... must come last");
            return fits;
        }
        blanks(m);
        if (*m->at != '"' || !quoted(m, key, &len) || !take(m, ":"))
            return malformed(m, "\"key\": was expected");
        const struct resp_value *item = map_value(v, key, len);
        blanks(m);
        fits = match_any(m, item) && (item || !v) && fits;
        if (m->bad)
            return false;
        n++;
    } while (take(m, ","));
    if (!take(m, "}"))
        return malformed(m, ", or } was expected");
    return fits && (!v || n * 2 == v->n_items);
}

/* Matches a list pattern. The value may be something else than a list; the pattern is read in any case. */
static bool list_of(struct matcher *m, const struct resp_value *v, enum resp_kind kind,
                    bool (*inner)(struct matcher *, const struct resp_value *))
{
    bool right = !v || v->kind == kind;
    m->depth++;
    bool fits = inner(m, right ? v : NULL) && right;
    m->depth--;
    return fits;
}

static bool match_any(struct matcher *m, const struct resp_value *v)
{
    blanks(m);
    if (take(m, "push["))
        return list_of(m, v, m->version == 3 ? RV_PUSH : RV_ARRAY, match_list);
    if (take(m, "set["))
        return list_of(m, v, RV_ARRAY, match_set);
    if (take(m, "["))
        return list_of(m, v, RV_ARRAY, match_list);
    if (take(m, "{"))
        return match_map(m, v);
    if (*m->at == '"' || *m->at == '*')
        return match_string(m, v);
    if (*m->at == '$')
        return match_variable(m, v);
    if (*m->at == '-' && isupper((unsigned char)m->at[1]))
        return match_error(m, v);
    if (strchr("-0123456789<>", *m->at) && *m->at)
        return match_number(m, v);
    return match_word(m, v);
}

bool match(const char *pattern, const struct resp_value *value, int version, struct vars *vars,
           const char **ret_why)
{
    struct matcher m = {.at = pattern, .version = version, .vars = vars};
    size_t bound = vars->n;
    bool fits = match_any(&m, value);
    blanks(&m);
    if (!m.bad && *m.at)
        m.bad = "there is more behind the pattern";
    if (ret_why)
        *ret_why = m.bad;
    if (!fits || m.bad)
        vars->n = bound;
    return fits && !m.bad;
}
