/* What a process writes into the files of one folder, kept as a journal: so that a test can tell what a disk that loses
   everything not synchronised may hold after any of it.

   Preloaded into the process. NAJA_DISK_FOLDER says which files, NAJA_DISK_JOURNAL where the journal goes. A record is one letter
   for the operation, the length of the path (4 bytes), the path, two numbers (8 bytes each), and for writes the bytes; numbers
   are little-endian. The process has one thread that writes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { FILES = 1024, PATH = 512 };
static char paths[FILES][PATH];
static int journal = -2;
static const char *folder;

static int is_watched(const char *path) {
    if (journal == -2) {
        const char *name = getenv("NAJA_DISK_JOURNAL");
        folder = getenv("NAJA_DISK_FOLDER");
        journal = name && folder ? (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    }
    return journal >= 0 && path && strncmp(path, folder, strlen(folder)) == 0 && strlen(path) < PATH;
}

static void record(char operation, const char *path, uint64_t one, uint64_t two, const void *bytes, size_t count) {
    uint32_t length = (uint32_t)strlen(path);
    size_t size = 1 + 4 + length + 16 + count;
    char *all = malloc(size), *place = all;
    *place++ = operation;
    memcpy(place, &length, 4), place += 4;
    memcpy(place, path, length), place += length;
    memcpy(place, &one, 8), place += 8;
    memcpy(place, &two, 8), place += 8;
    if (count) memcpy(place, bytes, count);
    syscall(SYS_write, journal, all, size);
    free(all);
}

static void opened(int fd, const char *path, int flags, int was_there) {
    if (fd < 0 || fd >= FILES) return;
    paths[fd][0] = 0;
    if (!is_watched(path)) return;
    strcpy(paths[fd], path);
    if ((flags & O_CREAT) && !was_there) record('C', path, 0, 0, NULL, 0);
    if (flags & O_TRUNC) record('T', path, 0, 0, NULL, 0);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int open_watched(const char *path, int flags, mode_t mode) {
    int was_there = syscall(SYS_access, path, F_OK) == 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    opened(fd, path, flags, was_there);
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (is_watched(path)) return open_watched(path, flags, mode);
    int fd = REAL(open64)(path, flags, mode);
    opened(fd, NULL, 0, 1);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (is_watched(path)) return open_watched(path, flags, mode);
    int fd = REAL(open)(path, flags, mode);
    opened(fd, NULL, 0, 1);
    return fd;
}

static const char *path_of(int fd) {
    return fd >= 0 && fd < FILES && paths[fd][0] ? paths[fd] : NULL;
}

int close(int fd) {
    if (fd >= 0 && fd < FILES) paths[fd][0] = 0;
    return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    const char *path = path_of(fd);
    off64_t place = path ? lseek64(fd, 0, SEEK_CUR) : 0;
    ssize_t written = (ssize_t)syscall(SYS_write, fd, bytes, count);
    if (path && written > 0) record('W', path, (uint64_t)place, (uint64_t)written, bytes, (size_t)written);
    return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t place) {
    ssize_t written = (ssize_t)syscall(SYS_pwrite64, fd, bytes, count, place);
    const char *path = path_of(fd);
    if (path && written > 0) record('W', path, (uint64_t)place, (uint64_t)written, bytes, (size_t)written);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t place) {
    return pwrite64(fd, bytes, count, place);
}

int ftruncate64(int fd, off64_t length) {
    int done = (int)syscall(SYS_ftruncate, fd, length);
    const char *path = path_of(fd);
    if (path && done == 0) record('T', path, (uint64_t)length, 0, NULL, 0);
    return done;
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}

int fsync(int fd) {
    int done = (int)syscall(SYS_fsync, fd);
    const char *path = path_of(fd);
    if (path && done == 0) record('S', path, 0, 0, NULL, 0);
    return done;
}

int fdatasync(int fd) {
    int done = (int)syscall(SYS_fdatasync, fd);
    const char *path = path_of(fd);
    if (path && done == 0) record('S', path, 0, 0, NULL, 0);
    return done;
}

int unlink(const char *path) {
    int done = (int)syscall(SYS_unlink, path);
    if (is_watched(path) && done == 0) record('U', path, 0, 0, NULL, 0);
    return done;
}
