/*
 * test_serve_faults.c: lets the n-th allocation of a loop fail, for every n, while a client sends commands of all
 * kinds. That client gets errors, or is disconnected; another client is served as ever, and nothing crashes or leaks.
 *
 * The loop's thread makes the allocations; INFO runs there and switches the counting on. What it does as the leader of the
 * journal is not counted: tests/unit/storage has its own test of that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/net/loop.h"
#include "protocol/rpc/rpc.h"
#include "tests/lib/fault_heap.h"
#include "tests/lib/loops.h"

#define FAULTS_MIN 30 /* else the counting does not work */
#define FAULTS_MAX 20000
#define SILENT_TURNS 3

static _Thread_local bool counted; /* on the loop's thread */

bool __real_journal_turn(struct journal *j, struct journal_client *c, enum turn_order order);
bool __wrap_journal_turn(struct journal *j, struct journal_client *c, enum turn_order order);
struct view *__real_journal_view(struct journal *j, struct journal_client *c);
struct view *__wrap_journal_view(struct journal *j, struct journal_client *c);

bool __wrap_journal_turn(struct journal *j, struct journal_client *c, enum turn_order order)
{
    fault_heap_inside(false);
    bool unsettled = __real_journal_turn(j, c, order);
    fault_heap_inside(counted);
    return unsettled;
}

struct view *__wrap_journal_view(struct journal *j, struct journal_client *c)
{
    fault_heap_inside(false);
    struct view *v = __real_journal_view(j, c);
    fault_heap_inside(counted);
    return v;
}

static void count_from_now_on(void)
{
    counted = true;
    fault_heap_inside(true);
}

static void say(struct wire *w, const char *text)
{
    if (!wire_send_str(w, text))
        fail_msg("%s", w->error);
}

/* A reply of that kind. */
static void hear(struct wire *w, enum resp_kind kind)
{
    struct resp_value *v = NULL;
    if (!wire_reply(w, &v))
        fail_msg("%s", w->error);
    assert_int_equal(v->kind, kind);
    resp_value_free(v);
}

/* Sends all of it, and reads until the broker closes. That it closes early, or answers with errors, is fine. */
static void attempt(struct loops *f, struct slice bytes)
{
    struct wire w = loops_client(f, 0);
    if (wire_send(&w, bytes))
        wire_half_close(&w);
    for (size_t had = 0; !w.closed; had = w.in.len) {
        if (!wire_fill(&w, had + 1) && !w.closed)
            fail_msg("%s", w.error);
    }
    wire_close(&w);
}

static void put_words(struct buf *b, const char *first, uint32_t n)
{
    buf_printf(b, "*%u\r\n$%zu\r\n%s\r\n$1\r\nt\r\n", n + 2, strlen(first), first);
    for (uint32_t i = 0; i < n; i++)
        buf_put_str(b, "$1\r\nx\r\n");
}

static void text_session(struct buf *b)
{
    buf_put_str(b, "SEND t hello KEY k\r\nREAD t 0 0 COUNT 10\r\nFIND t KEY k\r\nPOP g t COUNT 2\r\nHELLO 3\r\n"
                   "LAG\r\nTOPIC LIST\r\nGROUP LIST\r\nGROUP INFO g\r\nTXN LIST\r\nCOMMAND DOCS send topic\r\n"
                   "CLIENT LIST\r\nCLIENT SETNAME me\r\nSUBSCRIBE topic:t topic:u\r\nSEND t news\r\nGET t:0:0\r\n"
                   "HALF p t later\r\nCONFIG GET *\r\nPGROUP LIST\r\nnonsense \"x y\" z\r\nPOP h u COUNT 3 WAIT 5\r\n"
                   "READ t 0 100000 WAIT 5\r\nUNSUBSCRIBE topic:t\r\n");
    put_words(b, "MSEND", 3000);
    put_words(b, "NONSENSE", 3000);
}

static void put_call(struct buf *b, uint64_t id, const char *method, uint32_t pairs)
{
    rpc_put_request(b, id, method);
    rpc_put_list(b, 1);
    rpc_put_map(b, pairs);
}

static void put_text(struct buf *b, const char *key, const char *value)
{
    rpc_put_str(b, slice_str(key));
    rpc_put_str(b, slice_str(value));
}

static void put_number(struct buf *b, const char *key, int64_t value)
{
    rpc_put_str(b, slice_str(key));
    rpc_put_int(b, value);
}

