/*
 * table.h: tables with aligned columns. Only this pair of files uses libsmartcols.
 */
#ifndef HALFMQ_CLIENTS_CLI_TABLE_H
#define HALFMQ_CLIENTS_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct text_table;

/* On standard output; NULL: no memory. */
struct text_table *table_new(void);
void table_free(struct text_table *t);

/* right: numbers. All columns come before the first line. False: no memory. */
bool table_column(struct text_table *t, const char *name, bool right);
bool table_line(struct text_table *t);

/* Sets a cell of the last line; the text is copied. */
bool table_cell(struct text_table *t, size_t column, const char *text);

bool table_print(struct text_table *t);

#endif
