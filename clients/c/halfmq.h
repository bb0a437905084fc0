/*
 * halfmq.h: the C client of HalfMQ. One header, one library (`pkg-config --cflags --libs halfmq`).
 *
 *   hmq_options ──► hmq_client ──┬── hmq_call             any command of the broker
 *   (names, URI)    one          ├── hmq_pop, hmq_ack ..  plain consuming
 *                   connection   ├── hmq_group_*, hmq_dlq_*, hmq_topic_*   managing
 *                                ├── hmq_producer         batches, resends without doubling
 *                                ├── hmq_txn_producer     half messages, commit, check-back
 *                                ├── hmq_consumer         callback, workers, leases, draining
 *                                ├── hmq_reader           one queue from an offset on, without a group
 *                                └── hmq_subscription     live copies of new messages
 *
 * Rules that hold everywhere
 *   Results    Every call that can fail returns enum hmq_status, HMQ_OK (0) for success. Its result
 *              is in the last argument before `err`, and is untouched on failure. `err` may be NULL;
 *              otherwise its code and text are set, on success too (HMQ_OK, "").
 *   Ownership  What a _new function or a ret_ argument gave you is yours; free it with the _free or
 *              _close function named with it. _free(NULL) does nothing. Arguments are copied before
 *              the call returns, unless said otherwise. A client that is freed lives on until its
 *              last producer, consumer, reader and subscription is closed. Messages that are kept outlive
 *              both (hmq_message_keep).
 *   Threads    Several threads may use an object at once, except for hmq_options, hmq_request,
 *              hmq_reply and hmq_batch, which belong to one thread at a time. By default a client
 *              runs one thread for its socket ("the I/O thread"). Callbacks run there unless said
 *              otherwise, and must not block; a blocking call from one returns HMQ_EWOULDBLOCK.
 *   Time       Milliseconds. A timeout_ms of HMQ_DEFAULT (-1) means the option call_timeout_ms.
 *   Versions   A structure whose first member is its size may get new members in later versions, at its end. A program
 *              that was compiled with an older header goes on working; one with a newer header is refused where it
 *              sets what the library does not know. hmq_error, hmq_prop, hmq_prop_bytes and hmq_position never change, enumerations get new values.
 *   Text       Strings are UTF-8 or plain bytes that end with NUL; bodies are any bytes with a length.
 *   Outcome    HMQ_EUNKNOWN means: the request was sent, but its reply is lost; it may have been done.
 *              Every other failure means: it was not done.
 * The library has no global state, prints nothing, and does not end the process.
 *   fork       The child must neither use nor free the parent's objects; it makes its own. Descriptors are
 *              closed by exec.
 *   Signals    The library installs no handler and raises no signal, SIGPIPE neither; its I/O thread blocks
 *              all. No function may be called from a signal handler.
 *   Leaving    A callback returns: no C++ exception, longjmp, pthread_exit or thread cancellation may leave
 *              it, nor may a thread be cancelled inside a function of the library. They would leave locks
 *              and counts behind.
 */
#ifndef HALFMQ_H
#define HALFMQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HMQ_API __attribute__((visibility("default")))
#define HMQ_MUST_CHECK __attribute__((warn_unused_result)) /* without the status, nobody would know */
#else
#define HMQ_API
#define HMQ_MUST_CHECK
#endif

#define HMQ_VERSION "0.1.0" /* of this header; hmq_version() is that of the library */
#define HMQ_VERSION_NUMBER 1000 /* major * 1,000,000 + minor * 1000 + patch, for #if */

#define HMQ_DEFAULT (-1) /* timeout_ms: what the option call_timeout_ms says */

/* ---- Errors --------------------------------------------------------------------------------- */

enum hmq_status {
    HMQ_OK = 0,
    /* the client's own */
    HMQ_EINVAL = 1, /* an argument or option is wrong; the text names it */
    HMQ_ENOMEM = 2, /* no memory */
    HMQ_ETIMEDOUT = 3, /* the deadline passed before the request was sent: not done */
    HMQ_EDISCONNECTED = 4, /* no connection until the deadline, nothing was sent: not done */
    HMQ_EUNKNOWN = 5, /* sent, but the reply is lost, or it was repeated and then refused: it may have been done */
    HMQ_EAGAIN = 6, /* a limit of this client is reached: not done, try again later */
    HMQ_EWOULDBLOCK = 7, /* a blocking call on the I/O thread or the application's loop thread */
    HMQ_ECLOSED = 8, /* the object is being closed */
    HMQ_EPROTO = 9, /* what the broker sent is not valid */
    HMQ_ESYSTEM = 10, /* the operating system refused; the text says what */
    HMQ_EINTERRUPTED = 11, /* hmq_reader_interrupt ended the wait */
    /* the broker's codes: not done */
    HMQ_EREFUSED = 20, /* ERR: the request cannot be carried out */
    HMQ_ENOTOPIC = 21,
    HMQ_ENOGROUP = 22,
    HMQ_ENOTXN = 23, /* no such transaction, or its outcome is no longer stored */
    HMQ_ETXNCONFLICT = 24, /* it was decided the other way; that decision stands */
    HMQ_ESTALE = 25, /* the lease expired; the message is redelivered, or was */
    HMQ_ETOOBIG = 26,
    HMQ_EBADNAME = 27,
    HMQ_EEXISTS = 28,
    HMQ_EBUSY = 29, /* a limit of the broker is reached: try again later */
    HMQ_EDISKFULL = 30,
    HMQ_EREADONLY = 31,
    HMQ_ELIMIT = 32,
    HMQ_ENOAUTH = 33,
    HMQ_EWRONGPASS = 34,
    HMQ_ENOPERM = 35,
    HMQ_ENOPROTO = 36,
    HMQ_ENOTLEADER = 37,
    HMQ_EDAMAGED = 38 /* stored bytes are damaged; the text says which messages, and where to go on */
};

#define HMQ_ERROR_TEXT_SIZE 256

/* On the caller's stack; needs no initialisation and no clean-up. */
typedef struct hmq_error {
    enum hmq_status code;
    char text[HMQ_ERROR_TEXT_SIZE]; /* a sentence for people, NUL-terminated, cut where it is too long */
} hmq_error;

/* What the status means in general. Static text, never NULL. */
HMQ_API const char *hmq_strerror(enum hmq_status status);

/* "HMQ_ESTALE". Static text, never NULL. */
HMQ_API const char *hmq_status_name(enum hmq_status status);

/* 1 if the same call may succeed a little later though nothing is changed. */
HMQ_API int hmq_status_retryable(enum hmq_status status);

/* The version of the library; that of this header is HMQ_VERSION. Static text. */
HMQ_API const char *hmq_version(void);
HMQ_API int hmq_version_number(void);

/* ---- Options -------------------------------------------------------------------------------- */

typedef struct hmq_options hmq_options;

/* All options at their defaults. NULL: no memory. Free with hmq_options_free. */
HMQ_API hmq_options *hmq_options_new(void);
HMQ_API void hmq_options_free(hmq_options *options);

/*
 * Sets one option by name from text, as "linger_ms", "5". Numbers are decimal, switches yes or no.
 * HMQ_EINVAL: there is no such option, or the value is outside its limits; the text says which.
 * hmq_options_describe and the manual page halfmq_options(3) list all options.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_options_set(hmq_options *options, const char *name, const char *value,
                                        hmq_error *err);

/*
 * Sets options from `hmq://[user:password@]host[:port][,host[:port]...][?name=value[&name=value...]]`, or hmqs:// with TLS
 * (%XX is decoded; an IPv6 address is written in [], a Unix socket as unix:%2Frun%2Fhalfmq.sock). NULL: from the environment variable HALFMQ_URL;
 * where that is not set, nothing is changed. HMQ_EINVAL: not of that form, or a wrong value; the options
 * before it are set.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_options_set_uri(hmq_options *options, const char *uri, hmq_error *err);

/* Writes the option as text into value (size bytes, cut where it is too long). HMQ_EINVAL: no such option. */
HMQ_API enum hmq_status hmq_options_get(const hmq_options *options, const char *name, char *value,
                                        size_t size, hmq_error *err);

/* Name, default and a line of help of option number i (from 0), as static text. Returns 0 past the last one. */
HMQ_API int hmq_options_describe(size_t i, const char **ret_name, const char **ret_default,
                                 const char **ret_help);