static void rpc_session(struct buf *b)
{
    put_call(b, 1, "stream_group", 3);
    put_text(b, "group", "s");
    put_text(b, "topic", "t");
    put_number(b, "credit", 1000);
    put_call(b, 2, "stream_queue", 4);
    put_text(b, "topic", "t");
    put_number(b, "queue", 0);
    put_number(b, "offset", 0);
    put_number(b, "credit", 1000000);
    put_call(b, 3, "pop", 3);
    put_text(b, "group", "nobody");
    put_text(b, "topic", "u");
    put_number(b, "wait", 5);
    put_call(b, 4, "lag", 0);
    put_call(b, 5, "subscribe", 1);
    put_text(b, "channel", "topic:t");
    put_call(b, 6, "send", 2);
    put_text(b, "topic", "t");
    put_text(b, "body", "streamed");
    put_call(b, 7, "topic_list", 0);
}

static void honest_client_is_served(struct wire *w)
{
    say(w, "PING\r\nSEND honest x QUEUE 0\r\nREAD honest 0 0 COUNT 2\r\n");
    hear(w, RV_SIMPLE);
    hear(w, RV_BULK);
    hear(w, RV_ARRAY);
}

static void let_each_fail(struct loops *f, struct wire *honest, struct slice bytes, bool forever)
{
    uint32_t silent = 0, n = 1; /* the number of allocations is not always the same */
    for (; n < FAULTS_MAX && silent < SILENT_TURNS; n++) {
        fault_heap_fail(n, forever);
        attempt(f, bytes);
        silent = fault_heap_fired() ? 0 : silent + 1;
        fault_heap_fail(0, false);
        honest_client_is_served(honest);
    }
    assert_int_equal(silent, SILENT_TURNS);
    assert_in_range(n, FAULTS_MIN, FAULTS_MAX);
}

static void try_all(struct loops *f, void (*session)(struct buf *b))
{
    struct wire honest = loops_client(f, 0);
    struct buf b;
    buf_init(&b, 0);
    session(&b);
    attempt(f, buf_slice(&b)); /* what it makes is there afterwards */
    f->at_info = count_from_now_on;
    say(&honest, "INFO\r\n");
    hear(&honest, RV_BULK);
    let_each_fail(f, &honest, buf_slice(&b), false);
    let_each_fail(f, &honest, buf_slice(&b), true);
    buf_free(&b);
    wire_close(&honest);
}

static void text_clients(void **state)
{
    try_all(*state, text_session);
}

static void multi_session(struct buf *b)
{
    static const char queued[] = "SEND t hello KEY k\r\nMSEND t a b c\r\nPOP g t COUNT 3\r\nREAD t 0 0 COUNT 10\r\n"
                                 "FIND t KEY k\r\nLAG\r\nTOPIC LIST\r\nGROUP INFO g\r\nPGROUP INFO p\r\nPING\r\nHELP SEND\r\n"
                                 "CLIENT SETNAME me\r\nHALF p t later\r\nCHECKS p\r\nACK g t:0:0#1\r\n";
    buf_printf(b, "MULTI\r\n%sEXEC\r\nMULTI\r\n%sDISCARD\r\nMULTI now\r\n%sEXEC\r\nMULTI\r\n%sNONSENSE\r\nEXEC\r\n",
               queued, queued, queued, queued);
    buf_printf(b, "SUBSCRIBE topic:t\r\nMULTI\r\n%sEXEC\r\nMULTI\r\n%s", queued, queued);
}

static void multi_clients(void **state)
{
    try_all(*state, multi_session);
}

/* A reply of more than REPLY_BYTES_KEEP makes the loop give its buffer back, so each of the others begins with none. */
static void put_from_nothing(struct buf *b)
{
    static const char *const commands[] = {"HELLO 3", "COMMAND DOCS send topic", "COMMAND INFO send", "CLIENT LIST",
                                           "GET nothing:0:0"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        buf_printf(b, "READ big 0 0\r\n%s\r\n", commands[i]);
}

static void replies_from_nothing(void **state)
{
    struct wire w = loops_client(*state, 0);
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "*5\r\n$4\r\nSEND\r\n$3\r\nbig\r\n$%zu\r\n", REPLY_BYTES_KEEP + 1);
    uint8_t *body = buf_room(&b, REPLY_BYTES_KEEP + 1);
    assert_non_null(body);
    memset(body, 'x', REPLY_BYTES_KEEP + 1);
    buf_added(&b, REPLY_BYTES_KEEP + 1);
    buf_put_str(&b, "\r\n$5\r\nQUEUE\r\n$1\r\n0\r\n");
    assert_true(wire_send(&w, buf_slice(&b)));
    hear(&w, RV_BULK);
    wire_close(&w);
    buf_free(&b);
    try_all(*state, put_from_nothing);
}

static void rpc_clients(void **state)
{
    try_all(*state, rpc_session);
}

static int set_up(void **state)
{
    *state = loops_start(1, "--memory=16777216");
    return 0;
}

static int tear_down(void **state)
{
    loops_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(multi_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replies_from_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rpc_clients, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
