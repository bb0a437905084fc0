/*
 * shop.h: the products and customers, from products.csv and customers.csv, and the orders.
 *
 * Order number n is the same in every run and every process: its customer, its lines and its total are
 * computed from n alone. So the service can continue after it was killed, and the audit can tell what the
 * orders should be.
 */
#ifndef DEMO_SHOP_H
#define DEMO_SHOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_MAX 4
#define ORDER_JSON_SIZE 512

struct product {
    int id, price_cents, stock;
    char name[48];
};

struct customer {
    int id, credit_cents, blocked;
    char name[48], city[32];
};

struct shop {
    struct product *products;
    struct customer *customers;
    size_t n_products, n_customers;
};

struct order {
    uint32_t id; /* from 1 */
    const struct customer *customer;
    struct {
        const struct product *product;
        int quantity;
    } lines[LINES_MAX];
    size_t n_lines;
    int64_t total_cents;
};

/* Reads both files of the folder. False: the text in err says which and where. */
bool shop_load(struct shop *shop, const char *folder, char *err, size_t err_size);
void shop_free(struct shop *shop);

void shop_order(const struct shop *shop, uint32_t id, struct order *ret_order);

/* Writes the order as the message's body, NUL-terminated, and returns its length. */
size_t order_json(const struct order *order, char out[ORDER_JSON_SIZE]);

#endif