enum hmq_event {
    HMQ_EVENT_CONNECTED = 1, /* text: the address */
    HMQ_EVENT_DISCONNECTED, /* text: why; the client connects again */
    HMQ_EVENT_CONNECT_FAILED, /* text: the address and why */
    HMQ_EVENT_TROUBLE /* the broker refused the login, or a request of a consumer, subscription or check-back service, or
                       * ended what the rules of the user allow no more; text: which */
};

typedef void (*hmq_event_fn)(void *arg, enum hmq_event event, const char *text);

/* Sets a function that is called with these events, on the I/O thread. It is meant for logs and tests. */
HMQ_API void hmq_options_set_event_fn(hmq_options *options, hmq_event_fn fn, void *arg);

/* ---- Client --------------------------------------------------------------------------------- */

typedef struct hmq_client hmq_client;

/*
 * A client with a thread of its own. It connects in the background, and again whenever the connection
 * is lost, with pauses that grow from reconnect_min_ms to reconnect_max_ms and are jittered. It tries the
 * servers and their addresses one after the other, side by side where one does not answer within 250 ms
 * (RFC 8305). This does not wait for the connection: calls do. options NULL: defaults and
 * HALFMQ_URL. They are copied; producers and consumers of this client inherit them.
 * HMQ_EINVAL (HALFMQ_URL is wrong), HMQ_ENOMEM, HMQ_ESYSTEM (no thread or descriptor).
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_client_new(const hmq_options *options, hmq_client **ret_client,
                                       hmq_error *err);

/* The same from a URI; NULL: HALFMQ_URL, else 127.0.0.1:4253. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_client_open(const char *uri, hmq_client **ret_client, hmq_error *err);

/*
 * Closes the client at once: requests under way fail with HMQ_ECLOSED (HMQ_EUNKNOWN where they were
 * sent), and their callbacks have run when this returns. Waits only for a callback that is running. Call hmq_client_flush before,
 * if the requests matter. In a callback, it is closed after that has returned. Where it has producers, consumers, readers
 * or subscriptions yet, all of this happens when the last of them is closed.
 */
HMQ_API void hmq_client_free(hmq_client *client);

/* Waits until connected. HMQ_EDISCONNECTED, with the last reason; HMQ_EWOULDBLOCK, HMQ_ECLOSED. */
HMQ_API enum hmq_status hmq_client_wait(hmq_client *client, int64_t timeout_ms, hmq_error *err);

/* Waits until no request is pending, and the last callback has returned. HMQ_ETIMEDOUT: some still are; they are not
 * cancelled. */
HMQ_API enum hmq_status hmq_client_flush(hmq_client *client, int64_t timeout_ms, hmq_error *err);

/* ---- The application's own event loop ------------------------------------------------------- */

/*
 * A client without a thread: it tells the application's loop which descriptors to watch and when to
 * call it, and the loop does. adapters/ has this for libevent, libuv and epoll, as examples.
 * Initialise with HMQ_LOOP.
 */
typedef struct hmq_loop {
    size_t size; /* sizeof(hmq_loop), set by HMQ_LOOP */
    void *arg;
    /* Watch fd for what is 1. Both 0: stop watching it, it is about to be closed. There are at most two
     * descriptors: the socket, and one by which other threads wake the loop. */
    void (*watch)(void *arg, int fd, int want_read, int want_write);
    /* Call hmq_client_timeout once, in_ms from now; replaces the last deadline. -1: do not call it. */
    void (*deadline)(void *arg, int64_t in_ms);
} hmq_loop;

#define HMQ_LOOP                           \
    {                                      \
        sizeof(hmq_loop), NULL, NULL, NULL \
    }

/*
 * A client driven by the application. Both functions of *loop (copied) are called only from inside
 * this call, hmq_client_readable, _writable, _timeout and _free. The thread that made the last of
 * these calls is the loop thread: blocking calls from it return HMQ_EWOULDBLOCK; asynchronous calls
 * work from any thread. Host names (not addresses) are looked up on a thread of their own. Calls that close or flush (hmq_consumer_close, hmq_producer_flush ...) do
 * work on the loop thread, outside callbacks: they drive the socket themselves meanwhile.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_client_new_loop(const hmq_options *options, const hmq_loop *loop,
                                            hmq_client **ret_client, hmq_error *err);

/* The loop found fd ready, or the deadline passed. A descriptor that is no longer in use is ignored. */
HMQ_API void hmq_client_readable(hmq_client *client, int fd);
HMQ_API void hmq_client_writable(hmq_client *client, int fd);
HMQ_API void hmq_client_timeout(hmq_client *client);

/* ---- Requests and replies: any command ------------------------------------------------------ */

typedef struct hmq_request hmq_request;
typedef struct hmq_reply hmq_reply;

/*
 * method: the words of the command in lower case, joined by _, such as "topic_create". Then put each
 * argument by its name in the protocol: positional ones ("topic", "body") and options ("ttl") alike.
 * Where memory runs out, the call reports it. NULL: no memory. Free with hmq_request_free. A request may
 * be used for several calls.
 */
HMQ_API hmq_request *hmq_request_new(const char *method);
HMQ_API void hmq_request_free(hmq_request *request);
HMQ_API void hmq_request_put_text(hmq_request *request, const char *name, const char *text);
HMQ_API void hmq_request_put_bytes(hmq_request *request, const char *name, const void *data,
                                   size_t len);
HMQ_API void hmq_request_put_int(hmq_request *request, const char *name, int64_t value);
HMQ_API void hmq_request_put_list(hmq_request *request, const char *name, const char *const *texts,
                                  size_t n);

/* A list of any bytes, for the bodies of msend. */
HMQ_API void hmq_request_put_bytes_list(hmq_request *request, const char *name,
                                        const void *const *data, const size_t *lens, size_t n);

/* A map of texts, for "prop". */
HMQ_API void hmq_request_put_map(hmq_request *request, const char *name, const char *const *names,
                                 const char *const *values, size_t n);

/* Says that doing it twice does no harm: after a reconnect the request is sent again and does not fail
 * with HMQ_EUNKNOWN, and after HMQ_EBUSY it is tried again until the deadline. */
HMQ_API void hmq_request_repeatable(hmq_request *request);

/*
 * Sends a request and waits for its reply. The timeout includes waiting for a connection. ret_reply may
 * be NULL; else free *ret_reply with hmq_reply_free. Besides the broker's codes: HMQ_ETIMEDOUT,
 * HMQ_EDISCONNECTED, HMQ_EUNKNOWN, HMQ_EAGAIN (max_pending, max_pending_bytes, max_memory), HMQ_ENOMEM,
 * HMQ_EWOULDBLOCK, HMQ_ECLOSED.
 */
HMQ_API enum hmq_status hmq_call(hmq_client *client, const hmq_request *request, int64_t timeout_ms,
                                 hmq_reply **ret_reply, hmq_error *err);

/* reply: yours to free; NULL where err->code is not HMQ_OK. */
typedef void (*hmq_reply_fn)(void *arg, hmq_reply *reply, const hmq_error *err);

/* If this returns HMQ_OK, fn (may be NULL) is called exactly once, later, on the I/O thread. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_call_async(hmq_client *client, const hmq_request *request,
                                       int64_t timeout_ms, hmq_reply_fn fn, void *arg,
                                       hmq_error *err);

enum hmq_type { HMQ_NIL, HMQ_BOOL, HMQ_INT, HMQ_DOUBLE, HMQ_BYTES, HMQ_LIST, HMQ_MAP };

HMQ_API void hmq_reply_free(hmq_reply *reply); /* the whole reply, not a part of it */

/* A part is valid until the reply is freed. Every function takes NULL as a reply of type HMQ_NIL. */
HMQ_API enum hmq_type hmq_reply_type(const hmq_reply *reply);
HMQ_API int64_t hmq_reply_int(const hmq_reply *reply, int64_t otherwise); /* INT, BOOL, or digits */
HMQ_API double hmq_reply_double(const hmq_reply *reply, double otherwise);
HMQ_API const char *hmq_reply_text(const hmq_reply *reply); /* BYTES, NUL added; else NULL */
HMQ_API const void *hmq_reply_bytes(const hmq_reply *reply, size_t *ret_len);
HMQ_API size_t hmq_reply_len(const hmq_reply *reply); /* LIST: items; MAP: pairs; else 0 */
HMQ_API const hmq_reply *hmq_reply_at(const hmq_reply *reply,
                                      size_t i); /* item, or a pair's value */
