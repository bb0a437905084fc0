/*
 * conn.h: one connection: its socket, its bytes in and out, and its state.
 *
 *             first byte                   whole requests
 *   socket ──► sniff ──► in ──► dialect ──► session ──► answers ──► out ──► socket
 *                         │  resp: stops while an answer must come first (stalled)
 *                         └─ what is not parsed yet; read straight into the loop's scratch page and
 *                            parsed there, so that an idle connection holds no buffer at all
 *
 *   OPEN ──► SHUT ──────────────► LINGERING ────────────────► DOOMED ──► freed (conn_reap)
 *     │      no more requests;    FIN sent, input thrown      nothing more
 *     │      answers still        away, so that a reset       is sent
 *     │      go out               cannot eat the last answer     ▲
 *     └──────────────────────────────────────────────────────────┘
 *
 *   conn.c          states, answers, what is in flight: what the session asks for
 *   conn_in.c       bytes in: reading, the first byte, parsing
 *   conn_out.c      bytes out: sending, pushes
 *   conn_tls.c      TLS: what is read and sent goes through it, where the first byte says so
 *   conn_room.c     waiting until connections hold less memory
 *   conn_slice.c    waiting until others have had their turn
 *   conn_settle.c   the decisions of a turn: parse on, push, flush, finish, watch; opening and freeing
 *
 * Whether to parse and whether to read on is one comparison each: `stops` holds the reasons not to, STOPS_PARSING
 * and STOPS_READING say which of them count.
 *
 * Invariants
 *   1. A text client's answers leave in the order of its requests: what cannot keep that order by
 *      itself waits until nothing is in flight (STALL, see ops.h).
 *   2. A connection is freed at the end of a turn only (conn_reap), so no call can pull it from
 *      under its caller; DOOMED ones swallow everything.
 *   3. What it holds is in the account (conn_account after each change), but for itself and its entries.
 *   4. Bounds: entries in flight, unparsed input while stalled, unsent output (IN_FLIGHT_*,
 *      STALLED_*, OUT_*). At a bound nothing more is parsed or read; the kernel's window tells the
 *      client.
 *   5. Nobody keeps a pointer to a connection over a turn but its own session; entries hold slot and generation.
 *
 * Threads: the loop's own, except for what clients_list reads under the lock of the slots.
 */
#ifndef HALFMQ_BROKER_CONN_H
#define HALFMQ_BROKER_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stddef.h>

#include "broker/net/dialect.h"
#include "broker/net/loop.h"
#include "protocol/resp/resp.h"
#include "protocol/rpc/rpc.h"

#define IN_FLIGHT_MAX 4096
#define IN_FLIGHT_BYTES_MAX ((size_t)MIB(8))
#define STALLED_INPUT_MAX ((size_t)KIB(64))
#define IN_HARD_MAX ((size_t)(REQUEST_BYTES_MAX + KIB(512)))
#define OUT_SOFT_MAX ((size_t)MIB(1))
#define OUT_HARD_MAX ((size_t)(REPLY_BYTES_MAX + MIB(32)))
#define READ_BYTES ((size_t)KIB(64))
#define CLIENT_NAME_MAX 64
#define RPC_READER_BYTES ((size_t)KIB(2) + 512) /* about */

enum conn_state { CONN_OPEN, CONN_SHUT, CONN_LINGERING, CONN_DOOMED }; /* never goes back */

/* Why a connection is not parsed, or not read. */
enum conn_stop {
    STOP_ORDER = 1, /* text: the next request must wait until nothing is in flight */
    STOP_WAIT = 2, /* text: a command with WAIT is under way */
    STOP_HELD = 4, /* text: `held` is to be sent once nothing is in flight */
    STOP_THROTTLE = 8, /* IN_FLIGHT_* was reached; until half of it has come back */
    STOP_OUTPUT = 16, /* OUT_SOFT_MAX or more is unsent, or anything while connections hold too much */
    STOP_STATE = 32, /* it is not OPEN any more */
    STOP_INPUT = 64, /* STALLED_INPUT_MAX or more is unparsed */
    STOP_EOF = 128, /* the client sends no more */
    STOP_MEMORY = 256, /* the next command waits until connections hold less (account.h) */
    STOP_SHORT = 512, /* more input waits until then */
    STOP_WORK = 2048, /* its next command waits until less work is in the journal */
    STOP_REPLY = 4096, /* a reply goes out in pieces: nothing may come between them */
    STOP_LOGIN = 16384, /* a login, or passwords of ACL SETUSER, are with the auth worker */
    STOP_SLICE = 1024, /* it has kept the loop busy: the others are first (conn_slice.h) */
    STOP_TURN = 8192, /* TLS: it is read when it has its turn (conn_tls.h) */
};

#define STOPS_PARSING \
    (STOP_ORDER | STOP_WAIT | STOP_HELD | STOP_THROTTLE | STOP_OUTPUT | STOP_STATE | STOP_MEMORY | STOP_SLICE | \
     STOP_WORK | STOP_REPLY | STOP_LOGIN)
