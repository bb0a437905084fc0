/*
 * test_filter.c: expressions of FILTER WHERE: which of them are true, false or unknown of one message, which are
 * refused and with which sentence; and the bounds of depth, length and work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/buf.h"
#include "protocol/filter/filter.h"

/* The message that all expressions are asked of. */
static const char *const props[][2] = {
    {"price", "19.99"},    {"count", "7"},         {"zero", "0"},        {"word", "hello"},
    {"empty", ""},         {"color", "red"},       {"topic", "mine"},    {"big", "9007199254740993"},
    {"yes", "true"},       {"no", "FALSE"},        {"one", "1"},         {"pct", "100%"},
    {"path", "a_b\\c"},    {"minus", "-3"},        {"exp", "1.5e3"},     {"dotted.name", "d"},
    {"with space", "s"},   {"say \"hi\"", "q"},    {"umlaut", "\xc3\xa4" "b"}, {"tiny", "0.000000000000000001"},
    {"huge", "1e40"},      {"AND", "word"},        {"twice", "first"},   {"twice", "last"},
    {"plus", "+5"},        {"blank", " 5"},        {"pr\xc3\xa9nom", "Zo\xc3\xab"},
};

static void sample(struct buf *hold, struct message *m)
{
    message_clear(m);
    m->fields = MSG_TAG | MSG_KEY | MSG_PROPS;
    m->tag = SLICE_LIT("new");
    m->n_keys = 2;
    m->keys[0] = SLICE_LIT("k1");
    m->keys[1] = SLICE_LIT("42");
    m->born_ms = 1700000000000;
    m->body = SLICE_LIT("body");
    buf_init(hold, 0);
    for (size_t i = 0; i < sizeof props / sizeof *props; i++) {
        buf_put_sized(hold, slice_str(props[i][0]));
        buf_put_sized(hold, slice_str(props[i][1]));
        m->n_props++;
    }
    m->props = buf_slice(hold);
}

static bool matches(struct slice text)
{
    struct buf hold;
    struct message m;
    struct filter *f = NULL;
    char err[400] = "";
    uint64_t work = 0;
    enum status s = filter_parse(text, &f, (struct complaint){err, sizeof err});
    if (s != ST_OK)
        fail_msg("%.*s: %s", (int)text.len, (const char *)text.data, err);
    sample(&hold, &m);
    struct filter_subject subject = {
        .m = &m, .topic = SLICE_LIT("orders"), .queue = 3, .offset = 18446744073709551615u, .stored_ms = 1700000000500};
    bool is = filter_matches(f, &subject, &work);
    assert_true(work > 0);
    free(f);
    buf_free(&hold);
    return is;
}

/* t: true, f: false, u: unknown. Each is asked four times: as it is, negated, and whether it is unknown. */
struct row {
    const char *text;
    char is;
};

static void expect(const char *text, char is)
{
    char more[5000];
    bool plain = matches(slice_str(text));
    (void)snprintf(more, sizeof more, "NOT (%s)", text);
    bool negated = matches(slice_str(more));
    (void)snprintf(more, sizeof more, "(%s) IS UNKNOWN", text);
    bool unknown = matches(slice_str(more));
    char got = unknown ? 'u' : plain ? 't' : 'f';
    if (got != is || plain != (is == 't') || negated != (is == 'f'))
        fail_msg("%s: expected %c, got %c (plain %d, negated %d)", text, is, got, plain, negated);
}

static void expect_all(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expect(rows[i].text, rows[i].is);
}

#define EXPECT_ALL(rows) expect_all(rows, sizeof(rows) / sizeof *(rows))