HMQ_API const hmq_reply *hmq_reply_key(const hmq_reply *reply, size_t i); /* a pair's key */
HMQ_API const hmq_reply *hmq_reply_get(const hmq_reply *reply, const char *name); /* MAP by key */

/* ---- Messages ------------------------------------------------------------------------------- */

#define HMQ_ID_SIZE 192 /* bytes for any message id, receipt or delay token, NUL included */

typedef struct hmq_message hmq_message;
typedef struct hmq_batch hmq_batch;

typedef uint64_t hmq_txid; /* 2^32 .. 2^63-1: fits a signed 64-bit column of a database */

/* A property as any bytes; a NUL, which does not count, follows each text that the library returns. */
typedef struct hmq_prop_bytes {
    const void *name;
    size_t name_len;
    const void *value;
    size_t value_len;
} hmq_prop_bytes;

/*
 * Results are borrowed from the message. Text that it does not have is NULL, numbers are 0. Keys, the ORDER key and
 * properties may be any bytes: as text they seem to end at their first NUL, the _bytes functions have the length
 * (ret_len may be NULL). Several threads may read a message at once.
 */
HMQ_API const char *hmq_message_id(const hmq_message *m); /* "topic:queue:offset"; NULL: a half message has none yet */
HMQ_API const char *hmq_message_receipt(const hmq_message *m); /* "topic:queue:offset#attempt" */
HMQ_API const char *hmq_message_topic(const hmq_message *m);
HMQ_API const void *hmq_message_body(const hmq_message *m,
                                     size_t *ret_len); /* a NUL follows it */
HMQ_API size_t hmq_message_key_count(const hmq_message *m);
HMQ_API const char *hmq_message_key(const hmq_message *m, size_t i); /* the i-th KEY */
HMQ_API const void *hmq_message_key_bytes(const hmq_message *m, size_t i, size_t *ret_len);
HMQ_API const char *hmq_message_tag(const hmq_message *m);
HMQ_API const char *hmq_message_order(const hmq_message *m);
HMQ_API const void *hmq_message_order_bytes(const hmq_message *m, size_t *ret_len);
HMQ_API const char *hmq_message_prop(const hmq_message *m, const char *name);
HMQ_API const void *hmq_message_prop_bytes(const hmq_message *m, const char *name, size_t *ret_len);
HMQ_API size_t hmq_message_prop_count(const hmq_message *m);
HMQ_API int hmq_message_prop_at(const hmq_message *m, size_t i, hmq_prop_bytes *ret_prop); /* 0 past the last one */
HMQ_API uint32_t hmq_message_queue(const hmq_message *m);
HMQ_API uint64_t hmq_message_offset(const hmq_message *m);
HMQ_API uint32_t hmq_message_attempt(const hmq_message *m); /* in the receipt; 1 at first, where the group is new */
HMQ_API int64_t hmq_message_born_ms(const hmq_message *m); /* Unix time: when it was sent */
HMQ_API int64_t hmq_message_stored_ms(const hmq_message *m); /* Unix time: when it became visible */
HMQ_API int64_t hmq_message_expires_ms(const hmq_message *m); /* Unix time; 0: never */
HMQ_API int hmq_message_priority(const hmq_message *m); /* 0..9; -1: none was given */
HMQ_API hmq_txid hmq_message_txid(const hmq_message *m); /* of the transaction that it came from */
HMQ_API const char *hmq_message_group(const hmq_message *m); /* of hmq_pop: the group; dead letter: the one that gave it up */
HMQ_API const char *hmq_message_reason(const hmq_message *m); /* dead letter: why */
HMQ_API const char *hmq_message_origin(const hmq_message *m); /* dead letter: its first id */
HMQ_API uint32_t hmq_message_attempts(const hmq_message *m); /* dead letter: how often it was delivered */
HMQ_API int64_t hmq_message_lease_until_ms(const hmq_message *m); /* the broker's time, as of the delivery */
HMQ_API const hmq_reply *hmq_message_attributes(const hmq_message *m); /* MAP: everything */

/* ---- Plain consuming ------------------------------------------------------------------------ */

/*
 * Leases up to count (1..1000) messages for lease_ms (HMQ_DEFAULT: the option). The broker waits up to
 * wait_ms for the first one; the call may take call_timeout_ms longer. HMQ_OK with an empty batch: none
 * came. Free *ret_batch with hmq_batch_free. HMQ_ENOTOPIC; HMQ_EUNKNOWN: messages may have been leased
 * that nobody received; they are redelivered when the lease expires.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_pop(hmq_client *client, const char *group, const char *const *topics,
                                size_t n_topics, size_t count, int64_t wait_ms, int64_t lease_ms,
                                hmq_batch **ret_batch, hmq_error *err);

HMQ_API size_t hmq_batch_count(const hmq_batch *batch);
HMQ_API const hmq_message *hmq_batch_at(const hmq_batch *batch, size_t i); /* NULL past the end */
HMQ_API void hmq_batch_free(hmq_batch *batch);

/* Acknowledges these (at most 10000). *ret_count (may be NULL): how many were acknowledged by this call.
 * A receipt whose lease is lost does not count, and neither does one that was acknowledged before. */
HMQ_API enum hmq_status hmq_ack(hmq_client *client, const char *group, const char *const *receipts,
                                size_t n, int64_t timeout_ms, size_t *ret_count, hmq_error *err);

/* Requeues the message, to be redelivered in delay_ms (HMQ_DEFAULT: the group's backoff). reason may be NULL. */
HMQ_API enum hmq_status hmq_nack(hmq_client *client, const char *group, const char *receipt,
                                 int64_t delay_ms, const char *reason, int64_t timeout_ms,
                                 hmq_error *err);

/* Extends the lease: it expires lease_ms from now. HMQ_ESTALE: it is lost already. */
HMQ_API enum hmq_status hmq_extend(hmq_client *client, const char *group, const char *receipt,
                                   int64_t lease_ms, int64_t timeout_ms, hmq_error *err);

/* Makes the message a dead letter. */
HMQ_API enum hmq_status hmq_reject(hmq_client *client, const char *group, const char *receipt,
                                   const char *reason, int64_t timeout_ms, hmq_error *err);

/* ---- Places in a topic ---------------------------------------------------------------------- */

enum hmq_place {
    HMQ_AT_EARLIEST = 0, /* the oldest message that is kept */
    HMQ_AT_LATEST, /* the end: what is stored from now on */
    HMQ_AT_TIME, /* the first message that was stored at time_ms, or later */
    HMQ_AT_OFFSET, /* queue, offset */
    HMQ_BEFORE_END /* so many (offset) messages before the end; hmq_read only */
};

typedef struct hmq_position {
    enum hmq_place place;
    uint32_t queue; /* hmq_read: always; a seek: HMQ_AT_OFFSET only */
    uint64_t offset;
    int64_t time_ms; /* Unix time */
} hmq_position;

/*
 * Reads up to count messages (1..1000) of a queue, without a group; fewer where fewer are there, or where they are large.
 * Waits up to wait_ms for the first one. For much, or for long, take a reader. Free *ret_batch with hmq_batch_free.
 * HMQ_ENOTOPIC; HMQ_EREFUSED: no such queue; HMQ_EDAMAGED: the first of them is damaged on the broker's disk.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_read(hmq_client *client, const char *topic, const hmq_position *from,
                                                size_t count, int64_t wait_ms, hmq_batch **ret_batch, hmq_error *err);

/* ---- Groups: settings, pausing, seeking ----------------------------------------------------- */

enum hmq_filter {
    HMQ_FILTER_LEAVE = 0, /* as it is; of a new group: none */
    HMQ_FILTER_NONE,
    HMQ_FILTER_TAG, /* the TAG is one of these: "eu||us" */
    HMQ_FILTER_WHERE /* an expression over properties and attributes, as in SQL: "amount > 1000 AND currency = 'EUR'" */
};

