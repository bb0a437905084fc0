/*
 * fuzz_rules.c: takes any text as rules of a user, one a line, and any bytes as a user's row.
 *
 * Rules that are refused must come with a sentence. What rules make must come back from its row, and from the rules that are
 * printed of it; a row that is taken must come back as well.
 */
#include <stdlib.h>

#include "storage/access/judge.h"
#include "storage/access/rule.h"
#include "storage/access/rule_print.h"

#define RULES_MAX 64

static void require(bool holds)
{
    if (!holds)
        abort();
}

static uint32_t split(struct slice text, char at, struct slice *rules)
{
    uint32_t n = 0;
    while (text.len && n < RULES_MAX) {
        const uint8_t *end = memchr(text.data, at, text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        rules[n++] = slice_of(text.data, len);
        text = end ? slice_of(end + 1, text.len - len - 1) : slice_of(NULL, 0);
    }
    return n;
}

static void comes_back_from_its_row(struct user_row *r, struct buf *bytes)
{
    struct user_row again;
    r->born = r->ref = 1;
    user_row_encode(bytes, r);
    require(user_row_decode(buf_slice(bytes), &again) == ST_OK);
    struct buf second;
    buf_init(&second, 0);
    user_row_encode(&second, &again);
    require(slice_equal(buf_slice(bytes), buf_slice(&second)));
    buf_free(&second);
}

static void comes_back_from_its_rules(const struct user_row *r)
{
    struct slice rules[4 * RULES_MAX];
    struct buf text, second;
    struct user_row again;
    char err[400];
    buf_init(&text, 0);
    buf_init(&second, 0);
    rules_print(&text, r);
    user_row_new(&again);
    uint32_t n = split(buf_slice(&text), ' ', rules);
    if (n == RULES_MAX) { /* not all of them */
        buf_free(&text);
        return;
    }
    require(rules_apply(&again, rules, n, (struct complaint){err, sizeof err}) == ST_OK);
    rules_print(&second, &again);
    require(slice_equal(buf_slice(&text), buf_slice(&second)));
    for (unsigned right = 0; right < RIGHT_COUNT; right++)
        require(user_row_allows(r, right) == user_row_allows(&again, right));
    buf_free(&text);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rules[RULES_MAX];
    struct user_row row;
    struct buf bytes;
    char err[400] = "";
    uint32_t n = split(slice_of(data, size), '\n', rules);
    enum status client = rules_check(rules, n, (struct complaint){err, sizeof err});
    require(client == ST_OK || err[0] != 0);
    user_row_new(&row);
    buf_init(&bytes, 0);
    if (rules_apply(&row, rules, n, (struct complaint){err, sizeof err}) == ST_OK) {
        comes_back_from_its_row(&row, &bytes);
        comes_back_from_its_rules(&row);
    } else {
        require(err[0] != '\0');
    }
    buf_free(&bytes);
    if (user_row_decode(slice_of(data, size), &row) == ST_OK) {
        struct buf second;
        buf_init(&second, 0);
        user_row_encode(&second, &row);
        require(user_row_decode(buf_slice(&second), &row) == ST_OK);
        buf_free(&second);
    }
    return 0;
}