static void comparisons(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"price = 19.99", 't'}, {"price <> 19.99", 'f'}, {"price != 19.99", 'f'}, {"price < 20", 't'},
        {"price <= 19.99", 't'}, {"price > 19.98", 't'}, {"price >= 20", 'f'}, {"19.99 = price", 't'},
        {"5<price", 't'}, {"count = 7.0", 't'}, {"count = '7'", 't'}, {"count = '7.0'", 'f'},
        {"count > 10", 'f'}, {"count > '10'", 't'}, /* texts compare byte by byte */
        {"color = 'red'", 't'}, {"color = 'Red'", 'f'}, {"color < 'reda'", 't'}, {"color > 're'", 't'},
        {"color <> 'blue'", 't'}, {"word > 5", 'u'}, {"word <> 5", 'u'}, {"missing = 5", 'u'},
        {"missing = 'x'", 'u'}, {"missing = missing", 'u'}, {"empty = ''", 't'}, {"empty = 0", 'u'},
        {"'abc' = 'abc'", 't'}, {"1 = 1", 't'}, {"1 < '2'", 't'}, {"'' = ''", 't'}, {"zero = -0", 't'},
        {"minus < 0", 't'}, {"minus = -3", 't'}, {"exp = 1500", 't'}, {"big = 9007199254740993", 't'},
        {"big = 9007199254740992", 'f'}, {"tiny > 0", 't'}, {"tiny = 1e-18", 't'}, {"huge > 5", 'u'},
        {"plus = 5", 't'}, {"blank = 5", 'u'}, {"price < count", 't'}, {"price + 0 < count", 'f'},
        {"twice = 'last'", 't'}, {".5 < 1.", 't'}, {"1e2=100", 't'}, {"1E+2 = 100 AND 100e-2 = 1", 't'},
        {"'it''s' = 'it''s'", 't'}, {"pr\xc3\xa9nom = 'Zo\xc3\xab'", 't'},
    };
    EXPECT_ALL(rows);
}

static void arithmetic(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0.1 + 0.2 = 0.3", 't'}, {"price * 100 = 1999", 't'}, {"price*100 > 1998 + 1", 'f'}, {"5 / 2 = 2.5", 't'},
        {"7 - 2 - 1 = 4", 't'}, {"2 + 3 * 4 = 14", 't'}, {"(2 + 3) * 4 = 20", 't'}, {"-count = -7", 't'},
        {"- count + 8 = 1", 't'}, {"+count = 7", 't'}, {"3 - -2 = 5", 't'}, {"12 / 4 / 3 = 1", 't'},
        {"1 / 3 * 3 = 1", 'f'}, {"2 / 3 = 0.666666666666666667", 't'}, {"1 / zero = 1", 'u'}, {"1 / 0 <> 1", 'u'},
        {"missing + 1 = 1", 'u'}, {"word * 2 = 0", 'u'}, {"'5' + '6' = 11", 't'}, {"-(1 + 2) = -3", 't'},
        {"9223372036854775807 + 1 = 9223372036854775808", 't'}, {"0.5 * 0.5 = .25", 't'}, {"-7 / 2 = -3.5", 't'},
        {"99999999999999999999 + 1 > 0", 'u'}, {"99999999999 * 99999999999 > 0", 'u'}, {"1e19 * 9 > 1", 't'},
        {"1e-18 / 2 = 1e-18", 't'}, {"1e-18 / 3 = 0", 't'}, {"4 / 1e-18 = 4e18", 't'}, {"1e19 / 1e-18 > 1", 'u'},
        {"-0.5 * 3 = -1.5", 't'}, {"1e-9 * 1e-9 = 1e-18", 't'}, {"1e-10 * 1e-10 = 0", 't'},
        {"5e-10 * 1e-9 = 1e-18", 't'}, {"9999999999.5 * 9999999999.5 = 99999999990000000000.25", 't'},
        {"0.0000000000000000014 = 1e-18", 't'}, {"0.0000000000000000015 = 2e-18", 't'}, {"1e-5000 = 0", 't'},
        {"00000000000000000000000000000000000000000000007 = 7", 't'}, {"0e5000 = 0", 't'},
        {"1.00000000000000000000000000000000000000000000000000000001 = 1", 't'},
        {"12345678901234567890.123456789012345678 - 12345678901234567890 = .123456789012345678", 't'},
    };
    EXPECT_ALL(rows);
}

