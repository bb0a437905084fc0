/* rule_print.c: prints the rules that make a user (rule_print.h). */
#include "storage/access/rule_print.h"

#include "storage/access/rule.h"

/* A blank between two rules of this call, whose first one begins at `from`. */
static void print_gap(struct buf *b, size_t from)
{
    if (b->len > from)
        buf_put_u8(b, ' ');
}

/* Its first word, where all commands that begin with it are allowed, or forbidden, like this one; else the whole name. */
static struct slice print_family(const struct user_row *r, struct slice name, bool on)
{
    const uint8_t *bar = memchr(name.data, '|', name.len);
    struct slice head = slice_of(name.data, bar ? (size_t)(bar - name.data) : name.len);
    for (unsigned right = 0; right < RIGHT_COUNT && bar; right++) {
        if (right_is_named(right, head) && user_row_allows(r, right) != on)
            return name;
    }
    return head;
}

/* Prints what makes `made` the same as r for all rights whose names have a second word, or have none. A rule for the
 * first word is one for the whole family, so those come first, and the others mend what that was too much. */
static void print_rights(struct buf *b, size_t from, const struct user_row *r, struct user_row *made, bool second)
{
    char name[RIGHT_NAME_SIZE];
    for (unsigned right = 0; right < RIGHT_COUNT; right++) {
        bool on = user_row_allows(r, right);
        const char *own = right_rule_name(right, name);
        if ((strchr(own, '|') != NULL) != second || user_row_allows(made, right) == on)
            continue;
        struct slice rule = print_family(r, slice_str(own), on);
        print_gap(b, from);
        buf_put_u8(b, on ? '+' : '-');
        buf_put_slice(b, rule);
        rule_set_command(made, rule, on);
    }
}

void rules_print_commands(struct buf *b, const struct user_row *r)
{
    size_t from = b->len;
    struct user_row made;
    user_row_new(&made);
    made.all_commands = r->all_commands;
    made.categories = r->categories;
    if (r->all_commands)
        buf_put_str(b, "allcommands");
    for (unsigned c = 0; c < CATEGORY_COUNT; c++) {
        if (!(r->categories >> c & 1))
            continue;
        print_gap(b, from);
        buf_printf(b, "+@%s", category_name((enum category)c));
    }
    print_rights(b, from, r, &made, false);
    print_rights(b, from, r, &made, true);
    if (b->len == from)
        buf_put_str(b, "nocommands");
}

static void print_names(struct buf *b, const struct user_names *names, const char *all, const char *prefix)
{
    size_t from = b->len;
    if (names->all)
        buf_put_str(b, all);
    for (uint32_t i = 0; i < names->n; i++) {
        print_gap(b, from);
        buf_put_str(b, prefix);
        buf_put_slice(b, names->pattern[i]);
    }
}

void rules_print_topics(struct buf *b, const struct user_row *r)
{
    print_names(b, &r->topics, "alltopics", "~");
}

void rules_print_groups(struct buf *b, const struct user_row *r)
{
    print_names(b, &r->groups, "allgroups", "group:");
}

void rules_print_pgroups(struct buf *b, const struct user_row *r)
{
    print_names(b, &r->pgroups, "allpgroups", "pgroup:");
}

static void print_bound(struct buf *b, const char *name, uint64_t n)
{
    if (!n)
        return;
    buf_put_str(b, name);
    buf_put_uint(b, n);
}

void rules_print(struct buf *b, const struct user_row *r)
{
    static void (*const parts[])(struct buf *b, const struct user_row *r) = {
        rules_print_commands, rules_print_topics, rules_print_groups, rules_print_pgroups};
    buf_put_str(b, r->on ? "on" : "off");
    if (r->nopass)
        buf_put_str(b, " nopass");
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t before = b->len;
        buf_put_u8(b, ' ');
        parts[i](b, r);
        if (b->len == before + 1 && !b->failed)
            b->len = before;
    }
    print_bound(b, " conns:", r->conns);
    print_bound(b, " rate:", r->rate);
    print_bound(b, " bytes:", r->bytes);
}
