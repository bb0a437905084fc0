/*
 * bare.h: a client of libhalfmq without a socket and without a driver. The test plays both, and the broker:
 *
 *   bare_tick ─► runs services that are due by clock_ms()    bare_say ─► dispatches a frame from the broker
 *   bare_hear ◄─ the next frame that is due to be written; false: there is none
 *
 * So nothing happens unless the test asks for it, and a test can be sure that the client sends nothing. With
 * still_clock.h the test controls the time as well. A call that waits for the driver must have a timeout of 0.
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
    void (*inside)(bool in); /* called before and after the library's code runs; may be NULL */
};

/* Makes a connected client; query is the end of its URI ("?linger_ms=1"), or "". */
void bare_start(struct bare *b, const char *query);

/* Frees the client. Its producers and consumers must be closed. */
void bare_stop(struct bare *b);

/* One turn of the driver without the socket: handles deadlines and runs services. */
void bare_tick(struct bare *b);

bool bare_hear(struct bare *b);

/* bare_hear; the test fails unless there is a frame with this method. */
void bare_expect(struct bare *b, const char *method);

/* Dispatches one frame as if it came from the broker. */
void bare_say(struct bare *b, struct slice frame);

/* Sends the client a record of a stream: n messages of queue 0 of topic "t", starting at offset base. */
void bare_say_records(struct bare *b, int64_t stream, unsigned attempt, uint64_t base, uint32_t n);

/* The same with a record of the test's own. */
void bare_say_record(struct bare *b, int64_t stream, unsigned attempt, struct slice record);

/* The connection is lost and replaced by a new one. Frames that were not heard are lost. */
void bare_reconnect(struct bare *b);

/* About the frame that was heard last: its method, a field, the messages of its batch. */
bool bare_is(const struct bare *b, const char *method);
struct slice bare_bytes(const struct bare *b, const char *name);
int64_t bare_int(const struct bare *b, const char *name); /* -1: it has none */
unsigned bare_count(const struct bare *b);

/* Sends the reply to the frame that was heard last. */
void bare_answer_text(struct bare *b, const char *text);
void bare_answer_int(struct bare *b, const char *name,
                     int64_t n); /* name NULL: n; else {name: n} */
void bare_answer_place(struct bare *b, int64_t queue, int64_t offset, int64_t count);
void bare_refuse(struct bare *b, const char *code, const char *text);

#endif