#define STOPS_READING \
    (STOP_THROTTLE | STOP_OUTPUT | STOP_STATE | STOP_INPUT | STOP_EOF | STOP_MEMORY | STOP_SHORT | STOP_SLICE | \
     STOP_WORK | STOP_TURN)

/* What the session has under way. */
enum conn_need {
    CONN_WAITS = 1, /* a parked request: the connection is not finished, and is watched for the client's close */
    CONN_PUMPS = 2, /* session_ops.pump and has_room are to be called, and it is watched for the client's close */
    CONN_ANSWERS = 8, /* a reply is being made: the connection is not finished */
    CONN_COUNTS_SENT = 4, /* session_ops.sent is to be called */
    CONN_QUEUES = 16, /* it keeps commands until the client sends more: it is the client's turn */
};

struct conn {
    struct loop *loop;
    int fd;
    bool counted_peer, stranger; /* among those of its address (peers.h); no user yet: its requests must be small */
    struct net_address from;
    uint32_t slot, generation;
    uint64_t id;
    int64_t opened_ms, quiet_ms; /* monotonic; since when nothing was read (loop_idle.c) */

    struct event read_event;
    struct event *write_event; /* NULL: it is not waited for that the socket takes more, as with most connections */
    short watching; /* 0, EV_READ or EV_CLOSED */
    _Atomic uint8_t wire; /* enum conn_wire (conn_tls.h); atomic for CLIENT LIST */
    bool waits_for_room; /* in loop.hellos, not in loop.unread */
    int hello_bytes; /* what the socket waits for until it is reported; 0: for any */
    struct conn_tls *tls; /* NULL: no handshake has begun */
    size_t tls_bytes; /* what OpenSSL has for it, about */

    _Atomic(const struct dialect *) dialect; /* atomic, as the next two: CLIENT LIST reads them */
    _Atomic uint8_t proto; /* RESP 2 or 3 */
    _Atomic(const struct command_info *) last; /* the newest command */
    _Atomic int64_t seen_ms; /* when it last asked for messages, or said what became of them; monotonic */

    enum conn_state state; /* changed by conn_become alone */
    unsigned stops; /* enum conn_stop */
    unsigned needs; /* enum conn_need; the session's, by conn_need */
    bool touched; /* is in the loop's list of those to settle */
    bool active; /* since the last sweep */
    bool stalled; /* input is left that was not parsed, for one of STOPS_PARSING */
    bool skipping, in_taken; /* RESP: inside a request that was too big; an entry has the block of `in` (conn_in_take) */
    bool awaits; /* is in loop.awaiting */
    bool moved, heard; /* bytes were read or sent since the last look (conn_room.c); were read, since that of loop_idle */
    uint8_t stuck, slow; /* looks since then; those in which its unfinished request hardly grew */
    uint8_t lane; /* enum account_lane */
    bool reply_lane; /* may be answered at length, though connections hold too much */
    bool wants_lane; /* its next command needs it */
    bool long_slice; /* it is in the second of loop.sliced */

    uint32_t in_flight;
    size_t in_flight_bytes;
    size_t kept; /* what the session keeps for it, and what its POPs in flight may need; bytes */
    size_t counted; /* what the account has of it */
    struct buf in, out;
    size_t in_at, out_at; /* parsed, sent */
    struct buf held; /* tokens */
    struct resp_reader resp;
    struct rpc_reader *rpc; /* while a frame is unfinished */
    uint64_t sent; /* bytes, ever */

    char *name, *user; /* the client's own, its user's; NULL: none, or `default`; changed under the lock of the slots */
    struct timer linger; /* closes it: LINGERING, or a handshake that does not end */
    struct conn *next_touched, *next_doomed;
    struct conn *next_sliced; /* in a struct conn_queue: sliced, workers, hellos or unread */
    struct conn *prev_awaiting, *next_awaiting;
    size_t request_had, request_bytes; /* what it had at the last look (conn_room.c); while it waits to be read: what its unfinished request has at least */
    _Alignas(max_align_t) unsigned char session[]; /* session_ops.size bytes */
};

/* The connection in this slot. NULL: it has been freed; another one may be there. */
static inline struct conn *conn_at(const struct loop *l, uint32_t slot, uint32_t generation)
{
    if (slot >= l->slots.size || l->slots.slot[slot].generation != generation)
        return NULL;
    return l->slots.slot[slot].conn;
}

/* True where replies have no ids and keep the order of the requests. */
static inline bool conn_is_text(const struct conn *c)
{
    const struct dialect *d = c->dialect;
    return d->text;
}

static inline size_t conn_unsent(const struct conn *c)
{
    return c->out.len - c->out_at;
}

/* Brings the account up to date, after anything that the connection holds has grown or shrunk. */
static inline void conn_account(struct conn *c)
{
    size_t now = c->in.size + c->out.size + c->held.size + c->resp.text.size + c->kept +
                 c->tls_bytes + c->resp.words_size * sizeof *c->resp.words + (c->rpc ? RPC_READER_BYTES : 0);
    if (now == c->counted)
        return;
    account_change(&c->loop->shared->account, c->counted, now);
    c->counted = now;
}

