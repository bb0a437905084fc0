/*
 * compare.c: reads two results (--json) and prints how B compares with A.
 *
 * For values that are known second by second it prints the ratio of the medians with its confidence interval
 * (stats.h): an interval that contains 1 means that the runs show no difference. For values that are known for the
 * whole run only, it prints the plain ratio.
 */
#include "bench/modes/compare.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/base/units.h"
#include "bench/measure/stats.h"
#include "bench/report/ending.h"

#define FILE_BYTES_MAX (256l * 1024 * 1024)
#define SEED 1

struct side {
    const char *path;
    cJSON *root;
};

static char *compare_read_all(const char *path, const char **ret_why)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    *ret_why = NULL;
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        *ret_why = strerror(errno);
    } else {
        long size = ftell(f);
        rewind(f);
        text = size >= 0 && size < FILE_BYTES_MAX ? calloc((size_t)size + 1, 1) : NULL;
        if (!text || fread(text, 1, (size_t)size, f) != (size_t)size)
            *ret_why = "it cannot be read completely";
    }
    if (f)
        fclose(f);
    return text;
}

static bool compare_load(struct side *s)
{
    const char *why;
    char *text = compare_read_all(s->path, &why);
    s->root = why ? NULL : cJSON_Parse(text);
    free(text);
    if (s->root && cJSON_IsObject(cJSON_GetObjectItem(s->root, "latency_us")))
        return true;
    fprintf(stderr, "halfmq-bench: %s is not a result of halfmq-bench --json%s%s\n", s->path,
            why ? ": " : "", why ? why : "");
    return false;
}

/* The values of one name in all seconds; *ret_n of them. The caller frees them. */
static double *compare_values(const struct side *s, const char *name, size_t *ret_n)
{
    const cJSON *row, *rows = cJSON_GetObjectItem(s->root, "seconds");
    double *values = calloc((size_t)cJSON_GetArraySize(rows) + 1, sizeof *values);
    *ret_n = 0;
    cJSON_ArrayForEach(row, rows)
    {
        const cJSON *v = cJSON_GetObjectItem(row, name);
        if (values && cJSON_IsNumber(v))
            values[(*ret_n)++] = v->valuedouble;
    }
    return values;
}

static const char *compare_verdict_of(const struct interval *ratio)
{
    if (ratio->low <= 1 && ratio->high >= 1)
        return "no difference shown";
    return ratio->middle > 1 ? "more" : "less";
}

static void compare_column(const struct side *a, const struct side *b, const char *name)
{
    size_t n_a, n_b;
    double *of_a = compare_values(a, name, &n_a), *of_b = compare_values(b, name, &n_b);
    struct interval ia, ib, ratio;
    char ta[3][16], tb[3][16];
    if (of_a && of_b && stats_interval(of_a, n_a, SEED, &ia) &&
        stats_interval(of_b, n_b, SEED, &ib) && stats_ratio(of_a, n_a, of_b, n_b, SEED, &ratio)) {
        char left[64], right[64];
        snprintf(left, sizeof left, "%s (%s-%s)", units_put_count(ia.middle, ta[0], 16),
                 units_put_count(ia.low, ta[1], 16), units_put_count(ia.high, ta[2], 16));
        snprintf(right, sizeof right, "%s (%s-%s)", units_put_count(ib.middle, tb[0], 16),
                 units_put_count(ib.low, tb[1], 16), units_put_count(ib.high, tb[2], 16));
        printf("%-20s%-24s%-24s%.3f (%.3f-%.3f) %s\n", name, left, right, ratio.middle, ratio.low,
               ratio.high, compare_verdict_of(&ratio));
    }
    free(of_a);
    free(of_b);
}

static void compare_whole(const struct side *a, const struct side *b, const char *object,
                          const char *name)
{
    const cJSON *oa = object ? cJSON_GetObjectItem(a->root, object) : a->root;
    const cJSON *ob = object ? cJSON_GetObjectItem(b->root, object) : b->root;
    const cJSON *va = cJSON_GetObjectItem(oa, name), *vb = cJSON_GetObjectItem(ob, name);
    char label[48], ta[16], tb[16];
    if (!cJSON_IsNumber(va) || !cJSON_IsNumber(vb))
        return;
    snprintf(label, sizeof label, "%s%s%s", object ? object : "", object ? "." : "", name);
    printf("%-20s%-24s%-24s", label, units_put_count(va->valuedouble, ta, sizeof ta),
           units_put_count(vb->valuedouble, tb, sizeof tb));
    if (va->valuedouble > 0)
        printf("%.3f", vb->valuedouble / va->valuedouble);
    putchar('\n');
}

/* Prints the settings that differ, which may explain the difference. */
static void compare_texts(const struct side *a, const struct side *b, const char *object)
{
    const cJSON *item, *ob = cJSON_GetObjectItem(b->root, object);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(a->root, object))
    {
        const cJSON *other = cJSON_GetObjectItem(ob, item->string);
        if (!other || cJSON_Compare(item, other, true) || strcmp(item->string, "time") == 0 ||
            strcmp(item->string, "load_before") == 0 ||
            strcmp(item->string, "server_uptime_s") == 0)
            continue;
        char *left = cJSON_PrintUnformatted(item), *right = cJSON_PrintUnformatted(other);
        printf("%-20s%-24s%s\n", item->string, left ? left : "?", right ? right : "?");
        cJSON_free(left);
        cJSON_free(right);
    }
}

static void compare_all(const struct side *a, const struct side *b)
{
    static const char *const columns[] = {
        "messages_per_s", "transactions_per_s", "p50_us",           "p99_us",
        "p999_us",        "server_cpu",         "server_rss_bytes", "server_syncs_per_s"};
    static const char *const whole[] = {"p50", "p99", "p999", "max"};
    static const char *const faults[] = {"errors", "lost", "doubled", "reordered", "damaged"};
    printf("A %s\nB %s\n\nmedians of the seconds, with their 95 %% confidence intervals\n",
           a->path, b->path);
    printf("%-20s%-24s%-24s%s\n", "", "A", "B", "B / A");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        compare_column(a, b, columns[i]);
    printf("\nvalues of the whole run\n");
    compare_whole(a, b, NULL, "messages_per_s");
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        compare_whole(a, b, "latency_us", whole[i]);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        compare_whole(a, b, NULL, faults[i]);
    printf("\nwhat differs\n");
    compare_texts(a, b, "settings");
    compare_texts(a, b, "environment");
}

int compare_main(const char *a_path, const char *b_path)
{
    struct side a = {.path = a_path}, b = {.path = b_path};
    bool ok = compare_load(&a) && compare_load(&b);
    if (ok)
        compare_all(&a, &b);
    cJSON_Delete(a.root);
    cJSON_Delete(b.root);
    return ok ? ENDING_GOOD : ENDING_FAILED;
}