/* Initialise with HMQ_GROUP_SETTINGS: each member then says "leave it", or of a new group "the default". */
typedef struct hmq_group_settings {
    size_t size; /* sizeof(hmq_group_settings), set by HMQ_GROUP_SETTINGS */
    int ordered; /* 1: one message of each ORDER key is leased at a time, the next one after its end; 0: no; -1 */
    enum hmq_filter filter_kind;
    const char *filter; /* of kind TAG or WHERE */
    int64_t lease_ms; /* of a POP that names none; -1 */
    int64_t attempts; /* deliveries after which a message is a dead letter; -1 */
    const int64_t *backoff_ms; /* the pauses before attempts 2, 3 ...; the last one repeats */
    size_t n_backoff_ms; /* 0: leave it; at most 64. One pause of 0: none */
    int64_t rate; /* messages in any second; 0: no limit; -1 */
    int64_t inflight; /* messages that are leased at a time; 0: no limit; -1 */
} hmq_group_settings;

#define HMQ_GROUP_SETTINGS                                                                     \
    {                                                                                          \
        sizeof(hmq_group_settings), -1, HMQ_FILTER_LEAVE, NULL, -1, -1, NULL, 0, -1, -1        \
    }

/*
 * Makes a consumer group on a topic, which a first POP would do with the defaults. from: HMQ_AT_EARLIEST, HMQ_AT_LATEST or
 * HMQ_AT_TIME; NULL: the earliest. settings NULL: the defaults. HMQ_EEXISTS, HMQ_ENOTOPIC; HMQ_EREFUSED: a setting is
 * wrong, the text says where (of a filter: at which character).
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_group_create(hmq_client *client, const char *group, const char *topic,
                                                        const hmq_position *from, const hmq_group_settings *settings,
                                                        int64_t timeout_ms, hmq_error *err);

/* Changes settings, while consumers go on. HMQ_ENOGROUP, HMQ_ENOTOPIC, HMQ_EREFUSED. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_group_set(hmq_client *client, const char *group, const char *topic,
                                                     const hmq_group_settings *settings, int64_t timeout_ms,
                                                     hmq_error *err);

/* Deletes the group, on all topics, with its dead letters. HMQ_ENOGROUP. */
HMQ_API enum hmq_status hmq_group_delete(hmq_client *client, const char *group, int64_t timeout_ms, hmq_error *err);

/* No message is delivered until hmq_group_resume; acknowledgements go on. topic NULL: on all of the group's. It is kept
 * over restarts of the broker. HMQ_ENOGROUP. */
HMQ_API enum hmq_status hmq_group_pause(hmq_client *client, const char *group, const char *topic, int64_t timeout_ms,
                                        hmq_error *err);
HMQ_API enum hmq_status hmq_group_resume(hmq_client *client, const char *group, const char *topic, int64_t timeout_ms,
                                         hmq_error *err);

/* *ret_info: LIST of MAPs, one for each topic: settings, counts, consumers, what a filter, limit or pause holds back. Free
 * it with hmq_reply_free. HMQ_ENOGROUP. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_group_info(hmq_client *client, const char *group, int64_t timeout_ms,
                                                      hmq_reply **ret_info, hmq_error *err);

/*
 * Moves the group to a place: of all queues of the topic, or with HMQ_AT_OFFSET of one. What lies behind it is delivered
 * (again), what lies before it never. Receipts that are out become stale: consumers learn it by HMQ_ESTALE, or
 * hmq_message_lost. Attempts begin anew. HMQ_ENOGROUP, HMQ_ENOTOPIC; HMQ_EREFUSED: no such queue.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_group_seek(hmq_client *client, const char *group, const char *topic,
                                                      const hmq_position *to, int64_t timeout_ms, hmq_error *err);

/* Changes nothing. *ret_map: MAP that says what would be ready; free it with hmq_reply_free. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_group_seek_dry_run(hmq_client *client, const char *group, const char *topic,
                                                              const hmq_position *to, int64_t timeout_ms,
                                                              hmq_reply **ret_map, hmq_error *err);

#define HMQ_CURSOR_SIZE 256 /* bytes for the cursor of a list, NUL included */

typedef struct hmq_lease_list hmq_lease_list;

typedef struct hmq_lease {
    size_t size; /* set by the caller: sizeof(hmq_lease); then how much was filled */
    const char *receipt; /* texts are borrowed from the list */
    int64_t lease_until_ms; /* Unix time */
    const char *consumer; /* its connection; NULL: it is gone, or the broker was restarted since */
} hmq_lease;

/*
 * What the consumers of a group have, a page at a time. topic NULL: on all of its topics. count: 0: the broker's 100.
 * cursor: HMQ_CURSOR_SIZE bytes that are "" at first; it is moved on, and "" again behind the last page. NULL: the first
 * page only. Free *ret_leases with hmq_lease_list_free. HMQ_ENOGROUP.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_group_leases(hmq_client *client, const char *group, const char *topic,
                                                        size_t count, char *cursor, int64_t timeout_ms,
                                                        hmq_lease_list **ret_leases, hmq_error *err);

/* Fills *ret_lease up to its size; 0 past the last one, or where that cannot be its size. */
HMQ_API int hmq_lease_at(const hmq_lease_list *leases, size_t i, hmq_lease *ret_lease);
HMQ_API void hmq_lease_list_free(hmq_lease_list *leases);

/* ---- Dead letters --------------------------------------------------------------------------- */

/* The dead letters of a group, oldest first, a page at a time, as hmq_group_leases. hmq_message_origin, _reason and
 * _attempts tell of their past; hmq_message_id is what hmq_dlq_redrive_these takes. HMQ_ENOGROUP. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_dlq_list(hmq_client *client, const char *group, size_t count, char *cursor,
                                                    int64_t timeout_ms, hmq_batch **ret_batch, hmq_error *err);

/*
 * Gives dead letters back to their group, and to no other one: the oldest count of them (0: all). They are delivered again,
 * with attempts from 1 and new ids; hmq_message_origin still tells the first one. It takes several requests for many;
 * *ret_count (may be NULL) says how many were given back, on failure too. HMQ_ENOGROUP; HMQ_EUNKNOWN: of the last
 * request, which may have given back more.
 */
HMQ_API enum hmq_status hmq_dlq_redrive(hmq_client *client, const char *group, uint64_t count, int64_t timeout_ms,
                                        uint64_t *ret_count, hmq_error *err);

/* The same for these ids. One that is no dead letter of the group any more does not count. */
HMQ_API enum hmq_status hmq_dlq_redrive_these(hmq_client *client, const char *group, const char *const *ids, size_t n,
                                              int64_t timeout_ms, uint64_t *ret_count, hmq_error *err);

/* Deletes all dead letters of the group. *ret_count (may be NULL): how many, on failure too. HMQ_ENOGROUP. */
HMQ_API enum hmq_status hmq_dlq_purge(hmq_client *client, const char *group, int64_t timeout_ms, uint64_t *ret_count,
                                      hmq_error *err);

/* ---- Topics --------------------------------------------------------------------------------- */

/* Initialise with HMQ_TOPIC_SETTINGS: each member then says "leave it", or of a new topic "the default". */
typedef struct hmq_topic_settings {
    size_t size; /* sizeof(hmq_topic_settings), set by HMQ_TOPIC_SETTINGS */
    uint32_t queues; /* they only grow; 0: leave it */
    int64_t retention_ms; /* messages are kept so long; 0: for ever; -1: leave it */
    int64_t max_bytes; /* and so many bytes of them; 0: any; -1: leave it */
    const char *compress; /* "none", "lz4", "zstd": for a new topic only; NULL: leave it */
} hmq_topic_settings;

#define HMQ_TOPIC_SETTINGS                              \
    {                                                   \
        sizeof(hmq_topic_settings), 0, -1, -1, NULL     \
    }

/* settings NULL: the defaults. HMQ_EEXISTS, HMQ_EREFUSED: the text says which setting is wrong. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_topic_create(hmq_client *client, const char *topic,
                                                        const hmq_topic_settings *settings, int64_t timeout_ms,
                                                        hmq_error *err);

/* Changes settings, while producers and consumers go on. HMQ_ENOTOPIC, HMQ_EREFUSED. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_topic_set(hmq_client *client, const char *topic,
                                                     const hmq_topic_settings *settings, int64_t timeout_ms,
                                                     hmq_error *err);

/* Drops a delayed message, by the token that hmq_send returned. *ret_cancelled (may be NULL): 1; 0: there is none, as it is
 * visible, or was dropped before. */
