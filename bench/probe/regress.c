/*
 * regress.c: halfmq-regress, which does fixed work whose instructions regress.py counts with callgrind.
 *
 *   halfmq-regress            the names of the workloads
 *   halfmq-regress send       prepares, then does the work once and prints how many operations it was
 *
 * On a shared machine, time says little about a change of one percent, but the number of instructions is the same on
 * every run. The work here is the path of a request without sockets, threads and the clock:
 *
 *   bytes ─► resp or rpc reader ─► struct command ─► state_apply ─┐ a group of GROUP commands
 *                                        answers ◄─ state_write ◄─┘ (not synced: the kernel is not counted)
 *
 * The workloads judge_* are what is done before that: may the connection's user do a SEND?
 *
 * callgrind counts only inside regress_measured, so that preparation is left out. Nothing here is random, and the time is
 * a number that goes up. To add a workload: a function, and a line in workloads[].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/serve/who/allow.h"
#include "protocol/record/record.h"
#include "protocol/resp/resp.h"
#include "protocol/rpc/rpc.h"
#include "storage/access/rule.h"
#include "storage/query.h"
#include "storage/state.h"

#define GROUP 64
#define BODY_BYTES 100
#define TOPIC SLICE_LIT("bench")
#define BEGIN_MS INT64_C(1700000000000)
#define ERR_BYTES 512

struct rig {
    struct store *store;
    struct state *state;
    struct policy policy;
    uint64_t index;
    int64_t now_ms;
    struct command_space space;
    struct resp_reader reader;
    struct rpc_reader *rpc;
    struct buf in, rpc_in, replies, record, starts;
    struct outcome out[GROUP];
    struct effects fx;
    uint64_t n; /* operations to do */
    uint64_t done; /* operations done; of a batch, each message */
    uint8_t body[BODY_BYTES];
};

static void regress_die(const char *what)
{
    fprintf(stderr, "halfmq-regress: %s\n", what);
    exit(1);
}

/* ---- requests ---- */

static void regress_put_array(struct buf *b, size_t n)
{
    char head[32];
    int len = snprintf(head, sizeof head, "*%zu\r\n", n);
    buf_put(b, head, (size_t)len);
}

static void regress_put_word(struct buf *b, struct slice word)
{
    char head[32];
    int len = snprintf(head, sizeof head, "$%zu\r\n", word.len);
    buf_put(b, head, (size_t)len);
    buf_put_slice(b, word);
    buf_put(b, "\r\n", 2);
}

static void regress_put_text(struct buf *b, const char *text)
{
    regress_put_word(b, slice_str(text));
}

/* The next command of the RESP bytes in rig->in, from *at on. */
static struct command regress_next_command(struct rig *r, size_t *at)
{
    struct slice *words = NULL;
    size_t n = 0, used = 0;
    char err[ERR_BYTES] = "";
    struct command cmd;
    struct slice input = slice_of(r->in.data + *at, r->in.len - *at);
    if (resp_reader_next(&r->reader, input, &words, &n, &used, err, sizeof err) != ST_OK ||
        command_from_words(&r->space, words, n, &cmd, err, sizeof err) != ST_OK)
        regress_die(err);
    *at += used;
    return cmd;
}

/* ---- the store ---- */

static void regress_apply(struct rig *r, const struct command *cmd, struct outcome *out)
{
    struct stamp stamp = {.index = ++r->index, .now_ms = r->now_ms, .policy = &r->policy};
    outcome_init(out);
    state_apply(r->state, &stamp, cmd, out);
    if (reply_is_error(slice_of(out->reply.data, out->reply.len), NULL))
        regress_die("a command was refused");
}

static void regress_write_group(struct rig *r)
{
    char err[ERR_BYTES] = "";
    if (state_write(r->state, false, &r->fx, err, sizeof err) != ST_OK)
        regress_die(err);
    r->now_ms++;
}

