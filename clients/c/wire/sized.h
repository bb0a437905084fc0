/*
 * sized.h: public structures that may get new members at their end. The first member is their size as the application
 * was compiled, so that it and the library may be of different versions.
 *
 *   application older    [size ... known to both]                  the library takes its defaults for the rest
 *   application newer    [size ... known to both][0 0 0 0 0 ...]   taken: a member of 0 asks for nothing
 *                        [size ... known to both][0 7 0 0 0 ...]   refused: it asks for what nobody would do
 *
 * So the default of each member that is added later is 0. hmq_error, hmq_prop and hmq_prop_bytes have no size, and never change.
 */
#ifndef HALFMQ_CLIENTS_C_SIZED_H
#define HALFMQ_CLIENTS_C_SIZED_H

#include <stdbool.h>
#include <stddef.h>

#define SIZED_BYTES_MAX 4096 /* a larger size is no size: the application forgot to set it */

/*
 * Copies the application's structure over *to, which has our size and our defaults. least: how large it was in the
 * first version of the library. False: the size cannot be, or the unknown tail is not 0.
 */
bool sized_read(void *to, size_t size, const void *from, size_t least);

/*
 * Fills the application's structure, whose size it has set, from ours. What ours does not have becomes 0, and the size
 * says how much was filled. False: the size cannot be.
 */
bool sized_write(void *to, const void *from, size_t size, size_t least);

#endif
