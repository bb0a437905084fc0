/*
 * config.h: settings. One table (config.def) yields the names in the file, the HALFMQ_* variables, the
 * --flags, --help, --print-config, CONFIG GET/SET and the checks of type and bounds.
 *
 *   defaults < file < environment < flags < CONFIG SET        the later wins; CONFIG REWRITE keeps it
 *
 * SETTING(name, type, default, min, max, live, help)
 *   type NUM, BYTES (`64MB`, `1GiB`, plain), DUR (ms), BOOL (yes/no), TEXT, or ENUM: the default lists
 *   the words `a|b|c`, the first is the default. min..max bound the number, or the bytes of a TEXT
 *   (ENUM: unused). live 1: CONFIG SET may change it.
 *
 * Threads: config_num may be called by any; text settings do not change while running.
 */
#ifndef HALFMQ_BROKER_CONFIG_H
#define HALFMQ_BROKER_CONFIG_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

enum setting_id {
#define SETTING(name, type, dflt, min, max, live, help) SET_##name,
#include "broker/settings/config.def"
#undef SETTING
    SETTING_COUNT
};

struct config;

/* Reads defaults, file (NULL: none), environment and flags (argv behind the file's name). On failure
 * err names the setting and, for the file, the line. Unknown HALFMQ_* variables: warned about only. */
enum status config_load(int argc, char **argv, char **environ_list, struct config **ret_config,
                        char *err, size_t err_size) MUST_CHECK;
void config_free(struct config *c);

/* NUM, BYTES, DUR (ms), BOOL (0/1), ENUM (place of the word in its list, from 0). */
int64_t config_num(const struct config *c, enum setting_id id);
const char *config_text(const struct config *c, enum setting_id id); /* TEXT */

/* The value as it was given ("256MB"); of every type, from any thread. */
void config_put(struct config *c, enum setting_id id, struct buf *out);

/* Makes the log follow the setting log_level. */
void config_apply_log_level(const struct config *c);

/* CONFIG GET / SET / REWRITE. GET appends name, value pairs as reply tokens (a map). */
void config_get(struct config *c, const struct slice *patterns, size_t n, struct buf *reply);
enum status config_set(struct config *c, struct slice name, struct slice value, char *err,
                       size_t err_size) MUST_CHECK;
enum status config_rewrite(struct config *c, char *err, size_t err_size) MUST_CHECK;

void config_print(struct config *c, struct buf *out); /* as a file that can be read back */
void config_help(struct buf *out);                          /* the settings part of --help */

/* What the command line asked for besides settings. */
enum config_action { ACTION_RUN, ACTION_HELP, ACTION_VERSION, ACTION_CHECK, ACTION_PRINT };
enum config_action config_action(const struct config *c);

#endif
