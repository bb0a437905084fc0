/*
 * control.h: the connection beside the load: it makes topic and group, and asks the server once a
 * second how it is. By hiredis, blocking, main thread only; a server that does not answer in time
 * costs a sample, not the run.
 */
#ifndef HALFMQ_BENCH_CONTROL_H
#define HALFMQ_BENCH_CONTROL_H

#include "bench/measure/facts.h"
#include "bench/measure/series.h"
#include "bench/options/options.h"

struct control;

/* NULL: no connection; err tells why. */
struct control *control_open(const char *host, int port, char *err, size_t err_size);
void control_close(struct control *c);

/*
 * What the load needs to find: the topic, where --queues says so or where consumers come first; the
 * group of e2e and verify at the end of the topic; on a Redis the group of consume at its
 * beginning. What is there already stays. False: refused, err tells why.
 */
bool control_prepare(struct control *c, const struct options *o, enum mode load, bool redis,
                     char *err, size_t err_size);

/* How many queues ORDER keys of the topic are spread over. False: it was not told, err tells why. */
bool control_order_queues(struct control *c, const char *topic, uint32_t *ret_queues, char *err,
                          size_t err_size);

/* About the server: version, fsync, data folder and its file system where it is on this machine. */
void control_facts(struct control *c, struct facts *f);

/* How it is now. Values it does not tell are -1. */
void control_sample(struct control *c, int64_t now_ns, struct server_sample *ret_sample);

#endif
