/* wal_keeper.h: the log's thread that makes spare files, and deletes those that are too many. */
#ifndef HALFMQ_BROKER_WAL_KEEPER_H
#define HALFMQ_BROKER_WAL_KEEPER_H

/* The thread; arg is a struct wal, whose `store` is set. It ends when `stopping` is. */
void *wal_keeper(void *arg);

#endif