HMQ_API enum hmq_status hmq_delayed_cancel(hmq_client *client, const char *token, int64_t timeout_ms, int *ret_cancelled,
                                           hmq_error *err);

/* ---- Producer ------------------------------------------------------------------------------- */

typedef struct hmq_prop {
    const char *name;
    const char *value;
} hmq_prop;

/* Initialise with HMQ_SEND_OPTIONS. Text that is NULL is not sent. */
typedef struct hmq_send_options {
    size_t size; /* sizeof(hmq_send_options), set by HMQ_SEND_OPTIONS */
    const char *key; /* a KEY to find the message by ... */
    const char *const *keys; /* ... and more of them */
    size_t n_keys;
    const char *tag;
    const char *order; /* messages with the same ORDER go to the same queue, in order */
    int32_t queue; /* -1: the broker chooses */
    int32_t priority; /* 0..9: 9 is delivered first among what is ready; -1: the broker's default, 4 */
    int64_t delay_ms; /* 0: now */
    int64_t at_ms; /* Unix time; 0: now */
    int64_t ttl_ms; /* 0: none */
    const hmq_prop *props;
    size_t n_props;
    const char *dedup; /* your own DEDUP id instead of the generated one */
    int64_t checkin_ms; /* half messages only: first check-back after this; 0: the option */
    const hmq_prop_bytes *binary_props; /* properties besides props */
    size_t n_binary_props;
    const hmq_message *like; /* its keys, tag, ORDER key, priority, TTL (which begins anew) and properties are sent as
                              * well, where these options have none of the kind, or property of the name. With queue,
                              * the ORDER key is not. It is read before the call returns */
} hmq_send_options;

#define HMQ_SEND_OPTIONS                                                                                      \
    {                                                                                                         \
        sizeof(hmq_send_options), NULL, NULL, 0, NULL, NULL, -1, -1, 0, 0, 0, NULL, 0, NULL, 0, NULL, 0, NULL \
    }

typedef struct hmq_producer hmq_producer;

/*
 * Each message gets a DEDUP id (a random producer id and a sequence number) unless the option dedup is
 * no. Then a message that is sent again after a reconnect is stored once, as long as its deadline is
 * shorter than the broker's dedup_window (10 minutes). Options: dedup, linger_ms, max_inflight,
 * max_inflight_bytes, block_when_full. options NULL: the client's. Close with hmq_producer_close.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_producer_new(hmq_client *client, const hmq_options *options,
                                         hmq_producer **ret_producer, hmq_error *err);

/*
 * Sends one message and waits until the broker has it on disk. send_options may be NULL. ret_id (may
 * be NULL): HMQ_ID_SIZE bytes for the id, or the token of a delayed message. After HMQ_EBUSY it is tried
 * again until the deadline, except for messages with order or queue, which others could overtake.
 * HMQ_EUNKNOWN: with dedup, only when the deadline passed; you may send it again with the same
 * send_options->dedup.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_send(hmq_producer *producer, const char *topic, const void *body,
                                 size_t len, const hmq_send_options *send_options,
                                 int64_t timeout_ms, char *ret_id, hmq_error *err);

/* id: NULL where err->code is not HMQ_OK. On the I/O thread. */
typedef void (*hmq_sent_fn)(void *arg, const char *id, const hmq_error *err);

/*
 * Buffers the message and returns. Messages to a topic that come close together are sent as one batch
 * (at most 1000 messages, 64 KiB or max_batch_bytes): when it is full, or after linger_ms, or half of timeout_ms. Where
 * linger_ms is 0, a message is sent at once if no request of its topic is under way, else when that is answered or
 * after 10 ms. Messages with queue, priority, delay_ms, at_ms or dedup, and bodies over 32 KiB, are sent
 * by themselves. A batch that the broker refuses is sent again message by message, so that each has a
 * result of its own. Messages to one topic are sent in the order of the calls. If this returns HMQ_OK,
 * fn (may be NULL) is called exactly once. Over max_inflight or max_inflight_bytes it waits up to
 * timeout_ms with block_when_full=yes; else, and on the I/O or loop thread, it returns HMQ_EAGAIN. timeout_ms is
 * the deadline of the message as well.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_send_async(hmq_producer *producer, const char *topic, const void *body,
                                       size_t len, const hmq_send_options *send_options,
                                       int64_t timeout_ms, hmq_sent_fn fn, void *arg,
                                       hmq_error *err);

/*
 * Stores the messages of a batch, from a reader or hmq_pop, in one queue of a topic, as they are: bodies, keys, tags,
 * ORDER keys, properties, TTLs (which begin anew), the time when they were born, but not priorities; all or none, in order, in
 * one request.
 * It waits until they are on disk. A reader's batches, stored one after another in the queue of the same number, make a
 * copy of the topic; its offsets are the same where no message is missing and none was there. *ret_offset (may be NULL)
 * is that of the first. queue: -1: the broker chooses. HMQ_EREFUSED: an ORDER key belongs to another queue, as the topics
 * have different numbers of queues. HMQ_ETOOBIG: over 8 MiB or 10000 messages. Otherwise as hmq_send.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_send_batch(hmq_producer *producer, const char *topic, int32_t queue,
                                                      const hmq_batch *batch, int64_t timeout_ms,
                                                      uint64_t *ret_offset, hmq_error *err);

/* Waits until each message sent so far has its result. HMQ_ETIMEDOUT: some have none yet. */
HMQ_API enum hmq_status hmq_producer_flush(hmq_producer *producer, int64_t timeout_ms,
                                           hmq_error *err);

/* Flushes for up to timeout_ms (0: not at all); other messages fail with HMQ_ECLOSED or HMQ_EUNKNOWN.
 * All callbacks have run when it returns. Returns the status of the flush. Not from a callback. */
HMQ_API enum hmq_status hmq_producer_close(hmq_producer *producer, int64_t timeout_ms,
                                           hmq_error *err);

/* ---- Transactions --------------------------------------------------------------------------- */

enum hmq_decision { HMQ_UNDECIDED = 0, HMQ_COMMIT = 1, HMQ_ROLLBACK = 2 };

typedef struct hmq_txn_producer hmq_txn_producer;
typedef struct hmq_check hmq_check;

/* The transaction that the broker asks about. Results are borrowed from the check. */
HMQ_API hmq_txid hmq_check_txid(const hmq_check *check);
HMQ_API const char *hmq_check_pgroup(const hmq_check *check);
HMQ_API uint32_t hmq_check_attempt(const hmq_check *check); /* 1 at the first ask */
HMQ_API int64_t hmq_check_created_ms(const hmq_check *check); /* Unix time of the first half */
HMQ_API size_t hmq_check_count(const hmq_check *check); /* messages of the transaction */
HMQ_API const char *hmq_check_topic(const hmq_check *check, size_t i);
HMQ_API size_t hmq_check_key_count(const hmq_check *check, size_t i);
HMQ_API const char *hmq_check_key(const hmq_check *check, size_t i, size_t k);
HMQ_API const char *hmq_check_tag(const hmq_check *check, size_t i);
HMQ_API const void *hmq_check_body(const hmq_check *check, size_t i, size_t *ret_len);
HMQ_API const char *hmq_check_prop(const hmq_check *check, size_t i, const char *name);
HMQ_API size_t hmq_check_prop_count(const hmq_check *check, size_t i);
HMQ_API int hmq_check_prop_at(const hmq_check *check, size_t i, size_t k, hmq_prop_bytes *ret_prop); /* 0 past the last one */

/*
 * What became of this transaction? Answer from the application's own state. COMMIT and ROLLBACK are
 * final, so ROLLBACK for "not found" is right only if the local transaction can no longer happen: store
 * that before you answer. UNDECIDED: the broker asks again later. Runs on a thread of the producer
 * (there are check_workers), may block, and may be for a transaction of any process of this group.
 */
typedef enum hmq_decision (*hmq_check_fn)(void *arg, const hmq_check *check);

