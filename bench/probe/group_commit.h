/*
 * group_commit.h: an ideal server that syncs before it answers: no network, no parsing, no index. What remains is the
 * disk, and the rule that messages which arrive during a sync are part of the next one.
 *
 *   arrivals   . . . . . . . . . . . . . . . . . .      evenly, at moments fixed before the run
 *   turns      |-write-sync-|-write-sync-|-write-sync-|   each takes all that have arrived meanwhile
 *
 * A loop that only syncs counts a stall of the disk once, however many messages would have waited for it. Here each
 * message that was due during the stall counts, from the moment it was due (pace.h).
 *
 * If nothing has arrived, it sleeps until shortly before the next message and then polls the clock, because a late
 * timer would be counted as time of the disk.
 */
#ifndef HALFMQ_BENCH_GROUP_COMMIT_H
#define HALFMQ_BENCH_GROUP_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/measure/hist.h"

#define GROUP_COMMIT_TURN_BYTES ((size_t)16 << 20) /* the most one turn writes */
#define GROUP_COMMIT_FILE_BYTES ((size_t)64 << 20) /* the file that is written over and over */
#define GROUP_COMMIT_OVERHEAD 32u /* bytes that a log stores in addition to each message */
#define GROUP_COMMIT_RATE_MAX 1e7

struct group_commit {
    const char *path; /* created, and removed at the end */
    const uint8_t *bytes; /* what is written, GROUP_COMMIT_TURN_BYTES of them */
    double per_s; /* 0 < per_s <= GROUP_COMMIT_RATE_MAX */
    uint64_t size; /* of a message; it and the overhead fit in a turn */
    int64_t duration_ns; /* messages are due in this time; all are written, however late */
    bool sync;
    bool overwrite; /* into blocks that were written and synced before, round and round */

    struct hist *took; /* of each message, from when it was due to the end of its sync */
    uint64_t turns, messages;
    uint64_t most; /* messages in the largest turn */
    int64_t elapsed_ns;
};

/* Runs it and fills the members from `took' on. False: errno says why. */
bool group_commit_run(struct group_commit *g);

#endif
