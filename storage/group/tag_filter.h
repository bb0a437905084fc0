/*
 * tag_filter.h: FILTER TAG a||b: which tags of a record's dictionary (storage/disk/columns.h) a group wants. Tags are
 * compared as a whole, byte by byte. A message without a tag is wanted by no such filter.
 *
 *   filter "eu||us", dictionary 1 "de" 2 "eu"   ─►   wanted: bit 2
 */
#ifndef HALFMQ_STORAGE_TAG_FILTER_H
#define HALFMQ_STORAGE_TAG_FILTER_H

#include "storage/disk/columns.h"

/* Takes the next tag off a filter's text; spaces around it do not count. False: there is none any more. */
bool tag_filter_next(struct slice *rest, struct slice *ret_tag);

/* Writes a bit for each place of the dictionary, 0 included, into the buffer, which is emptied before. ST_NOMEM. */
enum status tag_filter_wanted(struct slice filter, const struct columns *c, struct buf *wanted) MUST_CHECK;

#endif
