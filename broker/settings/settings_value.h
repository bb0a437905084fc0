/*
 * settings_value.h: the table of settings (settings.def) as data, and the check of a value.
 * Pure: no files, no environment, no locks.
 */
#ifndef HALFMQ_BROKER_SETTINGS_VALUE_H
#define HALFMQ_BROKER_SETTINGS_VALUE_H

#include "broker/settings/settings.h"

enum setting_type { SETTING_NUM, SETTING_BYTES, SETTING_DUR, SETTING_BOOL, SETTING_TEXT, SETTING_SECRET, SETTING_ENUM };

struct setting_info {
    const char *name;
    enum setting_type type;
    const char *dflt; /* ENUM: "a|b|c", all that is allowed */
    int64_t min, max;
    bool live;
    const char *help;
};

#define SETTING_VALUE_MAX 1024 /* bytes of a value as text, at most */

const struct setting_info *setting_info(enum setting_id id);

/* By name, without case. */
bool setting_find(struct slice name, enum setting_id *ret_id);

/* The known name that is the fewest typing errors away, or NULL where none is near. */
const char *setting_nearest(struct slice name);

/* The default as a value ("always", not "always|interval|never"). */
struct slice setting_default(enum setting_id id);

/*
 * Checks a value. *ret_num is the number as settings_num gives it (0 for TEXT), and *ret_text what is
 * kept as its text: the canonical word of a BOOL or ENUM, else the value as given (borrowed). On
 * failure nothing is set; setting_allowed says what would have been right.
 */
bool setting_parse(enum setting_id id, struct slice value, int64_t *ret_num, struct slice *ret_text);

/* "a number from 0 to 65535", "one of always, interval, never": the end of an error sentence. */
void setting_allowed(enum setting_id id, struct buf *out);

/* The same in few words for --help and --print-config: "0..65535", "always|interval|never". */
void setting_bounds(enum setting_id id, struct buf *out);

#endif
