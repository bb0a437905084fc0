/* rule.c: applies rules, one after the other (rule.h). */
#include "storage/access/rule.h"

#include "protocol/base/text.h"
#include "storage/access/glob.h"

#define QUOTED 60

static enum status rule_complain(struct complaint c, struct slice rule, const char *what)
{
    char quoted[4 * QUOTED + 8];
    text_quote(rule, QUOTED, quoted, sizeof quoted);
    return complain(c, ST_ERR, "rule '%s': %s", quoted, what);
}

/* A secret is not shown. */
static enum status rule_complain_secret(struct complaint c, struct slice rule, const char *what)
{
    return complain(c, ST_ERR, "rule '%c...': %s", rule.data[0], what);
}

/* ---- words ---- */

enum rule_word {
    RULE_ON,
    RULE_OFF,
    RULE_NOPASS,
    RULE_RESETPASS,
    RULE_ALLCOMMANDS,
    RULE_NOCOMMANDS,
    RULE_ALLTOPICS,
    RULE_RESETTOPICS,
    RULE_ALLGROUPS,
    RULE_RESETGROUPS,
    RULE_ALLPGROUPS,
    RULE_RESETPGROUPS,
    RULE_RESET,
    RULE_WORDS
};

static const char *const rule_words[RULE_WORDS] = {
    [RULE_ON] = "on",
    [RULE_OFF] = "off",
    [RULE_NOPASS] = "nopass",
    [RULE_RESETPASS] = "resetpass",
    [RULE_ALLCOMMANDS] = "allcommands",
    [RULE_NOCOMMANDS] = "nocommands",
    [RULE_ALLTOPICS] = "alltopics",
    [RULE_RESETTOPICS] = "resettopics",
    [RULE_ALLGROUPS] = "allgroups",
    [RULE_RESETGROUPS] = "resetgroups",
    [RULE_ALLPGROUPS] = "allpgroups",
    [RULE_RESETPGROUPS] = "resetpgroups",
    [RULE_RESET] = "reset",
};

static void rule_pass(struct user_row *r, bool nopass)
{
    r->nopass = nopass;
    r->n_hashes = 0;
}

static void rule_commands(struct user_row *r, bool all)
{
    r->all_commands = all;
    r->categories = 0;
    memset(r->plus, 0, sizeof r->plus);
    memset(r->minus, 0, sizeof r->minus);
}

static void rule_names(struct user_names *names, bool all)
{
    names->all = all;
    names->n = 0;
}

static void rule_reset(struct user_row *r)
{
    uint64_t born = r->born, ref = r->ref;
    user_row_new(r);
    r->born = born;
    r->ref = ref;
}

static void rule_do_word(struct user_row *r, enum rule_word word)
{
    switch (word) {
    case RULE_ON: r->on = true; break;
    case RULE_OFF: r->on = false; break;
    case RULE_NOPASS: rule_pass(r, true); break;
    case RULE_RESETPASS: rule_pass(r, false); break;
    case RULE_ALLCOMMANDS: rule_commands(r, true); break;
    case RULE_NOCOMMANDS: rule_commands(r, false); break;
    case RULE_ALLTOPICS: rule_names(&r->topics, true); break;
    case RULE_RESETTOPICS: rule_names(&r->topics, false); break;
    case RULE_ALLGROUPS: rule_names(&r->groups, true); break;
    case RULE_RESETGROUPS: rule_names(&r->groups, false); break;
    case RULE_ALLPGROUPS: rule_names(&r->pgroups, true); break;
    case RULE_RESETPGROUPS: rule_names(&r->pgroups, false); break;
    case RULE_RESET: rule_reset(r); break;
    case RULE_WORDS: break;
    }
}

static enum rule_word rule_word_of(struct slice rule)
{
    unsigned w = 0;
    while (w < RULE_WORDS && !slice_equal_nocase(rule, slice_str(rule_words[w])))
        w++;
    return (enum rule_word)w;
}

/* ---- commands ---- */

