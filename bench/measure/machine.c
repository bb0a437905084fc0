/* machine.c: reads facts from /proc, /sys and system calls. A fact that cannot be found is left out. */
#include "bench/measure/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "halfmq_version.h"

#define LINE_BYTES 1024

/* Finds the first line that begins with `name`, and copies what follows the name and the separators. */
static bool line_of(const char *path, const char *name, const char *separators, char *out,
                    size_t size)
{
    char line[LINE_BYTES];
    size_t len = strlen(name);
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        if (strncmp(line, name, len) != 0)
            continue;
        const char *value = line + len + strspn(line + len, separators);
        snprintf(out, size, "%.*s", (int)strcspn(value, "\"\n"), value);
        found = true;
    }
    if (f)
        fclose(f);
    return found;
}

void machine_facts(struct facts *f)
{
    char text[FACT_BYTES], when[32];
    struct utsname u;
    double load[3];
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm) && strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm))
        facts_add(f, "time", "%s", when);
    facts_add(f, "bench_version", "%s", HALFMQ_VERSION);
    facts_add(f, "processors", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    if (line_of("/proc/cpuinfo", "model name", "\t :", text, sizeof text))
        facts_add(f, "processor", "%s", text);
    if (line_of("/proc/meminfo", "MemTotal", ": ", text, sizeof text))
        facts_add(f, "memory", "%.1f GiB", strtod(text, NULL) / 1048576);
    if (uname(&u) == 0)
        facts_add(f, "kernel", "%s %s %s", u.sysname, u.release, u.machine);
    if (line_of("/etc/os-release", "PRETTY_NAME", "=\"", text, sizeof text))
        facts_add(f, "system", "%s", text);
    if (getloadavg(load, 3) == 3)
        facts_add(f, "load_before", "%.2f %.2f %.2f", load[0], load[1], load[2]);
}

/* Adds the file system of a device, from /proc/self/mountinfo. */
static void mount_fact(unsigned major_number, unsigned minor_number, struct facts *f)
{
    char line[LINE_BYTES], wanted[32];
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    snprintf(wanted, sizeof wanted, " %u:%u ", major_number, minor_number);
    while (mounts && fgets(line, sizeof line, mounts)) {
        const char *tail = strstr(line, " - ");
        char type[64], source[128];
        if (!strstr(line, wanted) || !tail || sscanf(tail, " - %63s %127s", type, source) != 2)
            continue;
        facts_add(f, "server_filesystem", "%s on %s", type, source);
        break;
    }
    if (mounts)
        fclose(mounts);
}

void machine_disk_facts(long pid, const char *folder, struct facts *f)
{
    char path[FACT_BYTES + 64], model[FACT_BYTES];
    struct stat st;
    if (!folder)
        return;
    if (folder[0] == '/')
        snprintf(path, sizeof path, "%s", folder);
    else
        snprintf(path, sizeof path, "/proc/%ld/cwd/%s", pid, folder);
    if (stat(path, &st) != 0)
        return;
    mount_fact(major(st.st_dev), minor(st.st_dev), f);
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/device/model", major(st.st_dev),
             minor(st.st_dev));
    if (line_of(path, "", " ", model, sizeof model))
        facts_add(f, "server_disk", "%s", model);
}

bool machine_is_here(const char *host)
{
    return strcmp(host, "127.0.0.1") == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0;
}

double machine_cpu_seconds(long pid)
{
    char path[64], line[LINE_BYTES];
    unsigned long user, sys;
    double seconds = -1;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    if (f && fgets(line, sizeof line, f)) {
        /* The name stands in brackets and may contain anything; utime and stime are the 12th and 13th word
         * after it. */
        const char *rest = strrchr(line, ')');
        if (rest && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                           &sys) == 2)
            seconds = (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
    }
    if (f)
        fclose(f);
    return seconds;
}

double machine_own_cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return -1;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}
