/* digest.c: XXH3-64 in pieces (digest.h). Its calls cannot fail but for a NULL state or input, and we give neither. */
#include "protocol/base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct digest *digest_new(void)
{
    XXH3_state_t *state = XXH3_createState(); /* it has to lie at a multiple of 64 */
    if (state)
        XXH3_64bits_reset(state);
    return (struct digest *)state;
}

void digest_free(struct digest *d)
{
    if (d)
        XXH3_freeState((XXH3_state_t *)d);
}

void digest_reset(struct digest *d)
{
    XXH3_64bits_reset((XXH3_state_t *)d);
}

void digest_add(struct digest *d, struct slice s)
{
    if (s.len)
        XXH3_64bits_update((XXH3_state_t *)d, s.data, s.len);
}

uint64_t digest_value(const struct digest *d)
{
    return XXH3_64bits_digest((const XXH3_state_t *)d);
}
