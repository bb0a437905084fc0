/* check_list.c: reads the reply of CHECKS one check after the other, and collects asks for an UNASK command. */
#include "broker/checks/check_list.h"

#include <assert.h>

#include "protocol/base/reply.h"
#include "protocol/base/text.h"
#include "protocol/record/check_object.h"

bool check_list_open(struct slice reply, struct check_list *ret_l)
{
    struct cursor c = cursor_of(reply);
    struct token t;
    if (!reply_next(&c, &t) || t.kind != TOK_ARRAY)
        return false;
    *ret_l = (struct check_list){.c = c, .left = t.n};
    return true;
}

/* Moves past one whole value, with all that it contains, and returns its tokens. */
static struct slice next_value(struct cursor *c)
{
    const uint8_t *start = c->at;
    uint64_t left = 1;
    struct token t;
    while (left > 0 && reply_next(c, &t)) {
        left--;
        if (t.kind == TOK_ARRAY || t.kind == TOK_PUSH)
            left += (uint64_t)t.n;
        else if (t.kind == TOK_MAP)
            left += 2 * (uint64_t)t.n;
        else if (t.kind == TOK_MESSAGE)
            left += 4;
    }
    assert(left == 0);
    return slice_of(start, (size_t)(c->at - start));
}

/* Reads txid and attempt from the map of one check. */
static struct ask ask_of(struct slice object, bool *ret_is_note)
{
    struct ask ask = {0};
    struct cursor c = cursor_of(object);
    struct token t, key;
    bool ok = reply_next(&c, &t);
    assert(ok && t.kind == TOK_MAP);
    *ret_is_note = t.n == CHECK_NOTE_PAIRS;
    for (int64_t pairs = t.n; pairs > 0; pairs--) {
        struct cursor name = cursor_of(next_value(&c)), value = cursor_of(next_value(&c));
        if (!reply_next(&name, &key) || !reply_next(&value, &t))
            continue;
        if (slice_equal(key.bytes, SLICE_LIT("txid")))
            ok = text_txid(t.bytes, &ask.txid) && ok;
        else if (slice_equal(key.bytes, SLICE_LIT("attempt")))
            ask.attempt = (uint32_t)t.n;
    }
    assert(ok && ask.txid && ask.attempt); /* the store made it */
    return ask;
}

bool check_list_next(struct check_list *l, struct check *ret_check)
{
    if (l->left == 0)
        return false;
    l->left--;
    struct slice object = next_value(&l->c);
    *ret_check = (struct check){.object = object};
    ret_check->ask = ask_of(object, &ret_check->is_note);
    return true;
}

void unask_init(struct unask *u)
{
    buf_init(&u->text, 0);
    u->n = 0;
}

void unask_fini(struct unask *u)
{
    buf_free(&u->text);
}

void unask_add(struct unask *u, struct ask ask)
{
    assert(!unask_full(u));
    if (u->n == 0)
        buf_reset(&u->text, SIZE_MAX);
    buf_printf(&u->text, "%llu-%u", (unsigned long long)ask.txid, ask.attempt);
    u->ends[u->n++] = u->text.len;
}

bool unask_command(struct unask *u, struct command *ret_cmd)
{
    uint32_t n = u->n;
    u->n = 0;
    if (n == 0 || u->text.failed)
        return false;
    size_t from = 0;
    for (uint32_t i = 0; i < n; i++) {
        u->words[i] = slice_of(u->text.data + from, u->ends[i] - from);
        from = u->ends[i];
    }
    *ret_cmd = (struct command){.info = command_info(CMD_UNASK), .n_rest = n, .rest = u->words};
    return true;
}