static void regress_answer(struct rig *r, struct outcome *out)
{
    buf_reset(&r->replies, MIB(1));
    resp_write(&r->replies, slice_of(out->reply.data, out->reply.len), 2);
}

/* Parses, applies, writes and answers the same request n times, as one group. */
static void regress_run_group(struct rig *r, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        size_t at = 0;
        struct command cmd = regress_next_command(r, &at);
        regress_apply(r, &cmd, &r->out[i]);
    }
    regress_write_group(r);
    for (uint32_t i = 0; i < n; i++) {
        regress_answer(r, &r->out[i]);
        outcome_free(&r->out[i]);
    }
}

/* ---- workloads ---- */

static void regress_make_send(struct rig *r)
{
    buf_reset(&r->in, MIB(1));
    regress_put_array(&r->in, 3);
    regress_put_text(&r->in, "SEND");
    regress_put_word(&r->in, TOPIC);
    regress_put_word(&r->in, slice_of(r->body, BODY_BYTES));
}

static void regress_make_rpc_send(struct rig *r)
{
    buf_reset(&r->rpc_in, MIB(1));
    rpc_put_request(&r->rpc_in, 1, "send");
    rpc_put_map(&r->rpc_in, 2);
    rpc_put_str(&r->rpc_in, SLICE_LIT("topic"));
    rpc_put_str(&r->rpc_in, TOPIC);
    rpc_put_str(&r->rpc_in, SLICE_LIT("body"));
    rpc_put_bin(&r->rpc_in, slice_of(r->body, BODY_BYTES));
}

static void regress_prepare_send(struct rig *r)
{
    regress_make_rpc_send(r);
    regress_make_send(r);
    regress_run_group(r, 1); /* creates the topic, which must not be counted */
}

static void regress_work_parse_resp(struct rig *r)
{
    for (; r->done < r->n; r->done++) {
        size_t at = 0;
        (void)regress_next_command(r, &at);
    }
}

static void regress_work_parse_rpc(struct rig *r)
{
    struct slice input = slice_of(r->rpc_in.data, r->rpc_in.len);
    char err[ERR_BYTES] = "";
    for (; r->done < r->n; r->done++) {
        struct rpc_frame frame;
        struct command cmd;
        size_t used = 0;
        if (rpc_reader_next(r->rpc, input, &frame, &used, err, sizeof err) != ST_OK ||
            rpc_command(&r->space, &frame, &cmd, err, sizeof err) != ST_OK)
            regress_die(err);
    }
}

static void regress_work_answer(struct rig *r)
{
    struct buf tokens;
    buf_init(&tokens, 0);
    for (; r->done < r->n; r->done++) {
        buf_reset(&tokens, MIB(1));
        reply_id(&tokens, TOPIC, 3, r->done);
        buf_reset(&r->replies, MIB(1));
        resp_write(&r->replies, slice_of(tokens.data, tokens.len), 2);
        rpc_write_response(&r->replies, r->done, slice_of(tokens.data, tokens.len));
    }
    buf_free(&tokens);
}

static void regress_fill_record(struct rig *r, uint32_t n)
{
    struct message m = {.born_ms = BEGIN_MS, .body = slice_of(r->body, BODY_BYTES)};
    struct record_header h = {.count = n, .stored_ms = BEGIN_MS};
    buf_reset(&r->record, MIB(1));
    buf_reset(&r->starts, MIB(1));
    record_begin(&r->record);
    for (uint32_t i = 0; i < n; i++) {
        m.seq = i;
        record_add(&r->record, &r->starts, &m, BEGIN_MS);
    }
    record_end(&r->record, &r->starts, &h);
}

static void regress_work_encode(struct rig *r)
{
    for (; r->done < r->n; r->done += 1000)
        regress_fill_record(r, 1000);
}

static void regress_prepare_decode(struct rig *r)
{
    regress_fill_record(r, 1000);
}

