/*
 * shop.c: reads the CSV files and makes the orders (shop.h).
 */
#include "shop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000
#define FIELDS 5

/* Cuts a CSV line into fields in place. A field in quotes ("a, b") may contain commas. */
static size_t cut(char *line, char *fields[FIELDS])
{
    size_t n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; at && n < FIELDS; n++) {
        bool quoted = *at == '"';
        fields[n] = quoted ? at + 1 : at;
        char *end = quoted ? strchr(at + 1, '"') : at;
        if (quoted && end)
            *end++ = '\0';
        at = end ? strchr(end, ',') : NULL;
        if (at)
            *at++ = '\0';
    }
    return n;
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static void add_product(struct shop *shop, char *fields[FIELDS])
{
    struct product *p = &shop->products[shop->n_products++];
    p->id = number(fields[0]);
    snprintf(p->name, sizeof p->name, "%s", fields[1]);
    p->price_cents = number(fields[2]);
    p->stock = number(fields[3]);
}

static void add_customer(struct shop *shop, char *fields[FIELDS])
{
    struct customer *c = &shop->customers[shop->n_customers++];
    c->id = number(fields[0]);
    snprintf(c->name, sizeof c->name, "%s", fields[1]);
    snprintf(c->city, sizeof c->city, "%s", fields[2]);
    c->credit_cents = number(fields[3]);
    c->blocked = number(fields[4]);
}

static bool load(struct shop *shop, const char *folder, const char *name, size_t fields_wanted,
                 void (*add)(struct shop *shop, char *fields[FIELDS]), char *err, size_t err_size)
{
    char path[4096], line[256], *fields[FIELDS];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    int rows = 0;
    bool good = file && fgets(line, sizeof line, file); /* the names of the columns */
    for (; good && rows < ROWS_MAX && fgets(line, sizeof line, file); rows++) {
        good = cut(line, fields) == fields_wanted;
        if (good)
            add(shop, fields);
    }
    if (file)
        fclose(file);
    if (!good || rows == 0)
        snprintf(err, err_size, "%s: cannot be read, or row %d has not %zu fields", path, rows,
                 fields_wanted);
    return good && rows > 0;
}

bool shop_load(struct shop *shop, const char *folder, char *err, size_t err_size)
{
    *shop = (struct shop){calloc(ROWS_MAX, sizeof(struct product)),
                          calloc(ROWS_MAX, sizeof(struct customer)), 0, 0};
    if (!shop->products || !shop->customers) {
        snprintf(err, err_size, "no memory");
        return false;
    }
    return load(shop, folder, "products.csv", 4, add_product, err, err_size) &&
           load(shop, folder, "customers.csv", 5, add_customer, err, err_size);
}

void shop_free(struct shop *shop)
{
    free(shop->products);
    free(shop->customers);
}

/* A number below n that depends on the state alone. */
static size_t draw(uint64_t *state, size_t n)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((z ^ (z >> 31)) % n);
}

void shop_order(const struct shop *shop, uint32_t id, struct order *ret_order)
{
    uint64_t state = id;
    struct order o = {.id = id, .customer = &shop->customers[draw(&state, shop->n_customers)]};
    o.n_lines = 1 + draw(&state, LINES_MAX);
    for (size_t i = 0; i < o.n_lines; i++) {
        o.lines[i].product = &shop->products[draw(&state, shop->n_products)];
        o.lines[i].quantity = 1 + (int)draw(&state, 3);
        o.total_cents += (int64_t)o.lines[i].product->price_cents * o.lines[i].quantity;
    }
    *ret_order = o;
}

size_t order_json(const struct order *order, char out[ORDER_JSON_SIZE])
{
    int n = snprintf(out, ORDER_JSON_SIZE,
                     "{\"order\":%" PRIu32 ",\"customer\":%d,\"city\":\"%s\",\"lines\":[",
                     order->id, order->customer->id, order->customer->city);
    for (size_t i = 0; i < order->n_lines; i++)
        n += snprintf(out + n, ORDER_JSON_SIZE - (size_t)n, "%s[%d,%d]", i ? "," : "",
                      order->lines[i].product->id, order->lines[i].quantity);
    n += snprintf(out + n, ORDER_JSON_SIZE - (size_t)n, "],\"total_cents\":%" PRId64 "}",
                  order->total_cents);
    return (size_t)n;
}