/* True while connections hold too much (account.h). */
static inline bool conn_memory_is_short(const struct conn *c)
{
    return account_is_over(&c->loop->shared->account);
}

/* An empty buffer of the connection goes back to the loop's spare ones; where memory is short it is freed. */
static inline void conn_give_buf(struct conn *c, struct buf *b)
{
    if (conn_memory_is_short(c))
        buf_free(b);
    else
        bufs_give(&c->loop->bufs, b);
}

/* Counts bytes that the session keeps for this connection; and no longer keeps. */
void conn_keep(struct conn *c, size_t bytes);
void conn_keep_no_more(struct conn *c, size_t bytes);

/* May the next request be taken? */
static inline bool conn_ready(const struct conn *c)
{
    return (c->stops & STOPS_PARSING) == 0;
}

/* True where nothing is sent any more. */
static inline bool conn_is_doomed(const struct conn *c)
{
    return c->state == CONN_DOOMED;
}

/* True where no more requests come, or are taken: then nothing may be parked for it. */
static inline bool conn_is_ending(const struct conn *c)
{
    return (c->stops & (STOP_STATE | STOP_EOF)) != 0;
}

/* Sets or clears one bit of the needs. */
static inline void conn_need(struct conn *c, enum conn_need need, bool on)
{
    c->needs = on ? c->needs | need : c->needs & ~(unsigned)need;
}

/* Puts it into the list of connections to settle at the end of the turn. No-op if it is in it. */
void conn_touch(struct conn *c);

/* Takes no more requests. Replies that are made, or in flight, are still sent. */
void conn_shut(struct conn *c);

/* Ends what it waits for, then shuts it: for CLIENT KILL, and for a loop that drains. */
void conn_dismiss(struct conn *c);

/* Ends it at once: nothing more is sent. conn_reap frees it. */
void conn_doom(struct conn *c);

void conn_cut(struct conn *c, const char *why); /* conn_doom, and a line in the log that says why */

/* Notes that the client sends no more (end of input). */
void conn_end_input(struct conn *c);

/* Looks at the socket whether the client has closed its side, even behind input that was not read yet. True: it has. */
bool conn_has_closed(struct conn *c);

/* Sends a reply now. tokens: one finished reply. Where the loop's reply buffer failed while it was made there, the
 * connection is cut instead: callers need not look. */
void conn_answer(struct conn *c, struct request rq, struct slice tokens);

/* Sends a piece of a reply, whole tokens, but no message is cut (first: it begins the reply). Nothing else may
 * be sent before the last of them. conn_piece_size: how many bytes it is in the output; the connection is doomed. */
void conn_answer_piece(struct conn *c, struct request rq, struct slice tokens, bool first);
size_t conn_piece_size(struct conn *c, struct request rq, struct slice tokens, bool first);

/* Sends a reply in order: on a text connection with entries in flight it is held until those have been replied to.
 * conn_refuse: the same, with an error; text NULL: the status's own words. */
void conn_answer_in_order(struct conn *c, struct request rq, struct slice tokens);
void conn_refuse(struct conn *c, struct request rq, enum status s, const char *text);

/* Malformed input: replies with the error, then shuts the connection. */
void conn_protocol_error(struct conn *c, const char *text);

/* The output, to append pushes to. Call conn_pushed (conn_out.h) afterwards, which disconnects a client that does not
 * read; or conn_grew, if the sender keeps within OUT_SOFT_MAX by itself. */
struct buf *conn_out(struct conn *c);

/* Sets or clears STOP_OUTPUT, after the output has grown or shrunk. */
static inline void conn_grew(struct conn *c)
{
    size_t unsent = conn_unsent(c);
    conn_account(c);
    bool full = unsent >= OUT_SOFT_MAX || (unsent && conn_memory_is_short(c));
    c->stops = full ? c->stops | STOP_OUTPUT : c->stops & ~(unsigned)STOP_OUTPUT;
}

/* About how many words and messages the command works on, where these are many; else 0. */
size_t conn_work(const struct command *cmd);

/* Counts an entry that was submitted, that came back (reply to it first), or whose connection is freed meanwhile. */
void conn_entry_out(struct conn *c, const struct entry *e);
void conn_entry_back(struct conn *c, const struct entry *e);
void conn_entry_lost(struct loop *l, const struct entry *e);

/* On a text connection: takes no more requests until conn_wait_over, since a command with WAIT is under way. */
void conn_wait_begins(struct conn *c);
void conn_wait_over(struct conn *c);

/* Sets the name, or the user ("": none). ST_NOMEM. */
enum status conn_set_text(struct conn *c, char **text, struct slice value) MUST_CHECK;

void conn_trim(struct conn *c); /* frees what an idle connection does not need */
/* ---- of broker/net alone: the one place where the state changes ---- */
void conn_become(struct conn *c, enum conn_state state);

#endif