static void logic(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"TRUE", 't'}, {"FALSE", 'f'}, {"true AND false", 'f'}, {"TRUE AND missing = 1", 'u'},
        {"FALSE AND missing = 1", 'f'}, {"missing = 1 AND FALSE", 'f'}, {"missing = 1 AND TRUE", 'u'},
        {"TRUE OR missing = 1", 't'}, {"missing = 1 OR TRUE", 't'}, {"FALSE OR missing = 1", 'u'},
        {"missing = 1 OR missing = 2", 'u'}, {"NOT missing = 1", 'u'}, {"NOT FALSE", 't'}, {"NOT NOT TRUE", 't'},
        {"TRUE OR FALSE AND FALSE", 't'}, {"(TRUE OR FALSE) AND FALSE", 'f'}, {"NOT FALSE AND FALSE", 'f'},
        {"FALSE AND FALSE OR TRUE", 't'}, {"not (count = 7 and color = 'red')", 'f'},
        {"yes", 't'}, {"no", 'f'}, {"one", 't'}, {"zero", 'f'}, {"word", 'u'}, {"missing", 'u'}, {"NOT no", 't'},
        {"yes = TRUE", 't'}, {"no = FALSE", 't'}, {"yes <> no", 't'}, {"yes <> FALSE", 't'}, {"missing = TRUE", 'u'},
        {"(count = 7) = TRUE", 't'}, {"(count = 7) = (price > 100)", 'f'}, {"yes AND count > 6 OR no", 't'},
        {"missing = 1 IS UNKNOWN", 't'}, {"missing = 1 IS NOT TRUE", 't'}, {"count = 7 IS TRUE", 't'},
        {"count = 7 IS NOT FALSE", 't'}, {"count = 8 IS FALSE", 't'}, {"yes IS TRUE", 't'}, {"TRUE IS NOT UNKNOWN", 't'},
        {"(missing = 1 OR count = 1) IS NULL", 'f'}, /* a condition is a truth, if an unknown one */
    };
    EXPECT_ALL(rows);
}

static void sets_and_ranges(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"count BETWEEN 7 AND 9", 't'}, {"count BETWEEN 8 AND 9", 'f'}, {"count NOT BETWEEN 8 AND 9", 't'},
        {"count BETWEEN 9 AND 7", 'f'}, {"missing BETWEEN 1 AND 2", 'u'}, {"count BETWEEN missing AND 6", 'f'},
        {"count BETWEEN missing AND 9", 'u'}, {"color BETWEEN 'a' AND 'z'", 't'}, {"count BETWEEN 1 + 1 AND 2 * 5", 't'},
        {"count BETWEEN 1 AND 9 AND color = 'red'", 't'}, {"5 BETWEEN zero AND count", 't'},
        {"word BETWEEN 1 AND 2", 'u'}, {"count BETWEEN '1' AND '9'", 't'},
        {"color IN ('red', 'blue')", 't'}, {"color IN ('green')", 'f'}, {"color NOT IN ('green', 'blue')", 't'},
        {"count IN (1, 7)", 't'}, {"count IN (1, 2, 6 + 1)", 't'}, {"count IN ('7')", 't'}, {"count IN ('07')", 'f'},
        {"missing IN (1, 2)", 'u'}, {"color IN (missing, 'red')", 't'}, {"color IN (missing, 'blue')", 'u'},
        {"color NOT IN (missing, 'blue')", 'u'}, {"count + 1 IN (8)", 't'}, {"yes IN (TRUE)", 't'},
        {"1 IN (1)", 't'}, {"'x' IN ('y', 'x')", 't'}, {"word IN (5, 6)", 'u'}, {"word IN (5, 'hello')", 't'},
    };
    EXPECT_ALL(rows);
}

