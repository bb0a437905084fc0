/*
 * wire.h: a raw socket to a broker. It sends exactly the given bytes, at once or byte by byte, and waits for bytes,
 * lines, replies or the end of the connection, always with a deadline.
 *
 * Functions that return false have written the reason to w->error; they do not end the test.
 */
#ifndef HALFMQ_TESTS_WIRE_H
#define HALFMQ_TESTS_WIRE_H

#include "protocol/base/buf.h"
#include "tests/lib/resp_value.h"

#define WIRE_DEADLINE_MS 20000

struct wire {
    int fd;
    struct buf in; /* received and not read yet */
    bool closed; /* the broker has closed the connection */
    char error[256]; /* why the last call failed */
};

bool wire_open(struct wire *w, uint16_t port); /* 127.0.0.1 */
void wire_close(struct wire *w); /* twice is fine */
void wire_half_close(struct wire *w); /* closes our sending half; reading goes on */

bool wire_send(struct wire *w, struct slice bytes);
bool wire_send_str(struct wire *w, const char *text);
bool wire_send_slowly(struct wire *w, struct slice bytes); /* a system call for each byte */

/* Sends an array of bulk strings, as client libraries do. */
bool wire_send_words(struct wire *w, const struct slice *words, size_t n);

/* Waits until at least n bytes are in w->in. */
bool wire_fill(struct wire *w, size_t n);

/* Reads one line and copies it to out, without its CR LF, NUL-terminated. */
bool wire_line(struct wire *w, char *out, size_t out_size);

/* Reads one whole reply; the caller frees it with resp_value_free. */
bool wire_reply(struct wire *w, struct resp_value **ret_v);

/* Waits until the broker closes the connection; false if it sends anything before. */
bool wire_closed(struct wire *w);

/* Receives what has arrived, without waiting; false: w->in is empty. */
bool wire_pending(struct wire *w);

#endif
