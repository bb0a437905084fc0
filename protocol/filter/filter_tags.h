/* filter_tags.h: the text of FILTER TAG: tags between ||, of which a message has to have one. Blanks around them do not
 * count. */
#ifndef HALFMQ_PROTOCOL_FILTER_TAGS_H
#define HALFMQ_PROTOCOL_FILTER_TAGS_H

#include "protocol/base/complaint.h"
#include "protocol/base/slice.h"

/* ST_OK: it is one tag or more, each a name. Otherwise `say` names the one that is none. */
enum status filter_tags_check(struct slice text, struct complaint say) MUST_CHECK;

/* Takes the first tag off what is left of a text. False: nothing is left. */
bool filter_tags_next(struct slice *left, struct slice *ret_tag);

#endif
