/* txn_row.h: a transaction in a view: its row X while it is open, its row O once it is decided. */
#ifndef HALFMQ_STORAGE_QUERY_TXN_ROW_H
#define HALFMQ_STORAGE_QUERY_TXN_ROW_H

#include "storage/query/base/view.h"

/* Reads it into v->row, which *ret_row points into. ST_GONE: it was never issued, or is forgotten. */
enum status txn_row_find(struct view *v, uint64_t txid, struct txn_row *ret_row) MUST_CHECK;

/* True where it was decided so long ago that it does not count any more. */
bool txn_row_forgotten(const struct view *v, const struct txn_row *row);

/* Reads the row that says which young rows are valid. */
enum status txn_row_meta(struct view *v, struct meta_row *ret_meta) MUST_CHECK;

/* Answers that it was not found (ST_GONE), or cannot be read. */
void txn_row_refuse(struct buf *reply, enum status s, uint64_t txid);

#endif