static void patterns(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"word LIKE 'hello'", 't'}, {"word LIKE 'h%'", 't'}, {"word LIKE '%o'", 't'}, {"word LIKE '%ell%'", 't'},
        {"word LIKE 'h_llo'", 't'}, {"word LIKE '_____'", 't'}, {"word LIKE '____'", 'f'}, {"word LIKE '%'", 't'},
        {"word LIKE '%%%'", 't'}, {"word LIKE ''", 'f'}, {"empty LIKE ''", 't'}, {"empty LIKE '%'", 't'},
        {"empty LIKE '_'", 'f'}, {"word LIKE 'HELLO'", 'f'}, {"word LIKE '%l'", 'f'}, {"word LIKE 'h%l%o'", 't'},
        {"word LIKE '%l_'", 't'}, {"word LIKE '%hello%o'", 'f'}, {"word NOT LIKE 'x%'", 't'}, {"missing LIKE '%'", 'u'},
        {"missing NOT LIKE '%'", 'u'}, {"pct LIKE '100!%' ESCAPE '!'", 't'}, {"word LIKE '100!%' ESCAPE '!'", 'f'},
        {"pct LIKE '%!%' ESCAPE '!'", 't'}, {"path LIKE 'a!_b%' ESCAPE '!'", 't'}, {"path LIKE 'a\\_b\\\\c' ESCAPE '\\'", 't'},
        {"path LIKE '%\\c'", 't'}, {"umlaut LIKE '_b'", 't'}, {"umlaut LIKE '__'", 't'}, {"umlaut LIKE '___'", 'f'},
        {"umlaut LIKE '\xc3\xa4%'", 't'}, {"umlaut LIKE '%\xc3\xa4\xc3\xa4%' ESCAPE '\xc3\xa4'", 't'},
        {"word LIKE '%\xc3\xa4\xc3\xa4%' ESCAPE '\xc3\xa4'", 'f'}, {"umlaut LIKE '\xc3\xa4\xc3\xa4' ESCAPE '\xc3\xa4'", 'f'}, {"'aaab' LIKE '%aab'", 't'}, {"'abcabcabd' LIKE '%abcabd'", 't'},
        {"'mississippi' LIKE '%iss%ip%i'", 't'}, {"'mississippi' LIKE '%iss%ib%i'", 'f'}, {"count LIKE '7'", 't'},
        {"'it''s' LIKE '%''%'", 't'},
    };
    EXPECT_ALL(rows);
}

static void nulls_and_names(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"missing IS NULL", 't'}, {"missing IS NOT NULL", 'f'}, {"count IS NULL", 'f'}, {"count IS NOT NULL", 't'},
        {"empty IS NULL", 'f'}, {"missing + 1 IS NULL", 't'}, {"word + 1 IS NULL", 't'}, {"\"order\" IS NULL", 't'},
        {"topic = 'orders'", 't'}, {"\"topic\" = 'mine'", 't'}, {"TOPIC = 'orders'", 't'}, {"tag = 'new'", 't'},
        {"order IS NULL", 't'}, {"order = 'x'", 'u'}, {"priority = 4", 't'}, {"queue = 3", 't'}, {"queue IN (1, 3)", 't'},
        {"offset = 18446744073709551615", 't'}, {"born = 1700000000000", 't'}, {"stored - born = 500", 't'},
        {"key = 'k1'", 't'}, {"key = '42'", 't'}, {"key = 42", 't'}, {"key = 'k2'", 'f'}, {"key = 43", 'u'},
        {"key <> 'k1'", 't'}, /* one of them is another */ {"NOT key = 'k1'", 'f'}, {"key LIKE 'k%'", 't'},
        {"key IN ('a', 'k1')", 't'}, {"key NOT IN ('a', 'b')", 't'}, {"key BETWEEN 'k' AND 'l'", 't'}, {"key IS NOT NULL", 't'},
        {"\"with space\" = 's'", 't'}, {"\"say \"\"hi\"\"\" = 'q'", 't'}, {"dotted.name = 'd'", 't'}, {"\"AND\" = 'word'", 't'},
        {"Count = 7", 'u'}, /* properties have the case that they were sent with */
        {"\n\tcount\r\n=\n7 ", 't'}, {"count=7 and color='red'", 't'},
    };
    EXPECT_ALL(rows);
}

