/* Counts what a process does to files below one folder, and lets the n-th of these fail or kills the process before it.

   Preloaded; nothing happens until `arm` is called.  */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long left = -1, seen = 0;
static int fault = 0; /* 0: kill, else the errno of what fails */

void arm(const char *where, long n, int how) {
    strncpy(folder, where, sizeof folder - 1);
    left = n, fault = how, seen = 0;
}

long counted(void) { return seen; }

static int below(const char *path) { return folder[0] && path && !strncmp(path, folder, strlen(folder)); }

static int open_below(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

/* Whether the operation fails; it does not return where the process is to end. */
static int strikes(void) {
    __sync_fetch_and_add(&seen, 1);
    if (left < 0 || __sync_fetch_and_sub(&left, 1) != 0) return 0;
    if (!fault) kill(getpid(), SIGKILL);
    errno = fault;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...) {                                \
        mode_t mode = 0;                                                        \
        if (flags & (O_CREAT | O_TMPFILE)) {                                    \
            va_list rest;                                                       \
            va_start(rest, flags);                                              \
            mode = va_arg(rest, mode_t);                                        \
            va_end(rest);                                                       \
        }                                                                       \
        if (below(path) && strikes()) return -1;                                \
        return REAL(name)(path, flags, mode);                                   \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *data, size_t size) {
    if (open_below(fd) && strikes()) {
        if (fault == ENOSPC && size > 1) return REAL(write)(fd, data, size / 2); /* a short write, then none */
        return -1;
    }
    return REAL(write)(fd, data, size);
}

int fsync(int fd) { return open_below(fd) && strikes() ? -1 : REAL(fsync)(fd); }

int rename(const char *from, const char *to) { return below(to) && strikes() ? -1 : REAL(rename)(from, to); }

int unlink(const char *path) { return below(path) && strikes() ? -1 : REAL(unlink)(path); }

int mkdir(const char *path, mode_t mode) { return below(path) && strikes() ? -1 : REAL(mkdir)(path, mode); }

int flock(int fd, int how) { return open_below(fd) && strikes() ? -1 : REAL(flock)(fd, how); }