/*
 * check NULL: this process answers no check-backs. Otherwise the client registers at the broker
 * (`checks_serve`), again after each reconnect. Options: dedup, linger_ms, check_workers, checkin_ms,
 * max_inflight, max_inflight_bytes, block_when_full.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_txn_producer_new(hmq_client *client, const char *pgroup,
                                             hmq_check_fn check, void *arg,
                                             const hmq_options *options,
                                             hmq_txn_producer **ret_producer, hmq_error *err);

/* Stores a half message, which is invisible until the commit; begins a transaction. As hmq_send otherwise.
 * HMQ_EUNKNOWN: there may be a transaction whose txid nobody knows; its check-back ends it. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_txn_half(hmq_txn_producer *producer, const char *topic,
                                     const void *body, size_t len,
                                     const hmq_send_options *send_options, int64_t timeout_ms,
                                     hmq_txid *ret_txid, hmq_error *err);

/* Adds another message, to any topic. HMQ_ETXNCONFLICT: the transaction is decided or parked. */
HMQ_API enum hmq_status hmq_txn_add(hmq_txn_producer *producer, hmq_txid txid, const char *topic,
                                    const void *body, size_t len,
                                    const hmq_send_options *send_options, int64_t timeout_ms,
                                    hmq_error *err);

/*
 * Publishes all messages of the transaction at once. If the reply is lost, the commit is sent again
 * until the deadline, then HMQ_EUNKNOWN: commit again later, or wait for the check-back. *ret_ids (may be
 * NULL): LIST of message ids in the order of the half messages; free with hmq_reply_free.
 * HMQ_ETXNCONFLICT: it was rolled back. HMQ_ENOTXN.
 */
HMQ_API enum hmq_status hmq_txn_commit(hmq_txn_producer *producer, hmq_txid txid,
                                       int64_t timeout_ms, hmq_reply **ret_ids, hmq_error *err);

/* The same, and acknowledges these receipts (n >= 1) of the group in the same atomic step.
 * HMQ_ESTALE: a lease is lost; nothing was done, and the transaction is still undecided. */
HMQ_API enum hmq_status hmq_txn_commit_ack(hmq_txn_producer *producer, hmq_txid txid,
                                           const char *group, const char *const *receipts, size_t n,
                                           int64_t timeout_ms, hmq_reply **ret_ids, hmq_error *err);

/* Deletes the messages of the transaction; nobody ever sees them. HMQ_ETXNCONFLICT: it was committed. */
HMQ_API enum hmq_status hmq_txn_rollback(hmq_txn_producer *producer, hmq_txid txid,
                                         int64_t timeout_ms, hmq_error *err);

/* txid: 0 where err->code is not HMQ_OK. On the I/O thread. */
typedef void (*hmq_half_fn)(void *arg, hmq_txid txid, const hmq_error *err);

/* As hmq_send_async. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_txn_half_async(hmq_txn_producer *producer, const char *topic,
                                           const void *body, size_t len,
                                           const hmq_send_options *send_options, int64_t timeout_ms,
                                           hmq_half_fn fn, void *arg, hmq_error *err);

/* decision: HMQ_COMMIT or HMQ_ROLLBACK. fn (may be NULL) gets the ids of a commit. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_txn_decide_async(hmq_txn_producer *producer, hmq_txid txid,
                                             enum hmq_decision decision, int64_t timeout_ms,
                                             hmq_reply_fn fn, void *arg, hmq_error *err);

/* The local transaction of hmq_txn_run; on the caller's thread. */
typedef enum hmq_decision (*hmq_local_fn)(void *arg, hmq_txid txid);

/*
 * Stores a half message, calls local(arg, txid), and does what that returns; UNDECIDED leaves it to the
 * check-back. timeout_ms is for each step. If the last step fails, the local transaction is done and the
 * check-back will end the broker's in the same way. *ret_txid (may be NULL) is set as soon as the half
 * message is stored.
 */
HMQ_API enum hmq_status hmq_txn_run(hmq_txn_producer *producer, const char *topic, const void *body,
                                    size_t len, const hmq_send_options *send_options,
                                    hmq_local_fn local, void *arg, int64_t timeout_ms,
                                    hmq_txid *ret_txid, hmq_error *err);

/* The messages that a transaction holds, in the order of their half messages, decided or not. Those of one that is not
 * committed have no id (NULL). Free *ret_batch with hmq_batch_free. HMQ_ENOTXN. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_txn_messages(hmq_client *client, hmq_txid txid, int64_t timeout_ms,
                                                        hmq_batch **ret_batch, hmq_error *err);

/* As hmq_producer_flush and hmq_producer_close. Close also takes the client out of the members that the broker asks, and
 * waits for check callbacks that are running; checks that none has begun go to another member at once. A callback that
 * still runs at the deadline is abandoned (HMQ_ETIMEDOUT): its answer is dropped, and its arg must stay until it returns. */
HMQ_API enum hmq_status hmq_txn_producer_flush(hmq_txn_producer *producer, int64_t timeout_ms,
                                               hmq_error *err);
HMQ_API enum hmq_status hmq_txn_producer_close(hmq_txn_producer *producer, int64_t timeout_ms,
                                               hmq_error *err);

/* ---- Consumer ------------------------------------------------------------------------------- */

enum hmq_verdict {
    HMQ_ACK = 0, /* acknowledge it */
    HMQ_NACK, /* requeue it, see hmq_retry */
    HMQ_REJECT, /* make it a dead letter */
    HMQ_KEEP /* it is ended otherwise (hmq_txn_commit_ack, hmq_ack ...); no longer extended, see also hmq_message_keep */
};

typedef struct hmq_retry {
    int64_t delay_ms; /* NACK; HMQ_DEFAULT, which it is at first: the group's backoff, or 1 s where it is retried here */
    char reason[256]; /* NACK, REJECT: text, or "" */
} hmq_retry;

/* Runs on a worker thread of the consumer and may block; the lease is extended meanwhile, up to
 * max_lease_ms. m is valid until it returns, or longer with hmq_message_keep. A message is delivered at least once, so
 * it may come more than once. */
typedef enum hmq_verdict (*hmq_message_fn)(void *arg, const hmq_message *m, hmq_retry *retry);

typedef struct hmq_consumer hmq_consumer;

/*
 * Starts to consume at once, or with start=no at hmq_consumer_resume. Options: workers, prefetch, prefetch_bytes,
 * lease_ms, max_lease_ms, wait_ms, ordered, order_group, start. The broker pushes messages as they come, as far as prefetch allows; a
 * broker without streams is asked with POP. While a request with acknowledgements is under way, the next ones are
 * collected, and sent beside it only if they are many (256, and an eighth of prefetch; up to 8 requests). If a topic
 * does not exist, the consumer tries again until it does. Close with hmq_consumer_close.
 *
 * ordered=yes: messages of one ORDER key are handled one after another, in the order of their offsets, though several
 * workers handle other keys meanwhile. The next one begins when the one before it has ended. The group is made ORDERED at
 * the broker, or set to it, so this holds over all consumers of the group: HMQ_NACK requeues the message there, its key
 * waits for it, and after the group's attempts it is a dead letter and the next one goes on. Where the broker refuses, with
 * HMQ_EVENT_TROUBLE, or with order_group=no, the order holds within this consumer alone: HMQ_NACK retries the message here,
 * after the delay, and its key waits for it; the broker does not count that as an attempt. A message whose lease is lost
 * loses its place then, and several consumers of the group may have messages of one key.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_consumer_new(hmq_client *client, const char *group,
                                         const char *const *topics, size_t n_topics,
                                         hmq_message_fn handler, void *arg,
                                         const hmq_options *options, hmq_consumer **ret_consumer,
                                         hmq_error *err);

/* The same for several messages at once, n >= 1. Its result is for each of them that it has not ended, or kept. */
typedef enum hmq_verdict (*hmq_batch_fn)(void *arg, const hmq_message *const *messages, size_t n, hmq_retry *retry);

