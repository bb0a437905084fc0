/* group_options.h: the options of GROUP CREATE and GROUP SET as settings, and the group that a command names. */
#ifndef HALFMQ_STORAGE_APPLY_GROUP_OPTIONS_H
#define HALFMQ_STORAGE_APPLY_GROUP_OPTIONS_H

#include "storage/group/group.h"

/* Writes those that the command has over the ones in *set. The filter is borrowed from the command. */
void group_options_read(const struct command *cmd, struct group_settings *set);

/* The group on the topic that the command's first two words name. NULL: there is none, and that is answered. */
struct gt *group_options_find(struct state *st, const struct command *cmd, struct outcome *out);

#endif
