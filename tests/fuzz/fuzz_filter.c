/*
 * fuzz_filter.c: parses any text as the expression of a FILTER WHERE, and as tags. The expression ends at the first zero
 * byte; what is behind it are the names and values of properties, between zero bytes.
 *
 * An expression that is refused must come with a sentence that fits into an error line. Of one that is accepted exactly
 * one holds for any message: it is true, its negation is true, or it is unknown.
 */
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/buf.h"
#include "protocol/filter/filter.h"
#include "protocol/filter/filter_tags.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct slice until_zero(struct slice *left)
{
    const uint8_t *zero = left->len ? memchr(left->data, 0, left->len) : NULL;
    size_t n = zero ? (size_t)(zero - left->data) : left->len;
    struct slice first = slice_of(left->data, n);
    *left = zero ? slice_of(zero + 1, left->len - n - 1) : slice_of(NULL, 0);
    return first;
}

static void expect_sentence(const char *err, size_t size)
{
    size_t n = strnlen(err, size);
    require(n > 0 && n < size);
    for (size_t i = 0; i < n; i++)
        require((unsigned char)err[i] >= 0x20 && (unsigned char)err[i] < 0x7f);
}

/* Is the expression, with something around it, true? *ret_ok: it is an expression. */
static bool is_true(const char *before, struct slice text, const char *behind, const struct filter_subject *subject,
                    bool *ret_ok)
{
    struct buf b;
    struct filter *f = NULL;
    char err[512] = "";
    uint64_t work = 0;
    buf_init(&b, 0);
    buf_put_str(&b, before);
    buf_put_slice(&b, text);
    buf_put_str(&b, behind);
    *ret_ok = filter_parse(buf_slice(&b), &f, (struct complaint){err, sizeof err}) == ST_OK;
    if (!*ret_ok)
        expect_sentence(err, sizeof err);
    bool is = *ret_ok && filter_matches(f, subject, &work);
    free(f);
    buf_free(&b);
    return is;
}

static void evaluate(struct slice text, const struct filter_subject *subject)
{
    bool ok = false, more = false;
    bool plain = is_true("", text, "", subject, &ok);
    if (!ok)
        return;
    bool negated = is_true("NOT(", text, ")", subject, &more), unknown = is_true("(", text, ") IS UNKNOWN", subject, &ok);
    if (more && ok) /* neither is too long, or too deep */
        require(plain + negated + unknown == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice left = slice_of(data, size), text = until_zero(&left), tags = text, tag;
    struct buf props;
    struct message m;
    char err[512] = "";
    message_clear(&m);
    buf_init(&props, 0);
    while (left.len && m.n_props < PROPS_MAX) {
        buf_put_sized(&props, until_zero(&left));
        buf_put_sized(&props, until_zero(&left));
        m.n_props++;
    }
    m.props = buf_slice(&props);
    m.fields = m.n_props ? MSG_PROPS | MSG_TAG | MSG_KEY : 0;
    m.tag = SLICE_LIT("tag");
    m.n_keys = m.n_props ? 2 : 0;
    m.keys[0] = m.keys[1] = SLICE_LIT("17");
    struct filter_subject subject = {.m = &m, .topic = SLICE_LIT("topic"), .offset = size, .stored_ms = INT64_MIN};
    evaluate(text, &subject);
    buf_free(&props);
    if (filter_tags_check(text, (struct complaint){err, sizeof err}) != ST_OK)
        expect_sentence(err, sizeof err);
    for (size_t n = 0; filter_tags_next(&tags, &tag); n++)
        require(n <= size && tag.len <= size);
    return 0;
}
