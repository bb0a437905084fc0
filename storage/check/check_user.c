/*
 * check_user.c: a user has a name that rules can name, a row that can be read, and was changed before the number that M gives out
 * next: otherwise a connection that has logged in could be taken for one of the user as it was before. There are at most
 * USERS_MAX of them, and `default`.
 */
#include "storage/check/check_user.h"

#include "protocol/base/text.h"
#include "storage/access/user.h"

static void check_user_one(struct checking *c, struct slice name, struct slice value)
{
    struct user_row row;
    char quoted[CHECK_QUOTED];
    check_quote(name, quoted);
    if (!text_user_ok(name))
        check_say(c, "user %s has a name that no user can have", quoted);
    if (user_row_decode(value, &row) != ST_OK)
        check_say(c, "user %s has a row that cannot be decoded: it may do nothing", quoted);
    else if (row.ref > c->meta.next_ref)
        check_say(c, "user %s was changed by number %llu, and the next one is %llu", quoted, (unsigned long long)row.ref - 1,
                  (unsigned long long)c->meta.next_ref);
}

void check_user_all(struct checking *c)
{
    struct slice key, value;
    struct key prefix = key_user(slice_of(NULL, 0));
    uint64_t n = 0;
    struct kv_iter *it = check_rows(c, &prefix);
    for (; check_row(c, it, &key, &value); kv_iter_next(it)) {
        struct slice name = slice_of(key.data + 1, key.len - 1);
        n += !slice_equal(name, SLICE_LIT("default"));
        check_user_one(c, name, value);
    }
    if (check_rows_end(c, it) && n > USERS_MAX)
        check_say(c, "there are %llu users, and at most %d are possible", (unsigned long long)n, USERS_MAX);
}