static void regress_work_decode(struct rig *r)
{
    struct slice record = slice_of(r->record.data, r->record.len);
    while (r->done < r->n) {
        struct record_header h;
        struct message m;
        if (record_verify(record, &h) != ST_OK)
            regress_die("the record is damaged");
        for (uint32_t i = 0; i < h.count; i++, r->done++) {
            if (record_message(record, &h, i, &m) != ST_OK)
                regress_die("a message is damaged");
        }
    }
}

static void regress_work_send(struct rig *r)
{
    for (; r->done < r->n; r->done += GROUP)
        regress_run_group(r, GROUP);
}

static void regress_prepare_msend(struct rig *r)
{
    regress_prepare_send(r);
    buf_reset(&r->in, MIB(1));
    regress_put_array(&r->in, 102);
    regress_put_text(&r->in, "MSEND");
    regress_put_word(&r->in, TOPIC);
    for (int i = 0; i < 100; i++)
        regress_put_word(&r->in, slice_of(r->body, BODY_BYTES));
}

static void regress_work_msend(struct rig *r)
{
    for (; r->done < r->n; r->done += 800)
        regress_run_group(r, 8);
}

/* A batch of 1,000 as the C client sends it, by MessagePack-RPC. */
static void regress_prepare_produce(struct rig *r)
{
    regress_prepare_send(r);
    struct message m = {.body = slice_of(r->body, BODY_BYTES)};
    struct record_header h = {.count = 1000};
    buf_reset(&r->record, MIB(1));
    buf_reset(&r->starts, MIB(1));
    record_begin(&r->record);
    for (uint32_t i = 0; i < h.count; i++) {
        m.seq = i;
        record_add(&r->record, &r->starts, &m, 0);
    }
    record_end(&r->record, &r->starts, &h);
    buf_reset(&r->rpc_in, MIB(1));
    rpc_put_request(&r->rpc_in, 1, "produce");
    rpc_put_map(&r->rpc_in, 2);
    rpc_put_str(&r->rpc_in, SLICE_LIT("topic"));
    rpc_put_str(&r->rpc_in, TOPIC);
    rpc_put_str(&r->rpc_in, SLICE_LIT("batch"));
    rpc_put_bin(&r->rpc_in, slice_of(r->record.data, r->record.len));
}

static void regress_work_produce(struct rig *r)
{
    struct slice input = slice_of(r->rpc_in.data, r->rpc_in.len);
    char err[ERR_BYTES] = "";
    for (; r->done < r->n; r->done += 1000) {
        struct rpc_frame frame;
        struct command cmd;
        size_t used = 0;
        if (rpc_reader_next(r->rpc, input, &frame, &used, err, sizeof err) != ST_OK ||
            rpc_command(&r->space, &frame, &cmd, err, sizeof err) != ST_OK)
            regress_die(err);
        regress_apply(r, &cmd, &r->out[0]);
        regress_write_group(r);
        regress_answer(r, &r->out[0]);
        outcome_free(&r->out[0]);
    }
}

static void regress_prepare_backlog(struct rig *r)
{
    regress_prepare_msend(r);
    for (uint64_t i = 0; i < r->n + 100; i += 800)
        regress_run_group(r, 8);
}

