/*
 * filter_eval.c: runs the operations of a filter over a message (filter_code.h).
 *
 *   properties   looked up once a message, for all names that the filter has; of two with one name the last counts
 *   NULL         goes through every operation: with it, sums have no value and comparisons are unknown
 */
#include "protocol/filter/filter_code.h"

#include <assert.h>

#include "protocol/base/text.h"
#include "protocol/filter/filter_like.h"

#define EVAL_WORK_BYTES 16 /* looked at in the time of one operation */

struct eval {
    const struct filter *f;
    const struct filter_subject *s;
    struct slice props[FILTER_NAMES_MAX];
    bool has[FILTER_NAMES_MAX];
    uint32_t like_steps; /* left, for all LIKEs of this message */
    uint64_t work;
    struct filter_value *top; /* of the stack */
};

static struct filter_value eval_null(void) { return (struct filter_value){.kind = VALUE_NULL}; }

static struct filter_value eval_truth(enum filter_truth t)
{
    return (struct filter_value){.kind = VALUE_TRUTH, .truth = t};
}

static struct filter_value eval_number(int64_t n)
{
    return (struct filter_value){.kind = VALUE_NUMBER, .number = filter_number_of(n)};
}

static struct filter_value eval_text(bool there, struct slice text)
{
    return there ? (struct filter_value){.kind = VALUE_TEXT, .text = text} : eval_null();
}

/* ---- what a message has ---- */

static void eval_props(struct eval *e)
{
    const struct filter *f = e->f;
    struct cursor c = cursor_of(e->s->m->props);
    struct slice name, value;
    memset(e->has, 0, f->n_names);
    while (message_prop(&c, &name, &value)) {
        e->work += 1 + f->n_names / 8;
        for (uint32_t i = 0; i < f->n_names; i++) {
            if (!slice_equal(f->names[i], name))
                continue;
            e->props[i] = value;
            e->has[i] = true;
            break;
        }
    }
}

static struct filter_value eval_attribute(const struct filter_subject *s, enum filter_attribute a)
{
    const struct message *m = s->m;
    switch (a) {
    case ATTRIBUTE_TOPIC: return eval_text(true, s->topic);
    case ATTRIBUTE_TAG: return eval_text(m->fields & MSG_TAG, m->tag);
    case ATTRIBUTE_ORDER: return eval_text(m->fields & MSG_ORDER, m->order);
    case ATTRIBUTE_KEY: return m->n_keys ? (struct filter_value){.kind = VALUE_KEYS} : eval_null();
    case ATTRIBUTE_PRIORITY: return eval_number(m->fields & MSG_PRIORITY ? m->priority : MESSAGE_PRIORITY_DEFAULT);
    case ATTRIBUTE_QUEUE: return eval_number(s->queue);
    case ATTRIBUTE_OFFSET:
        return (struct filter_value){.kind = VALUE_NUMBER, .number = filter_number_of_u64(s->offset)};
    case ATTRIBUTE_BORN: return eval_number(m->born_ms);
    case ATTRIBUTE_STORED: return eval_number(s->stored_ms);
    case FILTER_ATTRIBUTES: break;
    }
    assert(false);
    return eval_null();
}

/* ---- values as ... ---- */

static bool eval_as_number(const struct filter_value *v, filter_number *ret_n)
{
    if (v->kind == VALUE_NUMBER) {
        *ret_n = v->number;
        return true;
    }
    return v->kind == VALUE_TEXT && filter_number_read(v->text, ret_n);
}

/* A property says TRUE or FALSE in any case, or 1 or 0. */
static enum filter_truth eval_as_truth(const struct filter_value *v)
{
    if (v->kind == VALUE_TRUTH)
        return v->truth;
    if (v->kind != VALUE_TEXT)
        return FILTER_UNKNOWN;
    if (slice_equal(v->text, SLICE_LIT("1")) || slice_equal_nocase(v->text, SLICE_LIT("TRUE")))
        return FILTER_TRUE;
    bool is_false = slice_equal(v->text, SLICE_LIT("0")) || slice_equal_nocase(v->text, SLICE_LIT("FALSE"));
    return is_false ? FILTER_FALSE : FILTER_UNKNOWN;
}

/* ---- comparing ---- */

