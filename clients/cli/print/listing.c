/*
 * listing.c: makes rows of messages; see listing.h. "in" and "left" are reckoned by this machine's clock, which may be
 * another one than the broker's: they are for people.
 */
#include "clients/cli/print/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/cli/print/cell.h"
#include "protocol/base/text.h"

#define BODY_COLUMNS 60

struct listing_column {
    const char *name; /* of the column */
    const char *from; /* the attribute; NULL: see `what` */
    enum { LISTING_ATTRIBUTE, LISTING_ID, LISTING_BODY, LISTING_LEFT, LISTING_AGO, LISTING_CLIENT } what;
};

#define COLUMNS_MAX 6

static const struct {
    enum reply_shape shape;
    struct listing_column columns[COLUMNS_MAX];
} listings[] = {
    {SHAPE_LETTERS,
     {{"id", NULL, LISTING_ID},
      {"origin", "origin", LISTING_ATTRIBUTE},
      {"attempts", "attempts", LISTING_ATTRIBUTE},
      {"died", "stored", LISTING_ATTRIBUTE},
      {"reason", "reason", LISTING_ATTRIBUTE},
      {"body", NULL, LISTING_BODY}}},
    {SHAPE_DELAYED,
     {{"token", NULL, LISTING_ID},
      {"due", "due", LISTING_ATTRIBUTE},
      {"in", "due", LISTING_LEFT},
      {"key", "key", LISTING_ATTRIBUTE},
      {"tag", "tag", LISTING_ATTRIBUTE},
      {"body", NULL, LISTING_BODY}}},
    {SHAPE_FOUND,
     {{"id", NULL, LISTING_ID},
      {"stored", "stored", LISTING_ATTRIBUTE},
      {"key", "key", LISTING_ATTRIBUTE},
      {"tag", "tag", LISTING_ATTRIBUTE},
      {"body", NULL, LISTING_BODY}}},
    {SHAPE_LEASES,
     {{"receipt", "receipt", LISTING_ATTRIBUTE},
      {"lease_until", "lease_until", LISTING_ATTRIBUTE},
      {"left", "lease_until", LISTING_LEFT},
      {"consumer", "consumer", LISTING_ATTRIBUTE}}},
    {SHAPE_REFUSED,
     {{"count", "count", LISTING_ATTRIBUTE},
      {"reason", "reason", LISTING_ATTRIBUTE},
      {"object", "object", LISTING_ATTRIBUTE},
      {"user", "username", LISTING_ATTRIBUTE},
      {"ago", "age-seconds", LISTING_AGO},
      {"client", "client-info", LISTING_CLIENT}}},
};

static cJSON *listing_left(const cJSON *time)
{
    struct timespec now;
    int64_t ms;
    char text[24];
    clock_gettime(CLOCK_REALTIME, &now);
    if (!cJSON_IsRaw(time) || !text_int(slice_str(time->valuestring), &ms))
        return cJSON_CreateNull();
    ms -= (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    snprintf(text, sizeof text, "%lld", (long long)ms);
    return cJSON_CreateRaw(text);
}

/* The first line of a body, cut; bytes that are no text as their base64. */
static cJSON *listing_body(const cJSON *message)
{
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(message, "body");
    const cJSON *encoded = cJSON_GetObjectItemCaseSensitive(message, "body_base64");
    const char *all = cJSON_IsString(body) ? body->valuestring : cJSON_IsString(encoded) ? encoded->valuestring : "";
    char text[BODY_COLUMNS + 8];
    size_t n = strcspn(all, "\r\n");
    if (n > BODY_COLUMNS) {
        for (n = BODY_COLUMNS; n > 0 && ((unsigned char)all[n] & 0xc0) == 0x80; n--) /* no half of a character */
            ;
    }
    snprintf(text, sizeof text, "%.*s%s", (int)n, all, all[n] ? "..." : "");
    return cJSON_CreateString(text);
}

/* Seconds with a fraction, as a duration. */
static cJSON *listing_ago(const cJSON *seconds)
{
    char text[24];
    if (!cJSON_IsString(seconds))
        return cJSON_CreateNull();
    cell_duration((int64_t)(strtod(seconds->valuestring, NULL) * 1000), text, sizeof text);
    return cJSON_CreateString(text);
}

/* The address of a client: what stands behind addr= in a line of CLIENT LIST. */
static cJSON *listing_client(const cJSON *info)
{
    char text[128];
    const char *at = cJSON_IsString(info) ? strstr(info->valuestring, "addr=") : NULL;
    at = at ? at + strlen("addr=") : "";
    snprintf(text, sizeof text, "%.*s", (int)strcspn(at, " "), at);
    return cJSON_CreateString(text);
}

static cJSON *listing_value(const struct listing_column *column, const cJSON *item)
{
    const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(item, "attributes");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(attributes ? attributes : item, column->from ? column->from : "id");
    switch (column->what) {
    case LISTING_ID: value = cJSON_GetObjectItemCaseSensitive(item, "id"); break;
    case LISTING_BODY: return listing_body(item);
    case LISTING_LEFT: return listing_left(value);
    case LISTING_AGO: return listing_ago(value);
    case LISTING_CLIENT: return listing_client(value);
    case LISTING_ATTRIBUTE: break;
    }
    return value ? cJSON_Duplicate(value, true) : cJSON_CreateNull();
}

static cJSON *listing_row(const struct listing_column *columns, const cJSON *item)
{
    cJSON *row = cJSON_CreateObject();
    for (size_t i = 0; row && i < COLUMNS_MAX && columns[i].name; i++) {
        cJSON *value = listing_value(&columns[i], item);
        if (!value || !cJSON_AddItemToObject(row, columns[i].name, value)) {
            cJSON_Delete(row);
            return NULL;
        }
    }
    return row;
}

static cJSON *listing_table(const struct listing_column *columns, const cJSON *list)
{
    const cJSON *item;
    cJSON *rows = cJSON_CreateArray();
    cJSON_ArrayForEach(item, list)
    {
        cJSON *row = rows ? listing_row(columns, item) : NULL;
        if (!row || !cJSON_AddItemToArray(rows, row)) {
            cJSON_Delete(rows);
            return NULL;
        }
    }
    return rows;
}

/* The list of a page, [cursor, list], or the list itself; NULL: it is neither. */
static cJSON *listing_list(cJSON *tree)
{
    cJSON *second = cJSON_IsArray(tree) ? cJSON_GetArrayItem(tree, 1) : NULL;
    if (cJSON_GetArraySize(tree) == 2 && cJSON_IsString(tree->child) && cJSON_IsArray(second))
        return second;
    return cJSON_IsArray(tree) && (!tree->child || cJSON_IsObject(tree->child)) ? tree : NULL;
}

cJSON *listing_rows(cJSON *tree, enum reply_shape shape)
{
    for (size_t i = 0; i < sizeof listings / sizeof *listings; i++) {
        cJSON *list = listings[i].shape == shape ? listing_list(tree) : NULL;
        if (!list)
            continue;
        cJSON *rows = listing_table(listings[i].columns, list);
        if (rows && list != tree && cJSON_ReplaceItemInArray(tree, 1, rows))
            return tree;
        cJSON_Delete(tree);
        return rows;
    }
    return tree;
}
