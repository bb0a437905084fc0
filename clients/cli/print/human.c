/* human.c: prints values, messages and tables for people; see human.h. What a value looks like, cell.c knows. */
#include "clients/cli/print/human.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients/cli/print/cell.h"
#include "clients/cli/print/table.h"
#include "protocol/base/text.h"

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
    cell_text(item->string, item, text, sizeof text);
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
        cell_text(NULL, item, text, sizeof text);
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
            cell_text(column->string, item, text, sizeof text);
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
                ok = cJSON_AddBoolToObject(columns, item->string, cell_stays_number(item->string, item)) != NULL;
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
        cell_text(item->string, item, text, sizeof text);
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

bool human_print_each(const cJSON *tree)
{
    const cJSON *item;
    bool ok = true;
    if (!human_is_table(tree))
        return human_print(tree);
    cJSON_ArrayForEach(item, tree)
    {
        if (item != tree->child)
            putchar('\n');
        ok = ok && human_print_object(item);
    }
    return ok;
}
