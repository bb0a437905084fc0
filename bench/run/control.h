/*
 * control.h: a connection beside the load, on which the main thread creates topic and group and asks the server for
 * its memory, processor time and syncs once a second. It uses hiredis and blocks. If the server does not answer in
 * time, a sample is missing, but the run goes on.
 */
#ifndef HALFMQ_BENCH_CONTROL_H
#define HALFMQ_BENCH_CONTROL_H

#include "bench/measure/facts.h"
#include "bench/measure/series.h"
#include "bench/options/options.h"

struct control;

/* NULL: no connection; err says why. */
struct control *control_open(const struct options *o, char *err, size_t err_size);
void control_close(struct control *c);

/*
 * Creates what the load needs: the topic, if --queues or --compress say so or if consumers come first; the group of
 * e2e and verify at the end of the topic; that of consume at its beginning, on a Redis, and where it has options. A topic
 * that exists stays as it is, and so does a group, but for its options. False: refused, err says why.
 */
bool control_prepare(struct control *c, const struct options *o, enum mode load, bool redis,
                     char *err, size_t err_size);

/* Over how many queues of the topic ORDER keys are spread. False: the broker did not say, err says why. */
bool control_order_queues(struct control *c, const char *topic, uint32_t *ret_queues, char *err,
                          size_t err_size);

/* Adds facts about the server: version, fsync, data folder, and its file system if it is on this machine. */
void control_facts(struct control *c, struct facts *f);

/* The server's values now; -1 for those it does not report. */
void control_sample(struct control *c, int64_t now_ns, struct server_sample *ret_sample);

#endif
