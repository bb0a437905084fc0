/*
 * bare.h: a client of libhalfmq without a socket and without a driver. The test is both, and the broker:
 *
 *   bare_tick ─► services that are due by clock_ms()      bare_say ─► what the broker sends, dispatched
 *   bare_hear ◄─ the next frame that is due to be written; false: there is none
 *
 * So nothing happens but when the test asks for it, and "nothing came" is a fact. With still_clock.h time
 * is the test's as well. A call that would wait for the driver must have no time to (timeout 0).
 */
#ifndef HALFMQ_TESTS_BARE_H
#define HALFMQ_TESTS_BARE_H

#include "clients/c/client/client_inner.h"

struct bare {
    struct hmq_client client;
    struct rpc_reader *to_client, *from_client;
    struct buf out; /* written by the client; the frame heard last is its first `used` bytes */
    struct rpc_frame frame; /* heard last */
    size_t used;
    void (*inside)(bool in); /* around what the library does; NULL: nobody wants to know */
};

/* A connected client; query is the end of its URI ("?linger_ms=1"), or "". */
void bare_start(struct bare *b, const char *query);

/* Its producers and consumers are closed. */
void bare_stop(struct bare *b);

/* One turn of the driver, but for the socket: deadlines, services. */
void bare_tick(struct bare *b);

bool bare_hear(struct bare *b);

/* The same where a frame with this method must come. */
void bare_expect(struct bare *b, const char *method);

/* One frame from the broker. */
void bare_say(struct bare *b, struct slice frame);

/* n messages of a stream, from an offset of queue 0 of topic "t" on. */
void bare_say_records(struct bare *b, int64_t stream, unsigned attempt, uint64_t base, uint32_t n);

/* The connection is lost, and there is another one. What was not heard is gone. */
void bare_reconnect(struct bare *b);

/* What was heard last: its method, a field, the messages of its batch. */
bool bare_is(const struct bare *b, const char *method);
struct slice bare_bytes(const struct bare *b, const char *name);
int64_t bare_int(const struct bare *b, const char *name); /* -1: it has none */
unsigned bare_count(const struct bare *b);

/* Answers what was heard last. */
void bare_answer_text(struct bare *b, const char *text);
void bare_answer_int(struct bare *b, const char *name,
                     int64_t n); /* name NULL: n; else {name: n} */
void bare_answer_place(struct bare *b, int64_t queue, int64_t offset, int64_t count);
void bare_refuse(struct bare *b, const char *code, const char *text);

#endif