static int eval_order_texts(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* Which of two is greater. False: it is unknown. */
static bool eval_order(struct eval *e, enum filter_how how, const struct filter_value *a, const struct filter_value *b,
                       int *ret_order)
{
    filter_number x = 0, y = 0;
    switch (how) {
    case AS_TEXTS:
        if (a->kind != VALUE_TEXT || b->kind != VALUE_TEXT)
            return false;
        e->work += (a->text.len < b->text.len ? a->text.len : b->text.len) / EVAL_WORK_BYTES;
        *ret_order = eval_order_texts(a->text, b->text);
        return true;
    case AS_NUMBERS:
        if (!eval_as_number(a, &x) || !eval_as_number(b, &y))
            return false;
        *ret_order = (x > y) - (x < y);
        return true;
    case AS_TRUTHS: break;
    }
    enum filter_truth p = eval_as_truth(a), q = eval_as_truth(b);
    *ret_order = (p > q) - (p < q);
    return p != FILTER_UNKNOWN && q != FILTER_UNKNOWN;
}

static bool eval_sign(enum filter_sign sign, int order)
{
    switch (sign) {
    case SIGN_EQUAL: return order == 0;
    case SIGN_UNEQUAL: return order != 0;
    case SIGN_LESS: return order < 0;
    case SIGN_LESS_EQUAL: return order <= 0;
    case SIGN_MORE: return order > 0;
    case SIGN_MORE_EQUAL: return order >= 0;
    }
    return false;
}

static enum filter_truth eval_compare_one(struct eval *e, enum filter_how how, enum filter_sign sign,
                                          const struct filter_value *a, const struct filter_value *b)
{
    int order = 0;
    if (!eval_order(e, how, a, b, &order))
        return FILTER_UNKNOWN;
    return eval_sign(sign, order) ? FILTER_TRUE : FILTER_FALSE;
}

static enum filter_truth eval_or(enum filter_truth a, enum filter_truth b) { return a > b ? a : b; }
static enum filter_truth eval_and(enum filter_truth a, enum filter_truth b) { return a < b ? a : b; }

/* The i-th text of a value that may be all KEYs; any other value has one. */
static uint32_t eval_count(const struct eval *e, const struct filter_value *v)
{
    return v->kind == VALUE_KEYS ? e->s->m->n_keys : 1;
}

static struct filter_value eval_at(const struct eval *e, const struct filter_value *v, uint32_t i)
{
    return v->kind == VALUE_KEYS ? eval_text(true, e->s->m->keys[i]) : *v;
}

/* A comparison with KEYs holds where it holds for one of them. */
static enum filter_truth eval_compare(struct eval *e, enum filter_how how, enum filter_sign sign,
                                      const struct filter_value *a, const struct filter_value *b)
{
    enum filter_truth t = FILTER_FALSE;
    for (uint32_t i = 0; i < eval_count(e, a); i++) {
        for (uint32_t k = 0; k < eval_count(e, b); k++) {
            struct filter_value x = eval_at(e, a, i), y = eval_at(e, b, k);
            t = eval_or(t, eval_compare_one(e, how, sign, &x, &y));
        }
    }
    return t;
}

static enum filter_truth eval_between(struct eval *e, const struct filter_op *op, const struct filter_value *v)
{
    enum filter_truth t = FILTER_FALSE;
    for (uint32_t i = 0; i < eval_count(e, v); i++) {
        struct filter_value x = eval_at(e, v, i);
        t = eval_or(t, eval_and(eval_compare(e, (enum filter_how)op->how, SIGN_MORE_EQUAL, &x, v + 1),
                                eval_compare(e, (enum filter_how)op->arg, SIGN_LESS_EQUAL, &x, v + 2)));
    }
    return t;
}

static enum filter_truth eval_like(struct eval *e, const struct filter_op *op, const struct filter_value *v)
{
    const struct filter_value *pattern = &e->f->consts[op->arg], *escape = pattern + 1;
    struct slice by = escape->kind == VALUE_TEXT ? escape->text : slice_of(NULL, 0);
    enum filter_truth t = FILTER_FALSE;
    uint32_t before = e->like_steps;
    for (uint32_t i = 0; i < eval_count(e, v); i++) {
        struct filter_value x = eval_at(e, v, i);
        bool text = x.kind == VALUE_TEXT;
        t = eval_or(t, text ? filter_like(x.text, pattern->text, by, &e->like_steps) : FILTER_UNKNOWN);
    }
    e->work += before - e->like_steps;
    return t;
}

/* ---- calculating ---- */

static struct filter_value eval_calculate(enum filter_op_code code, const struct filter_value *a,
                                          const struct filter_value *b)
{
    filter_number x = 0, y = 0;
    struct filter_value v = {.kind = VALUE_NUMBER};
    bool ok = eval_as_number(a, &x) && eval_as_number(b, &y);
    if (ok && code == OP_ADD)
        ok = filter_number_add(x, y, &v.number);
    else if (ok && code == OP_SUBTRACT)
        ok = filter_number_add(x, -y, &v.number);
    else if (ok && code == OP_MULTIPLY)
        ok = filter_number_multiply(x, y, &v.number);
    else if (ok)
        ok = filter_number_divide(x, y, &v.number);
    return ok ? v : eval_null();
}

/* A value with a sign before it is a number; op->arg: it is a minus. */
static struct filter_value eval_negate(const struct filter_value *a, bool minus)
{
    struct filter_value v = {.kind = VALUE_NUMBER};
    if (!eval_as_number(a, &v.number))
        return eval_null();
    v.number = minus ? -v.number : v.number;
    return v;
}

/* ---- running ---- */

/* Operations that push a value. False: it is another one. */
static bool eval_push(struct eval *e, const struct filter_op *op)
{
    struct filter_value v;
    switch ((enum filter_op_code)op->code) {
    case OP_CONST: v = e->f->consts[op->arg]; break;
    case OP_NAME: v = eval_text(e->has[op->arg], e->props[op->arg]); break;
    case OP_ATTRIBUTE: v = eval_attribute(e->s, (enum filter_attribute)op->arg); break;
    case OP_IN_BEGIN: v = eval_truth(FILTER_FALSE); break;
    default: return false;
    }
    *++e->top = v;
    return true;
}

/* Operations that change the uppermost value, and those that skip others. */
static bool eval_one(struct eval *e, const struct filter_op *op, uint32_t *next)
{
    struct filter_value *v = e->top;
    switch ((enum filter_op_code)op->code) {
    case OP_NEGATE: *v = eval_negate(v, op->arg); return true;
    case OP_LIKE: *v = eval_truth(eval_like(e, op, v)); return true;
    case OP_IS_NULL: *v = eval_truth(v->kind == VALUE_NULL ? FILTER_TRUE : FILTER_FALSE); return true;
    case OP_IS_TRUTH: *v = eval_truth(v->truth == (enum filter_truth)op->arg ? FILTER_TRUE : FILTER_FALSE); return true;
    case OP_TRUTH: *v = eval_truth(eval_as_truth(v)); return true;
    case OP_NOT: v->truth = (enum filter_truth)(FILTER_TRUE - v->truth); return true;
    case OP_SKIP_FALSE: *next = v->truth == FILTER_FALSE ? op->arg : *next; return true;
    case OP_SKIP_TRUE: *next = v->truth == FILTER_TRUE ? op->arg : *next; return true;
    default: return false;
    }
}

/* Operations that make one value of several. */
static void eval_many(struct eval *e, const struct filter_op *op)
{
    struct filter_value *v = e->top - 1; /* of two */
    enum filter_how how = (enum filter_how)op->how;
    switch ((enum filter_op_code)op->code) {
    case OP_ADD:
    case OP_SUBTRACT:
    case OP_MULTIPLY:
    case OP_DIVIDE: v[0] = eval_calculate((enum filter_op_code)op->code, &v[0], &v[1]); break;
    case OP_COMPARE: v[0] = eval_truth(eval_compare(e, how, (enum filter_sign)op->arg, &v[0], &v[1])); break;
    case OP_IN: v[0].truth = eval_or(v[0].truth, eval_compare(e, how, SIGN_EQUAL, &v[-1], &v[1])); break;
    case OP_IN_END: v[0] = v[1]; break;
    case OP_AND: v[0].truth = eval_and(v[0].truth, v[1].truth); break;
    case OP_OR: v[0].truth = eval_or(v[0].truth, v[1].truth); break;
    case OP_BETWEEN:
        v--;
        v[0] = eval_truth(eval_between(e, op, v));
        break;
    default: assert(false);
    }
    e->top = v;
}

bool filter_matches(const struct filter *f, const struct filter_subject *s, uint64_t *work)
{
    struct filter_value stack[FILTER_STACK_MAX + 1]; /* stack[0] is never used */
    struct eval e; /* not cleared as a whole, since its properties are many and mostly not used */
    e.f = f;
    e.s = s;
    e.like_steps = FILTER_WORK_MAX;
    e.work = 0;
    e.top = stack;
    if (f->n_names)
        eval_props(&e);
    for (uint32_t i = 0; i < f->n_ops;) {
        const struct filter_op *op = &f->ops[i++];
        e.work++;
        if (!eval_push(&e, op) && !eval_one(&e, op, &i))
            eval_many(&e, op);
    }
    *work += e.work;
    return e.top->truth == FILTER_TRUE;
}