static void without_attributes(void **state)
{
    (void)state;
    static const char *const unknown[] = {"tag = 'x'", "key = 'x'", "key <> 'x'", "key LIKE '%'", "key IN ('x')",
                                          "order = 'x'", "p = 1", "key BETWEEN 'a' AND 'b'"};
    struct message m;
    message_clear(&m);
    struct filter_subject subject = {.m = &m, .topic = SLICE_LIT("t")};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char text[100];
        struct filter *f = NULL;
        uint64_t work = 0;
        (void)snprintf(text, sizeof text, "(%s) IS UNKNOWN", unknown[i]);
        assert_int_equal(filter_parse(slice_str(text), &f, (struct complaint){NULL, 0}), ST_OK);
        if (!filter_matches(f, &subject, &work))
            fail_msg("%s is not unknown", unknown[i]);
        free(f);
    }
}

/* What is refused, and with which sentence. */
static const struct {
    const char *text, *says;
} refused[] = {
    {"", "at character 1: the expression is empty: write a condition, as price > 10"},
    {"  ", "at character 1: the expression is empty: write a condition, as price > 10"},
    {"price >", "at character 8: expected a value or a name, but the expression ends"},
    {"price > > 5", "at character 9: expected a value or a name, but found >"},
    {"price 5", "at character 7: expected an operator or the end, but found 5"},
    {"price = 5 color = 'red'", "at character 11: expected an operator or the end, but found color"},
    {"(price = 5", "at character 11: expected a closing bracket, but the expression ends"},
    {"price = 5)", "at character 10: expected an operator or the end, but found )"},
    {"price = 'x", "at character 9: the text has no closing quote (')"},
    {"\"price = 5", "at character 1: the name has no closing quote (\")"},
    {"\"\" = 5", "at character 1: the name of a property has 1 to 255 bytes"},
    {"price = 5;", "at character 10: ';' has no meaning here"},
    {"price & 5", "at character 7: '&' has no meaning here"},
    {"a == 5", "at character 4: expected a value or a name, but found ="},
    {"price = \x01", "at character 9: '\\x01' has no meaning here"},
    {"\xc3\xa4\xc3\xa4 = ", "at character 6: expected a value or a name, but the expression ends"},
    {"price = 1x", "at character 9: 1x is not a number below 10^20"},
    {"price = 1.2.3", "at character 9: 1.2.3 is not a number below 10^20"},
    {"price = 1e", "at character 9: 1e is not a number below 10^20"},
    {"price = 1e20", "at character 9: 1e20 is not a number below 10^20"},
    {"price = NULL", "at character 9: nothing equals NULL: write IS NULL or IS NOT NULL"},
    {"price IS 5", "at character 10: expected NULL, TRUE, FALSE or UNKNOWN, but found 5"},
    {"price IS NOT", "at character 13: expected NULL, TRUE, FALSE or UNKNOWN, but the expression ends"},
    {"5", "at character 1: expected a condition, but this is a number"},
    {"'x'", "at character 1: expected a condition, but this is a text"},
    {"tag", "at character 1: expected a condition, but this is a text"},
    {"price + 1", "at character 1: expected a condition, but this is a number"},
    {"a = 1 AND 5", "at character 11: expected a condition, but this is a number"},
    {"5 OR a = 1", "at character 1: expected a condition, but this is a number"},
    {"NOT 'x'", "at character 5: expected a condition, but this is a text"},
    {"5 IS TRUE", "at character 1: expected a condition, but this is a number"},
    {"'abc' > 5", "at character 1: 'abc' is not a number"},
    {"priority = 'high'", "at character 12: 'high' is not a number"},
    {"price IN (1, 'x', 2) AND 5 IN ('x')", "at character 32: 'x' is not a number"},
    {"price + 'x' > 1", "at character 9: 'x' is not a number"},
    {"-'x' = 1", "at character 2: 'x' is not a number"},
    {"key + 1 = 2", "at character 1: key may be several texts: it cannot be calculated with"},
    {"(a = 1) + 1 = 2", "at character 2: a condition is not a number"},
    {"TRUE > FALSE", "at character 6: conditions are only compared with = and <>"},
    {"TRUE = 1", "at character 8: only a property or another condition can be compared with a condition"},
    {"TRUE BETWEEN FALSE AND TRUE", "at character 1: a condition cannot be BETWEEN others"},
    {"price BETWEEN 1", "at character 16: expected AND, but the expression ends"},
    {"price BETWEEN 1 OR 2", "at character 17: expected AND, but found OR"},
    {"price IN 1", "at character 10: expected an opening bracket, but found 1"},
    {"price IN ()", "at character 11: expected a value or a name, but found )"},
    {"price IN (1 2)", "at character 13: expected a comma or a closing bracket, but found 2"},
    {"price IN (1,", "at character 13: expected a value or a name, but the expression ends"},
    {"price NOT 5", "at character 11: expected BETWEEN, IN or LIKE, but found 5"},
    {"price LIKE 5", "at character 12: expected a pattern in quotes ('), but found 5"},
    {"price LIKE color", "at character 12: expected a pattern in quotes ('), but found color"},
    {"priority LIKE '4'", "at character 1: only a text can be LIKE a pattern"},
    {"a LIKE 'x' ESCAPE 5", "at character 19: expected one character in quotes ('), but found 5"},
    {"a LIKE 'x' ESCAPE ''", "at character 19: ESCAPE takes one character"},
    {"a LIKE 'x' ESCAPE 'ab'", "at character 19: ESCAPE takes one character"},
    {"a LIKE '!x' ESCAPE '!'", "at character 8: in the pattern the escape character stands before %, _ or itself"},
    {"a LIKE 'x!' ESCAPE '!'", "at character 8: in the pattern the escape character stands before %, _ or itself"},
    {"- -1 = 1", "at character 3: expected a value or a name, but found -"},
    {"a = 1 = 1", "at character 7: expected an operator or the end, but found ="},
    {"AND", "at character 1: expected a value or a name, but found AND"},
    {"a = 'x' || 'y'", "at character 9: '|' has no meaning here"},
};

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char err[400] = "";
        struct filter *f = (struct filter *)&f;
        enum status s = filter_parse(slice_str(refused[i].text), &f, (struct complaint){err, sizeof err});
        assert_ptr_equal(f, &f);
        if (s != ST_ERR || strncmp(err, "FILTER WHERE, ", 14) != 0 || strcmp(err + 14, refused[i].says) != 0)
            fail_msg("%s: %s", refused[i].text, err);
        assert_int_equal(filter_check(slice_str(refused[i].text), (struct complaint){err, sizeof err}), ST_ERR);
    }
}

