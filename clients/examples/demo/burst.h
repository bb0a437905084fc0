/*
 * burst.h: the second act. All orders come at once, and the database behind the broker takes only so many a second.
 *
 *   20,000 orders ──► topic `burst` ──► group `database`, RATE 2000, ORDERED ──► SQLite
 *   in half a second    they wait here    in order by customer, level             ten seconds
 *
 * Nobody told the producer to slow down, and the database was never asked for more than it can do.
 */
#ifndef DEMO_BURST_H
#define DEMO_BURST_H

#include <stdbool.h>
#include <stdint.h>

/* uri: the broker; db_path: a new file. Prints what happens, and the result. True: all of it is as promised. */
bool burst_play(const char *uri, const char *db_path, uint32_t n_orders);

#endif
