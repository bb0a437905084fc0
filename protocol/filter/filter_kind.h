/* filter_kind.h: what decides which messages a group gets: tags, an expression, or nothing. */
#ifndef HALFMQ_PROTOCOL_FILTER_KIND_H
#define HALFMQ_PROTOCOL_FILTER_KIND_H

enum filter_kind { FILTER_NONE, FILTER_TAG, FILTER_WHERE };

#endif
