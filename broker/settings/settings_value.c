/*
 * settings_value.c: checks and prints values: numbers, sizes, durations, switches, words and texts.
 *
 *   BYTES   4194304   4MiB   256MB   1GB       KB MB GB TB are powers of 1000, KiB MiB GiB TiB of 1024.
 *           A bare K or M is refused: some read it as 1000, others as 1024.
 *   DUR     250 (ms) 250ms 10s 5m 2h 7d        as everywhere in the protocol
 *   BOOL    yes no true false on off 1 0
 *
 * To add a type: a line in enum setting_type and one in `types` below.
 */
#include "broker/settings/settings_value.h"

#include <assert.h>

#include "protocol/base/text.h"

static const struct setting_info table[SETTING_COUNT] = {
#define SETTING(name, type, dflt, min, max, live, help) \
    [SET_##name] = {#name, SETTING_##type, dflt, min, max, live, help},
#include "broker/settings/settings.def"
#undef SETTING
};

struct value_unit {
    const char *word;
    int64_t size;
};

/* The largest first, so that printing finds the shortest form. */
static const struct value_unit byte_units[] = {
    {"TiB", INT64_C(1) << 40}, {"TB", INT64_C(1000000000000)},
    {"GiB", INT64_C(1) << 30}, {"GB", INT64_C(1000000000)},
    {"MiB", INT64_C(1) << 20}, {"MB", INT64_C(1000000)},
    {"KiB", INT64_C(1) << 10}, {"KB", INT64_C(1000)},
    {"B", 1},
};

static const struct value_unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

const struct setting_info *setting_info(enum setting_id id)
{
    assert(id < SETTING_COUNT);
    return &table[id];
}

bool setting_find(struct slice name, enum setting_id *ret_id)
{
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        if (slice_equal_nocase(name, slice_str(table[i].name))) {
            *ret_id = (enum setting_id)i;
            return true;
        }
    }
    return false;
}

#define NEAR_NAME_MAX 40

static char value_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static size_t value_least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* How many characters must be inserted, deleted or changed to turn b into a. */
static size_t value_edit_distance(struct slice a, const char *b)
{
    size_t row[NEAR_NAME_MAX + 1], n = strlen(b);
    assert(n <= NEAR_NAME_MAX);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j];
            size_t change = corner + (value_lower((char)a.data[i - 1]) == b[j - 1] ? 0 : 1);
            row[j] = value_least(above + 1, row[j - 1] + 1, change);
            corner = above;
        }
    }
    return row[n];
}

const char *setting_nearest(struct slice name)
{
    const char *best = NULL;
    size_t best_distance = 2 + name.len / 4; /* further away it is no typing error */
    if (name.len == 0 || name.len > NEAR_NAME_MAX)
        return NULL;
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        size_t distance = value_edit_distance(name, table[i].name);
        if (distance < best_distance) {
            best_distance = distance;
            best = table[i].name;
        }
    }
    return best;
}

/* Word i of "a|b|c"; false past the last. */
static bool value_word_at(const char *words, unsigned i, struct slice *ret_word)
{
    for (; i > 0; i--) {
        words = strchr(words, '|');
        if (!words)
            return false;
        words++;
    }
    *ret_word = slice_of(words, strcspn(words, "|"));
    return true;
}

struct slice setting_default(enum setting_id id)
{
    struct slice word = slice_str(table[id].dflt);
    if (table[id].type == SETTING_ENUM) {
        bool has_words = value_word_at(table[id].dflt, 0, &word);
        assert(has_words);
    }
    return word;
}

static bool value_parse_number(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *text)
{
    (void)id;
    (void)text;
    return text_int(value, ret_num);
}

static bool value_parse_bytes(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *text)
{
    size_t digits = 0;
    uint64_t n;
    (void)id;
    (void)text;
    while (digits < value.len && value.data[digits] >= '0' && value.data[digits] <= '9')
        digits++;
    if (!text_uint(slice_of(value.data, digits), &n))
        return false;
    struct slice unit = slice_of(value.data + digits, value.len - digits);
    int64_t size = unit.len == 0 ? 1 : 0;
    for (size_t i = 0; i < COUNT_OF(byte_units) && size == 0; i++) {
        if (slice_equal_nocase(unit, slice_str(byte_units[i].word)))
            size = byte_units[i].size;
    }
    if (size == 0 || n > (uint64_t)(INT64_MAX / size))
        return false;
    *ret_num = (int64_t)n * size;
    return true;
}

