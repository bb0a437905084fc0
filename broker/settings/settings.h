/*
 * settings.h: the settings of the broker. One table (settings.def) yields the names in the file, the HALFMQ_*
 * variables, the --flags, --help, --print-config, CONFIG GET and SET, and the checks of types and bounds.
 *
 *   defaults < file < environment < flags < CONFIG SET     the later wins; CONFIG REWRITE writes to the file
 *
 * SETTING(name, type, default, min, max, live, help)
 *   type: NUM, BYTES (`64MB`, `1GiB`, plain), DUR (ms), BOOL (yes/no), TEXT, SECRET (a TEXT that is
 *   never printed) or ENUM. The default of an ENUM lists all
 *   its words, `a|b|c`; the first is the default. min and max bound the number, or the length of a TEXT in bytes;
 *   ENUM does not use them. live 1: CONFIG SET may change it.
 *
 * Threads: any may call settings_num and settings_put. A TEXT that is not live does not change while the broker runs;
 * settings_text is for those.
 */
#ifndef HALFMQ_BROKER_SETTINGS_H
#define HALFMQ_BROKER_SETTINGS_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

enum setting_id {
#define SETTING(name, type, dflt, min, max, live, help) SET_##name,
#include "broker/settings/settings.def"
#undef SETTING
    SETTING_COUNT
};

struct settings;

/* Reads the defaults, the file that argv names, the environment (NULL: none) and the flags of argv. On failure err
 * names the setting and where it was set. An unknown HALFMQ_* variable is only warned about. */
enum status settings_load(int argc, char **argv, char **environ_list, struct settings **ret_settings, char *err,
                          size_t err_size) MUST_CHECK;
void settings_free(struct settings *c);

/* The value of a NUM, BYTES, DUR (ms), BOOL (0 or 1) or ENUM (place of the word in its list, from 0). */
int64_t settings_num(const struct settings *c, enum setting_id id);
const char *settings_text(const struct settings *c, enum setting_id id); /* of a TEXT or SECRET; live: before there are threads */

/* Appends the value as it was given ("256MB"), of any type; of a SECRET "(set)" or nothing. Any thread. */
void settings_put(struct settings *c, enum setting_id id, struct buf *out);

/* Makes the log follow the setting log_level. */
void settings_apply_log_level(const struct settings *c);

/* A new value that has passed its check. */
struct setting_change {
    enum setting_id id;
    int64_t num;
    struct slice text; /* borrowed */
};

/* CONFIG GET / SET / REWRITE. GET appends name, value pairs as reply tokens (a map). SET is two steps, so that whoever
 * uses the values can refuse them in between: first words are checked, name, value and so on, 2 * n of them, each name
 * once; then all of them are set, or none. changes: SETTING_COUNT. */
void settings_get(struct settings *c, const struct slice *patterns, size_t n, struct buf *reply);
enum status settings_check(const struct slice *words, size_t n, struct setting_change *changes, char *err,
                           size_t err_size) MUST_CHECK;
enum status settings_set(struct settings *c, const struct setting_change *changes, size_t n, char *err,
                         size_t err_size) MUST_CHECK;
enum status settings_rewrite(struct settings *c, char *err, size_t err_size) MUST_CHECK;

void settings_print(struct settings *c, struct buf *out); /* as a file that can be read back */
void settings_help(struct buf *out);                       /* the settings part of --help */

/* What the command line asked the program to do. */
enum settings_action {
    ACTION_RUN,
    ACTION_HELP,
    ACTION_VERSION,
    ACTION_CHECK, /* --check-config */
    ACTION_PRINT,
    ACTION_SALVAGE,
    ACTION_RESTORE,
    ACTION_CHECK_DATA, /* --check */
};
enum settings_action settings_action(const struct settings *c);
const char *settings_restore_from(const struct settings *c); /* the folder behind --restore */

#endif