/* As hmq_consumer_new. The handler gets what has come, up to batch_count messages; batch_wait_ms: how long the first one
 * may wait for others. With ordered=yes there is one message of each ORDER key among them. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_consumer_new_batch(hmq_client *client, const char *group,
                                                              const char *const *topics, size_t n_topics,
                                                              hmq_batch_fn handler, void *arg,
                                                              const hmq_options *options,
                                                              hmq_consumer **ret_consumer, hmq_error *err);

/*
 * For a handler, with a message that it was given: the message stays valid after the handler has returned, whose result
 * does not count for it then, and its lease is extended up to max_lease_ms. End it with hmq_message_end, on any thread
 * and in any order, also before the handler returns. A message that is kept counts as one that the consumer holds, so
 * there are prefetch of them at most. HMQ_EINVAL: it is no message of a handler that runs, or it was ended.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_message_keep(const hmq_message *m, hmq_error *err);

/* HMQ_OK; HMQ_ESTALE: the lease was lost, so the message is redelivered, or was; HMQ_EUNKNOWN. On the I/O thread. */
typedef void (*hmq_ended_fn)(void *arg, const hmq_error *err);

/*
 * Ends a message that is kept, or whose handler runs: as a handler's result would, without waiting. From then on m is
 * not valid; inside its handler it is, until that returns. retry NULL: its defaults. fn (may be NULL, must be with
 * HMQ_KEEP) is told what came of it, which takes a request for this message alone; without fn many are acknowledged in
 * one request. HMQ_NACK requeues it at the broker, also with order_group=no. HMQ_ENOMEM: it is not ended, fn is not called.
 * HMQ_ECLOSED: the consumer was closed; m is freed, and redelivered when its lease expires. HMQ_EINVAL: it is neither.
 */
HMQ_API enum hmq_status hmq_message_end(const hmq_message *m, enum hmq_verdict verdict, const hmq_retry *retry,
                                        hmq_ended_fn fn, void *arg, hmq_error *err);

/* 1: the lease was lost, as it could not be extended, or the group was reset. The broker gives the message to another
 * consumer, or has done so, and an ACK has no effect any more: a handler may as well stop. For messages as above. */
HMQ_API int hmq_message_lost(const hmq_message *m);

/* How often the handler was called with this delivery, this call included: over 1 where ordered=yes retries it here. */
HMQ_API uint32_t hmq_message_tries(const hmq_message *m);

/*
 * Begins no more handlers and asks for no more messages. Those that have come stay here, leased as long as max_lease_ms
 * allows. Waits up to timeout_ms (0: not at all) for the handlers that run. HMQ_ETIMEDOUT: some still do, but it is
 * paused. HMQ_EWOULDBLOCK: it is paused, and this was a handler, or a callback, that would have had to wait.
 */
HMQ_API enum hmq_status hmq_consumer_pause(hmq_consumer *consumer, int64_t timeout_ms, hmq_error *err);

/* Goes on after hmq_consumer_pause, and starts a consumer that was made with start=no. */
HMQ_API enum hmq_status hmq_consumer_resume(hmq_consumer *consumer, hmq_error *err);

/*
 * Asks for no more messages, waits for running handlers and for messages that are kept, requeues the other messages,
 * sends the last acknowledgements and frees the consumer. Takes at most timeout_ms. HMQ_ETIMEDOUT: some messages could not
 * be acknowledged or requeued; they are redelivered when their leases expire. A handler that has not returned by then is
 * abandoned, and the text says how many are: it keeps its thread and its messages until it returns, and its result is
 * ignored; its arg must stay valid. Messages that are kept stay valid until hmq_message_end. Not from the handler or
 * another callback.
 */
HMQ_API enum hmq_status hmq_consumer_close(hmq_consumer *consumer, int64_t timeout_ms,
                                           hmq_error *err);

/* ---- Reader --------------------------------------------------------------------------------- */

typedef struct hmq_reader hmq_reader;

/*
 * Reads one queue of a topic from an offset on, and then what is stored later. It belongs to no group:
 * nothing is leased or acknowledged, and there may be any number of readers. The broker sends up to about
 * prefetch_bytes ahead (64 MiB at most), the only option used here; options NULL: the client's. After a
 * lost connection the reader continues where it was. The caller stores the offset, if it is to continue
 * after the program ended. Close with hmq_reader_close.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_reader_new(hmq_client *client, const char *topic, uint32_t queue,
                                       uint64_t offset, const hmq_options *options,
                                       hmq_reader **ret_reader, hmq_error *err);

/*
 * Returns the next messages, at least one, in the order of their offsets, as many as the broker stored
 * together. Free *ret_batch with hmq_batch_free; it may outlive the reader. Where messages were deleted,
 * it begins at the oldest that is left, and hmq_batch_gap tells how many are missing. HMQ_ETIMEDOUT: none came.
 * HMQ_EINTERRUPTED. HMQ_EDAMAGED: messages cannot be read on the broker's disk; the text names them, and the next call
 * goes on behind them (on a loop's thread, which cannot ask which they are, it tries again: hmq_reader_seek).
 * HMQ_ENOTOPIC, HMQ_EREFUSED, HMQ_ELIMIT or another code of the broker: it refused; the next call tries again.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_reader_next(hmq_reader *reader, int64_t timeout_ms,
                                        hmq_batch **ret_batch, hmq_error *err);

/* How many offsets before the first message of a reader's batch were left out: messages that were deleted, as by
 * retention, or are damaged. 0: none, or it is no reader's batch. It counts from where the reader was set to begin: from
 * an offset of 0 on, whatever was deleted before is counted. */
HMQ_API uint64_t hmq_batch_gap(const hmq_batch *batch);

/* The call of hmq_reader_next that waits, or else the next one, returns HMQ_EINTERRUPTED. Any thread, but no signal
 * handler. */
HMQ_API void hmq_reader_interrupt(hmq_reader *reader);

/* Goes on from this offset: what has come from elsewhere is dropped. Batches that were returned are not concerned.
 * HMQ_EINVAL: 2^63 or more. */
HMQ_API enum hmq_status hmq_reader_seek(hmq_reader *reader, uint64_t offset, hmq_error *err);

/* The offset that the next batch begins with, where no message is missing: what to store, in order to go on later. */
HMQ_API uint64_t hmq_reader_position(hmq_reader *reader);

/*
 * The offsets that a queue has now: *ret_first of the oldest message that is kept, *ret_end of the next one to be stored;
 * they are the same where it is empty. Either may be NULL. HMQ_ENOTOPIC; HMQ_EREFUSED: no such queue.
 */
HMQ_API enum hmq_status hmq_queue_range(hmq_client *client, const char *topic, uint32_t queue, int64_t timeout_ms,
                                        uint64_t *ret_first, uint64_t *ret_end, hmq_error *err);

/* The offset of the first message that was stored at this Unix time, or later; the end where there is none. It reads
 * one message for each halving of the range. Errors as hmq_queue_range. */
HMQ_API enum hmq_status hmq_queue_find(hmq_client *client, const char *topic, uint32_t queue, int64_t stored_ms,
                                       int64_t timeout_ms, uint64_t *ret_offset, hmq_error *err);

/* Takes at most timeout_ms. HMQ_ETIMEDOUT: the reader is freed, but the broker had not replied yet, and
 * its stream is closed when it does. Not from a callback. */
HMQ_API enum hmq_status hmq_reader_close(hmq_reader *reader, int64_t timeout_ms, hmq_error *err);

/* ---- Subscription --------------------------------------------------------------------------- */

typedef struct hmq_subscription hmq_subscription;

/*
 * A copy of the body of a message, as soon as that is stored. No NUL follows the body, which is valid until this
 * returns. topic NULL: copies begin now, at first and after every lost connection; what was stored in between is missed.
 * On the I/O thread: while this runs nothing else of the client does, and the broker cuts off who reads too slowly.
 */
typedef void (*hmq_copy_fn)(void *arg, const char *topic, const void *body, size_t len);

/*
 * Asks for live copies of what is sent to these topics (1 to 1024 of a client's), which need not exist yet. Nothing is
 * stored for a subscriber, leased or acknowledged: for a cache to drop, or a screen to refresh; a reader, or a consumer,
 * misses nothing. Close with hmq_subscription_close. Where the broker refuses, or ends the copies of a topic because the
 * rules of the user have changed, it is asked again, with HMQ_EVENT_TROUBLE. HMQ_EINVAL, HMQ_ENOMEM.
 */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_subscription_new(hmq_client *client, const char *const *topics,
                                                            size_t n_topics, hmq_copy_fn fn, void *arg,
                                                            hmq_subscription **ret_subscription, hmq_error *err);