/* begin, n times one piece, the middle, n times another, end. */
static void nest(struct buf *b, const char *piece, size_t n, const char *middle, const char *other)
{
    buf_init(b, 0);
    for (size_t i = 0; i < n; i++)
        buf_put(b, piece, strlen(piece));
    buf_put(b, middle, strlen(middle));
    for (size_t i = 0; i < n; i++)
        buf_put(b, other, strlen(other));
    assert_false(b->failed);
}

static void check_nested(const char *piece, size_t n, const char *middle, const char *other, const char *says)
{
    struct buf b;
    char err[400] = "";
    nest(&b, piece, n, middle, other);
    enum status s = filter_check(buf_slice(&b), (struct complaint){err, sizeof err});
    if ((s == ST_OK) != !says || (says && !strstr(err, says)))
        fail_msg("%zu x '%s': %s", n, piece, err);
    if (!says)
        (void)matches(buf_slice(&b));
    buf_free(&b);
}

static void bounds(void **state)
{
    (void)state;
    check_nested("(", FILTER_DEPTH_MAX, "a = 1", ")", NULL);
    check_nested("(", FILTER_DEPTH_MAX + 1, "a = 1", ")", "at character 101: nested too deep: at most 100 brackets");
    check_nested("(", 1000, "a = 1", ")", "nested too deep");
    check_nested("(", 1000, "a = 1", "", "nested too deep");
    check_nested("NOT ", FILTER_DEPTH_MAX, "a = 1", "", NULL);
    check_nested("NOT ", 1000, "a = 1", "", "nested too deep");
    check_nested("NOT(", FILTER_DEPTH_MAX / 2, "a = 1", ")", NULL);
    check_nested("NOT(", FILTER_DEPTH_MAX / 2 + 1, "a = 1", ")", "nested too deep");
    /* The deepest stack: in each pair of brackets all the left sides that there can be. */
    check_nested("b OR a AND 1 BETWEEN 2 AND 3 + 4 * (", 1, "5", ")", NULL);
    check_nested("1 + 2 * (", FILTER_DEPTH_MAX, "5", ")", "expected a condition");
    check_nested("b OR a AND c = (", FILTER_DEPTH_MAX, "a = 1", ")", NULL);
    check_nested("b OR a AND 1 IN (2, 3 + 4 * (5))", 1, "", "", NULL);
    check_nested("a = 1 OR ", 400, "a = 1", "", NULL);
    check_nested("a OR ", 800, "a", "", NULL);
    check_nested("a = 1 OR ", 500, "a = 1", "", "FILTER WHERE of 4505 bytes is too long: at most 4096");
    check_nested("a IN (", 1, "1,1,1,1,1,1", ")", NULL);
}

