/* shell.c: opens a state in a temporary folder, applies commands given as lines, and writes replies as text
 * (shell.h). */
#include "tests/lib/shell.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/resp/resp.h"
#include "storage/group/group.h"
#include "tests/lib/tmpdir.h"

#define LINE_SIZE 65536

void shell_start(struct shell *s)
{
    *s = (struct shell){.now_ms = SHELL_TIME};
    s->policy = (struct policy){.dedup_window_ms = 600000,
                                .txn_outcome_retention_ms = INT64_C(7) * 86400000,
                                .txn_timeout_ms = 86400000,
                                .checkin_ms = 6000,
                                .check_every_ms = 30000,
                                .check_max = 15, .txn_bytes = TXN_BYTES_MAX,
                                .node = 1,
                                .auto_create_topics = true,
                                  .auto_create_groups = true};
    s->path = tmpdir_new();
    command_space_init(&s->space);
    buf_init(&s->said, 0);
    buf_init(&s->asked, 0);
    if (shell_open(s))
        return;
    (void)fprintf(stderr, "cannot open %s: %s\n", s->path, s->err);
    exit(99);
}

static void inside(const struct shell *s, bool in)
{
    if (s->inside)
        s->inside(in);
}

/* The clock and the count go on from what is stored. */
static bool shell_load(struct shell *s)
{
    inside(s, true);
    s->status = state_load(s->store, &s->st, s->err, sizeof(s->err));
    inside(s, false);
    if (s->status != ST_OK)
        return false;
    int64_t last_ms = 0;
    state_last(s->st, &s->index, &last_ms);
    if (last_ms > s->now_ms)
        s->now_ms = last_ms;
    return true;
}

bool shell_open(struct shell *s)
{
    struct store_options opt = {.path = s->path,
                                .memory_bytes = s->memory_bytes ? s->memory_bytes : (size_t)64 << 20,
                                .salvage = s->salvage,
                                .redo = s->redo};
    s->store = NULL;
    s->st = NULL;
    s->err[0] = 0;
    inside(s, true);
    s->status = store_open(&opt, &s->store, s->err, sizeof(s->err));
    inside(s, false);
    if (s->status == ST_OK && shell_load(s))
        return true;
    store_close(s->store);
    s->store = NULL;
    return false;
}

static void shell_forget(struct shell *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        outcome_free(s->outs[i]);
        free(s->outs[i]);
        free(s->words[i]);
    }
    s->n = 0;
}

void shell_close(struct shell *s)
{
    shell_forget(s);
    state_drop(s->st);
    store_close(s->store);
    s->st = NULL;
    s->store = NULL;
}

bool shell_reload(struct shell *s)
{
    shell_forget(s);
    state_drop(s->st);
    s->st = NULL;
    return shell_load(s);
}

void shell_reopen(struct shell *s)
{
    shell_close(s);
    if (shell_open(s))
        return;
    (void)fprintf(stderr, "cannot open %s again: %s\n", s->path, s->err);
    exit(99);
}

void shell_stop(struct shell *s)
{
    shell_close(s);
    command_space_free(&s->space);
    buf_free(&s->said);
    buf_free(&s->asked);
    tmpdir_remove(s->path);
}

int shell_setup(void **state)
{
    static struct shell s;
    shell_start(&s);
    *state = &s;
    return 0;
}

int shell_teardown(void **state)
{
    shell_stop(*state);
    return 0;
}

/* Parses the broker's own commands, whose words the product's parser does not accept. */
static bool inner_command(const struct slice *words, size_t n, struct command *ret_cmd)
{
    enum command_id id = COMMAND_COUNT;
    uint32_t pos = 0;
    if (slice_equal(words[0], SLICE_LIT("TICK")))
        id = CMD_TICK;
    else if (slice_equal(words[0], SLICE_LIT("UNASK")))
        id = CMD_UNASK;
    else if (slice_equal(words[0], SLICE_LIT("RELEASE")))
        id = CMD_RELEASE, pos = 1;
    else if (slice_equal(words[0], SLICE_LIT("SKIP")))
        id = CMD_SKIP, pos = 1;
    else if (slice_equal(words[0], SLICE_LIT("ADVANCE")))
        id = CMD_ADVANCE, pos = 1;
    if (id == COMMAND_COUNT)
        return false;
    *ret_cmd = (struct command){.info = command_info(id), .n_pos = pos};
    if (pos)
        ret_cmd->pos[0] = words[1];
    static struct option at;
    if (id == CMD_RELEASE && n > 4 && slice_equal(words[n - 2], SLICE_LIT("AT"))) {
        at = (struct option){.id = OPT_ID_AT};
        bool read = text_int(words[n - 1], &at.n);
        assert(read);
        ret_cmd->n_opt = 1, ret_cmd->opt = &at, ret_cmd->has = OPT(AT);
        n -= 2;
    }
    ret_cmd->n_rest = (uint32_t)(n - 1 - pos);
    ret_cmd->rest = (struct slice *)(uintptr_t)(words + 1 + pos);
    return true;
}

