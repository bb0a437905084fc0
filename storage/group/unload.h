/*
 * unload.h: takes topics and groups out of memory when they have not been used of late and there is too much (lru.h).
 *
 * It is done between commit groups, when all of them are copies of what is stored: a topic has no open record, a gt no
 * change. What is named again is read again, which changes neither a row nor a reply.
 */
#ifndef HALFMQ_STORAGE_UNLOAD_H
#define HALFMQ_STORAGE_UNLOAD_H

#include "storage/model/core.h"

/* Unloads some, if they take more than their part of the memory. A bounded step: the next group goes on. */
void unload_some(struct state *st);

#endif
