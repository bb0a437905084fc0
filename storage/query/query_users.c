/* query_users.c: reads all users, for who judges commands by them (storage/access/users.h). */
#include "storage/query/handlers.h"

#include "storage/access/users.h"

static enum status users_read(struct view *v, struct users *us)
{
    struct key prefix = key_user(slice_of(NULL, 0));
    struct kv_iter *it = view_rows(v, &prefix);
    enum status s = it ? ST_OK : ST_NOMEM;
    if (it)
        kv_iter_first(it);
    for (; s == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct slice key = kv_iter_key(it), name = slice_of(key.data + 1, key.len - 1);
        s = users_add(us, name, kv_iter_value(it));
        const struct access_user *u = s == ST_OK ? users_find(us, name) : NULL;
        if (u && u->damaged && kv_damaged_row(v->kv, key) != ST_DAMAGED)
            s = ST_IO;
    }
    if (s == ST_OK && it)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s == ST_OK ? users_finish(us) : s;
}

enum status query_users(struct view *v, struct users **ret_users)
{
    struct users *us = users_new();
    enum status s = us ? users_read(v, us) : ST_NOMEM;
    if (s == ST_OK)
        *ret_users = us;
    else
        users_release(us);
    return s;
}
