/*
 * main.c: halfmqd: reads the settings, then does what the command line asks for; mostly server_run.
 *
 * Exit codes: 0 stopped as asked, 1 could not start or wrong settings, 70 the store failed, or memory ran out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/backup/backup_proof.h"
#include "broker/backup/backup_restore.h"
#include "broker/settings/settings.h"
#include "broker/certificates.h"
#include "broker/server.h"
#include "broker/webhook/webhook.h"
#include "halfmq_version.h"

extern char **environ;

static const char help_head[] =
    "usage: halfmqd [config-file] [--name value | --name=value ...]\n"
    "       halfmqd [config-file] [--name value ...] --salvage | --check\n"
    "       halfmqd --restore backup-folder --data new-folder\n"
    "       halfmqd --check-config | --print-config | --version | --help\n"
    "\n"
    "halfmqd is the HalfMQ message broker. Services SEND messages to topics, consumer groups POP and ACK\n"
    "them. A HALF message stays invisible until its sender COMMITs it; if no decision comes in time, the\n"
    "broker asks the sender for it. A write is acknowledged only after it is on disk.\n"
    "Talk to it with telnet, redis-cli -p 4253 (type HELP), halfmq or any Redis client library; watch it\n"
    "on http://127.0.0.1:4280/metrics. SIGTERM drains and stops; a second signal exits at once.\n"
    "\n"
    "Each setting has one name: `name = value` in the config file, HALFMQ_NAME in the environment,\n"
    "--name on the command line; the later of these wins. Sizes: 64MB is 10^6, 64MiB is 2^20 bytes.\n"
    "Durations: 250ms 10s 5m 2h 7d.\n"
    "\n"
    "settings, with their defaults:\n";

static const char help_tail[] =
    "\n"
    "other flags:\n"
    "  --salvage        starts also where the log has lost what was acknowledged: goes on without it,\n"
    "                   keeps what cannot be used as wal/*.lost, and says what may be missing\n"
    "  --restore DIR    makes the data folder out of a backup; refuses a folder that is not empty, and a\n"
    "                   backup of which a file is not as it was\n"
    "  --check          reads all that is stored in the data folder, or in a backup that --data names,\n"
    "                   and proves it; a line for each damage; exit 0 where there is none\n"
    "  --check-config   checks the settings, and does nothing else\n"
    "  --print-config   prints all settings as a config file, with where each came from\n"
    "  --version        prints one line\n"
    "  --help           prints this\n"
    "\n"
    "examples:\n"
    "  halfmqd                                         stores in ./data, listens on 127.0.0.1:4253\n"
    "  halfmqd --data /var/lib/halfmq --bind '*'       accepts clients from other machines\n"
    "  halfmqd /etc/halfmq.conf --log_level debug      a config file, with one setting overridden\n"
    "  HALFMQ_PORT=0 halfmqd --print-config            shows the settings it would use\n";

static int print(const struct buf *out)
{
    if (out->failed) {
        fprintf(stderr, "halfmqd: no memory\n");
        return 1;
    }
    fwrite(out->data, 1, out->len, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int help(struct settings *c)
{
    struct buf out;
    (void)c;
    buf_init(&out, 0);
    buf_put_str(&out, help_head);
    settings_help(&out);
    buf_put_str(&out, help_tail);
    int code = print(&out);
    buf_free(&out);
    return code;
}

static int version(struct settings *c)
{
    (void)c;
    return printf("halfmqd " HALFMQ_VERSION "\n") > 0 && fflush(stdout) == 0 ? 0 : 1;
}

static int check(struct settings *c)
{
    char err[1024];
    if (!webhook_list_ok(settings_text(c, SET_webhook_allow), err, sizeof err) ||
        !certificates_fit(c, NULL, 0, err, sizeof err)) {
        fprintf(stderr, "halfmqd: %s\n", err);
        return 1;
    }
    return printf("configuration ok\n") > 0 && fflush(stdout) == 0 ? 0 : 1;
}

static int print_config(struct settings *c)
{
    struct buf out;
    buf_init(&out, 0);
    settings_print(c, &out);
    int code = print(&out);
    buf_free(&out);
    return code;
}

static int restore(struct settings *c)
{
    return backup_restore(settings_restore_from(c), settings_text(c, SET_data));
}

static int check_data(struct settings *c)
{
    return backup_proof(settings_text(c, SET_data), (size_t)settings_num(c, SET_memory) / 2);
}

int main(int argc, char **argv)
{
    static int (*const actions[])(struct settings *c) = {
        [ACTION_RUN] = server_run,     [ACTION_HELP] = help,           [ACTION_VERSION] = version,
        [ACTION_CHECK] = check,        [ACTION_PRINT] = print_config,   [ACTION_SALVAGE] = server_run,
        [ACTION_RESTORE] = restore,    [ACTION_CHECK_DATA] = check_data,
    };
    struct settings *settings = NULL;
    char err[512];
    if (settings_load(argc, argv, environ, &settings, err, sizeof err) != ST_OK) {
        fprintf(stderr, "halfmqd: %s\n", err);
        return 1;
    }
    int code = actions[settings_action(settings)](settings);
    settings_free(settings);
    return code;
}
