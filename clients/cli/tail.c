/*
 * tail.c: follows a topic as it grows; see tail.h.
 *
 *   TOPIC INFO ──► for each queue: a connection of its own and where to begin
 *                    READ topic queue next COUNT n WAIT 30s ──► messages ──► next moves on
 *                    ▲                                             │
 *                    └─────────────────────────────────────────────┘
 *
 * A READ with WAIT blocks its connection, so each queue has one of its own, and poll() waits for all of them.
 * Unlike a subscription this misses no message, however slow the terminal is, and it shows ids and attributes.
 * The messages of a queue are shown in order; those of different queues in the order in which they arrive.
 */
#include "clients/cli/tail.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/cli/print/show.h"
#include "protocol/base/text.h"

#define QUEUES_FOLLOWED_MAX 64
#define BATCH 100

struct tail_queue {
    struct cli_conn conn;
    uint32_t number;
    uint64_t next; /* offset of the next message to show */
};

struct cli_tail {
    struct cli_conn *conn; /* of the whole run; asked about the topic */
    struct slice topic;
    struct slice from; /* empty: latest */
    uint64_t only; /* the one queue to follow; UINT64_MAX: all */
    uint64_t left; /* messages still to show; UINT64_MAX: no end */
    bool first;
    size_t n;
    struct tail_queue queues[QUEUES_FOLLOWED_MAX];
    struct pollfd polls[QUEUES_FOLLOWED_MAX];
};

static const char usage_text[] = "TAIL topic [QUEUE n] [FROM latest|earliest|offset] [COUNT n]\n";

void tail_help(void)
{
    fputs(usage_text, stdout);
    fputs("    follows all queues of a topic as it grows, or one; stops after COUNT messages, or at ^C\n"
          "    $ halfmq tail orders\n        # the messages stored from now on\n"
          "    $ halfmq --json tail orders FROM earliest COUNT 100\n"
          "        # the first hundred, one JSON object a line\n",
          stdout);
}

static enum exit_code tail_wrong(const char *why)
{
    fprintf(stderr, "halfmq: tail: %s\n  expected: %s", why, usage_text);
    return EXIT_USAGE;
}

static enum exit_code tail_parse(struct cli_tail *t, const struct slice *words, size_t n)
{
    if (n < 1 || n % 2 == 0)
        return tail_wrong(n ? "an option has no value" : "the topic is missing");
    t->topic = words[0];
    for (size_t i = 1; i < n; i += 2) {
        struct slice value = words[i + 1];
        if (slice_equal_nocase(words[i], SLICE_LIT("FROM")))
            t->from = value;
        else if (slice_equal_nocase(words[i], SLICE_LIT("QUEUE"))) {
            if (!text_uint(value, &t->only) || t->only >= QUEUES_MAX)
                return tail_wrong("QUEUE must be the number of a queue");
        } else if (slice_equal_nocase(words[i], SLICE_LIT("COUNT"))) {
            if (!text_uint(value, &t->left) || t->left == 0)
                return tail_wrong("COUNT must be a number from 1");
        } else {
            return tail_wrong("an unknown option");
        }
    }
    return EXIT_DONE;
}

static bool tail_number_of(const cJSON *object, const char *name, uint64_t *ret_n)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsRaw(item) && text_uint(slice_str(item->valuestring), ret_n);
}

/* The offset to begin at in the queue that `about`, from TOPIC INFO, describes. False: FROM is wrong. */
static bool tail_start_of(const struct cli_tail *t, const cJSON *about, uint64_t *ret_next)
{
    if (t->from.len == 0 || slice_equal_nocase(t->from, SLICE_LIT("LATEST")))
        return tail_number_of(about, "next", ret_next);
    if (slice_equal_nocase(t->from, SLICE_LIT("EARLIEST"))) {
        *ret_next = 0;
        return true;
    }
    return text_uint(t->from, ret_next);
}

static enum exit_code tail_add_queue(struct cli_tail *t, const cJSON *about)
{
    uint64_t number, next;
    if (!tail_number_of(about, "queue", &number) || (t->only != UINT64_MAX && t->only != number))
        return EXIT_DONE;
    if (!tail_start_of(t, about, &next))
        return tail_wrong("FROM must be latest, earliest or an offset");
    if (t->n == QUEUES_FOLLOWED_MAX)
        return tail_wrong("the topic has too many queues to follow all of them; name one with QUEUE");
    struct tail_queue *q = &t->queues[t->n++];
    *q = (struct tail_queue){.number = (uint32_t)number, .next = next};
    return conn_open(&q->conn, t->conn->options);
}

static enum exit_code tail_add_queues(struct cli_tail *t, const cJSON *info)
{
    const cJSON *item;
    enum exit_code e = EXIT_DONE;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(info, "queue"))
    {
        if (e == EXIT_DONE)
            e = tail_add_queue(t, item);
    }
    if (e == EXIT_DONE && t->n == 0)
        return tail_wrong("the topic has no such queue");
    return e;
}