static struct outcome *shell_slot(struct shell *s)
{
    if (s->n == 0)
        buf_reset(&s->said, (size_t)1 << 20);
    if (s->n == SHELL_REPLIES_MAX) {
        (void)fprintf(stderr, "a group of the test holds more than %d commands\n", SHELL_REPLIES_MAX);
        exit(99);
    }
    struct outcome *out = malloc(sizeof(*out));
    if (!out)
        exit(99);
    outcome_init(out);
    s->groups[s->n] = slice_of(NULL, 0);
    s->words[s->n] = NULL;
    s->outs[s->n++] = out;
    return out;
}

/* TAKE has the words of POP. */
static enum status shell_parse(struct shell *s, const struct slice *words, size_t n, struct command *ret_cmd, char *err)
{
    if (inner_command(words, n, ret_cmd))
        return ST_OK;
    if (!slice_equal(words[0], SLICE_LIT("TAKE")))
        return command_from_words(&s->space, words, n, ret_cmd, err, ERR_SIZE);
    struct slice *copy = malloc(n * sizeof(*copy));
    if (!copy)
        exit(99);
    memcpy(copy, words, n * sizeof(*copy));
    copy[0] = SLICE_LIT("POP");
    enum status bad = command_from_words(&s->space, copy, n, ret_cmd, err, ERR_SIZE);
    free(copy);
    if (bad == ST_OK)
        ret_cmd->info = command_info(CMD_TAKE);
    return bad;
}

/* What state_apply is given stays until the group is written. */
static const struct slice *shell_keep(struct shell *s, const struct slice *words, size_t n)
{
    size_t bytes = n * sizeof(struct slice);
    for (size_t i = 0; i < n; i++)
        bytes += words[i].len;
    struct slice *kept = malloc(bytes);
    if (!kept)
        exit(99);
    uint8_t *at = (uint8_t *)(kept + n);
    for (size_t i = 0; i < n; i++) {
        if (words[i].len)
            memcpy(at, words[i].data, words[i].len);
        kept[i] = slice_of(at, words[i].len);
        at += words[i].len;
    }
    s->words[s->n - 1] = kept;
    return kept;
}

/* A command that cannot be parsed gets the error of the broker and is not applied. */
uint32_t shell_add_words(struct shell *s, const struct slice *words, size_t n)
{
    char err[ERR_SIZE];
    struct command cmd;
    struct outcome *out = shell_slot(s);
    words = shell_keep(s, words, n);
    enum status bad = shell_parse(s, words, n, &cmd, err);
    cmd.client = s->client;
    cmd.sifted = s->sifted;
    if (bad != ST_OK) {
        reply_error(&out->reply, bad, "%s", err);
        return s->n - 1;
    }
    if (cmd.info->id == CMD_POP || cmd.info->id == CMD_TAKE)
        s->groups[s->n - 1] = cmd.pos[0];
    if (cmd.info->kind == KIND_QUERY) {
        struct query_hint hint;
        inside(s, true);
        struct view *v = view_open(s->store);
        if (v)
            query_all(v, &s->policy, s->now_ms, &cmd, &out->reply, &hint);
        view_close(v);
        inside(s, false);
        return s->n - 1;
    }
    struct stamp stamp = {.index = s->index + 1, .now_ms = s->now_ms, .policy = &s->policy};
    inside(s, true);
    if (s->asks_only) {
        s->repeated = state_repeated(s->st, &stamp, &cmd, out);
        if (!s->repeated)
            reply_null(&out->reply);
        inside(s, false);
        return s->n - 1;
    }
    s->index++;
    state_apply(s->st, &stamp, &cmd, out);
    inside(s, false);
    buf_reset(&s->asked, (size_t)1 << 20);
    s->sift = out->sift;
    if (out->sift)
        buf_put_slice(&s->asked, buf_slice(&out->text));
    return s->n - 1;
}