static bool value_parse_duration(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *text)
{
    (void)id;
    (void)text;
    return text_duration(value, ret_num);
}

static bool value_parse_bool(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *text)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    (void)id;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (slice_equal_nocase(value, slice_str(words[i]))) {
            *ret_num = (int64_t)(i & 1);
            *text = slice_str(words[i & 1]);
            return true;
        }
    }
    return false;
}

static bool value_parse_text(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *text)
{
    (void)text;
    if ((int64_t)value.len < table[id].min || (int64_t)value.len > table[id].max)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < 0x20 || value.data[i] == 0x7f)
            return false;
    }
    *ret_num = 0;
    return true;
}

static bool value_parse_enum(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *text)
{
    struct slice word;
    for (unsigned i = 0; value_word_at(table[id].dflt, i, &word); i++) {
        if (slice_equal_nocase(value, word)) {
            *ret_num = i;
            *text = word;
            return true;
        }
    }
    return false;
}

/* Prints n in the largest of units that leaves no rest. */
static void value_put_in_units(int64_t n, const struct value_unit *units, size_t n_units, struct buf *out)
{
    for (size_t i = 0; i < n_units; i++) {
        if (n >= units[i].size && n % units[i].size == 0) {
            buf_put_int(out, n / units[i].size);
            buf_put_str(out, units[i].word);
            return;
        }
    }
    buf_put_int(out, n);
}

static void value_put_plain(int64_t n, struct buf *out)
{
    buf_put_int(out, n);
}

static void value_put_bytes(int64_t n, struct buf *out)
{
    value_put_in_units(n, byte_units, COUNT_OF(byte_units), out);
}

static void value_put_duration(int64_t n, struct buf *out)
{
    value_put_in_units(n, time_units, COUNT_OF(time_units), out);
}

struct type_info {
    bool (*parse)(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *text);
    void (*put)(int64_t n, struct buf *out); /* NULL: has no bounds to print */
    const char *is;
};

static const struct type_info types[] = {
    [SETTING_NUM] = {value_parse_number, value_put_plain, "a number"},
    [SETTING_BYTES] = {value_parse_bytes, value_put_bytes, "a size such as 65536, 64MB (10^6) or 64MiB (2^20),"},
    [SETTING_DUR] = {value_parse_duration, value_put_duration, "a duration such as 250ms, 10s, 5m, 2h or 7d,"},
    [SETTING_BOOL] = {value_parse_bool, NULL, "yes or no"},
    [SETTING_TEXT] = {value_parse_text, NULL, "a text"},
    [SETTING_SECRET] = {value_parse_text, NULL, "a text"},
    [SETTING_ENUM] = {value_parse_enum, NULL, "one of"},
};

bool setting_parse(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *ret_text)
{
    const struct setting_info *info = setting_info(id);
    struct slice text = value;
    int64_t n;
    if (value.len > SETTING_VALUE_MAX || !types[info->type].parse(id, value, &n, &text))
        return false;
    if (types[info->type].put && (n < info->min || n > info->max))
        return false;
    *ret_num = n;
    *ret_text = text;
    return true;
}

void setting_allowed(enum setting_id id, struct buf *out)
{
    const struct setting_info *info = setting_info(id);
    const struct type_info *type = &types[info->type];
    struct slice word;
    buf_put_str(out, type->is);
    if (type->put) {
        buf_put_str(out, " from ");
        type->put(info->min, out);
        buf_put_str(out, " to ");
        type->put(info->max, out);
    } else if (info->type == SETTING_ENUM) {
        for (unsigned i = 0; value_word_at(info->dflt, i, &word); i++) {
            buf_put_str(out, i ? ", " : " ");
            buf_put_slice(out, word);
        }
    } else if (info->type == SETTING_TEXT || info->type == SETTING_SECRET) {
        buf_printf(out, " of %lld to %lld characters without control characters",
                   (long long)info->min, (long long)info->max);
    }
}

void setting_bounds(enum setting_id id, struct buf *out)
{
    const struct setting_info *info = setting_info(id);
    const struct type_info *type = &types[info->type];
    if (type->put) {
        type->put(info->min, out);
        buf_put_str(out, "..");
        type->put(info->max, out);
    } else if (info->type == SETTING_ENUM) {
        buf_put_str(out, info->dflt);
    } else if (info->type == SETTING_BOOL) {
        buf_put_str(out, "yes|no");
    } else {
        buf_put_str(out, "text");
    }
}
