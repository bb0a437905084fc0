/*
 * info.h: the text of the command INFO.
 */
#ifndef HALFMQ_BROKER_INFO_H
#define HALFMQ_BROKER_INFO_H

#include "protocol/base/buf.h"

struct server;
struct view;

/* INFO [section ...] as text lines; view: of the store, or NULL. Any thread. */
void info_write(struct server *s, struct view *view, const struct slice *sections, size_t n, struct buf *out);

#endif