static uint32_t shell_add_line(struct shell *s, const char *line, size_t len)
{
    struct resp_reader reader;
    struct slice *words = NULL;
    size_t n = 0, used = 0;
    char err[ERR_SIZE];
    resp_reader_init(&reader, MIB(1));
    if (resp_reader_next(&reader, slice_of(line, len), &words, &n, &used, err, sizeof(err)) != ST_OK) {
        (void)fprintf(stderr, "the test's line is no command: %s\n", line);
        exit(99);
    }
    uint32_t i = shell_add_words(s, words, n);
    resp_reader_free(&reader);
    return i;
}

static uint32_t shell_vadd(struct shell *s, const char *fmt, va_list ap)
{
    char *line = malloc(LINE_SIZE);
    int n = line ? vsnprintf(line, LINE_SIZE - 2, fmt, ap) : -1;
    if (n < 0 || n >= LINE_SIZE - 2)
        exit(99);
    line[n] = '\n';
    uint32_t i = shell_add_line(s, line, (size_t)n + 1);
    free(line);
    return i;
}

uint32_t shell_add(struct shell *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    uint32_t i = shell_vadd(s, fmt, ap);
    va_end(ap);
    return i;
}

static void shell_answer(struct shell *s, uint32_t i)
{
    const struct outcome *out = s->outs[i];
    s->replies[i] = s->said.len;
    struct buf reply;
    buf_init(&reply, REPLY_BYTES_MAX);
    inside(s, true);
    struct view *v = out->n_grants ? view_open(s->store) : NULL;
    struct granted done;
    if (v)
        query_grants(v, s->groups[i], out, &reply, &done);
    view_close(v);
    inside(s, false);
    if (out->n_grants && (!v || reply.failed))
        buf_put_str(&s->said, v ? "!nomemory" : "!noview");
    else
        shell_render(&s->said, buf_slice(v ? &reply : &out->reply), s->full);
    buf_put_u8(&s->said, 0);
    buf_free(&reply);
}

bool shell_write(struct shell *s)
{
    inside(s, true);
    s->status = state_write(s->st, s->sync, &s->fx, s->err, sizeof(s->err));
    inside(s, false);
    if (s->status == ST_OK) {
        for (uint32_t i = 0; i < s->n; i++)
            shell_answer(s, i);
    }
    shell_forget(s);
    return s->status == ST_OK;
}

const char *shell_reply(const struct shell *s, uint32_t i)
{
    return (const char *)s->said.data + s->replies[i];
}

const struct outcome *shell_outcome(const struct shell *s, uint32_t i)
{
    assert(i < s->n);
    return s->outs[i];
}

static const char *shell_finish(struct shell *s, uint32_t i)
{
    if (shell_write(s))
        return shell_reply(s, i);
    buf_reset(&s->said, 0);
    buf_put_str(&s->said, "!");
    buf_put_int(&s->said, s->status);
    buf_put_u8(&s->said, 0);
    return (const char *)s->said.data;
}

const char *shell_do(struct shell *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    uint32_t i = shell_vadd(s, fmt, ap);
    va_end(ap);
    return shell_finish(s, i);
}

const char *shell_repeated(struct shell *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    s->asks_only = true;
    uint32_t i = shell_vadd(s, fmt, ap);
    s->asks_only = false;
    va_end(ap);
    const char *said = shell_finish(s, i);
    return s->repeated ? said : NULL;
}

const char *shell_do_words(struct shell *s, const struct slice *words, size_t n)
{
    return shell_finish(s, shell_add_words(s, words, n));
}

void shell_pass(struct shell *s, int64_t ms)
{
    s->now_ms += ms;
    (void)shell_do(s, "TICK");
    while (s->status == ST_OK && s->fx.next_due_ms <= s->now_ms)
        (void)shell_do(s, "TICK");
}

void shell_compact(struct shell *s)
{
    if (store_sync(s->store, s->err, sizeof(s->err)) != ST_OK) {
        (void)fprintf(stderr, "cannot sync %s: %s\n", s->path, s->err);
        exit(99);
    }
    kv_compact(s->st->kv, KV_STATE);
}

/* ---- what is stored ---- */

