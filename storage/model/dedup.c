/* dedup.c: remembers the first reply to a DEDUP id in a row, and finds it while that row has not expired. */
#include "storage/model/dedup.h"

static enum status dedup_row(struct state *st, const struct key *key, struct dedup_row *ret_row)
{
    buf_reset(&st->scratch2, KIB(64));
    enum status s = overlay_get(&st->overlay, key, &st->scratch2);
    if (s != ST_OK)
        return s;
    return dedup_decode(buf_slice(&st->scratch2), ret_row) == ST_OK ? ST_OK : ST_IO;
}

enum status dedup_find(struct state *st, const struct stamp *stamp, const struct topic *t,
                       struct slice id, struct buf *ret_answer)
{
    struct key key = key_dedup(t->id, id);
    struct dedup_row row;
    enum status s = dedup_row(st, &key, &row);
    if (s != ST_OK)
        return s;
    if (row.expires_ms <= stamp->now_ms)
        return ST_GONE;
    buf_put_slice(ret_answer, row.answer);
    st->tally.dedup_hits++;
    return ret_answer->failed ? ST_NOMEM : ST_OK;
}

void dedup_remember(struct state *st, const struct stamp *stamp, const struct topic *t, struct slice id,
                    const struct buf *answer)
{
    int64_t expires = stamp->now_ms + stamp->policy->dedup_window_ms;
    struct dedup_row row = {.expires_ms = expires, .answer = buf_slice(answer)};
    st->sick = st->sick || answer->failed;
    struct key key = key_dedup(t->id, id);
    buf_reset(&st->scratch2, KIB(64));
    dedup_encode(&st->scratch2, &row);
    overlay_put(&st->overlay, &key, core_row(st));
}
