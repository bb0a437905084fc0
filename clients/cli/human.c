/*
 * human.c: prints values, messages and tables for people; see human.h. The table below lists the names whose values
 * are times and are printed as dates.
 */
#include "clients/cli/human.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "clients/cli/table.h"
#include "protocol/base/text.h"

#define CELL_BYTES 512
#define TIME_MS_MIN 1000000000000 /* in 2001; a smaller number under such a name is a duration */

static const char *const times[] = {"born",       "stored", "expires", "lease_until", "created",
                                    "next_check", "at",     "decided", "timeout"};

static bool human_is_number(const cJSON *item)
{
    return cJSON_IsNumber(item) || cJSON_IsRaw(item);
}

static bool human_format_time(const char *name, const char *digits, char *out, size_t size)
{
    int64_t ms;
    struct tm tm;
    bool known = false;
    for (size_t i = 0; name && i < sizeof times / sizeof *times; i++)
        known = known || strcmp(name, times[i]) == 0;
    if (!known || !text_int(slice_str(digits), &ms) || ms < TIME_MS_MIN)
        return false;
    time_t seconds = (time_t)(ms / 1000);
    char date[64];
    if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return false;
    snprintf(out, size, "%s.%03dZ", date, (int)(ms % 1000));
    return true;
}

/* The item as a short text for a cell of a table; a long one is cut. */
static void human_format_item(const char *name, const cJSON *item, char *out, size_t size)
{
    out[0] = '\0';
    if (cJSON_IsString(item)) {
        snprintf(out, size, "%s", item->valuestring);
    } else if (cJSON_IsRaw(item)) {
        if (!human_format_time(name, item->valuestring, out, size))
            snprintf(out, size, "%s", item->valuestring);
    } else if (cJSON_IsArray(item) && !cJSON_IsObject(item->child)) {
        size_t at = 0;
        for (const cJSON *i = item->child; i && at + 1 < size; i = i->next) {
            char one[CELL_BYTES];
            human_format_item(NULL, i, one, sizeof one);
            int n = snprintf(out + at, size - at, "%s%s", at ? "," : "", one);
            at += n > 0 ? (size_t)n : 0;
        }
    } else if (!cJSON_IsNull(item)) {
        char *text = cJSON_PrintUnformatted(item);
        snprintf(out, size, "%s", text ? text : "");
        cJSON_free(text);
    }
}

void human_bytes(struct slice s)
{
    bool terminal = isatty(STDOUT_FILENO);
    for (size_t i = 0; i < s.len; i++) {
        bool plain = s.data[i] >= 0x20 || s.data[i] == '\n' || s.data[i] == '\t';
        if (terminal && (!plain || s.data[i] == 0x7f))
            printf("\\x%02X", s.data[i]);
        else
            putchar(s.data[i]);
    }
    if (s.len == 0 || s.data[s.len - 1] != '\n')
        putchar('\n');
}

static void human_print_attribute(const cJSON *item)
{
    char text[CELL_BYTES];
    human_format_item(item->string, item, text, sizeof text);
    printf("  %s %s", item->string, text);
}

void human_message(const cJSON *message)
{
    static const char *const in_the_id[] = {"topic", "queue", "offset", "born"};
    const cJSON *item;
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(message, "body");
    const cJSON *encoded = cJSON_GetObjectItemCaseSensitive(message, "body_base64");
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(message, "id");
    fputs(cJSON_IsString(id) ? id->valuestring : "?", stdout);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(message, "attributes"))
    {
        bool said = false;
        for (size_t i = 0; i < sizeof in_the_id / sizeof *in_the_id; i++)
            said = said || strcmp(item->string, in_the_id[i]) == 0;
        if (!said)
            human_print_attribute(item);
    }
    putchar('\n');
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(message, "properties"))
    {
        char text[CELL_BYTES];
        human_format_item(NULL, item, text, sizeof text);
        printf("  %s: %s\n", item->string, text);
    }
    if (body)
        human_bytes(slice_str(body->valuestring));
    else if (encoded)
        printf("(not text; base64) %s\n", encoded->valuestring);
}

