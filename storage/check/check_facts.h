/* check_facts.h: public: what a check is given, and what it comes to (check.h). */
#ifndef HALFMQ_STORAGE_CHECK_FACTS_H
#define HALFMQ_STORAGE_CHECK_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "storage/redo.h"

struct check_options {
    const char *path; /* folder of the database */
    /* Hands over each batch of the log behind `after`, with which the check goes on from the files; NULL: there is none. Then path is a
     * copy that may be written to, and is thrown away: its tables may be links. */
    enum status (*replay)(void *arg, uint64_t after, redo_take_fn *take, void *take_arg, char *err, size_t err_size);
    size_t memory_bytes;
    /* Is given a sentence about each damage, which names topic, queue and offsets where it is one of messages. */
    void (*damage)(void *arg, const char *text);
    /* Is told now and then how many bytes of rows and records were read. May be NULL. */
    void (*progress)(void *arg, uint64_t bytes);
    void *arg;
};

struct check_sums {
    uint64_t index; /* of the last command that the files have */
    uint64_t rows, records, messages, bytes;
    uint64_t topics, groups, transactions, delayed;
    uint64_t damages;
};

#endif