static void rule_set_right(struct user_row *r, unsigned right, bool on)
{
    uint64_t bit = UINT64_C(1) << (right % 64);
    bool by_category = r->all_commands || (r->categories >> right_category(right) & 1);
    r->plus[right / 64] &= ~bit;
    r->minus[right / 64] &= ~bit;
    if (on && !by_category)
        r->plus[right / 64] |= bit;
    if (!on && by_category)
        r->minus[right / 64] |= bit;
}

static void rule_set_category(struct user_row *r, enum category c, bool on)
{
    if (!on && r->all_commands) { /* all but this one: of a later version's categories nothing is known */
        r->all_commands = false;
        r->categories = (UINT32_C(1) << CATEGORY_COUNT) - 1;
    }
    if (!r->all_commands)
        r->categories = on ? r->categories | UINT32_C(1) << c : r->categories & ~(UINT32_C(1) << c);
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        if (right_category(right) != c)
            continue;
        r->plus[right / 64] &= ~(UINT64_C(1) << (right % 64));
        r->minus[right / 64] &= ~(UINT64_C(1) << (right % 64));
    }
}

bool rule_set_command(struct user_row *r, struct slice name, bool on)
{
    bool found = false;
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        if (!right_is_named(right, name))
            continue;
        rule_set_right(r, right, on);
        found = true;
    }
    return found;
}

static enum status rule_command(struct user_row *r, struct slice rule, struct complaint c)
{
    bool on = rule.data[0] == '+';
    struct slice name = slice_of(rule.data + 1, rule.len - 1);
    enum category category = CATEGORY_NONE;
    if (slice_equal_nocase(name, SLICE_LIT("@all"))) {
        rule_commands(r, on);
        return ST_OK;
    }
    if (name.len && name.data[0] == '@') {
        if (!category_find(slice_of(name.data + 1, name.len - 1), &category))
            return rule_complain(c, rule, "no such category: ACL CAT lists them");
        rule_set_category(r, category, on);
        return ST_OK;
    }
    return rule_set_command(r, name, on)
               ? ST_OK
               : rule_complain(c, rule, "no such command: of several words it is +topic|create, or +topic for all");
}

/* ---- names ---- */

static enum status rule_pattern(struct user_names *names, struct slice rule, struct slice pattern, struct complaint c)
{
    if (!glob_ok(pattern))
        return rule_complain(c, rule, "a pattern is made of names' characters, * and ?");
    if (slice_equal(pattern, SLICE_LIT("*"))) {
        rule_names(names, true);
        return ST_OK;
    }
    for (uint32_t i = 0; i < names->n; i++) {
        if (slice_equal(names->pattern[i], pattern))
            return ST_OK;
    }
    if (names->all)
        return ST_OK;
    if (names->n == USER_PATTERNS_MAX)
        return complain(c, ST_LIMIT, "a user may have at most %d patterns of topics, of groups, of producer groups",
                        USER_PATTERNS_MAX);
    names->pattern[names->n++] = pattern;
    return ST_OK;
}

/* ---- bounds ---- */

static enum status rule_bound(uint64_t *bound, struct slice rule, struct slice number, struct complaint c)
{
    uint64_t n = 0;
    if (!text_uint(number, &n) || n > USER_BOUND_MAX)
        return rule_complain(c, rule, "the bound is a whole number, 0: none");
    *bound = n;
    return ST_OK;
}

/* ---- passwords ---- */

static bool rule_hash_ok(struct slice hash)
{
    for (size_t i = 0; i < hash.len; i++) {
        if (hash.data[i] <= ' ' || hash.data[i] > '~')
            return false;
    }
    return hash.len > 0 && hash.len <= PASSWORD_HASH_BYTES_MAX;
}