/* Waits for a call of fn that runs, and frees the subscription. HMQ_EWOULDBLOCK: not from a callback. */
HMQ_API enum hmq_status hmq_subscription_close(hmq_subscription *subscription, hmq_error *err);

/* ---- Statistics ----------------------------------------------------------------------------- */

/* Times in microseconds. Percentiles are at most an eighth too large; 0 where nothing was timed. Never changes. */
typedef struct hmq_latency {
    uint64_t count, sum_us, max_us;
    uint64_t p50_us, p90_us, p99_us, p999_us;
} hmq_latency;

typedef struct hmq_client_stats {
    size_t size; /* set by the caller: sizeof(hmq_client_stats); then how much was filled */
    int connected; /* 1 or 0, now */
    uint64_t connects; /* connections made */
    uint64_t requests; /* requests written, resent ones included */
    uint64_t resent; /* written again after a reconnect */
    uint64_t responses; /* replies to pending requests */
    uint64_t checks; /* check-back requests received */
    uint64_t bytes_out;
    uint64_t bytes_in;
    uint64_t pending; /* requests without a reply, now */
    uint64_t pending_bytes;
    uint64_t disconnects; /* connections lost */
    uint64_t connect_failures; /* addresses that could not be connected to */
    uint64_t unknown; /* requests that ended with HMQ_EUNKNOWN */
    hmq_latency latency; /* of requests: handed over to answered */
} hmq_client_stats;

typedef struct hmq_producer_stats {
    size_t size; /* set by the caller: sizeof(hmq_producer_stats); then how much was filled */
    uint64_t done; /* messages, and decisions, that the broker confirmed */
    uint64_t failed; /* and those that ended otherwise */
    uint64_t unknown; /* of these, with HMQ_EUNKNOWN */
    uint64_t batches; /* requests that held several messages */
    uint64_t inflight; /* asynchronous ones without a result, now */
    uint64_t inflight_bytes;
    hmq_latency latency; /* handed over to confirmed; the messages of a batch count as its first one */
} hmq_producer_stats;

typedef struct hmq_consumer_stats {
    size_t size; /* set by the caller: sizeof(hmq_consumer_stats); then how much was filled */
    uint64_t received; /* messages received */
    uint64_t handled; /* messages whose handler returned */
    uint64_t acked; /* as the broker counted */
    uint64_t nacked; /* verdict NACK or REJECT */
    uint64_t returned; /* requeued without being handled, on closing */
    uint64_t extended; /* leases extended */
    uint64_t lost; /* leases lost while held here */
    uint64_t held; /* messages held, now: their acknowledgement is not sent yet */
    uint64_t acks_lost; /* acknowledgements that the broker did not count, or whose reply was lost */
    hmq_latency latency; /* calls of the handler */
} hmq_consumer_stats;

typedef struct hmq_reader_stats {
    size_t size; /* set by the caller: sizeof(hmq_reader_stats); then how much was filled */
    uint64_t received; /* messages received */
    uint64_t received_bytes; /* of them, as they are stored */
    uint64_t read; /* messages returned by hmq_reader_next */
    uint64_t batches; /* in so many batches */
    uint64_t left_out; /* offsets that the batches' gaps say are missing */
    uint64_t streams; /* how often the broker began to send: after each connection, each seek ... */
    uint64_t waiting; /* messages that have come and were not returned yet, now */
    uint64_t waiting_bytes;
} hmq_reader_stats;

typedef struct hmq_subscription_stats {
    size_t size; /* set by the caller: sizeof(hmq_subscription_stats); then how much was filled */
    uint64_t copies; /* copies received */
    uint64_t bytes; /* of their bodies */
    uint64_t begun; /* how often copies began: once for each connection, and again where they were refused or ended */
} hmq_subscription_stats;

/* Fills *stats up to stats->size. HMQ_EINVAL: that cannot be its size. */
HMQ_API enum hmq_status hmq_client_stats_get(hmq_client *client, hmq_client_stats *stats);
HMQ_API enum hmq_status hmq_producer_stats_get(hmq_producer *producer, hmq_producer_stats *stats);
HMQ_API enum hmq_status hmq_txn_producer_stats_get(hmq_txn_producer *producer, hmq_producer_stats *stats);
HMQ_API enum hmq_status hmq_consumer_stats_get(hmq_consumer *consumer, hmq_consumer_stats *stats);
HMQ_API enum hmq_status hmq_reader_stats_get(hmq_reader *reader, hmq_reader_stats *stats);
HMQ_API enum hmq_status hmq_subscription_stats_get(hmq_subscription *subscription, hmq_subscription_stats *stats);

/*
 * All statistics of the client and of its roles, with their histograms, as one JSON object. Writes up to
 * size bytes, NUL included, and returns how many it would take without the NUL (as snprintf; 0: no memory). The names are
 * those of the members of the structures; more may be added. The manual page halfmq_stats(3) has an example.
 */
HMQ_API size_t hmq_client_stats_json(hmq_client *client, char *out, size_t size);

/* ---- A log ---------------------------------------------------------------------------------- */

enum hmq_log_level { HMQ_LOG_ERROR = 1, HMQ_LOG_WARNING, HMQ_LOG_INFO, HMQ_LOG_DEBUG };

/* line: without an end of line, valid until fn returns; never a password or a body. */
typedef void (*hmq_log_fn)(void *arg, enum hmq_log_level level, const char *line);

/* Sets a function that is told what the client does, up to this level: what fails (ERROR), what it can cope with
 * (WARNING), connections (INFO), each step of connecting and each check-back (DEBUG). On any thread; it must not block,
 * and must not call the library. */
HMQ_API void hmq_options_set_log_fn(hmq_options *options, enum hmq_log_level level, hmq_log_fn fn, void *arg);

/* ---- Interceptors --------------------------------------------------------------------------- */

/* A message that is being handed over; valid until send() returns. */
typedef struct hmq_outgoing hmq_outgoing;

HMQ_API const char *hmq_outgoing_topic(const hmq_outgoing *message);
HMQ_API const void *hmq_outgoing_body(const hmq_outgoing *message, size_t *ret_len);
HMQ_API const char *hmq_outgoing_prop(const hmq_outgoing *message, const char *name); /* NULL: it has none */

/* Adds or replaces a property, such as the id of a trace. HMQ_EINVAL: NULL; HMQ_EAGAIN: there are 16; HMQ_ENOMEM. */
HMQ_API enum hmq_status hmq_outgoing_set_prop(hmq_outgoing *message, const char *name, const char *value);

/*
 * Functions around messages, for tracing; each may be NULL. What the first of a pair returns is passed to the second.
 * Initialise with HMQ_INTERCEPTOR. They must not block. send: on the thread that sends, for hmq_send, hmq_send_async,
 * hmq_txn_half, hmq_txn_half_async and hmq_txn_add, and for each message of hmq_send_batch; sent: once for each, where the
 * result is told; id NULL: there is none (a half message, or err->code is not HMQ_OK). receive, received: on the worker
 * thread, before and after the handler of a consumer; for messages of hmq_pop and hmq_reader_next, when they are returned and
 * when their batch is freed, with HMQ_KEEP. m is valid in both. A handler, or a batch, may end when the client is gone: what
 * arg is must stay until then.
 */
typedef struct hmq_interceptor {
    size_t size; /* sizeof(hmq_interceptor), set by HMQ_INTERCEPTOR */
    void *arg;
    void *(*send)(void *arg, hmq_outgoing *message);
    void (*sent)(void *arg, void *span, const char *id, const hmq_error *err);
    void *(*receive)(void *arg, const hmq_message *m);
    void (*received)(void *arg, void *span, const hmq_message *m, enum hmq_verdict verdict);
} hmq_interceptor;

#define HMQ_INTERCEPTOR                                         \
    {                                                           \
        sizeof(hmq_interceptor), NULL, NULL, NULL, NULL, NULL \
    }

/* For clients that are made with these options; copied. There may be four: the first one is the outermost. HMQ_EINVAL. */
HMQ_API HMQ_MUST_CHECK enum hmq_status hmq_options_add_interceptor(hmq_options *options,
                                                                   const hmq_interceptor *interceptor, hmq_error *err);

#ifdef __cplusplus
}
#endif

#endif