static void regress_make_pop(struct rig *r)
{
    static const char *const words[] = {"POP", "g", "bench", "COUNT", "100"};
    buf_reset(&r->in, MIB(1));
    regress_put_array(&r->in, sizeof words / sizeof *words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        regress_put_text(&r->in, words[i]);
}

/* Makes an ACK of each message that was delivered. Returns how many. */
static uint64_t regress_make_ack(struct rig *r, const struct outcome *pop)
{
    uint64_t n = 0;
    for (uint32_t g = 0; g < pop->n_grants; g++)
        n += pop->grants[g].count;
    buf_reset(&r->in, MIB(1));
    regress_put_array(&r->in, (size_t)n + 2);
    regress_put_text(&r->in, "ACK");
    regress_put_text(&r->in, "g");
    for (uint32_t g = 0; g < pop->n_grants; g++) {
        const struct grant *grant = &pop->grants[g];
        for (uint32_t i = 0; i < grant->count; i++) {
            struct token t;
            buf_reset(&r->replies, MIB(1));
            reply_receipt(&r->replies, TOPIC, grant->queue, grant->base + i, grant->attempt);
            struct cursor c = cursor_of(slice_of(r->replies.data, r->replies.len));
            if (!reply_next(&c, &t))
                regress_die("a receipt has no text");
            regress_put_word(&r->in, t.bytes);
        }
    }
    return n;
}

/* A POP of 100, whose messages are read from a view, and an ACK of 100, each in a group of its own. */
static void regress_work_pop_ack(struct rig *r)
{
    while (r->done < r->n) {
        size_t at = 0;
        regress_make_pop(r);
        struct command cmd = regress_next_command(r, &at);
        struct outcome *out = &r->out[0];
        regress_apply(r, &cmd, out);
        regress_write_group(r);
        struct view *view = view_open(r->store);
        if (!view)
            regress_die("no view");
        struct granted granted;
        query_grants(view, SLICE_LIT("g"), out, &out->reply, &granted);
        view_close(view);
        regress_answer(r, out);
        uint64_t n = regress_make_ack(r, out);
        outcome_free(out);
        if (n == 0 || granted.n != n)
            regress_die("a POP brought too little");
        regress_run_group(r, 1);
        r->done += n;
    }
}

static void regress_prepare_read(struct rig *r)
{
    static const char *const words[] = {"READ", "bench", "0", "0", "COUNT", "100"};
    regress_prepare_backlog(r);
    buf_reset(&r->in, MIB(1));
    regress_put_array(&r->in, sizeof words / sizeof *words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        regress_put_text(&r->in, words[i]);
}

static void regress_work_read(struct rig *r)
{
    struct buf reply;
    buf_init(&reply, 0);
    for (; r->done < r->n; r->done += 100) {
        size_t at = 0;
        struct command cmd = regress_next_command(r, &at);
        struct query_hint hint = {0};
        struct view *view = view_open(r->store);
        if (!view)
            regress_die("no view");
        buf_reset(&reply, MIB(1));
        query_all(view, &r->policy, r->now_ms, &cmd, &reply, &hint);
        view_close(view);
        buf_reset(&r->replies, MIB(1));
        resp_write(&r->replies, slice_of(reply.data, reply.len), 2);
    }
    buf_free(&reply);
}

static void regress_make_half(struct rig *r)
{
    buf_reset(&r->in, MIB(1));
    regress_put_array(&r->in, 4);
    regress_put_text(&r->in, "HALF");
    regress_put_text(&r->in, "p");
    regress_put_word(&r->in, TOPIC);
    regress_put_word(&r->in, slice_of(r->body, BODY_BYTES));
}

/* GROUP of HALF in one group, then their COMMITs in another. */
static void regress_half_commit_group(struct rig *r)
{
    regress_make_half(r);
    struct buf commits;
    buf_init(&commits, 0);
    for (uint32_t i = 0; i < GROUP; i++) {
        size_t at = 0;
        struct command cmd = regress_next_command(r, &at);
        regress_apply(r, &cmd, &r->out[i]);
    }
    regress_write_group(r);
    for (uint32_t i = 0; i < GROUP; i++) {
        struct cursor c = cursor_of(slice_of(r->out[i].reply.data, r->out[i].reply.len));
        struct token t;
        if (!reply_next(&c, &t))
            regress_die("a HALF has no answer");
        regress_put_array(&commits, 2);
        regress_put_text(&commits, "COMMIT");
        regress_put_word(&commits, t.bytes);
        regress_answer(r, &r->out[i]);
        outcome_free(&r->out[i]);
    }
    struct buf halves = r->in;
    r->in = commits;
    size_t at = 0;
    for (uint32_t i = 0; i < GROUP; i++) {
        struct command cmd = regress_next_command(r, &at);
        regress_apply(r, &cmd, &r->out[i]);
    }
    regress_write_group(r);
    for (uint32_t i = 0; i < GROUP; i++) {
        regress_answer(r, &r->out[i]);
        outcome_free(&r->out[i]);
    }
    buf_free(&r->in);
    r->in = halves;
}

static void regress_work_half_commit(struct rig *r)
{
    for (; r->done < r->n; r->done += GROUP)
        regress_half_commit_group(r);
}

/* ---- judging ---- */

/* A loop with a connection, as far as who judges a command looks at them. */
struct bench_loop {
    struct loop *loop;
    struct serve_loop serve;
    struct roster roster;
    struct use *use;
    struct conn *conn;
};

static void regress_add_user(struct users *us, const char *name, const struct user_row *row)
{
    struct buf bytes;
    buf_init(&bytes, 0);
    user_row_encode(&bytes, row);
    if (bytes.failed || users_add(us, slice_str(name), buf_slice(&bytes)) != ST_OK)
        regress_die("no memory for a user");
    buf_free(&bytes);
}

/* `default`, and one with ten rules, of which the last is the one that counts. */
static struct users *regress_users(void)
{
    static const char *const rules[] = {"on", "nopass", "+@connection", "+@produce", "+@consume", "~orders.*", "~audit-?",
                                        "~b?nds", "group:g*", "~be*h"};
    struct slice words[sizeof rules / sizeof *rules];
    struct user_row row;
    char err[ERR_BYTES] = "";
    struct users *us = users_new();
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        words[i] = slice_str(rules[i]);
    user_row_new(&row);
    if (!us || rules_apply(&row, words, sizeof rules / sizeof *rules, (struct complaint){err, sizeof err}) != ST_OK)
        regress_die(err);
    row.born = row.ref = 1;
    regress_add_user(us, "ten", &row);
    if (users_finish(us) != ST_OK)
        regress_die("no memory for users");
    return us;
}

static void regress_loop_start(struct bench_loop *b, const char *user)
{
    *b = (struct bench_loop){0};
    b->loop = aligned_alloc(_Alignof(struct loop), sizeof *b->loop);
    b->conn = calloc(1, sizeof *b->conn + sizeof(struct session));
    if (!b->loop || !b->conn || uses_init(&b->roster.uses) != 0 || !(b->use = use_of(&b->roster.uses, slice_str(user))))
        regress_die("no memory for a loop");
    memset(b->loop, 0, sizeof *b->loop);
    atomic_init(&b->roster.gen, 1);
    b->serve.env.roster = &b->roster;
    b->serve.users = regress_users();
    b->serve.users_gen = 1;
    b->loop->serve = &b->serve;
    b->conn->loop = b->loop;
    const struct access_user *u = users_find(b->serve.users, slice_str(user));
    session_of(b->conn)->who = (struct who){.user = u, .gen = 1, .free_gen = u->free ? 1 : 0, .use = b->use};
}

static void regress_loop_stop(struct bench_loop *b)
{
    use_release(&b->roster.uses, b->use);
    uses_fini(&b->roster.uses);
    users_release(b->serve.users);
    free(b->conn);
    free(b->loop);
}

/* What dispatch does before a SEND, and after it, for its user. */
static void regress_judge(struct rig *r, const char *user)
{
    struct bench_loop b;
    const struct access_user *by_store;
    size_t at = 0;
    regress_loop_start(&b, user);
    struct command cmd = regress_next_command(r, &at);
    for (; r->done < r->n; r->done++) {
        if (allow_is_free(b.conn) || (allow_at_once(b.conn, &cmd, &by_store) && !by_store))
            continue;
        if (!allow(b.conn, &cmd, (struct request){0}, &by_store) || by_store)
            regress_die("the user may not SEND");
        allow_ends(b.conn, GO_ON);
    }
    regress_loop_stop(&b);
}

static void regress_work_judge_default(struct rig *r)
{
    regress_judge(r, "default");
}

static void regress_work_judge_rules(struct rig *r)
{
    regress_judge(r, "ten");
}

static const struct workload {
    const char *name;
    uint64_t n;
    void (*prepare)(struct rig *r);
    void (*work)(struct rig *r);
} workloads[] = {
    {"parse_resp", 10000, regress_prepare_send, regress_work_parse_resp},
    {"parse_rpc", 10000, regress_prepare_send, regress_work_parse_rpc},
    {"answer", 10000, regress_prepare_send, regress_work_answer},
    {"encode", 20000, regress_prepare_send, regress_work_encode},
    {"decode", 20000, regress_prepare_decode, regress_work_decode},
    {"send", 6400, regress_prepare_send, regress_work_send},
    {"msend", 16000, regress_prepare_msend, regress_work_msend},
    {"produce", 50000, regress_prepare_produce, regress_work_produce},
    {"read", 10000, regress_prepare_read, regress_work_read},
    {"pop_ack", 10000, regress_prepare_backlog, regress_work_pop_ack},
    {"half_commit", 3200, regress_prepare_send, regress_work_half_commit},
    {"judge_default", 100000, regress_prepare_send, regress_work_judge_default},
    {"judge_rules", 100000, regress_prepare_send, regress_work_judge_rules},
};

/* What callgrind counts: it must stay a function of its own and not be inlined. */
void regress_measured(const struct workload *w, struct rig *r);
__attribute__((noinline)) void regress_measured(const struct workload *w, struct rig *r)
{
    w->work(r);
}

static void regress_rig_start(struct rig *r, const char *path)
{
    *r = (struct rig){.now_ms = BEGIN_MS};
    r->policy = (struct policy){.dedup_window_ms = 600000, .txn_bytes = TXN_BYTES_MAX,
                                .txn_outcome_retention_ms = INT64_C(604800000),
                                .txn_timeout_ms = INT64_C(86400000),
                                .checkin_ms = 6000,
                                .check_every_ms = 30000,
                                .check_max = 15,
                                .auto_create_topics = true,
                                  .auto_create_groups = true};
    struct store_options opt = {.path = path, .memory_bytes = MIB(256)};
    char err[ERR_BYTES] = "";
    if (store_open(&opt, &r->store, err, sizeof err) != ST_OK ||
        state_load(r->store, &r->state, err, sizeof err) != ST_OK)
        regress_die(err);
    r->rpc = rpc_reader_new(MIB(8));
    if (!r->rpc)
        regress_die("no memory");
    struct buf *bufs[] = {&r->in, &r->rpc_in, &r->replies, &r->record, &r->starts};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_init(bufs[i], 0);
    command_space_init(&r->space);
    resp_reader_init(&r->reader, MIB(4));
    memset(r->body, 'x', sizeof r->body);
}

static void regress_rig_stop(struct rig *r)
{
    struct buf *bufs[] = {&r->in, &r->rpc_in, &r->replies, &r->record, &r->starts};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        buf_free(bufs[i]);
    resp_reader_free(&r->reader);
    command_space_free(&r->space);
    rpc_reader_free(r->rpc);
    state_drop(r->state);
    store_close(r->store);
}

int main(int argc, char **argv)
{
    const struct workload *found = NULL;
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        if (argc < 2)
            puts(workloads[i].name);
        else if (strcmp(workloads[i].name, argv[1]) == 0)
            found = &workloads[i];
    }
    if (argc < 2)
        return 0;
    if (!found || argc != 3) {
        fputs("Usage: halfmq-regress [WORKLOAD EMPTY_FOLDER]\n", stderr);
        return 2;
    }
    struct rig r;
    regress_rig_start(&r, argv[2]);
    r.n = found->n;
    found->prepare(&r);
    r.done = 0;
    regress_measured(found, &r);
    printf("%llu\n", (unsigned long long)r.done);
    regress_rig_stop(&r);
    return 0;
}