static bool human_is_message(const cJSON *item)
{
    return cJSON_IsObject(item) && cJSON_GetObjectItemCaseSensitive(item, "attributes");
}

static bool human_is_table(const cJSON *item)
{
    return cJSON_IsArray(item) && cJSON_IsObject(item->child);
}

static bool human_fill_line(struct text_table *t, const cJSON *columns, const cJSON *object)
{
    size_t i = 0;
    const cJSON *column;
    bool ok = table_line(t);
    cJSON_ArrayForEach(column, columns)
    {
        char text[CELL_BYTES];
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, column->string);
        if (item)
            human_format_item(column->string, item, text, sizeof text);
        ok = ok && (!item || table_cell(t, i, text));
        i++;
    }
    return ok;
}

/* The names of all objects of the list, each once, in the order in which they appear: as an object whose values are
 * true where the column has numbers. */
static cJSON *human_collect_columns(const cJSON *list)
{
    const cJSON *object, *item;
    cJSON *columns = cJSON_CreateObject();
    bool ok = columns != NULL;
    cJSON_ArrayForEach(object, list)
    {
        cJSON_ArrayForEach(item, object)
        {
            if (ok && !cJSON_GetObjectItemCaseSensitive(columns, item->string))
                ok = cJSON_AddBoolToObject(columns, item->string, human_is_number(item)) != NULL;
        }
    }
    if (ok)
        return columns;
    cJSON_Delete(columns);
    return NULL;
}

static bool human_print_table(const cJSON *list)
{
    struct text_table *t = table_new();
    cJSON *columns = human_collect_columns(list);
    const cJSON *item;
    bool ok = t && columns;
    if (ok) {
        cJSON_ArrayForEach(item, columns) ok =
            ok && table_column(t, item->string, cJSON_IsTrue(item));
        cJSON_ArrayForEach(item, list) ok = ok && human_fill_line(t, columns, item);
    }
    ok = ok && table_print(t);
    cJSON_Delete(columns);
    table_free(t);
    return ok;
}

static bool human_print_object(const cJSON *object)
{
    struct text_table *t = table_new();
    const cJSON *item;
    bool ok = t && table_column(t, "name", false) && table_column(t, "value", false);
    cJSON_ArrayForEach(item, object)
    {
        char text[CELL_BYTES];
        if (human_is_table(item))
            continue;
        human_format_item(item->string, item, text, sizeof text);
        ok = ok && table_line(t) && table_cell(t, 0, item->string) && table_cell(t, 1, text);
    }
    ok = ok && table_print(t);
    table_free(t);
    cJSON_ArrayForEach(item, object)
    {
        if (!human_is_table(item))
            continue;
        printf("\n%s\n", item->string);
        ok = ok && human_print_table(item);
    }
    return ok;
}

static bool human_print_list(const cJSON *list)
{
    const cJSON *item;
    bool ok = true;
    if (!list->child) {
        puts("(none)");
        return true;
    }
    if (human_is_table(list) && !human_is_message(list->child))
        return human_print_table(list);
    cJSON_ArrayForEach(item, list)
    {
        if (human_is_message(item) && item != list->child)
            putchar('\n');
        ok = ok && human_print(item);
    }
    return ok;
}

/* [cursor, [item, ...]] */
static bool human_is_page(const cJSON *tree)
{
    return cJSON_GetArraySize(tree) == 2 && cJSON_IsString(tree->child) &&
           cJSON_IsArray(tree->child->next);
}

bool human_print(const cJSON *tree)
{
    if (human_is_message(tree)) {
        human_message(tree);
        return true;
    }
    if (cJSON_IsObject(tree))
        return human_print_object(tree);
    if (human_is_page(tree)) {
        bool ok = human_print_list(tree->child->next);
        if (strcmp(tree->child->valuestring, "0") != 0)
            printf("more: the same command with CURSOR %s\n", tree->child->valuestring);
        return ok;
    }
    if (cJSON_IsArray(tree))
        return human_print_list(tree);
    if (cJSON_IsString(tree) || cJSON_IsRaw(tree))
        human_bytes(slice_str(tree->valuestring));
    else
        puts("(null)");
    return true;
}
