/* user.c: users as rows: encoding and decoding (user.h). */
#include "storage/access/user.h"

#include "storage/access/glob.h"

#define USER_VERSION 1

enum user_flag {
    USER_ON = 1,
    USER_NOPASS = 2,
    USER_ALL_COMMANDS = 4,
    USER_ALL_TOPICS = 8,
    USER_ALL_GROUPS = 16,
    USER_ALL_PGROUPS = 32,
    USER_FLAGS = 63
};

void user_row_new(struct user_row *r)
{
    memset(r, 0, sizeof *r);
}

void user_row_default(struct user_row *r)
{
    user_row_new(r);
    r->on = r->nopass = r->all_commands = true;
    r->topics.all = r->groups.all = r->pgroups.all = true;
}

static bool user_bit(const uint64_t *bits, unsigned right)
{
    return bits[right / 64] >> (right % 64) & 1;
}

bool user_row_allows(const struct user_row *r, unsigned right)
{
    enum category c = right_category(right);
    if (c == CATEGORY_NONE || user_bit(r->minus, right))
        return false;
    return r->all_commands || (r->categories >> c & 1) || user_bit(r->plus, right);
}

/* ---- encoding ---- */

static void user_put_categories(struct buf *b, uint32_t categories)
{
    buf_put_varint(b, (uint64_t)__builtin_popcount(categories));
    for (unsigned c = 0; c < CATEGORY_COUNT; c++) {
        if (categories >> c & 1)
            buf_put_sized(b, slice_str(category_name((enum category)c)));
    }
}

/* The names of the rights whose bits are set. */
static void user_put_rights(struct buf *b, const uint64_t *bits)
{
    char name[RIGHT_NAME_SIZE];
    uint64_t n = 0;
    for (unsigned i = 0; i < RIGHT_WORDS; i++)
        n += (uint64_t)__builtin_popcountll(bits[i]);
    buf_put_varint(b, n);
    for (unsigned r = 0; r < RIGHT_COUNT; r++) {
        if (user_bit(bits, r))
            buf_put_sized(b, slice_str(right_rule_name(r, name)));
    }
}

static void user_put_slices(struct buf *b, const struct slice *at, uint32_t n)
{
    buf_put_varint(b, n);
    for (uint32_t i = 0; i < n; i++)
        buf_put_sized(b, at[i]);
}

void user_row_encode(struct buf *b, const struct user_row *r)
{
    buf_put_u8(b, USER_VERSION);
    buf_put_u8(b, (uint8_t)((r->on ? USER_ON : 0) | (r->nopass ? USER_NOPASS : 0) |
                            (r->all_commands ? USER_ALL_COMMANDS : 0) | (r->topics.all ? USER_ALL_TOPICS : 0) |
                            (r->groups.all ? USER_ALL_GROUPS : 0) | (r->pgroups.all ? USER_ALL_PGROUPS : 0)));
    buf_put_varint(b, r->born);
    buf_put_varint(b, r->ref);
    buf_put_varint(b, r->conns);
    buf_put_varint(b, r->rate);
    buf_put_varint(b, r->bytes);
    user_put_slices(b, r->hash, r->n_hashes);
    user_put_categories(b, r->categories);
    user_put_rights(b, r->plus);
    user_put_rights(b, r->minus);
    user_put_slices(b, r->topics.pattern, r->topics.n);
    user_put_slices(b, r->groups.pattern, r->groups.n);
    user_put_slices(b, r->pgroups.pattern, r->pgroups.n);
}

/* ---- decoding ---- */

static uint32_t user_get_categories(struct cursor *c)
{
    uint32_t categories = 0;
    for (uint64_t n = cursor_varint(c); n > 0 && !c->bad; n--) {
        enum category is = CATEGORY_NONE;
        if (category_find(cursor_sized(c), &is))
            categories |= UINT32_C(1) << is;
        else
            c->bad = true;
    }
    return categories;
}

/* The right with exactly that name. RIGHT_COUNT: none. */
static unsigned user_right_of(struct slice name)
{
    char own[RIGHT_NAME_SIZE];
    unsigned r = 0;
    while (r < RIGHT_COUNT && (right_category(r) == CATEGORY_NONE || !slice_equal(slice_str(right_rule_name(r, own)), name)))
        r++;
    return r;
}

static void user_get_rights(struct cursor *c, uint64_t *bits)
{
    memset(bits, 0, RIGHT_WORDS * sizeof *bits);
    for (uint64_t n = cursor_varint(c); n > 0 && !c->bad; n--) {
        unsigned r = user_right_of(cursor_sized(c));
        if (r < RIGHT_COUNT)
            bits[r / 64] |= UINT64_C(1) << (r % 64);
        else
            c->bad = true;
    }
}

static uint32_t user_get_slices(struct cursor *c, struct slice *at, uint32_t most, size_t bytes_max)
{
    uint64_t n = cursor_varint(c);
    if (n > most)
        c->bad = true;
    for (uint64_t i = 0; i < n && !c->bad; i++) {
        at[i] = cursor_sized(c);
        c->bad = c->bad || at[i].len == 0 || at[i].len > bytes_max;
    }
    return c->bad ? 0 : (uint32_t)n;
}

static void user_get_names(struct cursor *c, struct user_names *names, bool all)
{
    names->all = all;
    names->n = user_get_slices(c, names->pattern, USER_PATTERNS_MAX, SYSTEM_NAME_BYTES_MAX);
    for (uint32_t i = 0; i < names->n; i++)
        c->bad = c->bad || !glob_ok(names->pattern[i]);
    c->bad = c->bad || (all && names->n);
}

enum status user_row_decode(struct slice bytes, struct user_row *ret_r)
{
    struct cursor c = cursor_of(bytes);
    bool known = cursor_u8(&c) == USER_VERSION;
    uint8_t flags = cursor_u8(&c);
    if (!known || (flags & ~USER_FLAGS))
        return ST_BAD;
    struct user_row *r = ret_r;
    user_row_new(r);
    r->on = flags & USER_ON;
    r->nopass = flags & USER_NOPASS;
    r->all_commands = flags & USER_ALL_COMMANDS;
    r->born = cursor_varint(&c);
    r->ref = cursor_varint(&c);
    r->conns = cursor_varint(&c);
    r->rate = cursor_varint(&c);
    r->bytes = cursor_varint(&c);
    r->n_hashes = user_get_slices(&c, r->hash, USER_PASSWORDS_MAX, PASSWORD_HASH_BYTES_MAX);
    r->categories = user_get_categories(&c);
    user_get_rights(&c, r->plus);
    user_get_rights(&c, r->minus);
    user_get_names(&c, &r->topics, flags & USER_ALL_TOPICS);
    user_get_names(&c, &r->groups, flags & USER_ALL_GROUPS);
    user_get_names(&c, &r->pgroups, flags & USER_ALL_PGROUPS);
    if (c.bad || cursor_left(&c) || r->ref == 0 || r->born == 0 || r->born > r->ref || (r->nopass && r->n_hashes) ||
        (r->all_commands && r->categories))
        return ST_BAD;
    return ST_OK;
}