static enum status rule_hash(struct user_row *r, struct slice rule, struct complaint c)
{
    struct slice hash = slice_of(rule.data + 1, rule.len - 1);
    uint32_t i = 0;
    if (!rule_hash_ok(hash))
        return rule_complain_secret(c, rule, "not the hash of a password");
    while (i < r->n_hashes && !slice_equal(r->hash[i], hash))
        i++;
    if (rule.data[0] == '!') {
        if (i == r->n_hashes)
            return rule_complain_secret(c, rule, "the user has no such password");
        r->hash[i] = r->hash[--r->n_hashes];
        return ST_OK;
    }
    if (i == USER_PASSWORDS_MAX)
        return complain(c, ST_LIMIT, "a user may have at most %d passwords", USER_PASSWORDS_MAX);
    r->hash[i] = hash;
    r->n_hashes += i == r->n_hashes;
    r->nopass = false;
    return ST_OK;
}

static enum status rule_password(struct slice rule, struct complaint c)
{
    if (rule.len == 1)
        return rule_complain_secret(c, rule, "the password is missing");
    if (rule.len - 1 > PASSWORD_BYTES_MAX)
        return complain(c, ST_ERR, "rule '%c...': a password has at most %d bytes", rule.data[0], PASSWORD_BYTES_MAX);
    if (memchr(rule.data, '\0', rule.len))
        return rule_complain_secret(c, rule, "a password has no NUL");
    return ST_OK;
}

/* ---- all ---- */

/* What stands behind "word:"; false: it does not begin so. */
static bool rule_after(struct slice rule, const char *word, struct slice *ret_rest)
{
    size_t n = strlen(word);
    if (rule.len < n || !slice_equal_nocase(slice_of(rule.data, n), slice_str(word)))
        return false;
    *ret_rest = slice_of(rule.data + n, rule.len - n);
    return true;
}

/* Rules that client and broker write alike. */
static enum status rule_apply(struct user_row *r, struct slice rule, struct complaint c)
{
    struct slice rest;
    enum rule_word word = rule_word_of(rule);
    if (word != RULE_WORDS) {
        rule_do_word(r, word);
        return ST_OK;
    }
    if (rule.len && (rule.data[0] == '+' || rule.data[0] == '-'))
        return rule_command(r, rule, c);
    if (rule_after(rule, "~", &rest))
        return rule_pattern(&r->topics, rule, rest, c);
    if (rule_after(rule, "group:", &rest))
        return rule_pattern(&r->groups, rule, rest, c);
    if (rule_after(rule, "pgroup:", &rest))
        return rule_pattern(&r->pgroups, rule, rest, c);
    if (rule_after(rule, "conns:", &rest))
        return rule_bound(&r->conns, rule, rest, c);
    if (rule_after(rule, "rate:", &rest))
        return rule_bound(&r->rate, rule, rest, c);
    if (rule_after(rule, "bytes:", &rest))
        return rule_bound(&r->bytes, rule, rest, c);
    return rule_complain(c, rule, "not a rule: HELP ACL SETUSER and the reference list them");
}

enum status rules_apply(struct user_row *r, const struct slice *rules, uint32_t n, struct complaint c)
{
    enum status s = ST_OK;
    for (uint32_t i = 0; i < n && s == ST_OK; i++) {
        bool hash = rules[i].len && (rules[i].data[0] == '#' || rules[i].data[0] == '!');
        s = hash ? rule_hash(r, rules[i], c) : rule_apply(r, rules[i], c);
    }
    return s;
}

static bool rule_is_password(struct slice rule)
{
    return rule.len && (rule.data[0] == '>' || rule.data[0] == '<');
}

bool rules_have_password(const struct slice *rules, uint32_t n)
{
    while (n > 0 && !rule_is_password(rules[n - 1]))
        n--;
    return n > 0;
}

enum status rules_check(const struct slice *rules, uint32_t n, struct complaint c)
{
    struct user_row scratch;
    user_row_new(&scratch);
    enum status s = ST_OK;
    for (uint32_t i = 0; i < n && s == ST_OK; i++)
        s = rule_is_password(rules[i]) ? rule_password(rules[i], c) : rule_apply(&scratch, rules[i], c);
    return s;
}