static enum exit_code tail_find_queues(struct cli_tail *t)
{
    const struct slice ask[] = {SLICE_LIT("TOPIC"), SLICE_LIT("INFO"), t->topic};
    redisReply *reply = NULL;
    enum exit_code e = conn_ask(t->conn, ask, 3, &reply);
    if (e != EXIT_DONE)
        return e;
    if (reply->type == REDIS_REPLY_ERROR) {
        e = show_reply(reply, SHAPE_VALUE, false);
    } else {
        cJSON *info = view_reply(reply, SHAPE_MAP);
        e = tail_add_queues(t, info);
        cJSON_Delete(info);
    }
    freeReplyObject(reply);
    return e;
}

static enum exit_code tail_send_read(struct cli_tail *t, struct tail_queue *q)
{
    char number[24], next[24], count[24];
    uint64_t n = t->left < BATCH ? t->left : BATCH;
    snprintf(number, sizeof number, "%u", (unsigned)q->number);
    snprintf(next, sizeof next, "%llu", (unsigned long long)q->next);
    snprintf(count, sizeof count, "%llu", (unsigned long long)n);
    const struct slice ask[] = {
        SLICE_LIT("READ"),  t->topic,         slice_str(number), slice_str(next),
        SLICE_LIT("COUNT"), slice_str(count), SLICE_LIT("WAIT"), SLICE_LIT("30s"),
    };
    return conn_send(&q->conn, ask, sizeof ask / sizeof *ask);
}

static enum exit_code tail_show_one(struct cli_tail *t, struct tail_queue *q, const redisReply *message)
{
    struct message_id id;
    if (message->type != REDIS_REPLY_ARRAY || message->elements != 4 ||
        !text_id(slice_of(message->element[0]->str, message->element[0]->len), &id)) {
        fputs("halfmq: tail: the broker's reply to READ is not a list of messages\n", stderr);
        return EXIT_REFUSED;
    }
    enum exit_code e = show_message(message, t->conn->options->json, t->first);
    t->first = false;
    q->next = id.offset + 1;
    if (t->left != UINT64_MAX)
        t->left--;
    return e;
}

static enum exit_code tail_take_reply(struct cli_tail *t, struct tail_queue *q, const redisReply *reply)
{
    enum exit_code e = EXIT_DONE;
    if (reply->type == REDIS_REPLY_ERROR)
        return show_reply(reply, SHAPE_VALUE, false);
    for (size_t i = 0; e == EXIT_DONE && t->left > 0 && i < reply->elements; i++)
        e = tail_show_one(t, q, reply->element[i]);
    return e == EXIT_DONE && t->left > 0 ? tail_send_read(t, q) : e;
}

static enum exit_code tail_take_readable(struct cli_tail *t, struct tail_queue *q)
{
    redisReply *reply = NULL;
    enum exit_code e = conn_poll(&q->conn, true, &reply);
    if (e == EXIT_DONE && reply)
        e = tail_take_reply(t, q, reply);
    freeReplyObject(reply);
    return e;
}

static enum exit_code tail_follow(struct cli_tail *t)
{
    enum exit_code e = EXIT_DONE;
    for (size_t i = 0; e == EXIT_DONE && i < t->n; i++) {
        e = tail_send_read(t, &t->queues[i]);
        if (e == EXIT_DONE)
            t->polls[i] = (struct pollfd){.fd = t->queues[i].conn.redis->fd, .events = POLLIN};
    }
    while (e == EXIT_DONE && !conn_interrupted && t->left > 0) {
        if (poll(t->polls, t->n, 1000) <= 0)
            continue; /* ^C between the check of conn_interrupted and poll() is seen after a second at most */
        for (size_t i = 0; e == EXIT_DONE && t->left > 0 && i < t->n; i++) {
            if (t->polls[i].revents)
                e = tail_take_readable(t, &t->queues[i]);
        }
    }
    return e;
}

enum exit_code tail_run(struct cli_conn *conn, const struct slice *words, size_t n)
{
    struct cli_tail *t = calloc(1, sizeof *t);
    if (!t) {
        fputs("halfmq: out of memory\n", stderr);
        return EXIT_REFUSED;
    }
    *t = (struct cli_tail){.conn = conn, .only = UINT64_MAX, .left = UINT64_MAX, .first = true};
    enum exit_code e = tail_parse(t, words, n);
    conn_catch_interrupt();
    if (e == EXIT_DONE)
        e = tail_find_queues(t);
    if (e == EXIT_DONE)
        e = tail_follow(t);
    for (size_t i = 0; i < t->n; i++)
        conn_close(&t->queues[i].conn);
    free(t);
    return e == EXIT_INTERRUPTED ? EXIT_DONE : e;
}
