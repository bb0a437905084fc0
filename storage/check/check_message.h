/* check_message.h: the messages of one record, and the rows that each of them has. */
#ifndef HALFMQ_STORAGE_CHECK_MESSAGE_H
#define HALFMQ_STORAGE_CHECK_MESSAGE_H

#include "storage/check/check_at.h"

/* row: of the directory; record: its header is sound and agrees with the row. */
void check_messages(struct check_queue *q, const struct record_info *info, struct slice row, struct slice record,
                    const struct record_header *h);

/* Is that message kept: not below the floor, nor removed, nor behind the end? Only of these rows have to be there. */
bool check_topic_keeps(struct check_topic *t, uint32_t queue, uint64_t offset);

#endif
