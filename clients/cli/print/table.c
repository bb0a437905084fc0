/*
 * table.c: prints tables with libsmartcols; see table.h. On a terminal the columns are made to fit its width; into a
 * pipe or a file every cell is written whole. Control bytes are printed as \xHH, so that no message can control the
 * terminal.
 */
#include "clients/cli/print/table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <unistd.h>

struct text_table {
    struct libscols_table *scols;
    struct libscols_line *line;
};

struct text_table *table_new(void)
{
    struct text_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->scols = scols_new_table();
    if (!t->scols) {
        free(t);
        return NULL;
    }
    if (!isatty(STDOUT_FILENO))
        scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_NEVER);
    return t;
}

void table_free(struct text_table *t)
{
    if (!t)
        return;
    scols_unref_table(t->scols);
    free(t);
}

bool table_column(struct text_table *t, const char *name, bool right)
{
    return scols_table_new_column(t->scols, name, 0, right ? SCOLS_FL_RIGHT : SCOLS_FL_WRAP) !=
           NULL;
}

bool table_line(struct text_table *t)
{
    t->line = scols_table_new_line(t->scols, NULL);
    return t->line != NULL;
}

bool table_cell(struct text_table *t, size_t column, const char *text)
{
    return scols_line_set_data(t->line, column, text) == 0;
}

bool table_print(struct text_table *t)
{
    return scols_print_table(t->scols) == 0;
}
