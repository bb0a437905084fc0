/*
 * wire.h: a raw socket to a broker. It sends exactly the bytes it is told to, whole or byte by byte,
 * and waits for bytes, lines, replies or the end, always with a deadline.
 *
 * Functions that return false have put the reason into w->error; nothing here ends the test.
 */
#ifndef HALFMQ_TESTS_WIRE_H
#define HALFMQ_TESTS_WIRE_H

#include "protocol/base/buf.h"
#include "tests/lib/resp_value.h"

#define WIRE_DEADLINE_MS 20000

struct wire {
    int fd;
    struct buf in; /* received and not yet taken */
    bool closed; /* the other side has ended */
    char error[256]; /* why the last call failed */
};

bool wire_open(struct wire *w, uint16_t port); /* 127.0.0.1 */
void wire_close(struct wire *w); /* twice is fine */
void wire_half_close(struct wire *w); /* no more from us; still reading */

bool wire_send(struct wire *w, struct slice bytes);
bool wire_send_str(struct wire *w, const char *text);
bool wire_send_slowly(struct wire *w, struct slice bytes); /* a system call for each byte */

/* An array of bulk strings, as client libraries send them. */
bool wire_send_words(struct wire *w, const struct slice *words, size_t n);

/* At least n bytes are in w->in. */
bool wire_fill(struct wire *w, size_t n);

/* One line without its CR LF, copied to out and ended by NUL. */
bool wire_line(struct wire *w, char *out, size_t out_size);

/* One whole reply; the caller frees it with resp_value_free. */
bool wire_reply(struct wire *w, struct resp_value **ret_v);

/* The other side closes, having sent nothing more. */
bool wire_closed(struct wire *w);

/* Takes in what has arrived, without waiting; false: nothing is there. */
bool wire_pending(struct wire *w);

#endif
