/*
 * settings_file.h: the settings file: lines taken apart, values quoted, the file edited and written back.
 * Knows the shape of a line and nothing of what settings exist.
 */
#ifndef HALFMQ_BROKER_SETTINGS_FILE_H
#define HALFMQ_BROKER_SETTINGS_FILE_H

#include "protocol/base/buf.h"
#include "protocol/status.h"

#define SETTINGS_FILE_BYTES_MAX (1024 * 1024)

enum settings_line_kind { LINE_NOTHING, LINE_SETTING, LINE_BAD };

struct settings_line {
    enum settings_line_kind kind;
    struct slice name;  /* borrowed from the line */
    struct slice value; /* unquoted; borrowed from the line or from scratch */
    struct slice raw;   /* the value as it stands in the line, quotes and all */
    const char *why;    /* LINE_BAD: what was expected */
};

/* The next line without its end (LF or CRLF); false at the end of the file. */
bool settings_next_line(struct cursor *c, struct slice *ret_line);

/* scratch (reset here) holds the value where quotes had to be taken off. */
void settings_line_parse(struct slice line, struct buf *scratch, struct settings_line *ret_line);

/* The value as it must be written to be read back the same. */
void settings_value_quote(struct slice value, struct buf *out);

struct settings_change {
    const char *name;
    struct slice value;
    bool placed; /* set by settings_file_edit: some line has it */
};

/* Appends old to out with the values of changes put in: in the lines that name them, else in new lines
 * at the end. Comments, order and everything else stay as they are. */
void settings_file_edit(struct slice old, struct settings_change *changes, size_t n, struct buf *out);

/* The whole file, appended to out. ST_GONE: no such file. Any failure: err says which and why. */
enum status settings_file_read(const char *path, struct buf *out, char *err, size_t err_size) MUST_CHECK;

/* Replaces the file at once or not at all: a temporary file beside it, synced, then renamed. A symbolic
 * link stays one: what it points to is replaced. */
enum status settings_file_write(const char *path, struct slice content, char *err,
                                size_t err_size) MUST_CHECK;

#endif
