/* keys.c: draws keys. The alias table is built by filling columns that have less than an equal share from those that
 * have more. */
#include "bench/options/keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/base/units.h"

#define EXPONENT_DEFAULT 0.99
#define EXPONENT_MAX 10

bool keys_parse(const char *text, struct keys_plan *ret_plan)
{
    struct keys_plan p = {KEYS_NONE, EXPONENT_DEFAULT};
    if (strncmp(text, "zipf", 4) == 0) {
        p.kind = KEYS_ZIPF;
        if (text[4] != '\0' && (text[4] != ':' || !units_rate(text + 5, &p.exponent)))
            return false;
        if (p.exponent > EXPONENT_MAX)
            return false;
    } else if (strcmp(text, "uniform") == 0) {
        p.kind = KEYS_UNIFORM;
    } else if (strcmp(text, "none") != 0) {
        return false;
    }
    *ret_plan = p;
    return true;
}

static void weigh(double *weight, uint32_t n, double exponent)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += weight[i] = pow((double)i + 1, -exponent);
    for (uint32_t i = 0; i < n; i++)
        weight[i] *= n / sum;
}

/* todo holds columns under 1 from the left, columns over it from the right. */
static void pair_up(struct keys *k, double *weight, uint32_t *todo)
{
    uint32_t small = 0, large = k->n;
    for (uint32_t i = 0; i < k->n; i++) {
        k->keep[i] = 1;
        k->alias[i] = i;
        if (weight[i] < 1)
            todo[small++] = i;
        else
            todo[--large] = i;
    }
    while (small > 0 && large < k->n) {
        uint32_t little = todo[--small], much = todo[large];
        k->keep[little] = (float)weight[little];
        k->alias[little] = much;
        weight[much] -= 1 - weight[little];
        if (weight[much] < 1) {
            large++;
            todo[small++] = much;
        }
    }
}

bool keys_init(struct keys *k, const struct keys_plan *plan, uint32_t n)
{
    *k = (struct keys){.n = n};
    if (plan->kind != KEYS_ZIPF)
        return true;
    double *weight = calloc(n, sizeof *weight);
    uint32_t *todo = calloc(n, sizeof *todo);
    k->keep = calloc(n, sizeof *k->keep);
    k->alias = calloc(n, sizeof *k->alias);
    bool ok = weight && todo && k->keep && k->alias;
    if (ok) {
        weigh(weight, n, plan->exponent);
        pair_up(k, weight, todo);
    }
    free(weight);
    free(todo);
    if (!ok)
        keys_fini(k);
    return ok;
}

void keys_fini(struct keys *k)
{
    free(k->keep);
    free(k->alias);
    *k = (struct keys){0};
}

uint32_t keys_draw(const struct keys *k, struct chance *c)
{
    uint32_t column = (uint32_t)chance_below(c, k->n);
    if (!k->keep || chance_unit(c) < (double)k->keep[column])
        return column;
    return k->alias[column];
}
