/*
 * conn.h: one client: its socket, its bytes in and out, and what it has under way.
 *
 *             first byte                   whole requests
 *   socket ──► sniff ──► in ──► dialect ──► dispatch ──► answers ──► out ──► socket
 *                         │  resp: stops while an answer must come first (stalled)
 *                         └─ what is not parsed yet; read straight into the loop's scratch page and
 *                            parsed there, so that an idle connection holds no buffer at all
 *
 *   states   open ─► shut (no more requests; answers still go out) ─► lingering (FIN sent, input
 *            thrown away, so that a reset cannot eat the last answer) ─► doomed ─► freed
 *
 * Invariants
 *   1. A RESP client's answers leave in the order of its requests: what cannot keep that order by
 *      itself waits until nothing is in flight (see dispatch.h).
 *   2. A connection is freed at the end of a turn only (conn_reap), so no call can pull it from
 *      under its caller; `doomed` ones swallow everything.
 *   3. Bounds: entries in flight, unparsed input while stalled, unsent output (IN_FLIGHT_*,
 *      STALLED_*, OUT_*). At a bound nothing more is parsed or read; the kernel's window tells the
 *      client.
 *   4. Nobody keeps a pointer to a connection over a turn but its own waits, subscriptions and
 *      streams; entries hold slot and generation.
 *
 * Threads: the loop's own, except for what loop_list_clients reads under the list lock.
 */
#ifndef HALFMQ_BROKER_CONN_H
#define HALFMQ_BROKER_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "broker/checks/asks.h"
#include "broker/journal/entry.h"
#include "broker/base/timers.h"
#include "protocol/resp/resp.h"
#include "protocol/rpc/rpc.h"

struct loop;
struct waiter;
struct subscription;
struct stream;

/* Messages that were leased to this connection by a stream and may still stand in its output: what is not
 * sent when it ends is given back. In the order of the output. (stream_out.h) */
struct mark {
    uint64_t end; /* conn->sent when it will be out */
    struct stream *stream;
    uint32_t topic; /* place in the stream's command */
    uint32_t queue, attempt;
    uint64_t first, last;
};

struct marks {
    struct mark *m; /* ring */
    uint32_t first, n, size;
};

enum dialect { DIALECT_NONE, DIALECT_RESP, DIALECT_RPC };

#define IN_FLIGHT_MAX 4096
#define IN_FLIGHT_BYTES_MAX ((size_t)MIB(8))
#define STALLED_INPUT_MAX ((size_t)KIB(64))
#define OUT_SOFT_MAX ((size_t)MIB(1))
#define OUT_HARD_MAX ((size_t)(REPLY_BYTES_MAX + MIB(32)))
#define READ_BYTES ((size_t)KIB(64))
#define READ_BYTES_BULK ((size_t)KIB(256))
#define CLIENT_NAME_MAX 64

/* To whom an answer goes. */
struct request {
    uint64_t id; /* MessagePack-RPC */
    bool quiet; /* a notification: nothing is answered */
};

struct conn {
    struct loop *loop;
    int fd;
    uint32_t slot, generation;
    uint64_t id;
    int64_t opened_ms; /* monotonic */

    struct event read_event, write_event;
    short watching; /* 0, EV_READ or EV_CLOSED */
    bool writing; /* write_event is added */

    _Atomic enum dialect dialect; /* atomic, as the next two: CLIENT LIST reads them */
    _Atomic uint8_t proto; /* RESP 2 or 3 */
    _Atomic(const struct command_info *) last; /* the newest command */

    bool eof; /* the client sends no more */
    bool shut; /* no more requests are taken */
    bool lingering;
    bool doomed;
    bool touched; /* is in the loop's list of those to settle */
    bool active; /* since the last sweep */
    bool stalled; /* input is left that was not parsed for a reason that passes ... */
    bool for_order; /* ... namely: until nothing is in flight */
    bool blocked; /* RESP: a command with WAIT is out */
    bool throttled; /* at IN_FLIGHT_*; until half is answered */
    bool skipping; /* RESP: inside a request that was too big */
    bool holding; /* `held` is to be answered once nothing is in flight */

    uint32_t in_flight;
    size_t in_flight_bytes;
    struct buf in, out;
    size_t in_at, out_at; /* parsed, sent */
    struct buf held; /* tokens */
    struct resp_reader resp;
    struct rpc_reader *rpc;

    struct waiter *waits; /* parked or running, newest first */
    uint32_t n_waits;
    struct subscription *subscriptions;
    uint32_t n_subscriptions;
    struct asks asks; /* check-backs it was handed; by MessagePack-RPC under these ids */

    struct stream *streams; /* newest first */
    uint32_t n_streams;
    uint64_t last_stream; /* id */
    struct marks marks; /* leases that stand in `out` */
    uint64_t sent; /* bytes, ever */

    char *name; /* NULL: none; changed under the list lock */
    struct timer linger;
    struct conn *next_touched, *next_doomed;
};

/* Takes over fd. ST_NOMEM, ST_IO: fd is still the caller's. */
enum status conn_open(struct loop *l, int fd) MUST_CHECK;

/* NULL: it has gone. */
struct conn *conn_at(struct loop *l, uint32_t slot, uint32_t generation);

/* It has something to flush, to parse or to decide: conn_settle at the end of the turn. */
void conn_touch(struct conn *c);
void conn_settle(struct conn *c);

/* No more requests; what is answered, and what is in flight, is still sent. */
void conn_shut(struct conn *c);

/* The end, now: nothing more is sent. Freed by conn_reap. */
void conn_doom(struct conn *c);
void conn_reap(struct loop *l);

/* Looks whether the client has closed its side meanwhile, read or not; true: it has. */
bool conn_has_closed(struct conn *c);

/* Answers now. tokens: one finished reply. */
void conn_answer(struct conn *c, struct request rq, struct slice tokens);

/* Answers in order: with entries in flight on a text connection it is held until they are
 * answered. */
void conn_answer_in_order(struct conn *c, struct request rq, struct slice tokens);
void conn_refuse(struct conn *c, struct request rq, enum status s, const char *text);

/* Malformed input: says so, then closes. */
void conn_protocol_error(struct conn *c, const char *text);

/* conn_doom, with a line in the log that says why. */
void conn_cut(struct conn *c, const char *why);

/* Where pushes are appended; conn_pushed afterwards cuts a client that does not read. */
struct buf *conn_out(struct conn *c);
void conn_pushed(struct conn *c);

static inline size_t conn_unsent(const struct conn *c)
{
    return c->out.len - c->out_at;
}

/* May the next request be taken? */
bool conn_ready(const struct conn *c);

void conn_entry_out(struct conn *c, const struct entry *e); /* was submitted */
void conn_entry_back(struct conn *c, const struct entry *e); /* came back; answer it first */

/* Gives back what an idle connection does not need. */
void conn_trim(struct conn *c);

/* Sets the name (NULL or "": none). */
enum status conn_set_name(struct conn *c, struct slice name) MUST_CHECK;

#endif