static void bounds_of_names(void **state)
{
    (void)state;
    struct buf b;
    char err[400] = "";
    buf_init(&b, 0);
    for (int i = 0; i < FILTER_NAMES_MAX; i++)
        buf_printf(&b, "p%d = 1 OR ", i);
    buf_printf(&b, "p0 = 2");
    assert_int_equal(filter_check(buf_slice(&b), (struct complaint){err, sizeof err}), ST_OK);
    buf_printf(&b, " OR another = 1");
    assert_int_equal(filter_check(buf_slice(&b), (struct complaint){err, sizeof err}), ST_ERR);
    assert_non_null(strstr(err, "more than 64 different properties"));
    buf_free(&b);
    buf_init(&b, 0);
    for (int i = 0; i < 256; i++)
        buf_put_u8(&b, 'n');
    buf_printf(&b, " = 1");
    assert_int_equal(filter_check(buf_slice(&b), (struct complaint){err, sizeof err}), ST_ERR);
    assert_string_equal(err, "FILTER WHERE, at character 1: the name of a property has 1 to 255 bytes");
    buf_free(&b);
}

/* A pattern that is slow on a text that was made for it gives up, and says that it is unknown. */
static void work_is_bounded(void **state)
{
    (void)state;
    static uint8_t text[30000];
    struct buf b, hold;
    struct message m;
    struct filter *f = NULL;
    uint64_t work = 0;
    memset(text, 'a', sizeof text);
    buf_init(&b, 0);
    buf_printf(&b, "(p LIKE '%%");
    for (int i = 0; i < 3000; i++)
        buf_put_u8(&b, 'a');
    buf_printf(&b, "b%%') IS UNKNOWN");
    assert_int_equal(filter_parse(buf_slice(&b), &f, (struct complaint){NULL, 0}), ST_OK);
    message_clear(&m);
    buf_init(&hold, 0);
    buf_put_sized(&hold, SLICE_LIT("p"));
    buf_put_sized(&hold, slice_of(text, sizeof text));
    m.fields = MSG_PROPS;
    m.n_props = 1;
    m.props = buf_slice(&hold);
    struct filter_subject subject = {.m = &m, .topic = SLICE_LIT("t")};
    assert_true(filter_matches(f, &subject, &work));
    assert_true(work >= FILTER_WORK_MAX && work < 2 * FILTER_WORK_MAX);
    free(f);
    buf_free(&hold);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons),     cmocka_unit_test(arithmetic),         cmocka_unit_test(logic),
        cmocka_unit_test(sets_and_ranges), cmocka_unit_test(patterns),           cmocka_unit_test(nulls_and_names),
        cmocka_unit_test(refusals),        cmocka_unit_test(without_attributes), cmocka_unit_test(bounds),
        cmocka_unit_test(bounds_of_names), cmocka_unit_test(work_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
