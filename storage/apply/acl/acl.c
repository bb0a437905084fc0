/*
 * acl.c: ACL SETUSER and ACL DELUSER: rows a (storage/access/user.h).
 *
 * Passwords come here as their hashes (rule.h: #hash, !hash): the broker has made them before. What a user may do counts
 * from the group on in which its row is written: the effects say that users changed, and whoever judges reads them again
 * (query_users).
 */
#include "storage/apply/handlers.h"

#include "storage/access/rule.h"

#define ACL_COMPLAINT 400

static bool acl_is_default(struct slice name)
{
    return slice_equal(name, SLICE_LIT("default"));
}

/* Counts the rows but that of `default` the first time. This is before the open group has put or deleted one, so the store has them all. */
static enum status acl_count(struct state *st)
{
    if (st->users.counted)
        return ST_OK;
    struct key from = key_user(slice_of(NULL, 0)), to = key_after(&from);
    struct kv_iter *it = kv_iter_new(st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it)
        return ST_NOMEM;
    uint32_t n = 0;
    for (kv_iter_first(it); kv_iter_valid(it); kv_iter_next(it))
        n += !acl_is_default(slice_of(kv_iter_key(it).data + 1, kv_iter_key(it).len - 1));
    enum status s = kv_iter_status(it);
    kv_iter_free(it);
    if (s != ST_OK)
        return s;
    st->users.counted = true;
    st->users.n = n;
    return ST_OK;
}

/* Reads a user into row, whose slices point into scratch. ST_GONE: there is no row. */
static enum status acl_read(struct state *st, struct slice name, struct user_row *row)
{
    struct key key = key_user(name);
    buf_reset(&st->scratch, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch);
    if (s != ST_OK)
        return s;
    return user_row_decode(buf_slice(&st->scratch), row) == ST_OK ? ST_OK : core_bad_row(st, &key);
}

/* What the rules are applied to. A damaged user can be made again, by rules that begin with `reset`. */
static enum status acl_begin(struct state *st, const struct command *cmd, struct user_row *row, bool *ret_is_new)
{
    bool resets = cmd->n_rest > 0 && slice_equal_nocase(cmd->rest[0], SLICE_LIT("reset"));
    enum status s = acl_read(st, cmd->pos[0], row);
    *ret_is_new = s == ST_GONE;
    if (s == ST_GONE && acl_is_default(cmd->pos[0]))
        user_row_default(row);
    else if (s == ST_GONE || (s == ST_DAMAGED && resets))
        user_row_new(row);
    return s == ST_GONE || (s == ST_DAMAGED && resets) ? ST_OK : s;
}

static void acl_put(struct state *st, const struct command *cmd, struct user_row *row, bool is_new)
{
    struct key key = key_user(cmd->pos[0]);
    row->ref = core_next_ref(st) + 1; /* never 0 */
    if (!row->born)
        row->born = row->ref;
    buf_reset(&st->scratch2, KIB(64));
    user_row_encode(&st->scratch2, row);
    overlay_put(&st->overlay, &key, core_row(st));
    st->users.n += is_new && !acl_is_default(cmd->pos[0]);
    st->fx.users_changed = true;
}

void apply_acl_setuser(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    (void)stamp;
    char text[ACL_COMPLAINT];
    struct user_row row;
    bool is_new = false;
    enum status s = acl_count(st);
    if (s == ST_OK)
        s = acl_begin(st, cmd, &row, &is_new);
    if (s != ST_OK) {
        core_fail(out, s, "ACL SETUSER");
        return;
    }
    if (is_new && !acl_is_default(cmd->pos[0]) && st->users.n >= USERS_MAX) {
        reply_error(&out->reply, ST_LIMIT, "there are too many users: at most %d", USERS_MAX);
        return;
    }
    s = rules_apply(&row, cmd->rest, cmd->n_rest, (struct complaint){text, sizeof text});
    if (s != ST_OK) {
        reply_error(&out->reply, s, "%s", text);
        return;
    }
    acl_put(st, cmd, &row, is_new);
    reply_ok(&out->reply);
}

/* Is there a row of that user? A damaged one is one. */
static enum status acl_exists(struct state *st, struct slice name, bool *ret_exists)
{
    struct key key = key_user(name);
    buf_reset(&st->scratch, KIB(64));
    enum status s = overlay_get(&st->overlay, &key, &st->scratch);
    *ret_exists = s == ST_OK;
    return s == ST_GONE ? ST_OK : s;
}

/* Whatever can refuse is asked of all names first. */
static enum status acl_may_delete(struct state *st, const struct command *cmd)
{
    bool exists;
    enum status s = acl_count(st);
    for (uint32_t i = 0; i < cmd->n_rest && s == ST_OK; i++)
        s = acl_is_default(cmd->rest[i]) ? ST_ERR : acl_exists(st, cmd->rest[i], &exists);
    return s;
}

void apply_acl_deluser(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    (void)stamp;
    uint32_t n = 0;
    enum status s = acl_may_delete(st, cmd);
    for (uint32_t i = 0; i < cmd->n_rest && s == ST_OK; i++) {
        struct key key = key_user(cmd->rest[i]);
        bool exists = false;
        s = acl_exists(st, cmd->rest[i], &exists);
        if (s != ST_OK || !exists)
            continue;
        overlay_del(&st->overlay, &key);
        st->users.n--;
        st->fx.users_changed = true;
        n++;
    }
    st->sick = st->sick || (n > 0 && s != ST_OK); /* some are deleted, and it cannot be answered */
    if (s == ST_OK)
        reply_int(&out->reply, n);
    else if (s == ST_ERR)
        reply_error(&out->reply, ST_ERR, "the user 'default' cannot be deleted: switch it off");
    else
        core_fail(out, s, "ACL DELUSER");
}