static struct kv_iter *shell_all(struct shell *s, enum kv_family f)
{
    static const uint8_t end[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct kv_iter *it = kv_iter_new(s->st->kv, f, NULL, slice_of(NULL, 0), slice_of(end, sizeof(end)));
    if (!it)
        exit(99);
    kv_iter_first(it);
    return it;
}

uint64_t shell_digest(struct shell *s)
{
    uint64_t sum = 0;
    for (int f = 0; f < KV_FAMILIES; f++) {
        if (!kv_has(s->st->kv, (enum kv_family)f))
            continue;
        struct kv_iter *it = shell_all(s, (enum kv_family)f);
        for (; kv_iter_valid(it); kv_iter_next(it)) {
            sum = sum * UINT64_C(0x9e3779b97f4a7c15) + text_hash(kv_iter_key(it));
            sum = sum * UINT64_C(0x9e3779b97f4a7c15) + text_hash(kv_iter_value(it));
        }
        kv_iter_free(it);
    }
    return sum;
}

uint32_t shell_rows(struct shell *s, char kind)
{
    uint32_t n = 0;
    struct kv_iter *it = shell_all(s, KV_STATE);
    for (; kv_iter_valid(it); kv_iter_next(it))
        n += kind == '*' || kv_iter_key(it).data[0] == (uint8_t)kind;
    kv_iter_free(it);
    return n;
}

/* ---- replies as text ---- */

static void render_value(struct buf *out, struct cursor *c, bool full);

static void render_list(struct buf *out, struct cursor *c, int64_t n, bool pairs, bool full)
{
    buf_put_str(out, pairs ? "{" : "[");
    for (int64_t i = 0; i < n; i++) {
        if (i)
            buf_put_u8(out, ' ');
        render_value(out, c, full);
        if (!pairs)
            continue;
        buf_put_u8(out, ':');
        render_value(out, c, full);
    }
    buf_put_str(out, pairs ? "}" : "]");
}

/* Writes a message as id=body, or with `full` all four parts. */
static void render_message(struct buf *out, struct cursor *c, bool full)
{
    buf_put_str(out, full ? "(" : "");
    render_value(out, c, full);
    buf_put_str(out, full ? " " : "=");
    render_value(out, c, full);
    struct buf dropped;
    buf_init(&dropped, 0);
    for (int i = 0; i < 2; i++) {
        if (full)
            buf_put_u8(out, ' ');
        render_value(full ? out : &dropped, c, full);
    }
    buf_free(&dropped);
    buf_put_str(out, full ? ")" : "");
}

static void render_error(struct buf *out, const struct token *t, bool full)
{
    buf_put_u8(out, '-');
    buf_put_str(out, status_code(t->status));
    if (!full)
        return;
    buf_put_u8(out, ' ');
    buf_put_slice(out, t->bytes);
}

static void render_value(struct buf *out, struct cursor *c, bool full)
{
    struct token t;
    if (!reply_next(c, &t)) {
        buf_put_str(out, "!damaged");
        return;
    }
    switch (t.kind) {
    case TOK_NULL: buf_put_str(out, "null"); break;
    case TOK_OK: buf_put_str(out, "OK"); break;
    case TOK_INT: buf_put_int(out, t.n); break;
    case TOK_BOOL: buf_put_str(out, t.n ? "true" : "false"); break;
    case TOK_DOUBLE: buf_printf(out, "%g", t.d); break;
    case TOK_SIMPLE:
    case TOK_BULK:
    case TOK_TEXT: buf_put_slice(out, t.bytes); break;
    case TOK_ARRAY:
    case TOK_PUSH: render_list(out, c, t.n, false, full); break;
    case TOK_MAP: render_list(out, c, t.n, true, full); break;
    case TOK_ERROR: render_error(out, &t, full); break;
    case TOK_MESSAGE: render_message(out, c, full); break;
    case TOK_COUNT: break;
    }
}

void shell_render(struct buf *out, struct slice reply, bool full)
{
    struct cursor c = cursor_of(reply);
    render_value(out, &c, full);
    if (cursor_left(&c) != 0)
        buf_put_str(out, "!more");
}

int64_t shell_field(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        bool begins = at == text || at[-1] == ' ' || at[-1] == '{';
        if (begins && at[len] == ':')
            return strtoll(at + len + 1, NULL, 10);
    }
    return -1;
}
